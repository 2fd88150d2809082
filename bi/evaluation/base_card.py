"""A base model with its card: train it, measure it, look through its corpus, and write down what was found."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from textwrap import fill

import pandas as pd
import torch

from bi.augmentation.arms import SPLITS, build_problems
from bi.evaluation.anatomy import KINDS as KINDS_OF_ERRORS
from bi.evaluation.base_model import PROBLEMS, SIZE, measure_base
from bi.files import atomic_folder
from bi.provenance import provenance, write_table
from bi.recipes import CPU, CPU_DYVAL, GPU, Profile, TaskRecipe, digest, get_profile
from bi.tasks.problem import in_corpus_half
from bi.training.corpus import KINDS, CompactMixture, Mixture
from bi.training.policy import Policy, default_device, load_policy
from bi.training.pretrain import BaseRecipe, corpus, passes_format, train_base

MAX_BYTES = 8_000_000  # what weights in the repository may weigh
TASK_NAMES = {"igsm": "iGSM", "dyval_arithmetic": "DyVal arithmetic"}


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


def base_profile(mixture: Mixture) -> Profile:
    """The profile whose splits a base with this corpus serves: that of its wording and range of values."""
    served = (CPU, CPU_DYVAL, get_profile(f"{CPU.name}-range"), GPU)
    known = {(each.task.wording, dict(each.task.options).get("modulus")): each for each in served}
    return known[mixture.wording, getattr(mixture, "modulus", None)]


def corpus_facts(recipe: BaseRecipe, task: TaskRecipe, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the corpus really holds, and how many problems of each split of ``task`` stand in it, by canonical key.

    First table: kind, behavior (empty: all documents of the kind), documents, problems (distinct keys), held_out
    (documents whose key lies in the half of the splits: only arithmetic drills may, which are no problems of the task).
    Second table: split, n_ops, in_corpus, n. The key ignores names, order and redundant premises.
    """
    documents: Counter[tuple[str, str]] = Counter()
    held_out: Counter[tuple[str, str]] = Counter()
    keys: dict[tuple[str, str], set[str]] = {}
    for text in corpus(recipe):
        for label in {(text.kind, ""), (text.kind, text.behavior or "")}:
            documents[label] += 1
            held_out[label] += not in_corpus_half(text.key)
            keys.setdefault(label, set()).add(text.key)
    contents = [
        {"kind": kind, "behavior": behavior, "documents": documents[kind, behavior],
         "problems": len(keys[kind, behavior]), "held_out": held_out[kind, behavior]}
        for kind, behavior in sorted(documents)
    ]
    return pd.DataFrame(contents), _overlap(set().union(*keys.values()), task, seed)


def _overlap(seen: set[str], task: TaskRecipe, seed: int) -> pd.DataFrame:
    sizes = {"sft": task.sft_rows, "rl": task.rl_prompts}
    rows = []
    for split in SPLITS:
        problems = build_problems(task, split, sizes.get(split, task.test_problems), seed)
        for n_ops in sorted({problem.n_ops for problem in problems}):
            keys = [problem.key() for problem in problems if problem.n_ops == n_ops]
            rows.append({"split": split, "n_ops": n_ops, "in_corpus": sum(key in seen for key in keys), "n": len(keys)})
    return pd.DataFrame(rows)


def _write_card(folder: Path, policy: Policy, recipe: BaseRecipe, history: pd.DataFrame) -> None:
    accuracy, anatomy = measure_base(policy, recipe)
    contents, overlap = corpus_facts(recipe, base_profile(recipe.corpus).task)
    facts = provenance(
        profile="base", seeds=[recipe.seed], recipe_digest=digest(recipe), wall_s=float(history["seconds"].iloc[-1]),
        passes=str(passes_format(default_device())).removeprefix("torch."),
    )
    curve = history.iloc[:: max(1, len(history) // 200)][["step", "loss", "tokens"]]
    tables = {"accuracy": accuracy, "anatomy": anatomy, "corpus": contents, "overlap": overlap, "loss": curve}
    for name, table in tables.items():
        write_table(folder / f"{name}.csv", table, facts)
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1) + "\n")
    card = card_text(recipe, tables, history, policy.model.num_parameters(), facts)
    (folder / "README.md").write_text(card)


