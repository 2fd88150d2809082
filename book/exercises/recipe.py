"""Solutions of the chapter on the choice of the recipe, run by the tests and shown folded in the book."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd


def flattery(k: int, s: float) -> float:
    """By how much the best of k equally good candidates overstates itself; ``s`` is the standard error of each."""
    x = np.linspace(-8, 8, 2001)
    below = np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x])
    chances = np.diff(below**k)  # the largest lies in this step
    return float(s * chances @ (x[1:] + x[:-1]) / 2)


def best_for_the_worse(metrics: pd.DataFrame, stage: str = "rl", split: str = "dev_id") -> str:
    """The candidate whose worse arm does best: mean accuracy over seeds, then the least over arms.

    ``metrics``: rows ``candidate, arm, seed, stage, split, metric, value``.
    """
    rows = metrics[(metrics["metric"] == "accuracy") & (metrics["stage"] == stage) & (metrics["split"] == split)]
    means = rows.groupby(["candidate", "arm"])["value"].mean().unstack("arm")
    return str(means.min(axis=1).idxmax())


def largest_difference(metrics: pd.DataFrame, stage: str = "rl", split: str = "dev_id") -> str:
    """The candidate whose two arms differ most, by means over seeds."""
    rows = metrics[(metrics["metric"] == "accuracy") & (metrics["stage"] == stage) & (metrics["split"] == split)]
    means = rows.groupby(["candidate", "arm"])["value"].mean().unstack("arm")
    return str((means.max(axis=1) - means.min(axis=1)).idxmax())
