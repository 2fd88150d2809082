"""Numbers built with square roots, kept as they are built and compared exactly.

A :class:`Radical` is a tree of ``+ - * / sqrt`` over fractions. Two of them, or one and a fraction, are compared by the
sign of their difference. The sign is found with integer intervals that are narrowed until they leave out zero, or until
they are narrower than the smallest value that the tree could have if it were not zero. That smallest value is the
separation bound of Burnikel, Fleischer, Mehlhorn and Schirra (Algorithmica 27, 2000; with divisions as in Algorithmica
55, 2009), so "equal" is a proof and no matter of tolerance. For a text with ``n`` decimals :meth:`Radical.round` gives
the correctly rounded value, half to even.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from math import isqrt
from typing import Literal

_FIRST_BITS = 64
_MOST_ROOTS = 14  # the bits to compare grow like 2 to this power


class Radical:
    """``symbol`` (``+ - * /`` on two, ``sqrt`` on one) applied to ``args``; made by arithmetic and :func:`square_root`.

    Supports ``+ - * /``, comparison with every exact number, ``abs``, ``float`` and ``round``. Not hashable: equal
    numbers can be built in different ways.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, symbol: Literal["+", "-", "*", "/", "sqrt"], *args: Fraction | Radical) -> None:
        self.symbol, self.args = symbol, args

    # --- arithmetic --------------------------------------------------------------------------------------------------

    def __add__(self, other: int | Fraction | Radical) -> Radical:
        return _join("+", self, other)

    def __radd__(self, other: int | Fraction) -> Radical:
        return _join("+", other, self)

    def __sub__(self, other: int | Fraction | Radical) -> Radical:
        return _join("-", self, other)

    def __rsub__(self, other: int | Fraction) -> Radical:
        return _join("-", other, self)

    def __mul__(self, other: int | Fraction | Radical) -> int | Fraction | Radical:
        if isinstance(other, Radical) and self.symbol == other.symbol == "sqrt" and self.args[0] == other.args[0]:
            return _plain(self.args[0])
        return 0 if other == 0 else _join("*", self, other)

    def __rmul__(self, other: int | Fraction) -> int | Fraction | Radical:
        return 0 if other == 0 else _join("*", other, self)

    def __truediv__(self, other: int | Fraction | Radical) -> Radical:
        if other == 0:
            raise ValueError("division by zero")
        return _join("/", self, other)

    def __rtruediv__(self, other: int | Fraction) -> int | Fraction | Radical:
        if self == 0:
            raise ValueError("division by zero")
        return 0 if other == 0 else _join("/", other, self)

    def __neg__(self) -> Radical:
        return _join("-", 0, self)

    def __abs__(self) -> Radical:
        return -self if self.sign < 0 else self

    # --- comparison --------------------------------------------------------------------------------------------------

    @cached_property
    def sign(self) -> int:
        """-1, 0 or 1, exactly."""
        bits = _FIRST_BITS
        while True:
            low, high = _interval(self, bits)
            if low > 0 or high < 0:
                return 1 if low > 0 else -1
            # the interval holds the value and zero: if it is narrower than the bound, the value is zero
            if low == high or (high - low).bit_length() < bits - self._separation_bits():
                return 0
            bits *= 2

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (int, Fraction, Radical)):
            return NotImplemented
        return self is other or _join("-", self, other).sign == 0

    def __lt__(self, other: int | Fraction | Radical) -> bool:
        return _join("-", self, other).sign < 0

    def __le__(self, other: int | Fraction | Radical) -> bool:
        return _join("-", self, other).sign <= 0

    def __gt__(self, other: int | Fraction | Radical) -> bool:
        return _join("-", self, other).sign > 0

    def __ge__(self, other: int | Fraction | Radical) -> bool:
        return _join("-", self, other).sign >= 0

    @property
    def n_roots(self) -> int:
        """How many different roots the number is built with; comparing takes time of about 2 to this power."""
        return len(_roots(self))

    def _separation_bits(self) -> int:
        """``b`` such that the value is zero or at least ``2**-b`` in size; ``ValueError`` if that is out of reach."""
        if self.n_roots > _MOST_ROOTS:
            raise ValueError(f"{self.n_roots} different square roots are too many to compare exactly; at most "
                             f"{_MOST_ROOTS} can be")
        upper, lower = _bounds(self)
        degree = 2**self.n_roots
        return upper * (degree - 1) + lower + 1

    # --- as text and as decimals -------------------------------------------------------------------------------------

    def round(self, decimals: int) -> Fraction:
        """The nearest multiple of ``10**-decimals``, half to even."""
        scale = 10**decimals
        bits = _FIRST_BITS + 4 * decimals
        low, high = _interval(self, bits)
        nearest = round(Fraction(low + high, 2 ** (bits + 1)) * scale)
        middle = Fraction(2 * nearest + 1, 2 * scale)
        while self > middle or (self == middle and nearest % 2):
            nearest, middle = nearest + 1, middle + Fraction(1, scale)
        middle -= Fraction(1, scale)
        while self < middle or (self == middle and nearest % 2):
            nearest, middle = nearest - 1, middle - Fraction(1, scale)
        return Fraction(nearest, scale)

    def __float__(self) -> float:
        bits = _FIRST_BITS
        while True:
            low, high = _interval(self, bits)
            if (low > 0 or high < 0) and (high - low).bit_length() + 60 < abs(low).bit_length():
                return float(Fraction(low + high, 2 ** (bits + 1)))
            if bits > 1024 and self.sign == 0:
                return 0.0
            bits *= 2

    def __str__(self) -> str:
        if self.symbol == "sqrt":
            return f"sqrt({self.args[0]})"
        return f" {self.symbol} ".join(_bracketed(arg) for arg in self.args)

    def __repr__(self) -> str:
        return f"Radical({self})"


