"""From tables to verdicts: how much more one arm gains from RL than another, and whether a claim survives it."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from bi.evaluation.intervals import Interval, bootstrap_mean, hierarchical_mean, numpy_stream, paired_difference

Verdict = Literal["supported", "contradicted", "undecided"]
KEYS = ["seed", "problem_id"]


def accuracies(counts: pd.DataFrame, arm: str, stage: str, split: str) -> pd.DataFrame:
    """Accuracy by ``seed`` and ``problem_id`` (column ``value``) of one arm, stage and split.

    ``counts`` has the columns ``arm, seed, stage, split, problem_id, n, correct``. ``ValueError`` if nothing matches.
    """
    rows = counts[(counts["arm"] == arm) & (counts["stage"] == stage) & (counts["split"] == split)]
    if rows.empty:
        raise ValueError(f"counts hold no rows of arm {arm!r}, stage {stage!r}, split {split!r}; rerun the evaluation")
    return rows.assign(value=rows["correct"] / rows["n"])[[*KEYS, "value"]]


def gains(counts: pd.DataFrame, arm: str, split: str) -> pd.DataFrame:
    """Accuracy after RL minus accuracy after SFT, by seed and problem (column ``value``)."""
    before, after = (accuracies(counts, arm, stage, split).set_index(KEYS)["value"] for stage in ("sft", "rl"))
    if not before.sort_index().index.equals(after.sort_index().index):
        raise ValueError(f"arm {arm!r}, split {split!r}: SFT and RL were evaluated on different problems")
    return (after - before).rename("value").reset_index()


def mean_interval(values: pd.DataFrame, *names: str | int, resamples: int = 2000) -> Interval:
    """Mean over seeds of the mean over problems, problems shared by all seeds; the interval resamples both.

    With one seed it resamples problems alone, and says so. ``names`` name the random stream.
    """
    rng = numpy_stream("verdict", *names)
    if values["seed"].nunique() == 1:
        return bootstrap_mean(values["value"], rng, resamples=resamples)
    return hierarchical_mean(values["value"], values["seed"], values["problem_id"], rng, design="crossed",
                             resamples=resamples)


def extra_gain(counts: pd.DataFrame, split: str, arm: str, over: str, *, resamples: int = 2000) -> Interval:
    """How much more ``arm`` gains from RL than ``over`` on the same problems with the same seeds (a share, not points).

    Paired by seed and problem; see :func:`mean_interval` for the interval.
    """
    first, second = gains(counts, arm, split), gains(counts, over, split)
    options = {"design": "crossed", "resample_seeds": first["seed"].nunique() > 1, "resamples": resamples}
    return paired_difference(first, second, numpy_stream("extra gain", split, arm, over), **options)


def verdict(difference: Interval) -> Verdict:
    """``supported`` if the whole interval lies above zero, ``contradicted`` if below, else ``undecided``."""
    if difference.low > 0:
        return "supported"
    return "contradicted" if difference.high < 0 else "undecided"
