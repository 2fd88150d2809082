"""The book's figures: a tidy table in, axes out.

Every function takes ``(table, ax=None)`` and returns the axes; without ``ax`` it makes a figure. Text and lines take
their colours from matplotlib's settings (:func:`save` draws a light and a dark version), arms have one colour and
marker each, and there are no titles: the caption says what is shown, which interval it is and how many seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bi.evaluation.intervals import bootstrap_mean, numpy_stream
from bi.evaluation.verdicts import rows_of
from bi.figure_style import (
    ARM_COLORS,
    BEHAVIOR_LABELS,
    ERROR_COLORS,
    ERROR_HATCHES,
    OTHER_COLOR,
    SPLIT_LABELS,
    STAGE_LABELS,
    UNITS,
    arm_color,
    arm_marker,
    handle,
    metric_rows,
    name_curves,
    new_axes,
    ordered,
    require,
    row_axes,
    save,
    small_units,
    top_legend,
)

__all__ = ["ARM_COLORS", "accuracy_gain", "arm_color", "behaviours_by_stage", "error_anatomy", "per_step_influence",
           "rl_curves", "rollout_accuracy_distribution", "save"]


def accuracy_gain(table: pd.DataFrame, ax: Axes | None = None, *, metric: str = "accuracy",
                  intervals: pd.DataFrame | None = None) -> Axes:
    """Accuracy after SFT (hollow) and after RL (filled) by arm and split; small dots are seeds, large marks means.

    ``table``: rows ``arm, seed, stage, split, metric, value`` (``main``). ``intervals``: rows ``arm, stage, split,
    metric, low, high`` (``summary``); without it the bars are 95% bootstrap intervals over seeds. A dotted line marks
    the base model (stage ``base``).
    """
    rows = metric_rows(table, ("arm", "seed", "stage", "split", "value"), metric)
    tuned = rows[rows["stage"].isin(("sft", "rl"))]
    splits, arms = ordered(tuned["split"], SPLIT_LABELS), ordered(tuned["arm"], ARM_COLORS)
    ax, heights = row_axes(ax, splits, arms)
    given = None if intervals is None else metric_rows(intervals, ("arm", "stage", "split", "low", "high"), metric)
    for (split, arm), height in heights.items():
        cell = tuned[(tuned["split"] == split) & (tuned["arm"] == arm)]
        means = cell.groupby("stage")["value"].mean()
        levels = {"sft": height + 0.22, "rl": height - 0.14}
        if {"sft", "rl"} <= set(means.index):
            ax.plot(means[["sft", "rl"]], list(levels.values()), color=arm_color(arm), lw=1, alpha=0.6)
        for stage, part in cell.groupby("stage"):
            low, high = _bounds(part, given, arm=arm, stage=stage, split=split)
            _mean_and_seeds(ax, part["value"], levels[str(stage)], low, high, arm, hollow=stage == "sft")
    for split in splits:
        base = rows.loc[(rows["stage"] == "base") & (rows["split"] == split), "value"]
        block = [height for (name, _), height in heights.items() if name == split]
        if len(base):
            ax.plot([base.mean()] * 2, [min(block) - 0.45, max(block) + 0.45], ls=":", color=OTHER_COLOR, lw=1.2)
    handles = [handle("after SFT", hollow=True), handle("after RL"), handle("one seed", size=3)]
    if "base" in set(rows["stage"]):
        handles.append(Line2D([], [], color=OTHER_COLOR, ls=":", label="base model"))
    top_legend(ax, handles)
    ax.set_xlabel(UNITS.get(metric, metric))
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    return ax


def rl_curves(table: pd.DataFrame, ax: Axes | None = None, *, column: str = "rollout_accuracy",
              label: str | None = None, window: int = 1) -> Axes:
    """A quantity of the RL history by step: mean over seeds, band from lowest to highest seed, thin lines seeds.

    ``table``: rows ``arm, seed, step`` and ``column``. ``window`` > 1 averages that many steps of each seed (say so in
    the caption).
    """
    require(table, ("arm", "seed", "step", column))
    ax = new_axes(ax, 3.6)
    arms = ordered(table["arm"], ARM_COLORS)
    ends = {}
    for arm in arms:
        wide = table[table["arm"] == arm].pivot(index="step", columns="seed", values=column).sort_index()
        wide = wide.rolling(window, min_periods=1, center=True).mean()
        color, mean = arm_color(arm), wide.mean(axis=1)
        ax.plot(wide.index, wide, color=color, lw=0.6, alpha=0.45)
        ax.fill_between(wide.index, wide.min(axis=1), wide.max(axis=1), color=color, alpha=0.15, lw=0)
        ax.plot(mean.index, mean, color=color, lw=2, label=arm)
        ends[arm] = float(mean.dropna().iloc[-1])
    ax.set_xlabel("step of reinforcement learning")
    ax.set_ylabel(label or UNITS.get(column, column))
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    ax.margins(x=0.01)
    name_curves(ax, ends)
    return ax


def rollout_accuracy_distribution(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of problems by number of correct completions, by arm, with 95% bootstrap intervals over problems.

    ``table``: rows ``arm, problem_id, n, correct`` of one stage and split, any number of ``seed``s. The shaded ends,
    never and always solved, give group-relative RL no gradient.
    """
    require(table, ("arm", "problem_id", "n", "correct"))
    sizes = sorted(set(table["n"]))
    if len(sizes) != 1:
        raise ValueError(f"n: the problems have {sizes} completions; show one number at a time")
    count, arms = int(sizes[0]), ordered(table["arm"], ARM_COLORS)
    ax = new_axes(ax, 3.4)
    for end, edge, side in ((0, -0.45, "left"), (count, count + 0.45, "right")):
        ax.axvspan(end - 0.5, end + 0.5, color=OTHER_COLOR, alpha=0.15, lw=0)
        ax.text(edge, 0.97, "no gradient", transform=ax.get_xaxis_transform(), ha=side, va="top", style="italic")
    for index, arm in enumerate(arms):
        rows = table[table["arm"] == arm]
        x = np.arange(count + 1) + 0.5 * ((index + 0.5) / len(arms) - 0.5)
        found = [bootstrap_mean(rows["correct"] == hits, numpy_stream("figure", arm, hits), clusters=rows["problem_id"],
                                resamples=1000) for hits in range(count + 1)]
        share = np.array([i.value for i in found])
        bars = np.clip([share - [i.low for i in found], [i.high for i in found] - share], 0.0, None)
        ax.plot(x, share, color=arm_color(arm), lw=0.8, alpha=0.5)
        ax.errorbar(x, share, yerr=bars, color=arm_color(arm), fmt=arm_marker(arm), ms=5, lw=1.4, label=arm)
    ax.set(xlim=(-0.5, count + 0.5), xlabel=f"correct completions of {count}", ylabel="share of problems")
    ax.set_xticks(range(0, count + 1, max(1, count // 16)))
    ax.set_ylim(0, 1.12 * ax.get_ylim()[1])
    ax.grid(axis="x", visible=False)
    top_legend(ax)
    return ax


def per_step_influence(table: pd.DataFrame, ax: Axes | None = None, *, metric: str = "mean_accuracy") -> Axes:
    """Per-step influence by arm and target; a dot with its interval is one seed, the large marker the mean over seeds.

    ``table``: rows ``arm, seed, target, metric, value, low, high`` and, for the unit, ``lr`` (``influence``).
    """
    rows = metric_rows(table, ("arm", "seed", "target", "value", "low", "high"), metric)
    targets, arms = ordered(rows["target"], SPLIT_LABELS), ordered(rows["arm"], ARM_COLORS)
    ax, heights = row_axes(ax, targets, arms)
    ax.axvline(0, color=OTHER_COLOR, lw=0.8)
    for (target, arm), height in heights.items():
        cell = rows[(rows["target"] == target) & (rows["arm"] == arm)].sort_values("seed")
        levels = height - 0.22 - np.linspace(0, 0.3, len(cell)) if len(cell) > 1 else np.array([height])
        color = arm_color(arm)
        ax.hlines(levels, cell["low"], cell["high"], color=color, lw=1.2, alpha=0.6)
        ax.plot(cell["value"], levels, "o", color=color, ms=3)
        ax.plot(cell["value"].mean(), height, arm_marker(arm), color=color, ms=8)
    rates = rows["lr"].unique() if "lr" in rows else []
    step = f" of size {rates[0]:g}" if len(rates) == 1 else ""
    unit = {"mean_accuracy": "accuracy added", "mean_objective": "standard deviations of reward added"}.get(metric)
    small_units(ax, metric if unit is None else f"{unit} by one gradient step{step}")
    return ax


def behaviours_by_stage(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Behaviours per completion in the SFT data, after SFT and after RL: one panel a behaviour, its own scale each.

    ``table``: rows ``arm, seed, stage, metric, value`` with metrics ``n_reflection, n_analysis, n_subgoal``
    (``behaviors``, one split). Small dots are seeds, bars 95% bootstrap intervals over seeds. The panels are insets of
    the axes that are returned.
    """
    require(table, ("arm", "seed", "stage", "metric", "value"))
    metrics, stages = ordered(table["metric"], BEHAVIOR_LABELS), ordered(table["stage"], STAGE_LABELS)
    arms = ordered(table["arm"], ARM_COLORS)
    ax = new_axes(ax, 3.2)
    ax.set_axis_off()
    width = 1 / len(metrics)
    for column, metric in enumerate(metrics):
        panel = ax.inset_axes((column * width + 0.03, 0.0, width - 0.09, 0.97))
        for index, arm in enumerate(arms):
            cell = table[(table["metric"] == metric) & (table["arm"] == arm)]
            found = [(place, cell.loc[cell["stage"] == stage, "value"]) for place, stage in enumerate(stages)]
            shift = 0.12 * (index - (len(arms) - 1) / 2) / max(1, len(arms) / 3)
            _stage_line(panel, [(place + shift, values) for place, values in found if len(values)], arm)
        panel.set_xticks(range(len(stages)), [STAGE_LABELS.get(stage, stage) for stage in stages])
        panel.set(xlim=(-0.4, len(stages) - 0.6), xlabel=BEHAVIOR_LABELS.get(metric, metric),
                  ylabel="" if column else "per completion")
        top = max(panel.get_ylim()[1], 0.2)
        panel.set_ylim(-0.03 * top, top)
        panel.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        panel.grid(axis="x", visible=False)
    top_legend(ax, [handle(arm, color=arm_color(arm), marker=arm_marker(arm)) for arm in arms])
    return ax


def error_anatomy(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of completions by the kind of their first error, one bar a checkpoint: what is left to the right is right.

    ``table``: rows ``arm, seed, stage, kind, operations, share`` of one split (``anatomy``). Bars are means over seeds,
    ticks above them the seeds' totals.
    """
    require(table, ("arm", "seed", "stage", "kind", "operations", "share"))
    whole = table[table["operations"] == 0]
    kinds = ordered(whole["kind"], dict.fromkeys(ERROR_COLORS, ""))
    rows = [(arm, stage) for arm in [*ordered(whole["arm"], {"base": "", **ARM_COLORS})]
            for stage in ordered(whole.loc[whole["arm"] == arm, "stage"], STAGE_LABELS)]
    ax = new_axes(ax, 0.9 + 0.5 * len(rows))
    ink = plt.rcParams["axes.labelcolor"]
    for height, (arm, stage) in enumerate(rows):
        cell, left = whole[(whole["arm"] == arm) & (whole["stage"] == stage)], 0.0
        for kind in kinds:
            share = float(cell.loc[cell["kind"] == kind, "share"].mean())
            ax.barh(height, share, left=left, height=0.62, color=ERROR_COLORS.get(kind, OTHER_COLOR), edgecolor=ink,
                    hatch=ERROR_HATCHES.get(kind, ""), lw=0.6, label=kind if height == 0 else None)
            left += share
        totals = cell.groupby("seed")["share"].sum()
        ax.vlines(totals, height - 0.42, height - 0.33, color=ink, lw=1)
    names = [arm if arm == stage else f"{arm}, {STAGE_LABELS.get(stage, stage)}" for arm, stage in rows]
    ax.set_yticks(range(len(rows)), names)
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), xlabel="share of completions that fail first by this kind")
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(kinds), borderaxespad=0.2)
    return ax


def _stage_line(panel: Axes, points: Sequence[tuple[float, pd.Series]], arm: str) -> None:
    color = arm_color(arm)
    panel.plot([x for x, _ in points], [values.mean() for _, values in points], color=color, lw=1.2, alpha=0.7)
    for x, values in points:
        low, high = _seed_bounds(values)
        panel.vlines(x, low, high, color=color, lw=2, alpha=0.5)
        panel.plot([x] * len(values), values, "o", color=color, ms=2.5, alpha=0.7)
        panel.plot(x, values.mean(), arm_marker(arm), color=color, ms=6)


def _mean_and_seeds(ax: Axes, values: pd.Series, height: float, low: float, high: float, arm: str, *,
                    hollow: bool) -> None:
    color, paper = arm_color(arm), plt.rcParams["axes.facecolor"]
    face = paper if hollow else color
    ax.hlines(height, low, high, color=color, lw=3, alpha=0.4)
    ax.plot(values.mean(), height, arm_marker(arm), color=color, ms=8, mfc=face, mew=1.6)
    if len(values) > 1:
        ax.plot(values, [height - 0.15] * len(values), "o", color=color, ms=3, mfc=face, mew=0.8)


def _bounds(part: pd.DataFrame, given: pd.DataFrame | None, **cell: object) -> tuple[float, float]:
    """The interval of ``cell`` in ``given`` (rows without a reference arm), else a bootstrap over seeds."""
    if given is None:
        return _seed_bounds(part["value"])
    plain = rows_of(given, versus="") if "versus" in given else given
    found = plain[(plain[list(cell)] == pd.Series(cell)).all(axis=1)]
    if len(found) != 1:
        raise ValueError(f"intervals: expected one row for {cell}, found {len(found)}")
    return float(found["low"].iloc[0]), float(found["high"].iloc[0])


def _seed_bounds(values: pd.Series) -> tuple[float, float]:
    if len(values) < 2:
        return np.nan, np.nan
    interval = bootstrap_mean(values, numpy_stream("figure", len(values)), unit="seeds")
    return interval.low, interval.high
