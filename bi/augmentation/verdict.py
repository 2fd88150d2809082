"""The strict verdict on a completion: is every step right, and if not, which fails first and why?

A wording reads text into :class:`Line` objects (syntax); this module compares them with the problem (meaning). Nothing
here raises on any text, and the work is linear in its length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bi.augmentation.trace import first_unsolved
from bi.tasks.expression import Expr, Num, Op, Ref, binary_operations, evaluate, substitute
from bi.tasks.problem import Problem, Quantity

ERRORS = ("arithmetic", "lookup", "formula", "locked", "unknown", "reflection", "unreadable", "unfinished", "answer")


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was read.

    ``restated`` is the definition in an information analysis, ``written`` the chain of expressions behind the head
    (with references where the wording names operands), ``result`` the value that the line ends with, ``missing`` the
    parent that a reflection names, ``claim`` the line's own text.
    """

    kind: Literal["solve", "reflect", "recall", "unreadable"]
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a completion got right.

    ``answer``: the stated answer is right. ``format``: it is stated in the form asked for. ``strict``: both, and every
    line is right. ``first_error``: one of :data:`ERRORS`, ``None`` when strict; ``error_operations`` is the number of
    binary operations in the formula of the failing step. The counts are those of behaviours in the text, right or
    wrong.
    """

    answer: bool
    format: bool
    strict: bool
    first_error: str | None
    error_operations: int
    n_reflection: int
    n_analysis: int
    n_subgoal: int


def judge(reading: Reading, problem: Problem) -> Verdict:
    """Compare ``reading`` with ``problem``; the first error decides ``first_error``."""
    answer = reading.answer == problem.answer
    error, width = _first_error(reading, problem)
    if error is None and not (answer and reading.format):
        error = "answer"
    return Verdict(
        answer=answer,
        format=reading.format,
        strict=error is None,
        first_error=error,
        error_operations=width,
        n_reflection=sum(line.kind == "reflect" for line in reading.lines),
        n_analysis=sum(line.restated is not None for line in reading.lines),
        n_subgoal=sum(has_subgoal(line) for line in reading.lines),
    )


def has_subgoal(line: Line) -> bool:
    """Whether a line writes at least one intermediate expression between the substituted formula and the result."""
    numeric = [expr for expr in line.written if not _has_reference(expr)]
    return line.kind == "solve" and len(numeric) > 1


def _has_reference(expr: Expr) -> bool:
    if isinstance(expr, Op):
        return any(_has_reference(arg) for arg in expr.args)
    return isinstance(expr, Ref)


def judged_lines(reading: Reading, problem: Problem) -> Iterator[tuple[Line, str | None]]:
    """Each line with its error, up to and including the first wrong one; ``None`` for a right line."""
    solved: dict[str, int] = {}
    for line in reading.lines:
        error = _line_error(line, problem, solved)
        yield line, error
        if error:
            return
        if line.kind == "solve":
            solved[line.name] = problem.by_name[line.name].value


def line_operations(line: Line, problem: Problem) -> int:
    """Binary operations in the true formula of the quantity that ``line`` is about; 0 if there is none."""
    quantity = problem.by_name.get(line.name)
    return binary_operations(quantity.formula) if quantity else 0


def _first_error(reading: Reading, problem: Problem) -> tuple[str | None, int]:
    right = set()
    for line, error in judged_lines(reading, problem):
        if error:
            return error, line_operations(line, problem)
        right.add(line.name if line.kind == "solve" else None)
    return (None, 0) if problem.target in right else ("unfinished", 0)


def _line_error(line: Line, problem: Problem, solved: Mapping[str, int]) -> str | None:
    if line.kind == "unreadable":
        return "unreadable"
    quantity = problem.by_name.get(line.name)
    if quantity is None:
        return "unknown"
    if line.restated is not None and line.restated != quantity.formula:
        return "formula"
    if line.kind == "recall":
        return None if solved.get(line.name) == line.result else "lookup"
    missing = first_unsolved(quantity, solved)
    if line.kind == "reflect":
        return None if missing is not None and line.missing == missing else "reflection"
    if missing is not None:
        return "locked"
    return _chain_error(line, quantity, problem, solved)


def _chain_error(line: Line, quantity: Quantity, problem: Problem, solved: Mapping[str, int]) -> str | None:
    """Errors of a computation: named operands, their values, the arithmetic; in this order."""
    expected: Expr = substitute(quantity.formula, lambda name: Num(solved[name]))
    written = list(line.written)
    if written and _has_reference(written[0]) and written.pop(0) != quantity.formula:
        return "formula"
    if written:
        first = written.pop(0)
        if first != expected:
            return "lookup" if _same_shape(first, quantity.formula) else "formula"
    for expr in written:
        if _has_reference(expr) or evaluate(expr, {}, problem.modulus) != quantity.value:
            return "arithmetic"
    return None if line.result == quantity.value else "arithmetic"


def _same_shape(values: Expr, formula: Expr) -> bool:
    """Whether ``values`` is ``formula`` with some numbers in place of its references: then a look-up went wrong."""
    if isinstance(formula, Ref):
        return isinstance(values, Num)
    if isinstance(formula, Num):
        return values == formula
    return (
        isinstance(values, Op)
        and values.symbol == formula.symbol
        and len(values.args) == len(formula.args)
        and all(_same_shape(value, arg) for value, arg in zip(values.args, formula.args, strict=True))
    )
