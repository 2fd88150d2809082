"""What a completion says, as data: lines as they were read, before anybody judges them."""

from __future__ import annotations

from dataclasses import dataclass

from bi.tasks.expression import Expr, Op, Ref


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was read.

    ``kind``: ``solve``, ``reflect``, ``recall``, ``unreadable``, or the kind that an added behaviour gives its lines.
    ``restated`` is the definition in an information analysis, ``written`` the chain of expressions behind the head
    (with references where the wording names operands), ``result`` the value that the line ends with, ``missing`` the
    parent that a reflection names, ``claim`` the line's own text.
    """

    kind: str
    claim: str
    name: str = ""
    restated: Expr | None = None
    written: tuple[Expr, ...] = ()
    result: int | None = None
    missing: str | None = None
    phrase: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """A completion as it was read: its lines, the answer that it states, and whether the answer's format is right."""

    lines: tuple[Line, ...]
    answer: int | None
    format: bool


def has_reference(expr: Expr) -> bool:
    """Whether ``expr`` names a quantity."""
    if isinstance(expr, Op):
        return any(has_reference(arg) for arg in expr.args)
    return isinstance(expr, Ref)


def has_subgoal(line: Line) -> bool:
    """Whether a line writes at least one intermediate expression between the substituted formula and the result."""
    numeric = [expr for expr in line.written if not has_reference(expr)]
    return line.kind == "solve" and len(numeric) > 1
