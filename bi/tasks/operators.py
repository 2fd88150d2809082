"""Operations beyond plain integer arithmetic: division, squares, roots and logic, all of them exact.

Values are integers, fractions, radicals (:mod:`bi.tasks.radical`), truth values, or :data:`NA`. With a modulus,
division multiplies by the inverse, and the square root is the smaller of the two roots. What has no value, such as a
division by zero or the root of a negative number, is a ``ValueError`` that says so; nothing is ever rounded.
"""

from __future__ import annotations

from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, TypeAlias

from bi.tasks.radical import Radical, square_root

ARITHMETIC = ("+", "-", "*", "/", "square", "sqrt")
LOGIC = ("and", "or", "not")
UNARY = frozenset({"square", "sqrt", "not", "then"})
"""Operations with one operand; ``then`` turns a premise into its conclusion (see :func:`apply_unary`)."""


class Undetermined(Enum):
    """The value of a conclusion that its premise does not settle."""

    NA = "N/A"

    def __str__(self) -> str:
        return self.value


NA = Undetermined.NA

Value: TypeAlias = Any
"""What a quantity may be worth: ``int`` (with ``bool``), ``Fraction``, :class:`Radical`, :class:`Undetermined`.

An alias of ``Any``: which of them it is follows from the task, and arithmetic is written once for all."""


def apply_binary(symbol: str, left: Value, right: Value, modulus: int | None) -> Value:
    """Division, conjunction or disjunction; ``ValueError`` for a zero divisor or an unknown operation.

    Logic has three values: a conjunction with :data:`NA` is NA; a disjunction is true if one side is, else NA if one
    side is NA.
    """
    if symbol == "/":
        return _divide(left, right, modulus)
    if symbol == "and":
        return NA if left is NA or right is NA else left and right
    if symbol == "or":
        return True if left is True or right is True else (NA if left is NA or right is NA else False)
    raise ValueError(f"unknown operation {symbol!r}; use one of {', '.join((*ARITHMETIC, *LOGIC))}")


def apply_unary(symbol: str, value: Value, modulus: int | None) -> Value:
    """Square, root, negation, or ``then``: a conclusion is true if its premise is, and otherwise NA.

    ``ValueError`` for the root of a number that has none, or an unknown operation.
    """
    if symbol == "square":
        return value * value if modulus is None else value * value % modulus
    if symbol == "sqrt":
        return square_root(value) if modulus is None else _root_modulo(value, modulus)
    if symbol == "not":
        return NA if value is NA else not value
    if symbol == "then":
        return True if value is True else NA
    raise ValueError(f"unknown operation {symbol!r}; use one of {', '.join((*ARITHMETIC, *LOGIC))}")


def _divide(left: Value, right: Value, modulus: int | None) -> Value:
    if right == 0:
        raise ValueError("division by zero")
    if modulus is not None:
        return left * pow(right, -1, modulus) % modulus
    if isinstance(left, Radical) or isinstance(right, Radical):
        return left / right
    return whole(Fraction(left) / right)


def whole(value: Fraction) -> int | Fraction:
    """A fraction without denominator as an integer, so that equal values are written alike."""
    return value.numerator if value.denominator == 1 else value


def _root_modulo(value: int, modulus: int) -> int:
    root = _roots(modulus).get(value % modulus)
    if root is None:
        raise ValueError(f"{value} has no square root modulo {modulus}")
    return root


@cache
def _roots(modulus: int) -> dict[int, int]:
    """The smallest root of every square modulo ``modulus``."""
    return {root * root % modulus: root for root in range(modulus - 1, -1, -1)}
