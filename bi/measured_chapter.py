"""Tables of the chapter on what all of this costs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bi.chapter import UNMEASURED

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


STEP = {"generate": "sampling", "forward": "forward", "backward": "backward", "reward": "rewards", "other": "the rest",
        "step": "whole step"}
"""Parts of a step of GRPO in the table ``benchmarks/rl_step``, in seconds, and what the page calls them."""


def step_rows(measured: pd.DataFrame | None) -> pd.DataFrame:
    """Seconds of every part of a GRPO step by processor and trainer, and the ratio to stock, as texts.

    ``measured``: the table ``benchmarks/rl_step``. Medians over steps with the smallest and largest in brackets.
    """
    if measured is None:
        return pd.DataFrame()
    rows = []
    for processor, part in measured.groupby("processor", sort=False):
        held = part.set_index(["trainer", "quantity"])
        for quantity, words in STEP.items():
            row = {"processor": processor, "part": words}
            row |= {trainer: _ranged(held.loc[(trainer, quantity)]) for trainer in ("ours", "stock")}
            row["stock, times as long"] = _ranged(held.loc[("ratio", "step")]) if quantity == "step" else ""
            rows.append(row)
    return pd.DataFrame(rows).set_index(["processor", "part"])


def step_facts(measured: pd.DataFrame | None) -> dict[str, Any]:
    """Of the processor measured last, as texts: ``step_equal`` (ratio at equal tokens), ``step_floor`` (per cent),
    ``step_tokens``, ``step_speed`` (sampled tokens a second), ``step_logprobs`` and ``step_advantages`` (largest
    differences), ``step_pairs``."""
    names = ("equal", "floor", "tokens", "speed", "logprobs", "advantages", "pairs")
    if measured is None:
        return {f"step_{name}": UNMEASURED for name in names}
    last = measured[measured["processor"] == measured["processor"].iloc[-1]].set_index(["trainer", "quantity"])
    value = last["value"].to_dict()
    texts = (_ranged(last.loc[("ratio", "step_at_equal_tokens")]), f"{100 * value['ours', 'floor_share']:.0f}",
             f"{value['ours', 'tokens']:.0f}", f"{value['ours', 'tokens_per_s']:,.0f}",
             f"{value['difference', 'logprob_largest']:.1g}", f"{value['difference', 'advantages']:.1g}",
             f"{last.loc[('ratio', 'step'), 'n']:.0f}")
    return {f"step_{name}": text for name, text in zip(names, texts, strict=True)}


def _ranged(row: pd.Series) -> str:
    return f"{row['value']:.2f} [{row['least']:.2f}, {row['most']:.2f}]"
