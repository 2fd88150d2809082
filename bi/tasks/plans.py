"""Formulas of iGSM before they are written as expressions.

Half of all attempts at a problem fail, and so that little is thrown away with them, formulas are drawn, counted and
evaluated as plans. :func:`write` makes the expressions of the problem that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import mul
from typing import TypeAlias

from bi.tasks.expression import Expr, Num, Op, Ref
from bi.tasks.problem import Key

Shape: TypeAlias = tuple[str, str, int]
"""How a formula is built over its parents: the operation with a constant (``*``, ``+`` or none), the one that joins the
parents (``+``, ``-`` or :data:`PAIRS`), and the constant, which is the whole formula if there is no parent."""
Plan: TypeAlias = tuple[tuple[Key, ...], Shape]
"""The parents of a quantity in written order, by number or by name, and the shape of its formula."""

PAIRS = "+*"
"""Parents come in pairs, whose products are added."""
SUM: Shape = "", "+", 0
SUM_OF_PRODUCTS: Shape = "", PAIRS, 0


def operations(plan: Plan[int] | Plan[str]) -> int:
    """Operations of the formula by iGSM's count (a number, or another quantity, is an assignment and counts as one)."""
    parents, (outer, _, _) = plan
    return (len(parents) - 1 + bool(outer) if parents else 0) or 1


def value(plan: Plan[int], values: Mapping[int, int], modulus: int | None) -> int:
    """The value of the formula, given the ``values`` of its parents."""
    parents, (outer, inner, constant) = plan
    if not parents:
        return constant
    if inner == "+":
        core = sum(map(values.__getitem__, parents))
    elif inner == "-":
        core = values[parents[0]] - values[parents[1]]
    else:
        known = list(map(values.__getitem__, parents))
        core = sum(map(mul, known[::2], known[1::2]))
    result = constant * core if outer == "*" else constant + core
    return result if modulus is None else result % modulus


def write(plan: Plan[Key], refs: Mapping[Key, Ref]) -> Expr:
    """The formula as an expression; ``refs`` are the references to its parents."""
    parents, (outer, inner, constant) = plan
    if not parents:
        return Num(constant)
    terms: tuple[Expr, ...] = tuple(map(refs.__getitem__, parents))
    if inner == PAIRS:
        inner, terms = "+", tuple([Op("*", pair) for pair in zip(terms[::2], terms[1::2], strict=True)])
    core = terms[0] if len(terms) == 1 else Op(inner, terms)
    return Op(outer, (Num(constant), core)) if outer else core
