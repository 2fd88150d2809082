"""Checkers on the choice among candidates (chapter on how the recipe was chosen)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bi.course.exercise import Attempt, Exercise, Wrong, agree, expect, instances

if TYPE_CHECKING:
    import pandas as pd

ARMS = ("vanilla", "bridge")


def inspect_best_of(flattery: Attempt) -> None:
    """Against the integral of the distribution of the largest of ``k``; a simulation is precise enough."""
    expect(abs(flattery.number(1, 0.02)) < 5e-4, "with one candidate nothing is chosen, so nothing is flattered")
    agree(flattery.number(4, 0.06), 3 * flattery.number(4, 0.02), "three times the standard error flatters three times "
          "as much", rel=0.03)
    for k in (2, 4, 12):
        agree(flattery.number(k, 1.0), _largest(k), f"k = {k}, s = 1",
              (math.sqrt(2 * math.log(k)), "this is the bound for many candidates; with few the mean is well below it"),
              (1 / math.sqrt(k), "this is the standard error of a mean; the largest of k values is asked for"),
              (1.0, "the largest of k values is not one standard error above their mean for every k"), rel=0.03)


def inspect_worst_arm(worse: Attempt, divided: Attempt) -> None:
    """On invented tables in which every wrong rule picks another candidate than the right one."""
    rng = instances("ex-worst-arm")
    for _ in range(3):
        metrics = _invent_metrics(rng)
        best, most = _text(worse, metrics), _text(divided, metrics)
        slips = {"gap": "it maximises the difference between the arms", "mean": "it is the best on average; its worse "
                 "arm does less well", "other": "it is the best for the better arm", "lucky": "it has one good seed; "
                 "average over seeds before you compare", "early": "it is the best of another stage, split or metric"}
        expect(best == "fair", f"best_for_the_worse picks {best!r}: {slips.get(best, 'its worse arm does less well')}")
        expect(most == "gap", f"largest_difference picks {most!r}; by means over seeds the arms of 'gap' differ more")


def _text(attempt: Attempt, metrics: pd.DataFrame) -> str:
    found = attempt(metrics.sample(frac=1, random_state=1))
    if not isinstance(found, str):
        raise Wrong(f"`{attempt.name}` should return the name of a candidate; it returned {found!r:.60}")
    return found


def _largest(k: int) -> float:
    """Mean of the largest of ``k`` standard normal values: the integral of x k phi(x) Phi(x)^(k-1)."""
    x = np.linspace(-8, 8, 4001)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x])
    return float((x * k * density * below ** (k - 1)).sum() * (x[1] - x[0]))


def _invent_metrics(rng: np.random.Generator) -> pd.DataFrame:
    """A table in the form of a sweep's ``metrics.csv``: (first arm, second arm, what the seeds add)."""
    import pandas as pd

    levels = {"fair": (0.50, 0.55, 0.01), "gap": (0.10, 0.85, 0.01), "mean": (0.42, 0.80, 0.01),
              "other": (0.20, 0.90, 0.01), "lucky": (0.40, 0.45, 0.20), "early": (0.30, 0.35, 0.01)}
    flip = bool(rng.integers(2))
    rows = []
    for name in rng.permutation(list(levels)):
        first, second, spread = levels[str(name)]
        for arm, level in zip(ARMS, (second, first) if flip else (first, second), strict=True):
            for seed, sign in ((1000, 1), (1001, -1)):
                rows.append((str(name), arm, seed, "rl", "dev_id", "accuracy", level + sign * spread))
                for stage, split, metric in (("sft", "dev_id", "accuracy"), ("rl", "dev_ood", "accuracy"),
                                             ("rl", "dev_id", "strict")):
                    rows.append((str(name), arm, seed, stage, split, metric, 0.99 if name == "early" else 0.05))
    return pd.DataFrame(rows, columns=["candidate", "arm", "seed", "stage", "split", "metric", "value"])


CHAPTER = "notebooks/recipe"
EXERCISES = (
    Exercise("ex-best-of", CHAPTER, "pencil", ("flattery",), inspect_best_of,
             "it is the mean of the largest of k values, in units of s"),
    Exercise("ex-worst-arm", CHAPTER, "code", ("best_for_the_worse", "largest_difference"), inspect_worst_arm,
             "on invented tables both pick the candidate that their rule asks for"),
)
