"""Solutions of the chapter on the two arms, run by the tests and shown folded in the book."""

from __future__ import annotations

import pandas as pd


def mixed_chance(alpha: float, n: int) -> float:
    """Chance that a group of n rollouts holds both outcomes, if each is right with probability alpha."""
    return 1 - alpha**n - (1 - alpha) ** n


def best_accuracy(n: int) -> float:
    """The accuracy below one half for which a group of 2 n has the most to add to one of n."""
    return 1 - 0.5 ** (1 / n)


def lucky_share(main: pd.DataFrame) -> pd.Series:
    """Share of completions with the right answer but a wrong step.

    Accuracy minus strict, by arm, stage and split.
    """
    wide = main.pivot_table(
        index=["arm", "stage", "split"], columns="metric", values="value", aggfunc="mean"
    )
    return wide["accuracy"] - wide["strict"]
