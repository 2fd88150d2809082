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

__all__ = ["estimator_bias", "influence_by_prompt", "predicted_and_measured", "save", "sketch_error"]

ESTIMATORS = {"naive": ("naive", "#d55e00", "s"), "halves": ("split halves", "#0072b2", "o"),
              "distinct": ("distinct prompts", "#7b9d74", "^")}
SETS = {"high": ("high co-influence", "#d55e00", "o"), "low": ("low co-influence", "#0072b2", "s")}
SKETCHES = {"count": ("CountSketch", "#674cdd", "s"), "fold": ("fold", "#d68b00", "o")}


def influence_by_prompt(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """What a step on each training prompt does to each target: a dot a training prompt, and the mean over them.

    ``table``: rows ``target, train_id, accuracy, objective`` and, for the unit, ``lr`` (``prompts.csv`` of
    ``bi influence``). In units of accuracy, or of the objective where accuracy is not known. The bar is the 95%
    bootstrap interval of the mean over training prompts; dots are spread vertically to be told apart.
    """
    require(table, ("target", "train_id", "accuracy", "objective"))
    unit = "accuracy" if np.isfinite(table["accuracy"]).any() else "objective"
    targets = list(dict.fromkeys(table["target"]))
    ax = new_axes(ax, 1.0 + 0.75 * len(targets))
    ax.axvline(0, color=OTHER_COLOR, lw=0.8)
    for level, target in enumerate(targets):
        values = table.loc[table["target"] == target, unit].dropna().to_numpy()
        if not len(values):  # one prompt, and pairs of a prompt with itself left out
            continue
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


def estimator_bias(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Estimated over true influence by rollouts a prompt, one colour an estimator; 1 is the truth.

    ``table``: rows ``rollouts, estimator, value, low, high`` (``influence/bias``).
    """
    require(table, ("rollouts", "estimator", "value", "low", "high"))
    ax = new_axes(ax, 3.2)
    ax.axhline(1, color=OTHER_COLOR, lw=0.8)
    for number, (name, (label, color, marker)) in enumerate(ESTIMATORS.items()):
        rows = table[table["estimator"] == name].sort_values("rollouts")
        x = rows["rollouts"] * 1.06 ** (number - 1)
        bars = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
        ax.errorbar(x, rows["value"], yerr=bars, fmt=marker, color=color, ms=6, lw=1.4, label=label)
        ax.plot(x, rows["value"], color=color, lw=0.8, alpha=0.5)
    sizes = sorted(table["rollouts"].unique())
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.set(xlabel="rollouts of a prompt", ylabel="estimated / true influence")
    top_legend(ax)
    return ax


def sketch_error(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Error of sketched cosines against the size of the sketch, with its bound and the size of the cosines themselves.

    ``table``: rows ``kind, size, error, bound, typical`` and ``parameters`` (``influence/sketch``); sizes at which
    nothing is folded together are left out.
    """
    require(table, ("kind", "size", "error", "bound", "typical", "parameters"))
    ax = new_axes(ax, 3.2)
    table = table[table["size"] < table["parameters"]]
    bound = table.drop_duplicates("size").sort_values("size")
    ax.plot(bound["size"], bound["bound"], color=OTHER_COLOR, lw=1, ls="--", label="bound")
    ax.axhline(table["typical"].iloc[0], color=OTHER_COLOR, lw=1, ls=":", label="median cosine")
    for name, (label, color, marker) in SKETCHES.items():
        rows = table[table["kind"] == name].sort_values("size")
        ax.plot(rows["size"], rows["error"], marker, color=color, ms=6, label=label, mfc="none", mew=1.6)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ticks = [step * 10.0**power for power in range(-7, 1) for step in (1, 2, 5) if low <= step * 10.0**power <= high]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="numbers kept of each gradient", ylabel="error of a cosine")
    top_legend(ax)
    return ax


def predicted_and_measured(table: pd.DataFrame, ax: Axes | None = None, *, how: str = "importance",
                           optimiser: str = "adam") -> Axes:
    """Measured against predicted change of accuracy, in points; one point a set and step size, on the line if true.

    ``table``: rows ``set, optimiser, predicted, {how}`` and their ``_low``, ``_high`` (``influence/steps``); ``how`` is
    ``importance`` or ``fresh``. Bars are 95% bootstrap intervals over target prompts.
    """
    columns = [f"{name}{end}" for name in ("predicted", how) for end in ("", "_low", "_high")]
    require(table, ("set", "optimiser", *columns))
    rows = table[table["optimiser"] == optimiser]
    ax = new_axes(ax, 3.8)
    points = 100 * rows[columns]
    ends = [min(0.0, points.to_numpy().min()), max(0.0, points.to_numpy().max())]
    ax.plot(ends, ends, color=OTHER_COLOR, lw=1, ls="--")
    ax.axhline(0, color=OTHER_COLOR, lw=0.6)
    ax.axvline(0, color=OTHER_COLOR, lw=0.6)
    for name, (label, color, marker) in SETS.items():
        part = points[rows["set"] == name]
        bars = [[part[column] - part[f"{column}_low"], part[f"{column}_high"] - part[column]]
                for column in ("predicted", how)]
        ax.errorbar(part["predicted"], part[how], xerr=bars[0], yerr=bars[1], fmt=marker, color=color, ms=6, lw=1.1,
                    label=label)
    ax.set(xlabel="predicted change of accuracy (points)", ylabel="measured change of accuracy (points)")
    top_legend(ax)
    return ax
