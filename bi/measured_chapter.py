"""Tables of the chapter on what all of this costs."""

from __future__ import annotations

import pandas as pd

CHAINS = {"plain": "plain", "injected": "with behaviours"}


def drawn_rows(drawn: pd.DataFrame) -> pd.DataFrame:
    """Rows a second of ours and of the released generator, and the ratio with its extremes, as texts.

    ``drawn``: the table ``benchmarks/generation``, a row for each processor, kind of chain and generator.
    """
    rows = []
    for (processor, kind), part in drawn.groupby(["processor", "kind"], sort=False):
        each = part.set_index("generator")
        other = each.loc["released"]
        rows.append({"processor": processor, "chain of thought": CHAINS[str(kind)],
                     "ours": f"{each.loc['ours', 'rows_per_s']:,.0f}", "released": f"{other['rows_per_s']:,.0f}",
                     "ours, times as many": f"{other['ours_times']:.2f} [{other['least']:.2f}, {other['most']:.2f}]",
                     "pairs": f"{other['n']:.0f}", "commit": other["commit"]})
    return pd.DataFrame(rows).set_index("processor")
