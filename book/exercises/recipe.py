"""Solution of the chapter on the choice of the recipe, run by the tests and shown folded in the book."""

from __future__ import annotations

import pandas as pd


def best_for_the_worse(metrics: pd.DataFrame, stage: str = "rl", split: str = "dev_id") -> str:
    """The candidate whose worse arm does best: mean accuracy over seeds, then the least over arms.

    ``metrics``: rows ``candidate, arm, seed, stage, split, metric, value``.
    """
    rows = metrics[(metrics["metric"] == "accuracy") & (metrics["stage"] == stage) & (metrics["split"] == split)]
    means = rows.groupby(["candidate", "arm"])["value"].mean().unstack("arm")
    return str(means.min(axis=1).idxmax())
