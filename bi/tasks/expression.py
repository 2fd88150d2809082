"""Expressions over named quantities: build, evaluate, write, read and reduce them.

An expression is a number, a reference to a quantity, or an operation on expressions. Sums, products, conjunctions and
disjunctions may have any number of operands, a difference or a quotient has two, the operations in
:data:`bi.tasks.operators.UNARY` have one. ``parse(render(e)) == e`` for every arithmetic expression of that kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bi.tasks.operators import UNARY, Value, apply_binary, apply_unary

DEEPEST = 20
"""Nesting that :func:`parse` follows: with it no text can exhaust the stack of what looks at an expression later."""
_LEVELS = (("+", "-"), ("*", "/"))


# A chain of thought takes dozens of expressions, so their fields are set by the slots themselves: a frozen dataclass
# takes half as long again to set its own.
@dataclass(frozen=True, slots=True)
class Num:
    """A number (or a truth value) written in the expression."""

    value: Value

    def __init__(self, value: Value) -> None:
        _put_value(self, value)


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of another quantity."""

    name: str

    def __init__(self, name: str) -> None:
        _put_name(self, name)


@dataclass(frozen=True, slots=True)
class Op:
    """``symbol`` (one of ``+ - * / and or``, or of the unary ones) applied to its operands, from left to right."""

    symbol: str
    args: tuple[Expr, ...]

    def __init__(self, symbol: str, args: tuple[Expr, ...]) -> None:
        _put_symbol(self, symbol)
        _put_args(self, args)


_put_value, _put_name = vars(Num)["value"].__set__, vars(Ref)["name"].__set__
_put_symbol, _put_args = vars(Op)["symbol"].__set__, vars(Op)["args"].__set__

Expr = Num | Ref | Op


def binary_operations(expr: Expr) -> int:
    """Number of operations to carry out: one on k operands counts k - 1, a unary one counts one.

    ``then`` counts nothing: it only passes a premise on to its conclusion.
    """
    return _gather(expr, {}) if isinstance(expr, Op) else 0


def parents_and_operations(expr: Expr) -> tuple[tuple[str, ...], int]:
    """Names in ``expr``, each once, in written order, and its operations by iGSM's count, in one pass.

    A plain assignment counts as one operation (paper, section on iGSM), else :func:`binary_operations` counts.
    """
    if isinstance(expr, Num):
        return (), 1
    if isinstance(expr, Ref):
        return (expr.name,), 1
    found: dict[str, None] = {}
    count = _gather(expr, found)
    return tuple(found), count or 1


def _gather(expr: Op, found: dict[str, None]) -> int:
    """Binary operations of ``expr``, whose names are added to ``found``."""
    count = len(expr.args) - 1 or int(expr.symbol != "then")
    for arg in expr.args:
        if isinstance(arg, Ref):
            found[arg.name] = None
        elif isinstance(arg, Op):
            count += _gather(arg, found)
    return count


def combine(symbol: str, left: Value, right: Value, modulus: int | None) -> Value:
    """One binary operation; with a ``modulus`` the result is reduced to 0 .. modulus - 1.

    ``ValueError`` for a division by zero or an unknown operation.
    """
    if symbol == "+":
        result = left + right
    elif symbol == "-":
        result = left - right
    elif symbol == "*":
        result = left * right
    else:
        return apply_binary(symbol, left, right, modulus)
    return result if modulus is None else result % modulus


def evaluate(expr: Expr, values: Mapping[str, Value], modulus: int | None) -> Value:
    """Value of ``expr``, exactly.

    Raises ``KeyError`` when a referenced quantity has no value in ``values``, ``ValueError`` for what has no value (a
    division by zero, the square root of a negative number).
    """
    if isinstance(expr, Num):
        return expr.value
    if isinstance(expr, Ref):
        return values[expr.name]
    numbers = [values[arg.name] if isinstance(arg, Ref) else evaluate(arg, values, modulus) for arg in expr.args]
    result, *others = numbers
    if not others:
        return apply_unary(expr.symbol, result, modulus)
    for number in others:
        result = combine(expr.symbol, result, number, modulus)
    return result


def substitute(expr: Expr, leaf: Callable[[str], Expr]) -> Expr:
    """``expr`` with every reference replaced by ``leaf(name)``."""
    if isinstance(expr, Ref):
        return leaf(expr.name)
    if isinstance(expr, Op):
        return Op(expr.symbol, tuple([substitute(arg, leaf) for arg in expr.args]))
    return expr


