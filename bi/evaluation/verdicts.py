"""From the summary table to a verdict: does a claim about a difference survive its interval?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Verdict = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True)
class Estimate:
    """A number of ``summary.csv`` with its interval (``nan`` where one unit shows no spread) and how it was made."""

    value: float
    low: float
    high: float
    n: int
    method: str

    def points(self) -> str:
        """A difference of shares in points, for a sentence: ``+15.4 points (95% interval +10.1 to +20.3)``."""
        if not math.isfinite(self.low + self.high):
            return f"{signed(self.value)} points (no interval)"
        level = self.method.split()[0]
        return f"{signed(self.value)} points ({level} interval {signed(self.low)} to {signed(self.high)})"

    def brief(self) -> str:
        """The same for a table cell: ``+15.4 (+10.1 to +20.3)``."""
        if not math.isfinite(self.low + self.high):
            return signed(self.value)
        return f"{signed(self.value)} ({signed(self.low)} to {signed(self.high)})"

    def level(self) -> str:
        """A share in per cent for a table cell: ``61.3 (57.0 to 65.2)``."""
        if not math.isfinite(self.low + self.high):
            return f"{100 * self.value:.1f}"
        return f"{100 * self.value:.1f} ({100 * self.low:.1f} to {100 * self.high:.1f})"

    def turned(self) -> Estimate:
        """The same difference taken the other way round."""
        return Estimate(-self.value, -self.high, -self.low, self.n, self.method)

    def verdict(self) -> Verdict:
        """``supported`` if the whole interval lies above zero, ``contradicted`` if below, else ``undecided``."""
        return sided(self.low, self.high)


def sided(low: float, high: float) -> Verdict:
    """The verdict on a difference from the ends of its interval (``nan``: undecided)."""
    if low > 0:
        return "supported"
    return "contradicted" if high < 0 else "undecided"


def estimate_of(row: pd.Series) -> Estimate:
    """The estimate of a row ``value, low, high, n, method``."""
    return Estimate(float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]), str(row["method"]))


def rows_of(table: pd.DataFrame, **cell: object) -> pd.DataFrame:
    """Rows of ``table`` that match ``cell`` (column = value); "" matches what a CSV reader takes for missing too."""
    found = pd.Series(True, index=table.index)
    for column, value in cell.items():
        found &= table[column].isna() | (table[column] == "") if value == "" else table[column] == value
    return table[found]


def times(first: float, second: float) -> str:
    """The ratio of two means in words, ``2.1 times``; ``no ratio to`` where the second is not positive."""
    return f"{first / second:.1f} times" if second > 0 else "no ratio to"


def signed(share: float) -> str:
    """In hundredths with a sign, the minus as long as the plus."""
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")


def find(summary: pd.DataFrame, arm: str, stage: str, split: str, *, versus: str = "",
         metric: str = "accuracy") -> Estimate:
    """The one row of the summary (:func:`bi.evaluation.tables.summary_table`) that matches.

    ``stage`` is ``base``, ``sft``, ``rl`` or ``gain``; ``versus`` names the arm that was subtracted. ``ValueError``
    naming what was asked for if there is no such row, or more than one.
    """
    wanted = {"arm": arm, "stage": stage, "split": split, "versus": versus, "metric": metric}
    rows = rows_of(summary, **wanted)
    if len(rows) != 1:
        raise ValueError(f"summary: {len(rows)} rows with {wanted}; one is needed, rerun the tables of this profile")
    return estimate_of(rows.iloc[0])


@dataclass(frozen=True)
class SeedComparison:
    """Means of two arms over seeds, and in how many of ``seeds`` the first is larger."""

    first: float
    second: float
    larger: int
    seeds: int

    def text(self) -> str:
        """How often the first arm is ahead, for a sentence: ``larger in 3 of 3 seeds``."""
        return f"larger in {self.larger} of {self.seeds} seed{'s' * (self.seeds != 1)}"

    def times(self) -> str:
        """The ratio of the means, in words."""
        return times(self.first, self.second)

    def verdict(self) -> Verdict:
        """``supported`` if larger in every seed, ``contradicted`` if in none, else (or with one seed) ``undecided``."""
        if self.seeds < 2 or 0 < self.larger < self.seeds:
            return "undecided"
        return "supported" if self.larger else "contradicted"


def compare_seeds(table: pd.DataFrame, first: str, second: str, **cell: str) -> SeedComparison:
    """Arms ``first`` and ``second``, seed by seed, in the rows of a tidy table that match ``cell`` (column = value).

    A sign test by eye for quantities with few seeds and no common problems to resample. ``ValueError`` unless both
    arms have exactly one row for each of the same seeds.
    """
    rows = rows_of(table, **cell)
    values = [rows[rows["arm"] == arm].set_index("seed")["value"].sort_index() for arm in (first, second)]
    if values[0].empty or not values[0].index.equals(values[1].index) or values[0].index.has_duplicates:
        raise ValueError(f"{cell}: one row for {first!r} and {second!r} in each seed is needed; rerun the tables")
    return SeedComparison(float(values[0].mean()), float(values[1].mean()), int((values[0] > values[1]).sum()),
                          len(values[0]))
