"""Solutions of the chapter on the base model, run by the tests and shown folded in the book."""

from __future__ import annotations

from bi.recipes import COMPACT
from bi.streams import stream
from bi.tasks.expression import Expr, Op
from bi.tasks.igsm import IGSMConfig, generate


def chance_of_luck(m: int, n: int) -> float:
    """Chance that n uniform guesses among m values are not all right and not all wrong."""
    return 1 - (1 - 1 / m) ** n - (1 / m) ** n


def operations(expr: Expr) -> int:
    """Binary operations that ``expr`` asks for; three numbers added up take two."""
    if not isinstance(expr, Op):
        return 0
    return len(expr.args) - 1 + sum(operations(arg) for arg in expr.args)


def line_widths(reuse: float, problems: int = 300, n_ops: int = 8) -> tuple[float, float]:
    """Lines that a solution needs, and how many of them hold two operations or more: means over ``problems``."""
    config = IGSMConfig(n_ops, n_ops, **{**dict(COMPACT), "reuse": reuse})
    lines = wide = 0
    for number in range(problems):
        problem = generate(config, stream("exercise", "reuse", number))
        formulas = [problem.by_name[name].formula for name in problem.needed]
        lines += len(formulas)
        wide += sum(operations(formula) > 1 for formula in formulas)
    return lines / problems, wide / problems
