"""How often behaviours really occur, beside how often they were asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd
from scipy.stats import binomtest

from bi.augmentation.behaviors import Reflection, inject
from bi.augmentation.trace import Trace, plain_trace
from bi.recipes import INJECTION_PROBABILITIES, BehaviorRates
from bi.streams import stream
from bi.tasks.problem import Problem


def realised_attempts(
    problems: Sequence[Problem], probabilities: Sequence[float] = INJECTION_PROBABILITIES, seed: int = 0
) -> pd.DataFrame:
    """Attempts out of turn on ``problems``, for every probability, in the ``released`` and in the ``strict`` mode.

    Columns: ``mode``, ``configured``; ``chances``: places where an attempt may come (every step but the first and the
    last); ``realised``: share of them that hold one, between ``low`` and ``high`` (95 % Wilson interval);
    ``turned_back``: share of the attempts that are reflections, the others solved their quantity (``nan`` without
    attempts); ``none``: share of the traces without a reflection.
    """
    rows = []
    for strict in (False, True):
        for rate in probabilities:
            behavior = Reflection(rate, strict=strict)
            traces = [_pair(problem, behavior, seed) for problem in problems]
            chances = sum(max(0, len(plain.steps) - 2) for plain, _ in traces)
            attempts = sum(len(told.steps) - len(plain.steps) for plain, told in traces)
            back = [sum(map(behavior.in_step, told.steps)) for _, told in traces]
            interval = binomtest(attempts, chances).proportion_ci(method="wilson")
            rows.append({
                "mode": "strict" if strict else "released", "configured": rate, "chances": chances,
                "realised": attempts / chances, "low": interval.low, "high": interval.high,
                "turned_back": sum(back) / attempts if attempts else float("nan"),
                "none": sum(count == 0 for count in back) / len(problems),
            })
    return pd.DataFrame(rows)


def _pair(problem: Problem, behavior: Reflection, seed: int) -> tuple[Trace, Trace]:
    plain = plain_trace(problem, stream(seed, "order", problem.key()))
    return plain, behavior.inject(plain, problem, stream(seed, "behaviors", problem.key()))


def realised_analyses(problems: Sequence[Problem], rates: BehaviorRates, seed: int = 0) -> pd.DataFrame:
    """Restated definitions by number of parents: ``parents, configured, steps, realised, low, high`` (95 % Wilson).

    Steps are the computed ones whose definition the question states; the last row holds all larger numbers.
    """
    last = len(rates.analysis) - 1
    only = dataclasses.replace(rates, reflection=0.0)
    steps, restated = [0] * (last + 1), [0] * (last + 1)
    for problem in problems:
        plain = plain_trace(problem, stream(seed, "order", problem.key()))
        for step in inject(plain, problem, only, stream(seed, "behaviors", problem.key())).steps:
            quantity = problem.by_name[step.name]
            place = min(len(quantity.parents), last)
            steps[place] += quantity.stated
            restated[place] += step.analysis
    rows = []
    for parents, (found, chances) in enumerate(zip(restated, steps, strict=True)):
        if chances:
            interval = binomtest(found, chances).proportion_ci(method="wilson")
            rows.append((parents, rates.analysis[parents], chances, found / chances, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["parents", "configured", "steps", "realised", "low", "high"])
