"""Figures of the chapters on ablation and on exploration: a tidy table in, axes out, as in :mod:`bi.figures`."""

from __future__ import annotations

from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from bi.augmentation.segments import TOKEN_KINDS
from bi.evaluation.verdicts import rows_of
from bi.figure_style import (
    ARM_COLORS,
    OTHER_COLOR,
    SPLIT_LABELS,
    arm_color,
    arm_marker,
    handle,
    metric_rows,
    new_axes,
    ordered,
    require,
    row_axes,
    save,
    top_legend,
)

__all__ = ["arm_differences", "before_and_after", "pass_curves", "save", "unmeasured"]

METRIC_LABELS = {"entropy": "entropy (nats a token)", "nats": "cost of the sampled token (nats)",
                 "per_completion": "lines per completion", "right": "share of right lines, nothing wrong before them"}


def arm_differences(table: pd.DataFrame, ax: Axes | None = None, *, versus: str = "vanilla",
                    stage: str = "gain") -> Axes:
    """Difference of every arm to ``versus``: filled for all problems, hollow at equal accuracy before RL.

    ``table``: rows ``how, arm, versus, stage, split, value, low, high`` (``ablation``). Bars are their intervals.
    """
    require(table, ("how", "arm", "versus", "stage", "split", "value", "low", "high"))
    rows = table[(table["versus"] == versus) & (table["stage"] == stage)]
    if rows.empty:
        raise ValueError(f"table: no rows with versus {versus!r} and stage {stage!r}; run the arms that it needs")
    ax, heights = row_axes(ax, ordered(rows["split"], SPLIT_LABELS), ordered(rows["arm"], ARM_COLORS))
    ax.axvline(0, color=OTHER_COLOR, lw=0.8)
    shifts = {"all": 0.14, "matched": -0.18}
    for row in rows.to_dict("records"):
        height = heights[row["split"], row["arm"]] + shifts[row["how"]]
        _dot(ax, row, height, hollow=row["how"] == "matched", scale=100)
    held = set(rows["how"])
    legend = [handle("all problems")] + [handle("from equal accuracy before RL", hollow=True)] * ("matched" in held)
    top_legend(ax, legend)
    words = {"gain": "gain by RL", "rl": "accuracy after RL", "sft": "accuracy before RL"}
    ax.set_xlabel(f"{words[stage]} minus that of {versus} (points)")
    return ax


def before_and_after(table: pd.DataFrame, ax: Axes | None = None, *, metric: str = "entropy") -> Axes:
    """A rate by kind of line or token and arm: hollow after SFT, filled after RL, with intervals.

    ``table``: rows ``arm, stage, kind, metric, value, low, high`` of one split (``lines``).
    """
    rows = metric_rows(table, ("arm", "stage", "kind", "value", "low", "high"), metric)
    rows = rows[rows["stage"].isin(("sft", "rl"))]
    kinds = ordered(rows["kind"], dict.fromkeys((*TOKEN_KINDS, "all"), ""))
    ax, heights = row_axes(ax, kinds, ordered(rows["arm"], ARM_COLORS))
    for row in rows.to_dict("records"):
        before = row["stage"] == "sft"
        _dot(ax, row, heights[row["kind"], row["arm"]] + (0.17 if before else -0.17), hollow=before)
    top_legend(ax, [handle("after SFT", hollow=True), handle("after RL")])
    ax.set_xlabel(METRIC_LABELS.get(metric, metric))
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    return ax


def _dot(ax: Axes, row: dict, height: float, *, hollow: bool, scale: float = 1) -> None:
    color = arm_color(row["arm"])
    ax.hlines(height, scale * row["low"], scale * row["high"], color=color, lw=2.4, alpha=0.45)
    ax.plot(scale * row["value"], height, arm_marker(row["arm"]), color=color, ms=6, mew=1.4,
            mfc=plt.rcParams["axes.facecolor"] if hollow else color)


def pass_curves(table: pd.DataFrame, ax: Axes | None = None, *, judged: str = "answer") -> Axes:
    """pass@k against k: dashed after SFT, solid after RL, with intervals.

    ``table``: rows ``arm, stage, versus, judged, k, value, low, high`` of one split (``passes``).
    """
    require(table, ("arm", "stage", "versus", "judged", "k", "value", "low", "high"))
    rows = rows_of(table, versus="", judged=judged)
    rows = rows[rows["stage"].isin(("sft", "rl"))]
    ax = new_axes(ax, 3.6)
    for arm in ordered(rows["arm"], ARM_COLORS):
        for stage, line in (("sft", "--"), ("rl", "-")):
            part = rows[(rows["arm"] == arm) & (rows["stage"] == stage)].sort_values("k")
            ax.plot(part["k"], part["value"], line, marker=arm_marker(arm), color=arm_color(arm), ms=5, lw=1.6,
                    label=f"{arm}, {stage.upper()}")
            ax.vlines(part["k"], part["low"], part["high"], color=arm_color(arm), lw=2, alpha=0.4)
    ax.set_xscale("log", base=2)
    ticks = sorted(set(rows["k"]))
    ax.set_xticks(ticks, [str(k) for k in ticks])
    ax.set(xlabel="samples a problem, k", ylabel="pass@k", ylim=(0, 1))
    top_legend(ax)
    return ax


def unmeasured(sentence: str, ax: Axes | None = None) -> Axes:
    """In the place of a figure whose experiment has not been run: a sentence that says so."""
    ax = new_axes(ax, 1.2)
    ax.set_axis_off()
    ax.text(0.5, 0.5, fill(sentence, 60), ha="center", va="center", transform=ax.transAxes)
    return ax
