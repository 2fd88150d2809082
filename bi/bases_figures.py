"""Figures of the chapter on bases and sizes: a tidy table in, axes out, as in :mod:`bi.figures`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bi.evaluation.bases_findings import extra
from bi.evaluation.verdicts import estimate_of, rows_of
from bi.figure_style import ARM_COLORS, OTHER_COLOR, arm_color, handle, new_axes, ordered, require, save, top_legend

__all__ = ["effect_map", "gain_by_start", "save"]

COLUMNS = ("base", "than", "arm", "versus", "stage", "size", "value", "low", "high", "n", "method")
BASE_MARKERS = "osD^v"
SIGNS = {"supported": "", "contradicted": "\nless", "undecided": "\nundecided"}


def effect_map(table: pd.DataFrame, ax: Axes | None = None, *, stage: str = "gain") -> Axes:
    """What bridge has above vanilla, in points: a row a base, a column a size, each with its interval and verdict.

    ``table``: rows of :func:`bi.evaluation.bases.bases_table`. Colour says how much; the text in the cell says it too.
    """
    require(table, COLUMNS)
    rows = extra(table, stage)
    bases, sizes = list(dict.fromkeys(rows["base"])), sorted(set(rows["size"]))
    values = rows.pivot(index="base", columns="size", values="value").loc[bases, sizes].to_numpy() * 100
    ax = new_axes(ax, 1.1 + 0.75 * len(bases))
    ax.grid(visible=False)
    largest = max(1.0, float(np.nanmax(np.abs(values))))
    ax.imshow(values, cmap="PuOr_r", vmin=-1.6 * largest, vmax=1.6 * largest, aspect="auto")
    for _, row in rows.iterrows():
        estimate = estimate_of(row)
        words = estimate.brief().replace(" (", "\n(") + SIGNS[estimate.verdict()]
        ax.text(sizes.index(row["size"]), bases.index(row["base"]), words, ha="center", va="center", size=9.5,
                color="#111111")
    ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    ax.set_yticks(range(len(bases)), bases)
    ax.set_xlabel("operations of a problem")
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def gain_by_start(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Gain by RL against accuracy before it: a mark a base and size, in the arm's colour, joined from size to size.

    ``table``: rows of :func:`bi.evaluation.bases.bases_table`. Marks tell bases apart, filled ones are the first.
    """
    require(table, COLUMNS)
    plain = rows_of(table, versus="", than="")
    wide = plain.set_index(["base", "arm", "size", "stage"])[["value", "low", "high"]]
    bases, arms = list(dict.fromkeys(plain["base"])), ordered(plain["arm"], ARM_COLORS)
    ax = new_axes(ax, 3.8)
    ax.axhline(0, color=OTHER_COLOR, lw=0.8)
    for number, base in enumerate(bases):
        for arm in arms:
            sizes = sorted(set(plain.loc[(plain["base"] == base) & (plain["arm"] == arm), "size"]))
            starts = [float(wide.loc[(base, arm, size, "sft"), "value"]) for size in sizes]
            gains = [wide.loc[(base, arm, size, "gain")] for size in sizes]
            color, face = arm_color(arm), plt.rcParams["axes.facecolor"]
            ax.vlines(starts, [100 * row["low"] for row in gains], [100 * row["high"] for row in gains], color=color,
                      lw=2.2, alpha=0.4)
            ax.plot(starts, [100 * row["value"] for row in gains], BASE_MARKERS[number % len(BASE_MARKERS)],
                    color=color, ls="-" if number == 0 else "--", lw=1, ms=6, mfc=face if number else color, mew=1.4)
    top_legend(ax, [*(handle(arm, color=arm_color(arm), marker="_", size=12) for arm in arms),
                    *(handle(base, marker=BASE_MARKERS[number % len(BASE_MARKERS)], hollow=number > 0)
                      for number, base in enumerate(bases))])
    ax.set(xlabel="accuracy before reinforcement learning", ylabel="gain (points)")
    return ax
