"""What the base model can do before any fine-tuning, and the model card that says so."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from scipy.stats import binomtest

from bi.augmentation.arms import SPLITS, build_problems
from bi.augmentation.verdict import judged_lines, line_operations
from bi.augmentation.wording import get_wording
from bi.files import atomic_folder
from bi.provenance import provenance, write_table
from bi.recipes import CPU, TaskRecipe, digest
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.problem import Problem
from bi.training.corpus import document
from bi.training.policy import Policy, load_policy
from bi.training.pretrain import BaseRecipe, train_base
from bi.training.sampler import sample

OPERATIONS = tuple(range(1, 9))
PROBLEMS = 200


def held_out_problems(recipe: BaseRecipe, n_ops: int, count: int) -> list[Problem]:
    """Problems of exactly ``n_ops`` operations from a stream that no corpus, arm or test set draws from."""
    config = IGSMConfig(
        n_ops,
        n_ops,
        modulus=recipe.corpus.modulus,
        compact=True,
        names=recipe.corpus.names,
        abstract_depth=1,
        operands=recipe.corpus.operands,
        redundant=recipe.corpus.redundant,
    )
    return [generate(config, stream("base card", n_ops, index)) for index in range(count)]


def measure_base(policy: Policy, recipe: BaseRecipe, problems: int = PROBLEMS) -> pd.DataFrame:
    """Greedy accuracy by number of operations, and the share of right lines by what the line needs.

    Columns: n_ops, metric, value, low, high, n (95 % Wilson intervals). ``accuracy`` and ``strict`` count problems;
    ``order``, ``lookup``, ``arithmetic_k`` (k binary operations in one line) and ``format`` count lines whose
    predecessors are all right.
    """
    rows: list[dict[str, object]] = []
    for n_ops in OPERATIONS:
        batch = held_out_problems(recipe, n_ops, problems)
        texts = _greedy(policy, batch)
        hits: Counter[str] = Counter()
        chances: Counter[str] = Counter()
        for text, problem in zip(texts, batch, strict=True):
            for metric, right in _outcomes(text, problem):
                chances[metric] += 1
                hits[metric] += right
        rows += [_row(n_ops, metric, hits[metric], chances[metric]) for metric in sorted(chances)]
    return pd.DataFrame(rows)


def _greedy(policy: Policy, problems: Sequence[Problem]) -> list[str]:
    voice, tokenizer = get_wording("compact"), policy.tokenizer
    prompts = [tokenizer.encode(voice.prompt(problem), add_special_tokens=False) for problem in problems]
    found = sample(
        policy.model,
        prompts,
        1,
        max_new_tokens=200,
        temperature=0.0,
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
    )
    return [str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in found.ids]


def _outcomes(text: str, problem: Problem) -> Iterator[tuple[str, bool]]:
    """(metric, right) for the completion and for each line that was written on right ground."""
    voice = get_wording("compact")
    verdict = voice.verdict(text, problem)
    yield "accuracy", verdict.answer
    yield "strict", verdict.strict
    for line, error in judged_lines(voice.read(text), problem):
        yield "format", error not in ("unreadable", "unknown")
        if error in ("unreadable", "unknown"):
            continue
        yield "order", error != "locked"
        if error == "locked":
            continue
        yield "lookup", error not in ("lookup", "formula")
        width = line_operations(line, problem)
        if width and error not in ("lookup", "formula"):
            yield f"arithmetic_{min(width, 3)}", error != "arithmetic"


def _row(n_ops: int, metric: str, hits: int, chances: int) -> dict[str, object]:
    interval = binomtest(hits, chances).proportion_ci(method="wilson")
    return {
        "n_ops": n_ops,
        "metric": metric,
        "value": hits / chances,
        "low": interval.low,
        "high": interval.high,
        "n": chances,
    }


def corpus_overlap(recipe: BaseRecipe, task: TaskRecipe, seed: int = 0) -> pd.DataFrame:
    """How many problems of each split of ``task`` also stand in the corpus, by canonical key.

    Columns: split, n_ops, in_corpus, n. The key ignores names, order and redundant premises, so such a problem has
    another text in the corpus, but the same needed graph and numbers.
    """
    steps = recipe.documents // recipe.batch
    places = range(steps * recipe.batch)
    seen = {document(recipe.corpus, recipe.seed, i, i // recipe.batch / steps).key for i in places}
    sizes = {"sft": task.sft_rows, "rl": task.rl_prompts}
    rows = []
    for split in SPLITS:
        problems = build_problems(task, split, sizes.get(split, task.test_problems), seed)
        for n_ops in sorted({problem.n_ops for problem in problems}):
            keys = [problem.key() for problem in problems if problem.n_ops == n_ops]
            rows.append({"split": split, "n_ops": n_ops, "in_corpus": sum(key in seen for key in keys), "n": len(keys)})
    return pd.DataFrame(rows)


def make_base(recipe: BaseRecipe, out: Path) -> None:
    """Train, measure and write a base model with its card to ``out``, which appears when all of it is complete.

    An interrupted call continues from ``OUT.partial``.
    """
    work = out.with_name(out.name + ".partial")
    policy, history = train_base(recipe, work)
    with atomic_folder(out) as folder:
        policy.model.to(torch.bfloat16).save_pretrained(folder)
        policy.tokenizer.save_pretrained(folder)
        written = load_policy(folder, dtype=torch.float32)
        _write_card(folder, written, recipe, history)
    shutil.rmtree(work, ignore_errors=True)


def _write_card(folder: Path, policy: Policy, recipe: BaseRecipe, history: pd.DataFrame) -> None:
    table = measure_base(policy, recipe)
    facts = provenance(
        profile="base", seeds=[recipe.seed], recipe_digest=digest(recipe), wall_s=float(history["seconds"].iloc[-1])
    )
    write_table(folder / "accuracy.csv", table, facts)
    overlap = corpus_overlap(recipe, CPU.task)
    write_table(folder / "overlap.csv", overlap, facts)
    curve = history.iloc[:: max(1, len(history) // 200)]
    write_table(folder / "loss.csv", curve[["step", "loss", "tokens"]], facts)
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1) + "\n")
    (folder / "README.md").write_text(card_text(recipe, table, overlap, history, policy.model.num_parameters(), facts))


def card_text(
    recipe: BaseRecipe, table: pd.DataFrame, overlap: pd.DataFrame, history: pd.DataFrame, parameters: int, facts: dict
) -> str:
    """The model card: architecture, corpus, training and measured abilities, in Markdown."""
    pivot = table.pivot(index="n_ops", columns="metric", values="value")
    head = ["accuracy", "strict", *[name for name in pivot.columns if name not in ("accuracy", "strict")]]
    lines = ["| operations | " + " | ".join(head) + " |", "|" + "---|" * (len(head) + 1)]
    for n_ops, row in pivot.iterrows():
        cells = ["-" if pd.isna(row[name]) else f"{100 * row[name]:.1f}" for name in head]
        lines.append(f"| {n_ops} | " + " | ".join(cells) + " |")
    last = history.iloc[-1]
    corpus = recipe.corpus
    return f"""---
