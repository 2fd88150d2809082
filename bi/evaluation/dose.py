"""Is it the dose? Arms of the base without behaviours, with the rows of SFT of the book and with more, paired."""

from __future__ import annotations

import pandas as pd

from bi.evaluation.bases import bases_table
from bi.evaluation.bases_findings import ARM, REFERENCE, WITHOUT_BEHAVIORS, both, extra, from_base
from bi.evaluation.findings import SPLITS, Finding, combined
from bi.evaluation.kept import packed_counts, unpacked_counts
from bi.evaluation.verdicts import estimate_of, rows_of
from bi.recipes import MORE_ROWS

FEW, MORE = "the rows of the book", f"{MORE_ROWS} times the rows"
TABLES = ("dose/rollout_accuracy", "bases/items", "bases/accuracy")
"""What :func:`dose_table` is made of."""


def dose_table(
    counts: pd.DataFrame | None, items: pd.DataFrame | None, accuracy: pd.DataFrame | None, *, resamples: int = 2000
) -> pd.DataFrame | None:
    """:func:`bi.evaluation.bases.bases_table` with doses in the place of bases: :data:`FEW`, then :data:`MORE`.

    ``counts``: ``rollout_accuracy`` of the grid ``dose``. ``items``, ``accuracy``: tables of the grid ``bases``, with
    right answers by problem and the sizes of the splits. One column more, ``split``. ``None`` where one of them has not
    been made, or the base without behaviours is not among the bases. Raises ``ValueError`` unless both doses have the
    same seeds and problems.
    """
    if counts is None or items is None or accuracy is None:
        return None
    sizes = rows_of(accuracy, base=WITHOUT_BEHAVIORS).dropna(subset="split").drop_duplicates("split")
    size_of = dict(zip(sizes["split"], sizes["size"], strict=True))
    if not set(SPLITS) <= set(size_of):
        return None
    size_of = {split: size_of[split] for split in SPLITS}
    few = items[(items["base"] == WITHOUT_BEHAVIORS) & items["size"].isin(size_of.values())]
    more = counts[counts["arm"].isin((REFERENCE, ARM)) & counts["stage"].isin(("sft", "rl"))
                  & counts["split"].isin(size_of)]
    both_doses = [few.assign(base=FEW), packed_counts(more.assign(base=MORE, size=more["split"].map(size_of)))]
    table = bases_table(unpacked_counts(pd.concat(both_doses, ignore_index=True)), resamples=resamples)
    return table.assign(split=table["size"].map({size: split for split, size in size_of.items()}))


def ends_higher(*tables: pd.DataFrame) -> Finding | None:
    """Whether bridge ends higher than vanilla with more rows, on both splits (``tables``: :data:`TABLES`)."""
    doses = dose_table(*tables)
    return None if doses is None else from_base(doses, MORE, "rl")


def moves_the_end(*tables: pd.DataFrame) -> Finding | None:
    """Whether bridge stands higher relative to vanilla, after RL, than with the rows of the book, on both splits."""
    doses = dose_table(*tables)
    if doses is None:
        return None
    rows = rows_of(extra(doses, "rl", than=FEW), base=MORE).set_index("split")
    found = {split: estimate_of(rows.loc[split]) for split in SPLITS}
    return Finding(both(found), combined(estimate.verdict() for estimate in found.values()))
