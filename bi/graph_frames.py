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
Stop = tuple[str, int]
"""A place on the way of an arrow: the node itself (0), or so many columns behind it."""
STATES: tuple[State, ...] = ("solved", "unlocked", "locked", "redundant")
_WIDTH, _HEIGHT = 96, 40  # of a node
_COLUMN, _ROW, _LANE = 150, 58, 26  # from node to node, and what an arrow that passes takes of a column
LOOKS: dict[State, dict[str, str]] = {
    "solved": {"fill": "currentColor", "fill-opacity": "0.22", "stroke-width": "1.5"},
    "unlocked": {"fill": "none", "stroke-width": "3.5"},
    "locked": {"fill": "none", "stroke-width": "1.2", "stroke-dasharray": "7 4"},
    "redundant": {"fill": "none", "stroke-width": "1.2", "stroke-dasharray": "1.5 4", "stroke-linecap": "round"},
}
"""Fill and outline of a node by its state, as attributes of SVG."""


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
    """A capital for each of at most 26 quantities, in topological order; small letters are the English wording's."""
    if len(problem.quantities) > 26:
        raise ValueError(f"the problem has {len(problem.quantities)} quantities; draw one of at most 26")
    return {quantity.name: chr(ord("A") + index) for index, quantity in enumerate(problem.quantities)}


def formula_text(problem: Problem, name: str) -> str:
    """``name``'s formula in letters, such as ``C = 2 * ( A + B )``."""
    named = letters(problem)

    def leaf(expr: Num | Ref) -> str:
        return named[expr.name] if isinstance(expr, Ref) else str(expr.value)

    return f"{named[name]} = {render(problem.by_name[name].formula, leaf)}"


def label(problem: Problem, name: str, solved: Collection[str]) -> str:
    """What a node is called: its letter, with its value once it has one."""
    letter = letters(problem)[name]
    return f"{letter} = {problem.by_name[name].value}" if name in solved else letter


def describe(problem: Problem, solved: Collection[str]) -> str:
    """The frame as a sentence: letters by state, with the values of those solved."""
    found = states(problem, solved)
    parts = []
    for state in STATES:
        members = [label(problem, name, solved) for name in found if found[name] == state]
        if members:
            parts.append(f"{state}: {', '.join(members)}")
    return "; ".join(parts)


def node_words(problem: Problem, solved: Collection[str], at: str = "", tried: bool = False) -> list[list[str]]:
    """Label, state and second line of every node, in the order of the quantities.

    ``at``: the quantity that the last step was about, marked by an arrow; ``tried``: that step could not solve it.
    """
    found = states(problem, solved)
    return [
        [("→ " if name == at else "") + label(problem, name, solved), found[name],
         f"{found[name]}, tried" if tried and name == at else found[name]]
        for name in found
    ]


