"""The words in which a claim is judged, and one verdict out of several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bi.evaluation.verdicts import Verdict

HOLDS, IN_PART, UNSEEN, OPPOSITE, OPEN = "holds", "holds in part", "not seen here", "the opposite is seen", "open"
NOT_RUN = "not measured yet"
STAGES = {"sft": "before RL", "gain": "gain", "rl": "after RL"}
"""What differences of arms are shown of."""
SPLITS = {"id": "training size", "ood": "larger"}
CROWDED = {"id": "few redundant premises", "ood": "many redundant premises"}
"""The same splits of DyVal, where the second has more premises that are of no use instead of more operations."""


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
