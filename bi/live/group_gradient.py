"""Two parts with sliders: the coefficient of a prompt, and one step on a small softmax policy.

Without scripts a reader sees a curve and a table of it, and one step worked out. The scripts in ``book/_static`` move
the point on the curve and redo the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from bi.influence.softmax import exact_step, influence_coefficient, mixed_chance, softmax
from bi.live.embed import data_script

GROUP = 16
_LEFT, _TOP, _WIDE, _HIGH = 46, 12, 420, 190  # of the plot, in the units of its view box


def coefficient_curve(group: int = GROUP) -> str:
    """sqrt(alpha (1 - alpha)) as a curve and a table, with the chance of mixed outcomes in a group of ``group``."""
    return (f'<div class="live coefficient"><div class="live-drawing">{_plot()}</div>'
            f'<div class="live-static table-scroll" tabindex="0" role="region" aria-label="The coefficient by rollout '
            f'accuracy">{_coefficient_table(group)}</div>'
            f'{data_script({"group": group, "left": _LEFT, "top": _TOP, "wide": _WIDE, "high": _HIGH})}</div>')


def _at(alpha: float, value: float) -> tuple[float, float]:
    """Place in the plot of a point; the vertical axis goes from 0 to .5."""
    return _LEFT + _WIDE * alpha, _TOP + _HIGH * (1 - 2 * value)


def _plot() -> str:
    alphas = (1 - np.cos(np.linspace(0, np.pi, 61))) / 2  # dense at the ends, where the curve is steep
    points = " ".join("{:.1f},{:.1f}".format(*_at(a, float(influence_coefficient(a)))) for a in alphas)
    foot = _TOP + _HIGH
    ticks = [(_at(tick, 0)[0], tick) for tick in (0, 0.25, 0.5, 0.75, 1)]
    levels = [(_at(0, tick)[1], tick) for tick in (0, 0.25, 0.5)]
    lines = "".join(f'<line x1="{x:g}" x2="{x:g}" y1="{foot}" y2="{foot + 4}"/>' for x, _ in ticks)
    lines += "".join(f'<line x1="{_LEFT}" x2="{_LEFT + _WIDE}" y1="{y:g}" y2="{y:g}" stroke-opacity="0.25"/>'
                     for y, _ in levels)
    texts = "".join(f'<text x="{x:g}" y="{foot + 18}" text-anchor="middle">{tick:g}</text>' for x, tick in ticks)
    texts += "".join(f'<text x="{_LEFT - 8}" y="{y + 4:g}" text-anchor="end">{tick:g}</text>' for y, tick in levels)
    texts += (f'<text x="{_LEFT + _WIDE / 2:g}" y="{foot + 40}" text-anchor="middle">rollout accuracy α</text>')
    name = "The square root of alpha times one minus alpha: an arch from 0 at both ends to one half at even odds."
    return (f'<svg role="img" aria-label="{name}" viewBox="0 0 {_LEFT + _WIDE + 14} {foot + 46}" width="480" '
            'style="max-width: 100%; height: auto" xmlns="http://www.w3.org/2000/svg" font-size="13">'
            f'<g stroke="currentColor" fill="none">{lines}<polyline points="{points}" stroke-width="2.5"/></g>'
            f'<g fill="currentColor">{texts}</g></svg>')


def _coefficient_table(group: int) -> str:
    rows = []
    for alpha in (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0):
        spread = float(influence_coefficient(alpha))
        weights = [signed((1 - alpha) / spread), signed(-alpha / spread)] if spread else ["none", "none"]
        cells = [f"{alpha:g}", f"{spread:.3f}", *weights, f"{float(mixed_chance(alpha, group)):.3f}"]
        rows.append("".join(f"<td>{cell}</td>" for cell in cells))
    return _table(("α", "√(α(1−α))", "advantage, right", "advantage, wrong",
                   f"chance of mixed outcomes in {group}"), rows)


def softmax_step(completions: Sequence[str], logits: Sequence[float], right: Sequence[bool], lr: float) -> str:
    """One exact GRPO step on a policy over ``completions``, as a table; ``ValueError`` unless all have one length."""
    if not len(completions) == len(logits) == len(right):
        raise ValueError(f"{len(completions)} completions, {len(logits)} logits, {len(right)} outcomes: give one of "
                         "each for every completion")
    chances, step = softmax(logits), exact_step(logits, right, lr)
    rows = []
    for index, text in enumerate(completions):
        cells = ("right" if right[index] else "wrong", f"{chances[index]:.3f}", signed(step.advantages[index]),
                 signed(step.gradient[index], 3), f"{step.after[index]:.3f}")
        rows.append(f'<th scope="row">{escape(text)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells))
    table = _table(("completion", "outcome", "probability", "advantage", "gradient of its logit", "after the step"),
                   rows)
    coefficient = float(influence_coefficient(step.accuracy))
    told = (f"Rollout accuracy {step.accuracy:.3f}, coefficient {coefficient:.3f}; after a step of size {lr:g} the "
            f"accuracy is {step.accuracy_after:.3f}.")
    data = {"completions": list(completions), "logits": list(logits), "right": list(right), "rate": lr}
    return ('<div class="live softmax-step"><div class="table-scroll" tabindex="0" role="region" '
            f'aria-label="One step on a softmax policy">{table}</div><p class="live-told" role="status">{told}</p>'
            f"{data_script(data)}</div>")


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, the minus as long as the plus."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table class="table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