def square_root(value: int | Fraction | Radical) -> int | Fraction | Radical:
    """The exact square root: a number where there is one, else a :class:`Radical`; ``ValueError`` below zero."""
    if value < 0:
        raise ValueError(f"{value} is negative and has no square root")
    if isinstance(value, Radical):
        if value.symbol == "*" and value.args[0] is value.args[1]:
            return abs(value.args[0])
        return Radical("sqrt", value)
    exact = Fraction(value)
    top, bottom = isqrt(exact.numerator), isqrt(exact.denominator)
    if top * top == exact.numerator and bottom * bottom == exact.denominator:
        return _plain(Fraction(top, bottom))
    return Radical("sqrt", exact)


def _plain(value: Fraction | Radical) -> int | Fraction | Radical:
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def _join(
    symbol: Literal["+", "-", "*", "/"], left: int | Fraction | Radical, right: int | Fraction | Radical
) -> Radical:
    return Radical(symbol, *(arg if isinstance(arg, Radical) else Fraction(arg) for arg in (left, right)))


def _bracketed(arg: Fraction | Radical) -> str:
    bare = isinstance(arg, Fraction) and arg.denominator == 1 and arg >= 0
    return str(arg) if bare or (isinstance(arg, Radical) and arg.symbol == "sqrt") else f"({arg})"


def _roots(number: Fraction | Radical) -> frozenset[str]:
    """The different roots in ``number`` as texts: each of them at most doubles the degree of the field."""
    if isinstance(number, Fraction):
        return frozenset()
    inner = frozenset[str]().union(*(_roots(arg) for arg in number.args))
    return inner | {str(number)} if number.symbol == "sqrt" else inner


def _bounds(number: Fraction | Radical) -> tuple[int, int]:
    """Bits that bound the conjugates of U and of L, where the number is U / L with algebraic integers U and L."""
    if isinstance(number, Fraction):
        return abs(number.numerator).bit_length(), number.denominator.bit_length()
    (u1, l1), *rest = (_bounds(arg) for arg in number.args)
    if number.symbol == "sqrt":
        half = (u1 + l1 + 1) // 2
        return (half, l1) if u1 >= l1 else (u1, half)
    u2, l2 = rest[0]
    if number.symbol == "*":
        return u1 + u2, l1 + l2
    if number.symbol == "/":
        return u1 + l2, l1 + u2
    return max(u1 + l2, l1 + u2) + 1, l1 + l2


def _interval(number: Fraction | Radical, bits: int) -> tuple[int, int]:
    """Integers ``low <= number * 2**bits <= high``."""
    if isinstance(number, Fraction):
        scaled = number.numerator << bits
        return scaled // number.denominator, -(-scaled // number.denominator)
    parts = [_interval(arg, bits) for arg in number.args]
    (low, high), (low2, high2) = parts[0], parts[-1]
    if number.symbol == "sqrt":
        return isqrt(max(0, low) << bits), isqrt(max(0, high) << bits) + 1
    if number.symbol == "+":
        return low + low2, high + high2
    if number.symbol == "-":
        return low - high2, high - low2
    if number.symbol == "*":
        ends = [a * b for a in (low, high) for b in (low2, high2)]
        return min(ends) >> bits, -(-max(ends) >> bits)
    extra = bits
    while low2 <= 0 <= high2:  # the divisor is not zero (checked when it was built), so more bits will show it
        extra *= 2
        low2, high2 = _interval(number.args[1], extra)
        (low, high) = _interval(number.args[0], extra)
    quotients = [(a << bits) // b for a in (low, high) for b in (low2, high2)]
    return min(quotients), max(quotients) + 1
