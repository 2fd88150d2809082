"""Figures of rollout accuracy: a tidy table in, axes out, as in :mod:`bi.figures`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bi.evaluation.intervals import bootstrap_mean, numpy_stream
from bi.evaluation.metrics import accuracy_variance, expected_informative_share
from bi.figure_style import (
    ARM_COLORS,
    OTHER_COLOR,
    arm_color,
    arm_marker,
    name_curves,
    new_axes,
    ordered,
    require,
    save,
    top_legend,
)

__all__ = ["gain_by_accuracy", "informative_by_group", "save"]


def informative_by_group(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Expected share of groups with mixed outcomes against the size of the group: mean over seeds, thin lines seeds.

    ``table``: rows ``arm, seed, n, correct`` of one stage and split (``rollout_accuracy``); the estimate is unbiased at
    every size up to the smallest n.
    """
    require(table, ("arm", "seed", "n", "correct"))
    ax = new_axes(ax, 3.2)
    sizes = np.arange(2, int(table["n"].min()) + 1)
    ends = {}
    for arm in ordered(table["arm"], ARM_COLORS):
        seeds = [[float(expected_informative_share(part["n"], part["correct"], int(size)).mean()) for size in sizes]
                 for _, part in table[table["arm"] == arm].groupby("seed")]
        mean = np.mean(seeds, axis=0)
        ax.plot(sizes, np.transpose(seeds), color=arm_color(arm), lw=0.6, alpha=0.5)
        ax.plot(sizes, mean, arm_marker(arm), color=arm_color(arm), lw=2, ls="-", ms=4, label=arm)
        ends[arm] = float(mean[-1])
    ax.set(xlabel="rollouts in a group", ylabel="share of groups\nwith mixed outcomes", ylim=(0, 1))
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.margins(x=0.02)
    name_curves(ax, ends)
    return ax


def gain_by_accuracy(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Gain of accuracy by RL against rollout accuracy before it: means with 95% bootstrap intervals over problems.

    ``table``: rows ``arm, problem_id, n, correct, gain`` (:func:`bi.evaluation.by_accuracy.gains_by_accuracy`). Dotted:
    a multiple of alpha (1 - alpha), fitted to each arm, the shape that one step on other prompts would have if nothing
    else differed between problems.
    """
    require(table, ("arm", "problem_id", "n", "correct", "gain"))
    ax = new_axes(ax, 3.6)
    ax.axhline(0, color=OTHER_COLOR, lw=0.8)
    arms = ordered(table["arm"], ARM_COLORS)
    fine = np.linspace(0, 1, 101)
    for index, arm in enumerate(arms):
        rows = table[table["arm"] == arm]
        share, color = rows["correct"] / rows["n"], arm_color(arm)
        bar = 0.4 / len(share.unique()) * ((index + 0.5) / len(arms) - 0.5)
        for level, part in rows.groupby(share):
            found = bootstrap_mean(part["gain"], numpy_stream("figure", arm, f"{level:.4f}"),
                                   clusters=part["problem_id"], resamples=1000)
            ax.vlines(level + bar, found.low, found.high, color=color, lw=1.4, alpha=0.7)
            ax.plot(level + bar, found.value, arm_marker(arm), color=color, ms=6)
        shape = share * (1 - share) if rows["n"].min() < 2 else accuracy_variance(rows["n"], rows["correct"])
        if np.any(shape):
            scale = float(np.dot(shape, rows["gain"]) / np.dot(shape, shape))
            ax.plot(fine, scale * fine * (1 - fine), ls=":", color=color, lw=1.6)
        ax.plot([], [], arm_marker(arm), color=color, ls="", label=arm)
    ax.set(xlabel="rollout accuracy before RL, by other checkpoints", ylabel="accuracy gained by RL",
           xlim=(-0.06, 1.06))
    top_legend(ax)
    return ax
