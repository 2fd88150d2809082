"""What RL does to a problem by how often the checkpoint solved it before: gains against rollout accuracy.

A problem that was lucky before RL looks worse afterwards without any change (regression to the mean), so a problem's
rollout accuracy is never taken from the rollouts that its gain is counted from, but from other checkpoints.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bi.evaluation.intervals import numpy_stream, percentile_interval
from bi.evaluation.verdicts import Estimate

SEEDS = "the same arm's checkpoints of the other seeds"
ARMS = "the checkpoints of the other arms, since there is one seed only"
RESAMPLES = 2000


def gains_by_accuracy(counts: pd.DataFrame, split: str) -> tuple[pd.DataFrame, str]:
    """Rows ``arm, seed, problem_id, n, correct, before, after, gain``, and which checkpoints ``n, correct`` are of.

    ``counts``: rows of ``rollout_accuracy``. ``n`` and ``correct`` count rollouts of the problem before RL by the
    checkpoints that are named (:data:`SEEDS`, or :data:`ARMS` where the arm has one seed); ``before`` and ``after`` are
    this checkpoint's own accuracies. Raises ``ValueError`` where there is neither another seed nor another arm.
    """
    rows = counts[counts["split"] == split]
    sft, rl = (rows[rows["stage"] == stage] for stage in ("sft", "rl"))
    keys = ["arm", "seed", "problem_id"]
    before = sft.assign(before=sft["correct"] / sft["n"])[[*keys, "n", "correct", "before"]]
    after = rl.assign(after=rl["correct"] / rl["n"])[[*keys, "after"]]
    own = before.merge(after, on=keys, validate="one_to_one")
    which = SEEDS if (own.groupby("arm")["seed"].nunique() > 1).all() else ARMS
    if which == ARMS and own["arm"].nunique() < 2:
        raise ValueError("rollout_accuracy: one arm with one seed; its rollouts cannot both sort problems and judge "
                         "them")
    among = ["problem_id", "arm"] if which == SEEDS else ["problem_id", "seed"]
    for column in ("n", "correct"):  # of all checkpoints but this one
        own[column] = own.groupby(among)[column].transform("sum") - own[column]
    return own.assign(gain=own["after"] - own["before"]), which


def middle_over_never(gains: pd.DataFrame, arm: str, *, resamples: int = RESAMPLES) -> Estimate | None:
    """Mean gain of problems with mixed outcomes elsewhere minus that of problems never solved elsewhere.

    Those always solved are left out: they have nothing to gain, whatever the theory, and would widen the difference for
    no reason. ``gains``: see :func:`gains_by_accuracy`. The interval resamples problems, with all their seeds. ``None``
    where one of the two kinds has no problem.
    """
    rows = gains[(gains["arm"] == arm) & (gains["correct"] < gains["n"])]
    mixed = rows["correct"] > 0
    if mixed.all() or not mixed.any():
        return None
    parts = [rows["gain"].where(kind, 0.0) if value else kind.astype(float) for kind in (mixed, ~mixed)
             for value in (True, False)]
    table = pd.concat(parts, axis=1).groupby(rows["problem_id"].to_numpy()).sum().to_numpy()
    value = _difference(table.sum(axis=0))
    rng = numpy_stream("middle over never", arm)
    draws = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=resamples) @ table
    found = percentile_interval(float(value), _difference(draws.T), level=0.95, unit="problems", n=len(table))
    return Estimate(found.value, found.low, found.high, len(rows), found.describe())


def _difference(sums: np.ndarray) -> np.ndarray:
    """Sums and counts of the two kinds to the difference of their means."""
    gain, count, others_gain, others_count = sums
    return gain / np.maximum(count, 1) - others_gain / np.maximum(others_count, 1)
