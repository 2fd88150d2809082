"""What a base model can do before any fine-tuning: accuracy by operations, and which lines fail why."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd
from scipy.stats import binomtest

from bi.augmentation.verdict import judged_lines, line_operations
from bi.augmentation.wording import get_wording
from bi.evaluation.anatomy import anatomy_table
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.problem import Problem, in_corpus_half
from bi.training.policy import Policy
from bi.training.pretrain import BaseRecipe
from bi.training.sampler import sample

OPERATIONS = tuple(range(1, 9))
PROBLEMS = 500


def held_out_problems(recipe: BaseRecipe, n_ops: int, count: int) -> list[Problem]:
    """Problems of exactly ``n_ops`` operations in the half of keys that no corpus uses, from a stream of their own."""
    config = IGSMConfig(
        n_ops,
        n_ops,
        modulus=recipe.corpus.modulus,
        compact=True,
        names=recipe.corpus.names,
        abstract_depth=1,
        operands=recipe.corpus.operands,
        reuse=recipe.corpus.reuse,
        redundant=recipe.corpus.redundant,
    )
    drawn = (generate(config, stream("base card", n_ops, index)) for index in itertools.count())
    return list(itertools.islice((problem for problem in drawn if not in_corpus_half(problem.key())), count))


def measure_base(
    policy: Policy, recipe: BaseRecipe, problems: int = PROBLEMS, operations: Sequence[int] = OPERATIONS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Greedy accuracy by number of operations with the share of right lines by what the line needs, and first errors.

    The first table has columns n_ops, metric, value, low, high, n (95 % Wilson intervals). ``accuracy`` and ``strict``
    count problems; ``order``, ``lookup``, ``arithmetic_k`` (k binary operations in one line, 3 for more) and ``format``
    count lines whose predecessors are all right. The second is :func:`bi.evaluation.anatomy.anatomy_table` by n_ops.
    """
    rows: list[dict[str, object]] = []
    errors = []
    for n_ops in operations:
        batch = held_out_problems(recipe, n_ops, problems)
        texts = _greedy(policy, batch)
        hits: Counter[str] = Counter()
        chances: Counter[str] = Counter()
        for text, problem in zip(texts, batch, strict=True):
            for metric, right in _outcomes(text, problem):
                chances[metric] += 1
                hits[metric] += right
        rows += [_row(n_ops, metric, hits[metric], chances[metric]) for metric in sorted(chances)]
        errors.append(anatomy_table(_verdicts(texts, batch), {"n_ops": n_ops}))
    return pd.DataFrame(rows), pd.concat(errors, ignore_index=True)


def _verdicts(texts: Sequence[str], problems: Sequence[Problem]) -> pd.DataFrame:
    voice = get_wording("compact")
    found = [voice.verdict(text, problem) for text, problem in zip(texts, problems, strict=True)]
    return pd.DataFrame([
        {"problem_id": problem.key(), "first_error": verdict.first_error, "error_operations": verdict.error_operations}
        for problem, verdict in zip(problems, found, strict=True)
    ])


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