def card_text(
    recipe: BaseRecipe, tables: dict[str, pd.DataFrame], history: pd.DataFrame, parameters: int, facts: dict
) -> str:
    """The model card: architecture, corpus, training and measured abilities, in Markdown.

    ``tables``: ``accuracy`` and ``anatomy`` (:func:`bi.evaluation.base_model.measure_base`), ``corpus`` and ``overlap``
    (:func:`corpus_facts`).
    """
    last, mixture = history.iloc[-1], recipe.corpus
    minutes = last["seconds"] / 60
    profile = base_profile(mixture).name
    again = "make base" + ("" if recipe.name == "tiny-base" else f" BASE={recipe.name}")
    paragraphs = [
        f"""A Llama of {parameters:,} parameters ({recipe.layers} layers, hidden size {recipe.hidden},
        {recipe.heads} heads, {recipe.kv_heads} key-value heads, context {recipe.context}), trained from scratch to
        solve small {TASK_NAMES[mixture.task]} problems in {_wording(mixture)}. The profile `{profile}` starts from it
        as the paper starts from Qwen and Llama. `{again}` remakes it.""",
        f"**Tokenizer.** {_tokenizer(mixture)}",
        f"""**Initialisation.** Transformers' defaults, then output projections scaled by 0.1 and embeddings drawn from
        N(0, 0.1){_hints(mixture)}.""",
        f"""**Corpus.** {int(last["documents"]):,} generated documents, each seen once, of four kinds (shares of
        documents at the start and at the end of training): {_kinds(recipe)}. {mixture.growth()} Chains are plain
        but for {_behaviors(tables["corpus"])}. {_silence(mixture)}`corpus.csv` counts what the corpus holds.""",
        f"""**Apart from the splits.** All problems but the arithmetic drills have their canonical key (names, order
        and redundant premises ignored) in one half of all keys, and the splits of the book in the other. Counted for
        the {profile} profile, seed 0, these stand in the corpus:
        {_shares(tables["overlap"])}.""",
        f"""**Training.** {int(last["tokens"]):,} tokens (padding not counted), loss on completions only,
        {recipe.steps:,} batches of {recipe.rows} x {recipe.width} packed tokens, Muon ({recipe.muon_lr:g}) for the
        matrices of the blocks and AdamW ({recipe.adam_lr:g}) for the rest, passes in {facts["passes"]};
        {minutes:.0f} minutes ({last["tokens"] / last["seconds"]:,.0f} tokens/s) on
        {_machine(facts["hardware"])}, other work beside it or not. Loss curve: `loss.csv`.""",
        f"""**Measured** on {PROBLEMS} held-out problems for each number of {mixture.size}, greedy decoding, in per
        cent; intervals and counts in `accuracy.csv`. `accuracy` is the final answer, `strict` asks for every line to be
        right; the others count lines whose predecessors are right: operands solved before use (order), the right
        formula and operands (lookup), arithmetic with one, two, three or more binary operations in one line, readable
        lines (format).""",
    ]
    head = ["---", "license: mit", "library_name: transformers", "pipeline_tag: text-generation", "---"]
    return "\n".join([
        *head, f"# {recipe.name}", "",
        *(fill(" ".join(text.split()), 118) + "\n" for text in paragraphs),
        _accuracy(tables["accuracy"], mixture.size), "",
        "Kind of the first error, in per cent of the completions that have one (intervals in `anatomy.csv`):", "",
        _anatomy(tables["anatomy"], mixture.size), "",
    ])


def _wording(mixture: Mixture) -> str:
    return "English" if mixture.wording == "english" else "the compact wording of this project"


def _tokenizer(mixture: Mixture) -> str:
    if isinstance(mixture, CompactMixture):
        return (f"One token a word of the compact wording: {mixture.modulus} values, three words for each of "
                f"{mixture.names} names (head of a definition, mention, solved value), and the signs.")
    return "Byte-level pieces, trained on documents of the corpus; every digit is a piece of its own."


def _hints(mixture: Mixture) -> str:
    if isinstance(mixture, CompactMixture):
        return ("; the tokens of the values start on circles of five frequencies, and the three tokens of one name "
                "share a random component")
    return ""


def _silence(mixture: Mixture) -> str:
    if not isinstance(mixture, CompactMixture):
        return ""
    kept_hard = ", so that such arithmetic is hard but possible" if mixture.wide_results < 1 else ""
    return (f"Of the results of two or more operations carried out in one step, {mixture.wide_results:.0%} carry "
            f"loss{kept_hard}. ")


def _machine(hardware: dict) -> str:
    gpus = hardware.get("gpus")
    return ", ".join(gpus) if gpus else f"{hardware.get('cpu', 'a CPU')}, one thread"


def _kinds(recipe: BaseRecipe) -> str:
    start, end = recipe.corpus.shares
    return ", ".join(f"{kind} {a:.0%} to {b:.0%}" for kind, a, b in zip(KINDS, start, end, strict=True))


def _behaviors(contents: pd.DataFrame) -> str:
    every = float(contents.loc[contents["behavior"] == "", "documents"].sum())
    held = contents[contents["behavior"] != ""]
    if not len(held):
        return "nothing: no document holds reflection, analysis or subgoals"
    shares = dict(zip(held["behavior"], held["documents"] / every, strict=True))
    parts = [f"{name} {share:.2%}" for name, share in shares.items()]
    return f"a small share with one behaviour each (of all documents: {', '.join(parts)})"


def _shares(overlap: pd.DataFrame) -> str:
    totals = overlap.groupby("split", sort=False)[["in_corpus", "n"]].sum()
    return ", ".join(f"{split} {row['in_corpus']} of {row['n']}" for split, row in totals.iterrows())


def _accuracy(table: pd.DataFrame, counted: str) -> str:
    pivot = table.pivot(index=SIZE[counted], columns="metric", values="value")
    first = ["accuracy", "strict"]
    return _markdown(pivot[[*first, *(name for name in pivot.columns if name not in first)]], counted)


def _anatomy(table: pd.DataFrame, counted: str) -> str:
    kinds = table[table["operations"] == 0]
    shares = kinds.pivot(index=SIZE[counted], columns="kind", values="share_of_errors")
    return _markdown(shares[list(KINDS_OF_ERRORS)], counted)


def _markdown(shares: pd.DataFrame, counted: str) -> str:
    """A table of shares by size of the problems, in per cent; ``counted`` says what the size counts."""
    lines = [f"| {counted} | " + " | ".join(shares.columns) + " |", "|" + "---|" * (len(shares.columns) + 1)]
    for size, row in shares.iterrows():
        cells = ["-" if pd.isna(value) else f"{100 * value:.1f}" for value in row]
        lines.append(f"| {size} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
