"""What the table of bases and sizes says about the claims on it (:data:`bi.evaluation.claims.CLAIMS`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd

from bi.evaluation.findings import SPLITS, Finding, combined
from bi.evaluation.verdicts import Estimate, estimate_of, rows_of

ARM, REFERENCE = "bridge", "vanilla"
WITHOUT_BEHAVIORS = "plain-base"
"""The base whose corpus holds no behaviour (:data:`bi.training.pretrain.BASES`)."""
WIDE = "wide-base"
"""The base that learns the results of all lines with several operations (:data:`bi.training.pretrain.BASES`)."""

WEAK = "small-base"
"""The base of four times the parameters that reads half as much (:data:`bi.training.pretrain.BASES`)."""


def extra(accuracy: pd.DataFrame, stage: str = "gain", *, than: str = "") -> pd.DataFrame:
    """Rows of what bridge has above vanilla, by base and size; with ``than``, above what it has from that base."""
    return rows_of(accuracy, arm=ARM, versus=REFERENCE, stage=stage, than=than)


def everywhere(accuracy: pd.DataFrame) -> Finding | None:
    """Whether bridge gains more than vanilla from every base and on every size of problems."""
    rows = extra(accuracy)
    if rows["base"].nunique() < 2:
        return None
    verdicts = [estimate_of(row).verdict() for _, row in rows.iterrows()]
    ends = (rows.loc[rows["value"].idxmin()], rows.loc[rows["value"].idxmax()])
    least, most = (f"{estimate_of(row).points()} at {row['size']} operations from {row['base']}" for row in ends)
    counted = [verdicts.count(word) for word in ("supported", "contradicted")]  # type: ignore[arg-type]
    return Finding(f"interval above zero in {counted[0]} and below zero in {counted[1]} of {len(rows)} pairs of base "
                   f"and size; least {least}; most {most}", combined(verdicts))


def from_base(accuracy: pd.DataFrame, base: str, stage: str = "gain") -> Finding | None:
    """Whether bridge has more than vanilla in ``stage`` from this base, on the two splits of the main table.

    What is seen tells, beside, how the gain compares with that from the first base.
    """
    rows = rows_of(extra(accuracy, stage), base=base).set_index("split")
    if not set(SPLITS) <= set(rows.index):
        return None
    found = {split: estimate_of(rows.loc[split]) for split in SPLITS}
    seen = both(found)
    first = str(accuracy["base"].iloc[0])
    compared = rows_of(extra(accuracy, stage, than=first), base=base).set_index("split")
    if set(SPLITS) <= set(compared.index):
        seen += f". Relative to {first}: {both({split: estimate_of(compared.loc[split]) for split in SPLITS})}"
    return Finding(seen, combined(estimate.verdict() for estimate in found.values()))


def both(found: Mapping[str, Estimate]) -> str:
    """The estimates of both splits, in words."""
    return "; ".join(f"{SPLITS[split]}: {estimate.points()}" for split, estimate in found.items())


without_behaviors = partial(from_base, base=WITHOUT_BEHAVIORS)
end_without_behaviors = partial(from_base, base=WITHOUT_BEHAVIORS, stage="rl")
with_wide_lines = partial(from_base, base=WIDE)
end_with_wide_lines = partial(from_base, base=WIDE, stage="rl")
with_weak_look_ups = partial(from_base, base=WEAK)
end_with_weak_look_ups = partial(from_base, base=WEAK, stage="rl")
