"""What all figures share: the look of the light and the dark page, colours of arms, legends, rows, and checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bi.files import atomic_write

# Distinct for readers with protanopia and deuteranopia too (CIE Lab distance of 10 or more, by simulation), and of a
# lightness that stands out from white and from near-black.
ARM_COLORS = {
    "vanilla": "#0072b2",
    "bridge": "#d55e00",
    "pp": "#674cdd",
    "rc": "#7b9d74",
    "subgoal": "#d68b00",
    "reflection": "#e462a6",
    "analysis": "#418eca",
    "exploration": "#8a5540",
    "exploitation": "#4d7984",
    "vanilla_tokens": "#9a82f0",
    "bridge_20": "#a5340a",
    "bridge_30": "#bb1a66",
    "rejection": "#7206fc",
    "rejection_bridge": "#92954f",
}
ARM_MARKERS = dict(zip(ARM_COLORS, "osD^vPX<>pdHh8", strict=True))
OTHER_COLOR = "#8a8a8a"
ERROR_COLORS = {"arithmetic": "#d55e00", "look-up": "#418eca", "order": "#7b9d74", "format": "#8a8a8a"}
ERROR_HATCHES = {"arithmetic": "", "look-up": "//", "order": "..", "format": "xx"}
SPLIT_LABELS = {"train": "training prompts", "id": "training size", "ood": "larger problems"}
STAGE_LABELS = {"data": "data", "base": "base", "sft": "SFT", "rl": "RL"}
BEHAVIOR_LABELS = {"n_reflection": "reflections", "n_analysis": "analyses", "n_subgoal": "subgoals"}
UNITS = {"rollout_accuracy": "rollout accuracy", "strict": "strict accuracy", "n_tokens": "tokens per completion",
         "completion_length": "tokens per completion", "entropy": "entropy (nats)"}

_SHARED = {
    "font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.linewidth": 0.6, "legend.frameon": False, "figure.constrained_layout.use": True,
}


def _mode(ink: str, paper: str, grid: str) -> dict[str, Any]:
    inked = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor")
    soft = ("axes.edgecolor", "xtick.color", "ytick.color")
    return {**_SHARED, **dict.fromkeys(inked, ink), **dict.fromkeys(soft, "#888888"), "grid.color": grid,
            "figure.facecolor": paper, "axes.facecolor": paper, "savefig.facecolor": paper}


MODES = {"light": _mode("#222832", "#ffffff", "#e6e6e6"), "dark": _mode("#ced6dd", "#121212", "#303030")}


def save(draw: Callable[[], Axes], path: Path | str, *, dpi: int = 150) -> None:
    """Draw twice: ``NAME.png`` on white and ``NAME-dark.png`` on the book's dark background; the same bytes each time.

    ``draw`` makes the axes, for example ``lambda: accuracy_gain(table)``. Folders are made; figures are closed.
    """
    path = Path(path)
    for mode, settings in MODES.items():
        target = path if mode == "light" else path.with_stem(f"{path.stem}-dark")
        with plt.rc_context({**plt.rcParamsDefault, "backend": plt.get_backend(), **settings}):
            figure = draw().figure
            with atomic_write(target, "wb") as file:
                figure.savefig(file, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.08,
                               metadata={"Software": None})
            plt.close(figure)


def arm_color(arm: str) -> str:
    """The arm's colour; grey for an arm of the reader's own."""
    return ARM_COLORS.get(arm, OTHER_COLOR)


def new_axes(ax: Axes | None, height: float) -> Axes:
    """``ax``, or the axes of a new figure of the book's width and ``height`` inches."""
    return plt.subplots(figsize=(6, height))[1] if ax is None else ax


def row_axes(ax: Axes | None, blocks: Sequence[str], arms: Sequence[str]) -> tuple[Axes, dict[tuple[str, str], float]]:
    """Axes with a row per arm in a block per split, and the height of each (split, arm)."""
    ax = new_axes(ax, 1.0 + 0.42 * len(blocks) * (len(arms) + 0.9))
    heights, top = {}, 0.0
    for block in blocks:
        ax.text(0.0, top - 0.25, f" {SPLIT_LABELS.get(block, block)}", transform=ax.get_yaxis_transform(), va="center",
                style="italic", bbox={"fc": plt.rcParams["axes.facecolor"], "ec": "none", "pad": 1})
        for row, arm in enumerate(arms):
            heights[block, arm] = top - 1 - row
        top -= len(arms) + 1
    ax.set_yticks(list(heights.values()), [arm for _, arm in heights])
    ax.set_ylim(top + 0.4, 0.3)
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax, heights


def label_ends(ax: Axes, ends: dict[str, float]) -> None:
    """Names of the curves at their right ends, pushed apart where they would overlap."""
    low, high = ax.get_ylim()
    gap, previous = 0.07 * (high - low), -np.inf
    for arm, value in sorted(ends.items(), key=lambda item: item[1]):
        previous = max(value, previous + gap)
        ax.annotate(arm, (1.0, previous), xycoords=ax.get_yaxis_transform(), xytext=(4, 0), textcoords="offset points",
                    color=arm_color(arm), weight="bold", va="center", annotation_clip=False)


def name_curves(ax: Axes, ends: dict[str, float]) -> None:
    """Names at the ends of up to four curves, a legend for more."""
    if len(ends) <= 4:
        label_ends(ax, ends)
    else:
        top_legend(ax)


def small_units(ax: Axes, label: str) -> None:
    """The x label, with the power of ten of small numbers in it rather than at the end of the axis."""
    largest = max(map(abs, ax.get_xlim()))
    power = int(np.floor(np.log10(largest))) if largest > 0 else 0
    if power < 0:
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10.0**power:.3g}"))
        label = f"{label} ($10^{{{power}}}$)"
    ax.set_xlabel(label)


def arm_marker(arm: str) -> str:
    """The arm's marker; a star for an arm of the reader's own."""
    return ARM_MARKERS.get(arm, "*")


def handle(label: str, *, color: str = OTHER_COLOR, marker: str = "o", size: float = 7,
           hollow: bool = False) -> Line2D:
    """A legend entry: a marker, hollow or filled."""
    face = plt.rcParams["axes.facecolor"] if hollow else color
    return Line2D([], [], color=color, marker=marker, ms=size, mfc=face, mew=1.4, ls="", label=label)


def top_legend(ax: Axes, handles: Sequence[Line2D] | None = None) -> None:
    """A legend above the axes, so that it covers nothing."""
    found = list(handles) if handles is not None else ax.get_legend_handles_labels()[0]
    ax.legend(handles=found, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(4, len(found)), borderaxespad=0.2,
              handletextpad=0.4, columnspacing=1.4)


def ordered(values: pd.Series, order: dict[str, str]) -> list[str]:
    """Distinct values: those in ``order`` first and in its order, then the others as they appear."""
    present = list(dict.fromkeys(values))
    return [name for name in order if name in present] + [name for name in present if name not in order]


def metric_rows(table: pd.DataFrame, columns: Sequence[str], metric: str) -> pd.DataFrame:
    """Rows of ``metric``; ``ValueError`` if there are none or a column is missing."""
    require(table, (*columns, "metric"))
    rows = table.loc[table["metric"] == metric]
    if rows.empty:
        known = ", ".join(map(str, table["metric"].unique()))
        raise ValueError(f"metric {metric!r} is not in the table; it has {known}")
    return rows


def require(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """``ValueError`` unless ``table`` has rows and ``columns``."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"table: the figure needs the column(s) {', '.join(missing)}; it has {', '.join(table)}")
    if table.empty:
        raise ValueError("table: there are no rows to draw; run the stage that fills it")
