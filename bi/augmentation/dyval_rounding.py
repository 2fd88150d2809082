"""Judging numbers that a text has rounded: DyVal's sentences write eight decimals of values that are exact.

A completion is compared with the values as the text writes them. An intermediate expression is right if rounding the
numbers that stand in it can explain the difference to the value.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from bi.augmentation.reading import Line, Reading, has_reference
from bi.tasks.dyval import decimal
from bi.tasks.expression import Expr, Num, Op, binary_operations, evaluate
from bi.tasks.operators import NA, Value
from bi.tasks.problem import Problem

_HALF = Fraction(1, 2 * 10**8)


def as_written(problem: Problem) -> Problem:
    """``problem`` with its values as the text writes them, rounded to eight decimals."""
    if problem.task != "dyval_arithmetic" or problem.modulus is not None:
        return problem
    quantities = (dataclasses.replace(quantity, value=decimal(quantity.value)) for quantity in problem.quantities)
    return dataclasses.replace(problem, quantities=tuple(quantities))


def settle_chains(reading: Reading, problem: Problem) -> Reading:
    """``reading`` with every intermediate expression replaced by its value, or by NA where it is wrong or has none.

    What the first expression says is left as it is. Never raises, whatever a completion divides by.
    """
    return dataclasses.replace(reading, lines=tuple(_settle(line, problem) for line in reading.lines))


def _settle(line: Line, problem: Problem) -> Line:
    quantity = problem.by_name.get(line.name)
    numeric = [index for index, expr in enumerate(line.written) if not has_reference(expr)]
    if quantity is None or len(numeric) < 2:
        return line
    written, most = list(line.written), binary_operations(quantity.formula)
    for index in numeric[1:]:
        # more operations than the formula has are no step towards its value, and may take long to carry out
        right = binary_operations(written[index]) <= most and _agrees(written[index], quantity.value, problem.modulus)
        written[index] = Num(quantity.value if right else NA)
    return dataclasses.replace(line, written=tuple(written))


def _agrees(expr: Expr, value: Value, modulus: int | None) -> bool:
    """Whether ``expr`` is worth ``value``, up to what rounding the numbers that are written can change."""
    try:
        if evaluate(expr, {}, modulus) == value:
            return True
        if modulus is not None or not isinstance(value, Fraction):
            return False
        low, high = _range(expr)
        return low - _HALF <= value <= high + _HALF
    except (ValueError, TypeError):  # a division by what may be zero, or logic mixed with numbers
        return False


def _range(expr: Expr) -> tuple[Fraction, Fraction]:
    """Between which values ``expr`` lies if each of its numbers was rounded to eight decimals."""
    if isinstance(expr, Num):
        return expr.value - _HALF, expr.value + _HALF
    if not isinstance(expr, Op) or expr.symbol not in "+-*/":
        raise ValueError("not an intermediate expression")
    low, high = _range(expr.args[0])
    for arg in expr.args[1:]:
        low2, high2 = _range(arg)
        if expr.symbol == "/":
            if low2 <= 0 <= high2:
                raise ValueError("division by what may be zero")
            low2, high2 = 1 / high2, 1 / low2
        ends = {"+": (low + low2, high + high2), "-": (low - high2, high - low2)}.get(
            expr.symbol, (low * low2, low * high2, high * low2, high * high2))
        low, high = min(ends), max(ends)
    return low, high
