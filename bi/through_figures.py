"""Figures of the chapter on the way through RL: a tidy table in, axes out, as in :mod:`bi.figures`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bi.evaluation.findings import SPLITS
from bi.evaluation.verdicts import rows_of
from bi.figure_style import (
    ARM_COLORS,
    OTHER_COLOR,
    arm_color,
    arm_marker,
    metric_rows,
    name_curves,
    new_axes,
    ordered,
    require,
    save,
    top_legend,
)

__all__ = ["accuracy_by_step", "accuracy_by_tokens", "influence_by_step", "parts_by_step", "save"]

COLUMNS = ("arm", "step", "tokens", "versus", "split", "metric", "value", "low", "high")
STEP_LABEL = "step of reinforcement learning"
LINES = ("-", "--")


def influence_by_step(table: pd.DataFrame, ax: Axes | None = None, *, metric: str = "influence",
                      split: str = "id") -> Axes:
    """Accuracy that one more step would add to a target prompt, by arm and step of RL, in points, with intervals.

    ``table``: rows of :func:`bi.evaluation.through.steps_table`.
    """
    rows = _plain(table, metric, split)
    ax = new_axes(ax, 3.6)
    ax.axhline(0, color=OTHER_COLOR, lw=0.8)
    ends = {}
    for index, arm in enumerate(ordered(rows["arm"], ARM_COLORS)):
        part = rows[rows["arm"] == arm].sort_values("step")
        _curve(ax, part, part["step"] + _aside(part["step"], index), arm, scale=100)
        ends[arm] = 100 * float(part["value"].iloc[-1])
    _label(ax, rows["step"], "points of accuracy added\nby one more step")
    name_curves(ax, ends)
    return ax


def parts_by_step(table: pd.DataFrame, ax: Axes | None = None, *, split: str = "id") -> Axes:
    """What one more step would do to right (solid) and to wrong (dashed) completions of a target prompt, in nats."""
    ax = new_axes(ax, 3.6)
    ax.axhline(0, color=OTHER_COLOR, lw=0.8)
    _solid_and_dashed(ax, {"right completions": _plain(table, "plus", split),
                           "wrong ones": _plain(table, "minus", split)})
    _label(ax, table["step"], "nats added to the log-probability")
    return ax


def accuracy_by_step(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Accuracy on test problems by arm and step of RL, of the training size (solid) and larger (dashed).

    ``table``: rows of :func:`bi.evaluation.through.steps_table`.
    """
    ax = new_axes(ax, 3.6)
    rows = {words: _plain(table, "accuracy", split) for split, words in SPLITS.items()}
    _solid_and_dashed(ax, rows)
    _label(ax, table["step"], "accuracy")
    return ax


def accuracy_by_tokens(table: pd.DataFrame, ax: Axes | None = None, *, split: str = "id") -> Axes:
    """Accuracy on test problems against millions of tokens that RL has sampled, by arm; a mark is a kept policy.

    ``table``: rows of :func:`bi.evaluation.through.steps_table`. The dotted line is what the cheapest arm's run costs.
    """
    rows = _plain(table, "accuracy", split)
    ax = new_axes(ax, 3.6)
    ends, costs = {}, []
    for arm in ordered(rows["arm"], ARM_COLORS):
        part = rows[rows["arm"] == arm].sort_values("step")
        _curve(ax, part, part["tokens"] / 1e6, arm)
        ends[arm] = float(part["value"].iloc[-1])
        costs.append(part["tokens"].max() / 1e6)
    ax.axvline(min(costs), color=OTHER_COLOR, ls=":", lw=1.2)
    ax.set(xlabel="tokens sampled by RL (millions)", ylabel="accuracy")
    name_curves(ax, ends)
    return ax


def _plain(table: pd.DataFrame, metric: str, split: str) -> pd.DataFrame:
    require(table, COLUMNS)
    plain = rows_of(table, versus="", split=split)
    return metric_rows(plain, COLUMNS, metric)


def _solid_and_dashed(ax: Axes, rows: Mapping[str, pd.DataFrame]) -> None:
    """Two curves an arm, the second one dashed, and a legend; ``rows`` by what the legend calls them."""
    arms = ordered(next(iter(rows.values()))["arm"], ARM_COLORS)
    for (index, arm), (held, line) in product(enumerate(arms), zip(rows.values(), LINES, strict=True)):
        part = held[held["arm"] == arm].sort_values("step")
        _curve(ax, part, part["step"] + _aside(part["step"], index), arm, line=line)
    kinds = [Line2D([], [], color=OTHER_COLOR, ls=line, label=words) for words, line in zip(rows, LINES, strict=True)]
    top_legend(ax, [*(Line2D([], [], color=arm_color(arm), marker=arm_marker(arm), label=arm) for arm in arms), *kinds])


def _label(ax: Axes, steps: pd.Series, words: str) -> None:
    """Names of the axes, and a tick at each kept policy."""
    ax.set(xlabel=STEP_LABEL, ylabel=words, xticks=sorted(steps.unique()))


def _aside(steps: pd.Series, index: int) -> float:
    """A shift that keeps the intervals of several arms apart."""
    return 0.008 * float(np.ptp(steps) or 1) * index


def _curve(ax: Axes, part: pd.DataFrame, x: pd.Series, arm: str, *, line: str = "-", scale: float = 1) -> None:
    color = arm_color(arm)
    ax.plot(x, scale * part["value"], line, marker=arm_marker(arm), color=color, ms=5, lw=1.6, label=arm)
    ax.vlines(x, scale * part["low"], scale * part["high"], color=color, lw=2, alpha=0.4)
