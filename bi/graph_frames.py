"""A problem drawn as a graph, step by step: plain SVG and text, without scripts.

A frame shows which quantities are solved, unlocked, locked or not needed. The state stands in every node as a word, in
the outline and in the fill, and once more in a sentence under the drawing, so neither colour nor sight is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Literal

from bi.augmentation.trace import first_unsolved
from bi.tasks.expression import Num, Ref, render
from bi.tasks.problem import Problem

State = Literal["solved", "unlocked", "locked", "redundant"]
STATES: tuple[State, ...] = ("solved", "unlocked", "locked", "redundant")
_WIDTH, _HEIGHT = 96, 40  # of a node
_COLUMN, _ROW = 150, 58  # from node to node
_LOOK = {
    "solved": 'fill="currentColor" fill-opacity="0.22" stroke="currentColor" stroke-width="1.5"',
    "unlocked": 'fill="none" stroke="currentColor" stroke-width="3.5"',
    "locked": 'fill="none" stroke="currentColor" stroke-width="1.2" stroke-dasharray="7 4"',
    "redundant": 'fill="none" stroke="currentColor" stroke-width="1.2" stroke-dasharray="1.5 4" stroke-linecap="round"',
}


def states(problem: Problem, solved: Collection[str]) -> dict[str, State]:
    """The state of every quantity when ``solved`` have values; a redundant one is only ever that."""
    found: dict[str, State] = {}
    for quantity in problem.quantities:
        if quantity.name not in problem.needed:
            found[quantity.name] = "redundant"
        elif quantity.name in solved:
            found[quantity.name] = "solved"
        else:
            found[quantity.name] = "locked" if first_unsolved(quantity, solved) else "unlocked"
    return found


def letters(problem: Problem) -> dict[str, str]:
    """A letter for each of at most 26 quantities, in topological order."""
    if len(problem.quantities) > 26:
        raise ValueError(f"the problem has {len(problem.quantities)} quantities; draw one of at most 26")
    return {quantity.name: chr(ord("a") + index) for index, quantity in enumerate(problem.quantities)}


def formula_text(problem: Problem, name: str) -> str:
    """``name``'s formula in letters, such as ``c = 2 * ( a + b )``."""
    named = letters(problem)

    def leaf(expr: Num | Ref) -> str:
        return named[expr.name] if isinstance(expr, Ref) else str(expr.value)

    return f"{named[name]} = {render(problem.by_name[name].formula, leaf)}"


def describe(problem: Problem, solved: Sequence[str]) -> str:
    """The frame as a sentence: letters by state, with the values of those solved."""
    named, found = letters(problem), states(problem, solved)
    parts = []
    for state in STATES:
        members = [
            f"{named[name]} = {problem.by_name[name].value}" if state == "solved" else named[name]
            for name in found
            if found[name] == state
        ]
        if members:
            parts.append(f"{state}: {', '.join(members)}")
    return "; ".join(parts)


def draw_frame(problem: Problem, solved: Sequence[str]) -> str:
    """One frame as an SVG element whose accessible name is :func:`describe`'s sentence."""
    place, found, named = _places(problem), states(problem, solved), letters(problem)
    width = 20 + max(x for x, _ in place.values()) + _WIDTH
    height = 20 + max(y for _, y in place.values()) + _HEIGHT
    parts = [
        _arrow(place[parent], place[quantity.name], found[quantity.name] == "redundant")
        for quantity in problem.quantities
        for parent in quantity.parents
    ]
    for quantity in problem.quantities:
        label = named[quantity.name]
        if found[quantity.name] == "solved":
            label += f" = {quantity.value}"
        parts.append(_node(place[quantity.name], found[quantity.name], label, quantity.name == problem.target))
    return (
        f'<svg role="img" aria-label="{escape(describe(problem, solved))}" viewBox="0 0 {width} {height}" '
        f'width="{width}" style="max-width: 100%; height: auto" xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(parts)}</svg>"
    )


def draw_steps(problem: Problem, order: Sequence[str]) -> str:
    """All frames as an ordered list: before the first step, and after each step of ``order``."""
    frames = [_frame(problem, (), "Before the first step.")]
    for count, name in enumerate(order, start=1):
        step = f"Step {count} solves {formula_text(problem, name)}."
        frames.append(_frame(problem, order[:count], step))
    return f'<ol class="graph-frames">{"".join(frames)}</ol>'


def name_table(problem: Problem) -> str:
    """Letters, names and formulas as a table in HTML; the definition that only the structure implies says so."""
    named = letters(problem)
    rows = [
        f"<tr><td>{named[q.name]}</td><td>the number of each {escape(q.name)}</td>"
        f"<td><code>{escape(formula_text(problem, q.name))}</code></td>"
        f"<td>{'stated' if q.stated else 'implied'}{'' if q.name in problem.needed else ', not needed'}"
        f"{', asked for' if q.name == problem.target else ''}</td></tr>"
        for q in problem.quantities
    ]
    head = "".join(f'<th scope="col">{title}</th>' for title in ("letter", "quantity", "formula", "in the question"))
    return f'<table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _frame(problem: Problem, solved: Sequence[str], step: str) -> str:
    return f"<li><p>{escape(step)}</p>{draw_frame(problem, solved)}<p>{escape(describe(problem, solved))}</p></li>"


def _places(problem: Problem) -> Mapping[str, tuple[int, int]]:
    """Upper left corners: a column for each depth (longest way from a stated number), rows in topological order."""
    depth: dict[str, int] = {}
    used: dict[int, int] = {}
    place = {}
    for quantity in problem.quantities:
        depth[quantity.name] = max((depth[parent] + 1 for parent in quantity.parents), default=0)
        column = depth[quantity.name]
        # every other column is shifted, so that an arrow over a column passes between its nodes
        place[quantity.name] = (10 + column * _COLUMN, 10 + used.get(column, 0) * _ROW + (column % 2) * _ROW // 2)
        used[column] = used.get(column, 0) + 1
    return place


def _node(at: tuple[int, int], state: State, label: str, asked: bool) -> str:
    x, y = at
    ring = f'<rect x="{x - 5}" y="{y - 5}" width="{_WIDTH + 10}" height="{_HEIGHT + 10}" rx="12" fill="none" ' \
           'stroke="currentColor" stroke-width="1"/>' if asked else ""
    middle = x + _WIDTH // 2
    return (
        f'{ring}<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8" {_LOOK[state]}/>'
        f'<text x="{middle}" y="{y + 17}" text-anchor="middle" font-size="15" font-weight="600" fill="currentColor">'
        f'{escape(label)}</text>'
        f'<text x="{middle}" y="{y + 33}" text-anchor="middle" font-size="12" fill="currentColor">{state}</text>'
    )


def _arrow(parent: tuple[int, int], child: tuple[int, int], faint: bool) -> str:
    x1, y1 = parent[0] + _WIDTH, parent[1] + _HEIGHT / 2
    x2, y2 = child[0], child[1] + _HEIGHT / 2
    bend = (x2 - x1) / 2
    dashes = ' stroke-dasharray="2 4"' if faint else ""
    tip = f"{x2:g},{y2:g} {x2 - 8:g},{y2 - 4:g} {x2 - 8:g},{y2 + 4:g}"
    return (
        f'<path d="M {x1:g} {y1:g} C {x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2 - 8:g} {y2:g}" fill="none" '
        f'stroke="currentColor" stroke-opacity="0.7"{dashes}/><polygon points="{tip}" fill="currentColor"/>'
    )
