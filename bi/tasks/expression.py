"""Arithmetic expressions over named quantities: build, evaluate, write, read and reduce them.

An expression is a number, a reference to a quantity, or an operation on expressions. Sums and products may have any
number of operands; a difference has two. ``parse(render(e)) == e`` for every expression whose nested operations are of
the kinds that the tasks draw (tested on random ones).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

SYMBOLS = ("+", "-", "*")


@dataclass(frozen=True, slots=True)
class Num:
    """A number written in the expression."""

    value: int


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of another quantity."""

    name: str


@dataclass(frozen=True, slots=True)
class Op:
    """``symbol`` (one of ``+ - *``) applied to two or more operands, from left to right."""

    symbol: str
    args: tuple[Expr, ...]


Expr = Num | Ref | Op


def references(expr: Expr) -> Iterator[str]:
    """Names of the quantities in ``expr``, in written order, repeated where they repeat."""
    found: list[str] = []
    _collect(expr, found)
    return iter(found)


def _collect(expr: Expr, found: list[str]) -> None:
    if isinstance(expr, Ref):
        found.append(expr.name)
    elif isinstance(expr, Op):
        for arg in expr.args:
            _collect(arg, found)


def binary_operations(expr: Expr) -> int:
    """Number of binary operations: an operation on k operands counts k - 1."""
    if not isinstance(expr, Op):
        return 0
    return len(expr.args) - 1 + sum(binary_operations(arg) for arg in expr.args)


def operations(expr: Expr) -> int:
    """Operations by iGSM's count, in which a plain assignment counts as one (paper, section on iGSM)."""
    return max(1, binary_operations(expr))


def combine(symbol: str, left: int, right: int, modulus: int | None) -> int:
    """One binary operation; with a ``modulus`` the result is reduced to 0 .. modulus - 1."""
    if symbol == "+":
        result = left + right
    elif symbol == "-":
        result = left - right
    elif symbol == "*":
        result = left * right
    else:
        raise ValueError(f"unknown operation {symbol!r}; use one of {', '.join(SYMBOLS)}")
    return result if modulus is None else result % modulus


def evaluate(expr: Expr, values: Mapping[str, int], modulus: int | None) -> int:
    """Value of ``expr``; raises ``KeyError`` when a referenced quantity has no value in ``values``."""
    if isinstance(expr, Num):
        return expr.value
    if isinstance(expr, Ref):
        return values[expr.name]
    numbers = [evaluate(arg, values, modulus) for arg in expr.args]
    return reduce(lambda left, right: combine(expr.symbol, left, right, modulus), numbers)


def substitute(expr: Expr, leaf: Callable[[str], Expr]) -> Expr:
    """``expr`` with every reference replaced by ``leaf(name)``."""
    if isinstance(expr, Ref):
        return leaf(expr.name)
    if isinstance(expr, Op):
        return Op(expr.symbol, tuple(substitute(arg, leaf) for arg in expr.args))
    return expr


def reduce_once(expr: Op, modulus: int | None) -> Expr:
    """Carry out one binary operation: the first two operands of the first innermost operation.

    Repeated, it writes the subgoals of a computation: 3 * (13 + 5 + 6) -> 3 * (18 + 6) -> 3 * 24 -> 72.
    """
    for index, arg in enumerate(expr.args):
        if isinstance(arg, Op):
            return Op(expr.symbol, (*expr.args[:index], reduce_once(arg, modulus), *expr.args[index + 1 :]))
    first, second, *rest = expr.args
    assert isinstance(first, Num) and isinstance(second, Num), "reduce_once needs an expression without references"
    result = Num(combine(expr.symbol, first.value, second.value, modulus))
    return Op(expr.symbol, (result, *rest)) if rest else result


def subgoals(expr: Expr, modulus: int | None) -> list[Expr]:
    """The expressions strictly between ``expr`` (numbers only) and its value; empty for a single operation."""
    chain = []
    while isinstance(expr, Op):
        expr = reduce_once(expr, modulus)
        chain.append(expr)
    return chain[:-1]


def render(expr: Expr, leaf: Callable[[Num | Ref], str]) -> str:
    """Text of ``expr`` with single spaces; a nested sum or difference stands in parentheses."""
    if not isinstance(expr, Op):
        return leaf(expr)
    return f" {expr.symbol} ".join(_render_operand(arg, leaf) for arg in expr.args)


def _render_operand(expr: Expr, leaf: Callable[[Num | Ref], str]) -> str:
    text = render(expr, leaf)
    return f"( {text} )" if isinstance(expr, Op) and expr.symbol != "*" else text


def parse(tokens: Sequence[str], leaf: Callable[[str], Num | Ref | None]) -> Expr | None:
    """Inverse of :func:`render`: the expression that ``tokens`` spell, or ``None`` if they spell none.

    ``leaf`` turns one token into a number or a reference, or returns ``None``. Linear in the number of tokens; nesting
    deeper than 20 is refused, so no input can exhaust the stack.
    """
    expr, end = _parse_sum(tokens, 0, leaf, 0)
    return expr if end == len(tokens) else None


def _parse_sum(tokens: Sequence[str], at: int, leaf: Callable, depth: int) -> tuple[Expr | None, int]:
    expr, at = _parse_product(tokens, at, leaf, depth)
    args, symbol = [expr], ""
    while expr is not None and at < len(tokens) and tokens[at] in ("+", "-"):
        if symbol and (tokens[at] != symbol or symbol == "-"):
            args = [Op(symbol, tuple(args))]
        symbol = tokens[at]
        expr, at = _parse_product(tokens, at + 1, leaf, depth)
        args.append(expr)
    if expr is None:
        return None, at
    return (Op(symbol, tuple(args)) if symbol else expr), at


def _parse_product(tokens: Sequence[str], at: int, leaf: Callable, depth: int) -> tuple[Expr | None, int]:
    expr, at = _parse_operand(tokens, at, leaf, depth)
    args = [expr]
    while expr is not None and at < len(tokens) and tokens[at] == "*":
        expr, at = _parse_operand(tokens, at + 1, leaf, depth)
        args.append(expr)
    if expr is None:
        return None, at
    return (Op("*", tuple(args)) if len(args) > 1 else expr), at


def _parse_operand(tokens: Sequence[str], at: int, leaf: Callable, depth: int) -> tuple[Expr | None, int]:
    if at >= len(tokens) or depth > 20:
        return None, at
    if tokens[at] != "(":
        return leaf(tokens[at]), at + 1
    expr, at = _parse_sum(tokens, at + 1, leaf, depth + 1)
    if expr is None or at >= len(tokens) or tokens[at] != ")":
        return None, at
    return expr, at + 1