license: mit
library_name: transformers
pipeline_tag: text-generation
---
# tiny-base

A Llama of {parameters:,} parameters ({recipe.layers} layers, hidden size {recipe.hidden}, {recipe.heads} heads,
{recipe.kv_heads} key-value heads, context {recipe.context}), trained from scratch to solve small iGSM problems in the
compact wording of this project. The book starts from it as the paper starts from Qwen and Llama. `make base` remakes
it.

**Initialisation.** Transformers' defaults, then output projections scaled by 0.1 and embeddings drawn from N(0, 0.1);
the tokens of the values start on circles of five frequencies, and the three tokens of one name share a random
component.

**Corpus.** {recipe.documents:,} generated documents, each seen once, of four kinds (shares at the start and at the
end of training): {_kinds(corpus)}. Problems have up to {corpus.max_ops[0]} operations at the start and up to
{corpus.max_ops[1]} from {corpus.ramp:.0%} of training on. Chains of thought are plain: no reflection, no analysis, no
subgoals. Documents, arms, RL prompts and test problems are drawn from different streams, but nothing keeps them apart:
up to names, order and redundant premises, these problems of the cpu profile stand in the corpus too (seed 0, by number
of operations in `overlap.csv`): {_shares(overlap)}.

**Training.** {int(last["tokens"]):,} tokens (padding not counted), loss on completions only, batches of
{recipe.batch} documents, Muon ({recipe.muon_lr:g}) for the matrices of the blocks and AdamW ({recipe.adam_lr:g}) for
the rest, bfloat16 autocast; {last["seconds"] / 60:.0f} minutes on {facts["hardware"].get("cpu", "a CPU")}, one
thread. Loss curve: `loss.csv`.

**Measured** on {PROBLEMS} held-out problems for each number of operations, greedy decoding, in per cent; intervals
and counts in `accuracy.csv`. `accuracy` is the final answer, `strict` asks for every line to be right; the others
count lines whose predecessors are right: operands solved before use (order), the right formula and operands (lookup),
arithmetic with one, two, three or more binary operations in one line, readable lines (format).

{chr(10).join(lines)}
"""


def _shares(overlap: pd.DataFrame) -> str:
    totals = overlap.groupby("split", sort=False)[["in_corpus", "n"]].sum()
    return ", ".join(f"{split} {row['in_corpus']} of {row['n']}" for split, row in totals.iterrows())


def _kinds(corpus: object) -> str:
    from bi.training.corpus import KINDS

    start, end = corpus.shares  # type: ignore[attr-defined]
    return ", ".join(f"{kind} {a:.0%} to {b:.0%}" for kind, a, b in zip(KINDS, start, end, strict=True))
