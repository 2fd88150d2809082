"""Figures of the chapter on the base models: a tidy table in, axes out, as in :mod:`bi.figures`."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from bi.base_chapter import ABILITIES
from bi.figure_style import ARM_COLORS, new_axes, require, save, top_legend

__all__ = ["abilities", "loss_curves", "save"]

_STYLES = dict(zip(ABILITIES, zip(
    [ARM_COLORS[arm] for arm in ("bridge", "exploration", "rc", "vanilla", "pp", "subgoal", "reflection")],
    "Dsv^oPX", strict=True), strict=True))


def abilities(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of right problems, and of right lines by what a line needs, against the number of operations.

    ``table``: rows ``n_ops, metric, value, low, high`` (``accuracy`` of a card); bars are 95 % Wilson intervals.
    """
    require(table, ("n_ops", "metric", "value", "low", "high"))
    ax = new_axes(ax, 4.6)
    for metric, (color, marker) in _STYLES.items():
        rows = table[table["metric"] == metric].sort_values("n_ops")
        bars = [(rows["value"] - rows["low"]).clip(lower=0), (rows["high"] - rows["value"]).clip(lower=0)]
        wide = metric in ("accuracy", "strict")
        ax.errorbar(rows["n_ops"], rows["value"], yerr=bars, fmt="none", color=color, lw=1, alpha=0.6)
        ax.plot(rows["n_ops"], rows["value"], color=color, lw=1.8 if wide else 0.8, marker=marker,
                ms=6 if wide else 4, label=ABILITIES[metric])
    ax.set(ylim=(-0.03, 1.04), xlabel="operations of the problem", ylabel="share that is right")
    ax.set_xticks(sorted(table["n_ops"].unique()))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, columnspacing=1.4)
    return ax


def loss_curves(tables: Mapping[str, pd.DataFrame], ax: Axes | None = None, *, window: int = 7) -> Axes:
    """Loss against tokens read, a line a model, averaged over ``window`` points.

    ``tables``: by the model's name, rows ``step, loss, tokens`` (``loss`` of a card).
    """
    ax = new_axes(ax, 3.2)
    for (name, table), color in zip(tables.items(), ARM_COLORS.values(), strict=False):
        require(table, ("step", "loss", "tokens"))
        smooth = table["loss"].rolling(window, min_periods=1, center=True).mean()
        ax.plot(table["tokens"] / 1e6, smooth, color=color, lw=1.6, label=name)
    ax.set_yscale("log")
    ax.set(xlabel="million tokens", ylabel="loss (nats a counted token)")
    top_legend(ax)
    return ax
