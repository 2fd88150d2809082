"""The strict verdict on a completion: is every step right, and if not, which fails first and why?

A wording reads text into :class:`Line` objects (syntax); this module compares them with the problem (meaning). Nothing
here raises on any text, and the work is linear in its length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bi.augmentation.behavior import count_lines
from bi.augmentation.behaviors import PAPER
from bi.augmentation.reading import Line, Reading, has_reference
from bi.augmentation.trace import first_unsolved
from bi.tasks.expression import Expr, Num, Op, Ref, binary_operations, evaluate, substitute
from bi.tasks.problem import Problem, Quantity

ERRORS = ("arithmetic", "lookup", "formula", "locked", "unknown", "reflection", "unreadable", "unfinished", "answer")
"""What can be wrong first: ``arithmetic`` (operands right, a value wrong), ``lookup`` (a number in the place of an
operand is not that operand's value, or a recalled value is not the one found), ``formula`` (not the definition of the
question), ``locked`` (a parent without a value was used), ``unknown`` (no such quantity), ``reflection`` (a missing
parent was named that is not the first one missing), ``unreadable``; then, with every line right, ``unfinished`` (the
target was never solved) and ``answer`` (the stated answer, or its format, is wrong)."""

STEPS = {
    None: "right", "arithmetic": "wrong value", "lookup": "wrong value", "formula": "wrong formula", "locked": "locked",
    "unknown": "unknown quantity", "reflection": "wrong reflection", "unreadable": "unreadable",
}  # fmt: skip
"""The verdict on a single step in words, by its error."""

_VALUES = ("arithmetic", "lookup")
LineCheck = Callable[[Line, Problem, Mapping[str, int]], str | None]
"""What is wrong with a line of an added kind, given the values solved before it."""


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


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """One line, judged: ``error`` is one of :data:`STEPS` (``None`` for a right line).

    ``inherited``: the line is wrong only because it uses values that earlier lines got wrong; with those values it is
    right.
    """

    line: Line
    error: str | None
    inherited: bool = False

    @property
    def word(self) -> str:
        """The verdict in words, such as ``wrong value``."""
        return STEPS[self.error]


def judge(reading: Reading, problem: Problem, added: Mapping[str, LineCheck] | None = None) -> Verdict:
    """Compare ``reading`` with ``problem``; the first error decides ``first_error``.

    ``added`` judges lines of added kinds; without it they are unreadable.
    """
    answer = reading.answer == problem.answer
    error, width = _first_error(reading, problem, added or {})
    if error is None and not (answer and reading.format):
        error = "answer"
    return Verdict(
        answer=answer,
        format=reading.format,
        strict=error is None,
        first_error=error,
        error_operations=width,
        **{f"n_{name}": number for name, number in count_lines(PAPER, reading.lines).items()},
    )


def judged_steps(
    reading: Reading, problem: Problem, added: Mapping[str, LineCheck] | None = None
) -> Iterator[StepVerdict]:
    """Every line with its verdict, those behind the first wrong one too.

    A line is compared with the truth. A quantity counts as solved from the first line on that gives it a value, right
    or wrong, so that one slip does not lock all that comes after it.
    """
    true: dict[str, int] = {}
    stated: dict[str, int] = {}
    slipped = False
    for line in reading.lines:
        error = _line_error(line, problem, true, added or {})
        yield StepVerdict(line, error, slipped and error in _VALUES and _follows(line, problem, stated))
        if line.kind == "solve" and line.result is not None and line.name in problem.by_name:
            true[line.name], stated[line.name] = problem.by_name[line.name].value, line.result
            slipped |= true[line.name] != line.result


def judged_lines(
    reading: Reading, problem: Problem, added: Mapping[str, LineCheck] | None = None
) -> Iterator[tuple[Line, str | None]]:
    """Each line with its error, up to and including the first wrong one; ``None`` for a right line."""
    for step in judged_steps(reading, problem, added):
        yield step.line, step.error
        if step.error:
            return


def line_operations(line: Line, problem: Problem) -> int:
    """Binary operations in the true formula of the quantity that ``line`` is about; 0 if there is none."""
    quantity = problem.by_name.get(line.name)
    return binary_operations(quantity.formula) if quantity else 0


def _first_error(reading: Reading, problem: Problem, added: Mapping[str, LineCheck]) -> tuple[str | None, int]:
    finished = False
    for line, error in judged_lines(reading, problem, added):
        if error:
            return error, line_operations(line, problem)
        finished |= line.kind == "solve" and line.name == problem.target
    return (None, 0) if finished else ("unfinished", 0)


def _line_error(line: Line, problem: Problem, solved: Mapping[str, int], added: Mapping[str, LineCheck]) -> str | None:
    if line.kind in added:
        return added[line.kind](line, problem, solved)
    if line.kind not in ("solve", "reflect", "recall"):
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
    return chain_error(line, quantity, problem, solved)


def chain_error(line: Line, quantity: Quantity, problem: Problem, solved: Mapping[str, int]) -> str | None:
    """Errors of a computation: named operands, their values, the arithmetic; in this order.

    ``solved`` holds the true value of every parent of ``quantity``.
    """
    expected = substitute(quantity.formula, lambda name: Num(solved[name]))
    return _chain_error(line, quantity, problem, expected, quantity.value)


def _chain_error(line: Line, quantity: Quantity, problem: Problem, expected: Expr, value: int | None) -> str | None:
    written = list(line.written)
    if written and has_reference(written[0]) and written.pop(0) != quantity.formula:
        return "formula"
    if written:
        first = written.pop(0)
        if first != expected:
            return "lookup" if _same_shape(first, quantity.formula) else "formula"
    most = binary_operations(expected)
    for expr in written:
        # more operations than the formula has are no step towards its value: refused before they are carried out,
        # so that a mile of factors costs no more than reading it
        if has_reference(expr) or binary_operations(expr) > most or _value(expr, problem) != value:
            return "arithmetic"
    return None if value is not None and line.result == value else "arithmetic"


def _value(expr: Expr, problem: Problem) -> int | None:
    """The value of ``expr``, or ``None`` where a wrong number has left it none (a division by zero, say)."""
    try:
        return evaluate(expr, {}, problem.modulus)
    except (ArithmeticError, ValueError, TypeError):
        return None


def _follows(line: Line, problem: Problem, stated: Mapping[str, int]) -> bool:
    """Whether ``line`` would be right if the values that the text has given were."""
    if line.kind == "recall":
        return stated.get(line.name) == line.result
    quantity = problem.by_name.get(line.name)
    if line.kind != "solve" or quantity is None or first_unsolved(quantity, stated) is not None:
        return False
    expected = substitute(quantity.formula, lambda name: Num(stated[name]))
    return _chain_error(line, quantity, problem, expected, _value(expected, problem)) is None


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
