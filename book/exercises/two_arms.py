"""Solution of the chapter on the two arms, run by the tests and shown folded in the book."""

from __future__ import annotations

import pandas as pd


def lucky_share(main: pd.DataFrame) -> pd.Series:
    """Share of completions with the right answer but a wrong step.

    Accuracy minus strict, by arm, stage and split.
    """
    wide = main.pivot_table(
        index=["arm", "stage", "split"], columns="metric", values="value", aggfunc="mean"
    )
    return wide["accuracy"] - wide["strict"]
