"""Where the effect lives: what injection adds from every base and on every size of problems, with intervals.

All bases, arms and seeds solve the same problems, and every comparison sees the same draws of seeds and problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from bi.evaluation.crossed import Draws, crossed_draws, paired_tables, percentile_bounds
from bi.evaluation.through import interval_method

REFERENCE = "vanilla"
COLUMNS = ("base", "than", "arm", "versus", "stage", "size", "value", "low", "high", "n", "method")
Key = tuple[str, str, str]
"""Base, arm and stage."""


def bases_table(counts: pd.DataFrame, *, resamples: int = 2000) -> pd.DataFrame:
    """Accuracies by base, arm, stage and size with 95 % crossed bootstrap intervals, and their differences.

    ``counts``: :func:`bi.evaluation.metrics.cell_counts` of cells ``base, arm, seed, stage, size``. ``stage`` is
    ``sft``, ``rl`` or ``gain``. ``versus`` is empty or the arm that is subtracted (``vanilla``, same base); ``than`` is
    empty or the base whose difference between the arms is subtracted from this base's, the first of the table. ``n``
    counts (seed, problem) pairs. Raises ``ValueError`` where the cells do not have the same seeds and problems.
    """
    rows: list[dict[str, object]] = []
    for size, part in counts.groupby("size", sort=True):
        shares = part.assign(value=part["correct"] / part["n"])
        tables = paired_tables(shares, ("base", "arm", "stage"), f"test all of them on size {size} again")
        seeds, problems = next(iter(tables.values())).shape
        draws = crossed_draws(seeds, problems, resamples, "bases", str(size))
        method = interval_method(seeds, f"{problems} problems")
        for (base, arm, stage), than, versus, drawn in _compared(_means(tables, draws)):
            low, high = percentile_bounds(drawn)
            rows.append({"base": base, "than": than, "arm": arm, "versus": versus, "stage": stage, "size": size,
                         "value": float(drawn[0]), "low": low, "high": high, "n": seeds * problems, "method": method})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _means(tables: Mapping[Key, pd.DataFrame], draws: Draws) -> dict[Key, np.ndarray]:
    """The mean accuracy of every cell in every draw, (B + 1,), and the gain by RL."""
    first = next(iter(tables.values()))
    scale = draws.totals(np.ones(first.shape))
    means = {key: draws.totals(table.to_numpy()) / scale for key, table in tables.items()}
    gains = {(base, arm, "gain"): means[base, arm, "rl"] - drawn for (base, arm, stage), drawn in means.items()
             if stage == "sft" and (base, arm, "rl") in means}
    return means | gains


def _compared(means: Mapping[Key, np.ndarray]) -> Iterable[tuple[Key, str, str, np.ndarray]]:
    """Every mean, what its arm adds to vanilla, and how much more it adds there than from the first base."""
    extra = {(base, arm, stage): drawn - means[base, REFERENCE, stage] for (base, arm, stage), drawn in means.items()
             if arm != REFERENCE and (base, REFERENCE, stage) in means}
    first = next(base for base, _, _ in means)
    for key, drawn in means.items():
        yield key, "", "", drawn
    for key, drawn in extra.items():
        yield key, "", REFERENCE, drawn
    for (base, arm, stage), drawn in extra.items():
        if base != first and (first, arm, stage) in extra:
            yield (base, arm, stage), first, REFERENCE, drawn - extra[first, arm, stage]
