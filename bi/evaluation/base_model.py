"""What a base model can do before any fine-tuning: accuracy by operations, and which lines fail why."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd
from scipy.stats import binomtest

from bi.augmentation.verdict import judged_lines, line_operations
from bi.augmentation.wording import Wording, get_wording
from bi.evaluation.anatomy import anatomy_table
from bi.streams import stream
from bi.tasks.generators import get_task
from bi.tasks.problem import Problem, in_corpus_half
from bi.training.policy import Policy
from bi.training.pretrain import BaseRecipe
from bi.training.sampler import sample

PROBLEMS = 500
SIZE = {"operations": "n_ops", "levels": "n_levels"}
"""The column that holds the size of the problems, by what the size counts."""


def held_out_problems(recipe: BaseRecipe, size: int, count: int) -> list[Problem]:
    """Problems of exactly ``size`` in the half of keys that no corpus uses, from a stream of their own."""
    config, generate = recipe.corpus.test_config(size), get_task(recipe.corpus.task).generate
    own = () if recipe.corpus.task == "igsm" else (recipe.corpus.task,)
    drawn = (generate(config, stream("base card", *own, size, index)) for index in itertools.count())
    return list(itertools.islice((problem for problem in drawn if not in_corpus_half(problem.key())), count))


def measure_base(
    policy: Policy, recipe: BaseRecipe, problems: int = PROBLEMS, sizes: Sequence[int] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Greedy accuracy by size of the problems with the share of right lines by what the line needs, and first errors.

    ``sizes``: by default those of the recipe's corpus. The first table has the size (``n_ops``, in DyVal ``n_levels``),
    metric, value, low, high, n (95 % Wilson intervals). ``accuracy`` and ``strict`` count problems; ``order``,
    ``lookup``, ``arithmetic_k`` (k binary operations in one line, 3 for more) and ``format`` count lines whose
    predecessors are all right. The second is :func:`bi.evaluation.anatomy.anatomy_table` by size.
    """
    column, voice = SIZE[recipe.corpus.size], get_wording(recipe.corpus.wording)
    rows: list[dict[str, object]] = []
    errors = []
    for size in sizes or recipe.corpus.sizes:
        batch = held_out_problems(recipe, size, problems)
        texts = _greedy(policy, batch, voice, recipe.corpus.longest)
        hits: Counter[str] = Counter()
        chances: Counter[str] = Counter()
        for text, problem in zip(texts, batch, strict=True):
            for metric, right in _outcomes(text, problem, voice):
                chances[metric] += 1
                hits[metric] += right
        rows += [{column: size} | _row(metric, hits[metric], chances[metric]) for metric in sorted(chances)]
        errors.append(anatomy_table(_verdicts(texts, batch, voice), {column: size}))
    return pd.DataFrame(rows), pd.concat(errors, ignore_index=True)


def _verdicts(texts: Sequence[str], problems: Sequence[Problem], voice: Wording) -> pd.DataFrame:
    found = [voice.verdict(text, problem) for text, problem in zip(texts, problems, strict=True)]
    return pd.DataFrame([
        {"problem_id": problem.key(), "first_error": verdict.first_error, "error_operations": verdict.error_operations}
        for problem, verdict in zip(problems, found, strict=True)
    ])


def _greedy(policy: Policy, problems: Sequence[Problem], voice: Wording, longest: int) -> list[str]:
    tokenizer = policy.tokenizer
    prompts = [tokenizer.encode(voice.prompt(problem), add_special_tokens=False) for problem in problems]
    found = sample(
        policy.model,
        prompts,
        1,
        max_new_tokens=longest,
        temperature=0.0,
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
    )
    return [str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in found.ids]


def _outcomes(text: str, problem: Problem, voice: Wording) -> Iterator[tuple[str, bool]]:
    """(metric, right) for the completion and for each line that was written on right ground."""
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


def _row(metric: str, hits: int, chances: int) -> dict[str, object]:
    interval = binomtest(hits, chances).proportion_ci(method="wilson")
    return {
        "metric": metric,
        "value": hits / chances,
        "low": interval.low,
        "high": interval.high,
        "n": chances,
    }
