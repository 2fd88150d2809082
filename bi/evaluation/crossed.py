"""The crossed bootstrap as draws: seeds and, across all seeds alike, problems, for differences between many arms.

:mod:`bi.evaluation.intervals` gives one interval at a time. Where many arms are compared, all comparisons must see the
same draws, strata must be weighted anew in each of them, and p-values must be corrected for their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bi.evaluation.intervals import numpy_stream


@dataclass(frozen=True)
class Draws:
    """How often each seed ``(B + 1, S)`` and each problem ``(B + 1, P)`` is drawn; row 0 is the sample itself."""

    seeds: np.ndarray
    problems: np.ndarray

    def totals(self, table: np.ndarray) -> np.ndarray:
        """Sums over seeds and problems of ``table`` ``(..., S, P)`` in every draw, ``(..., B + 1)``."""
        by_seed = table @ self.problems.T
        return (by_seed * self.seeds.T).sum(axis=-2)


def crossed_draws(seeds: int, problems: int, resamples: int, *names: str) -> Draws:
    """``resamples`` draws from the stream that ``names`` describe; with one seed, problems alone are drawn.

    Three seeds resampled give an interval that is too narrow: show the seeds beside it.
    """
    if seeds < 1 or problems < 1 or resamples < 1:
        raise ValueError(f"{seeds} seeds, {problems} problems, {resamples} resamples: each must be at least 1")
    rng = numpy_stream("crossed", *names)
    parts = []
    for units in (seeds, problems):
        drawn = rng.multinomial(units, np.full(units, 1 / units), size=resamples)
        parts.append(np.vstack([np.ones(units), drawn]))
    return Draws(*parts)


def paired_tables(rows: pd.DataFrame, keys: Sequence[str], remedy: str) -> dict[tuple[Any, ...], pd.DataFrame]:
    """``value`` as a table (seeds x problems) for each cell of ``keys`` in ``rows`` with ``seed, problem_id``.

    Raises ``ValueError`` that names the cell, and says the ``remedy``, unless all have the same seeds and problems.
    """
    found: dict[tuple[Any, ...], pd.DataFrame] = {
        key: part.pivot(index="seed", columns="problem_id", values="value")
        for key, part in rows.groupby(list(keys), sort=False)}
    first = next(iter(found.values()))
    for key, table in found.items():
        same = table.index.equals(first.index) and table.columns.equals(first.columns)
        if not same or table.isna().to_numpy().any():
            cell = ", ".join(f"{name} {value}" for name, value in zip(keys, key, strict=True))
            raise ValueError(f"{cell}: not the same seeds and problems as the other cells; {remedy}")
    return found


def percentile_bounds(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of ``draws`` ``(B + 1,)``, whose first is the estimate and not counted.

    Not a number where some draw has no value (a stratum that no problem of the draw belongs to).
    """
    if not np.isfinite(draws).all():
        return float("nan"), float("nan")
    low, high = np.quantile(draws[1:], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def two_sided(draws: np.ndarray) -> float:
    """The p-value of no difference that belongs to :func:`percentile_bounds`: below .05 where 0 lies outside of it.

    Twice the smaller share of draws on either side of 0 (0 counts for both), one draw added so that it is never 0.
    """
    found = draws[1:]
    if not np.isfinite(draws).all():
        return float("nan")
    tail = min(int((found <= 0).sum()), int((found >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(found) + 1))


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm's step-down correction of one family of p-values (missing ones stay missing and count for nothing).

    A family whose hypotheses are rejected where the result is below .05 holds a false one with a chance of at most .05,
    whatever depends on what. Source: Holm (1979), *A simple sequentially rejective multiple test procedure*.
    """
    given = np.asarray(p_values, dtype=np.float64)
    found = np.full_like(given, np.nan)
    known = np.flatnonzero(np.isfinite(given))
    order = known[np.argsort(given[known], kind="stable")]
    steps = given[order] * np.arange(len(order), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else []
    return found
