"""Figures of co-influence: a tidy table in, axes out, as in :mod:`bi.figures`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bi.evaluation.intervals import bootstrap_mean, numpy_stream
from bi.figure_style import (
    ARM_COLORS,
    OTHER_COLOR,
    SPLIT_LABELS,
    handle,
    new_axes,
    require,
    save,
    small_units,
    top_legend,
)

__all__ = ["influence_by_prompt", "save"]


def influence_by_prompt(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """What a step on each training prompt does to each target: a dot a training prompt, and the mean over them.

    ``table``: rows ``target, train_id, accuracy, objective`` and, for the unit, ``lr`` (``prompts.csv`` of
    ``bi influence``). In units of accuracy, or of the objective where accuracy is not known. The bar is the 95%
    bootstrap interval of the mean over training prompts; dots are spread vertically to be told apart.
    """
    require(table, ("target", "train_id", "accuracy", "objective"))
    unit = "accuracy" if np.isfinite(table["accuracy"]).all() else "objective"
    targets = list(dict.fromkeys(table["target"]))
    ax = new_axes(ax, 1.0 + 0.75 * len(targets))
    ax.axvline(0, color=OTHER_COLOR, lw=0.8)
    for level, target in enumerate(targets):
        values = table.loc[table["target"] == target, unit].to_numpy()
        heights = level + 0.5 * (np.argsort(np.argsort(values, kind="stable")) * 0.618 % 1 - 0.5)
        ax.plot(values, heights, "o", color=OTHER_COLOR, ms=3, alpha=0.6)
        mean = bootstrap_mean(values, numpy_stream("figure", target), unit="training prompts")
        ax.hlines(level, mean.low, mean.high, color=ARM_COLORS["bridge"], lw=3)
        ax.plot(mean.value, level, "D", color=ARM_COLORS["bridge"], ms=7)
    ax.set_yticks(range(len(targets)), [SPLIT_LABELS.get(target, target) for target in targets])
    ax.set_ylim(len(targets) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    words = {"accuracy": "accuracy added", "objective": "standard deviations of reward added"}[unit]
    rates = table["lr"].unique() if "lr" in table else []
    step = f" of size {rates[0]:g}" if len(rates) == 1 else ""
    small_units(ax, f"{words} by a step{step} on one training prompt")
    top_legend(ax, [handle("a training prompt", size=3), handle("mean", color=ARM_COLORS["bridge"], marker="D")])
    return ax