def draw_frame(problem: Problem, solved: Collection[str], at: str = "", tried: bool = False) -> str:
    """One frame as an SVG element whose accessible name is :func:`describe`'s sentence; for the rest see
    :func:`node_words`."""
    place, found = lay_out(problem), states(problem, solved)
    width = 20 + max(x for x, _ in place.values()) + _WIDTH
    height = 20 + max(y for _, y in place.values()) + _HEIGHT
    parts = [
        _arrow([place[stop] for stop in _way(parent, quantity.name, place)], found[quantity.name] == "redundant")
        for quantity in problem.quantities
        for parent in quantity.parents
    ]
    for quantity, words in zip(problem.quantities, node_words(problem, solved, at, tried), strict=True):
        parts.append(_node(place[quantity.name, 0], found[quantity.name], words, quantity.name == problem.target))
    return (
        f'<svg role="img" aria-label="{escape(describe(problem, solved))}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" style="max-width: 100%; height: auto" xmlns="http://www.w3.org/2000/svg">'
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


def lay_out(problem: Problem) -> dict[Stop, tuple[float, float]]:
    """Upper left corner of every stop: a column for each depth (the longest way from a stated number).

    The stop ``(name, 0)`` is the node itself. An arrow that passes over columns has a free lane in each of them, the
    stop ``(name, 1)``, ``(name, 2)``, ... columns behind the node, so that no arrow runs through another node. Within a
    column stops are ordered by the mean height of what leads to them.
    """
    depth: dict[str, int] = {}
    far: dict[str, int] = {}  # the last column that an arrow from here passes over
    for quantity in problem.quantities:
        depth[quantity.name] = max((depth[parent] + 1 for parent in quantity.parents), default=0)
        for parent in quantity.parents:
            far[parent] = max(far.get(parent, 0), depth[quantity.name] - 1)
    place: dict[Stop, tuple[float, float]] = {}
    tallest = 0.0
    for column in range(max(depth.values()) + 1):
        stops: list[Stop] = [(name, 0) for name, level in depth.items() if level == column]
        stops += [(name, column - level) for name, level in depth.items() if level < column <= far.get(name, 0)]
        stops.sort(key=lambda stop: _pull(stop, problem, depth, place))
        y = 10.0
        for stop in stops:
            place[stop] = (10 + column * _COLUMN, y)
            y += _LANE if stop[1] else _ROW
        tallest = max(tallest, y)
    return _centred(place, tallest)


def _pull(
    stop: Stop, problem: Problem, depth: Mapping[str, int], place: Mapping[Stop, tuple[float, float]]
) -> float:
    name, behind = stop
    if behind:
        return place[name, behind - 1][1]
    before = [place[parent, depth[name] - 1 - depth[parent]][1] for parent in problem.by_name[name].parents]
    return sum(before) / len(before) if before else 0.0


def _centred(place: dict[Stop, tuple[float, float]], tallest: float) -> dict[Stop, tuple[float, float]]:
    """Every column moved down to the middle."""
    bottom: dict[float, float] = {}
    for (_, behind), (x, y) in place.items():
        bottom[x] = max(bottom.get(x, 0.0), y + (_LANE if behind else _ROW))
    return {stop: (x, y + (tallest - bottom[x]) / 2) for stop, (x, y) in place.items()}


def _way(parent: str, child: str, place: Mapping[Stop, tuple[float, float]]) -> list[Stop]:
    """The stops of an arrow."""
    columns = round((place[child, 0][0] - place[parent, 0][0]) / _COLUMN)
    return [*((parent, behind) for behind in range(columns)), (child, 0)]


def _arrow(stops: Sequence[tuple[float, float]], faint: bool) -> str:
    """A curve from the right of the first stop, straight through the lanes, to the left of the last one."""
    (x, y), *others = stops
    steps = [f"M {x + _WIDTH:g} {y + _HEIGHT / 2:g}"]
    at = (x + _WIDTH, y + _HEIGHT / 2)
    for number, (x, y) in enumerate(others, start=1):
        last = number == len(others)
        end = (x - 8, y + _HEIGHT / 2) if last else (x, y + _LANE / 2)
        middle = (at[0] + end[0]) / 2
        steps.append(f"C {middle:g} {at[1]:g} {middle:g} {end[1]:g} {end[0]:g} {end[1]:g}")
        at = end
        if not last:
            at = (x + _WIDTH, end[1])
            steps.append(f"L {at[0]:g} {at[1]:g}")
    x, y = at
    dashes = ' stroke-dasharray="2 4"' if faint else ""
    tip = f"{x + 8:g},{y:g} {x:g},{y - 4:g} {x:g},{y + 4:g}"
    return (
        f'<path d="{" ".join(steps)}" fill="none" stroke="currentColor" stroke-opacity="0.7"{dashes}/>'
        f'<polygon points="{tip}" fill="currentColor"/>'
    )


def _node(at: tuple[float, float], state: State, words: Sequence[str], asked: bool) -> str:
    x, y = at
    ring = f'<rect x="{x - 5:g}" y="{y - 5:g}" width="{_WIDTH + 10}" height="{_HEIGHT + 10}" rx="12" fill="none" ' \
           'stroke="currentColor" stroke-width="1"/>' if asked else ""
    look = " ".join(f'{name}="{value}"' for name, value in LOOKS[state].items())
    middle = f"{x + _WIDTH / 2:g}"
    return (
        f'{ring}<g class="node"><rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="8" '
        f'stroke="currentColor" {look}/>'
        f'<text x="{middle}" y="{y + 17:g}" text-anchor="middle" font-size="15" font-weight="600" fill="currentColor">'
        f'{escape(words[0])}</text>'
        f'<text x="{middle}" y="{y + 33:g}" text-anchor="middle" font-size="12" fill="currentColor">{words[2]}</text>'
        "</g>"
    )
