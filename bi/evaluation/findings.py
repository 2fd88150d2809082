"""The words in which a claim is judged, and how rows of tables become estimates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from bi.evaluation.verdicts import Estimate, Verdict

HOLDS, IN_PART, UNSEEN, OPPOSITE, OPEN = "holds", "holds in part", "not seen here", "the opposite is seen", "open"
NOT_RUN = "not measured yet"
SPLITS = {"id": "training size", "ood": "larger"}


@dataclass(frozen=True)
class Finding:
    """What the tables say about a claim, for a sentence, and the verdict."""

    seen: str
    verdict: str


def combined(verdicts: Iterable[Verdict]) -> str:
    """One verdict out of those of several comparisons that a claim makes."""
    found = list(verdicts)
    if found and all(verdict == "supported" for verdict in found):
        return HOLDS
    if "supported" in found:
        return IN_PART
    return OPPOSITE if found and all(verdict == "contradicted" for verdict in found) else UNSEEN


def sided(low: float, high: float) -> Verdict:
    """The verdict on a difference from the ends of its interval."""
    return "supported" if low > 0 else "contradicted" if high < 0 else "undecided"


def estimate_of(row: pd.Series) -> Estimate:
    """The estimate of a row ``value, low, high, n, method``."""
    return Estimate(float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]), str(row["method"]))


def rows_of(table: pd.DataFrame, **cell: object) -> pd.DataFrame:
    """Rows of ``table`` that match ``cell`` (column = value)."""
    return table[(table[list(cell)] == pd.Series(cell)).all(axis=1)]
