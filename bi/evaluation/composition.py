"""Why a mean over tokens changes: the kinds of tokens change their shares, or each kind its own mean."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bi.evaluation.lines import ALL
from bi.evaluation.verdicts import rows_of

Kinds = Mapping[str, tuple[float, float]]
"""By kind: how many tokens, and their mean."""


def split_change(before: Kinds, after: Kinds) -> tuple[float, float]:
    """Equation ``composition``: the change of the overall mean as (moved between kinds, within kinds); they add up.

    A change of a share counts with the mean of the kind's values at both ends, a change of a value with the mean of its
    shares, so that neither end is preferred and the parts change their signs with time. A kind that one end lacks keeps
    its value from the other. Raises ``ValueError`` where an end has no tokens.
    """
    totals = [sum(tokens for tokens, _ in held.values()) for held in (before, after)]
    if min(totals) <= 0:
        raise ValueError("no tokens at one of the ends; count the lines of both checkpoints")
    moved = within = 0.0
    for kind in {**before, **after}:
        ends = [held.get(kind, (0.0, 0.0)) for held in (before, after)]
        shares = [tokens / total for (tokens, _), total in zip(ends, totals, strict=True)]
        known = [value for tokens, value in ends if tokens > 0]
        values = [value if tokens > 0 else known[0] for tokens, value in ends] if known else [0.0, 0.0]
        moved += (shares[1] - shares[0]) * sum(values) / 2
        within += (values[1] - values[0]) * sum(shares) / 2
    return moved, within


def kinds_of(lines: pd.DataFrame, arm: str, stage: str, split: str, metric: str = "entropy") -> Kinds:
    """Tokens and their mean by kind, from a table of :func:`bi.evaluation.lines.line_table`."""
    rows = rows_of(lines, arm=arm, stage=stage, split=split, metric=metric)
    return {kind: (float(n), float(value)) for kind, n, value in rows[["kind", "n", "value"]].itertuples(index=False)
            if kind != ALL}