def reduce_once(expr: Op, modulus: int | None) -> Expr:
    """Carry out one operation: on the first two operands, or the only one, of the first innermost operation.

    Repeated, it writes the subgoals of a computation: 3 * (13 + 5 + 6) -> 3 * (18 + 6) -> 3 * 24 -> 72.
    """
    for index, arg in enumerate(expr.args):
        if isinstance(arg, Op):
            return Op(expr.symbol, (*expr.args[:index], reduce_once(arg, modulus), *expr.args[index + 1 :]))
    first, *rest = expr.args
    assert isinstance(first, Num), "reduce_once needs an expression without references"
    if not rest:
        return Num(apply_unary(expr.symbol, first.value, modulus))
    second, *rest = rest
    assert isinstance(second, Num), "reduce_once needs an expression without references"
    result = Num(combine(expr.symbol, first.value, second.value, modulus))
    return Op(expr.symbol, (result, *rest)) if rest else result


def subgoals(expr: Expr, modulus: int | None) -> list[Op]:
    """The expressions strictly between ``expr`` (numbers only) and its value; empty for a single operation."""
    chain: list[Op] = []
    while isinstance(expr, Op):
        chain.append(expr)
        expr = reduce_once(expr, modulus)
    return chain[1:]


def render(expr: Expr, leaf: Callable[[Num | Ref], str]) -> str:
    """Text of ``expr`` with single spaces: ``a + b``, ``sqrt a``, ``a ^2``; what is nested stands in parentheses.

    Only a product or quotient in a sum or difference needs none.
    """
    if not isinstance(expr, Op):
        return leaf(expr)
    bare = _LEVELS[1] if expr.symbol in _LEVELS[0] else ()
    texts = [_render_nested(arg, leaf, bare) if isinstance(arg, Op) else leaf(arg) for arg in expr.args]
    if expr.symbol in UNARY:
        return f"{texts[0]} ^2" if expr.symbol == "square" else f"{expr.symbol} {texts[0]}"
    return f" {expr.symbol} ".join(texts)


def _render_nested(expr: Op, leaf: Callable[[Num | Ref], str], bare: tuple[str, ...]) -> str:
    text = render(expr, leaf)
    return text if expr.symbol in bare else f"( {text} )"


def parse(tokens: Sequence[str], leaf: Callable[[str], Num | Ref | None]) -> Expr | None:
    """Inverse of :func:`render` for arithmetic: the expression that ``tokens`` spell, or ``None`` if they spell none.

    ``leaf`` turns one token into a number or a reference, or returns ``None``. Linear in the number of tokens; nesting
    deeper than :data:`DEEPEST` is refused.
    """
    expr, end = _parse_chain(tokens, 0, leaf, 0, 0)
    return expr if end == len(tokens) else None


def _parse_chain(
    tokens: Sequence[str], at: int, leaf: Callable, depth: int, level: int
) -> tuple[Expr | None, int]:
    """Operands joined by the symbols of one level, the loosest first; what only differs in nesting stays apart."""
    symbols, inner = _LEVELS[level], level + 1 < len(_LEVELS)
    expr, at = _parse_chain(tokens, at, leaf, depth, level + 1) if inner else _parse_operand(tokens, at, leaf, depth)
    if expr is None or at >= len(tokens) or tokens[at] not in symbols:
        return expr, at
    args, symbol, nested = [expr], "", depth
    while expr is not None and at < len(tokens) and tokens[at] in symbols:
        if symbol and (tokens[at] != symbol or symbol in "-/"):
            args, nested = [Op(symbol, tuple(args))], nested + 1
            if nested > DEEPEST:  # 1 - 1 - 1 - ... nests to the left without any parentheses
                return None, at
        symbol = tokens[at]
        step = at + 1
        expr, at = (_parse_chain(tokens, step, leaf, depth, level + 1) if inner
                    else _parse_operand(tokens, step, leaf, depth))
        args.append(expr)
    return (None if expr is None else Op(symbol, tuple(args))), at


def _parse_operand(tokens: Sequence[str], at: int, leaf: Callable, depth: int) -> tuple[Expr | None, int]:
    if at >= len(tokens) or depth > DEEPEST:
        return None, at
    token = tokens[at]
    at += 1
    if token == "(":
        expr, at = _parse_chain(tokens, at, leaf, depth + 1, 0)
        if expr is None or at >= len(tokens) or tokens[at] != ")":
            return None, at
        at += 1
    elif token == "sqrt":
        expr, at = _parse_operand(tokens, at, leaf, depth + 1)
        return (Op("sqrt", (expr,)) if expr else None), at
    else:
        expr = leaf(token)
    if at < len(tokens) and tokens[at] == "^2" and expr is not None:
        return Op("square", (expr,)), at + 1
    return expr, at
