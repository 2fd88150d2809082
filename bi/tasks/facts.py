"""Facts of a set of problems: what a distribution of questions looks like, and how much of it is dead weight.

An operation counts as *dead* when every way from it to the answer meets a product whose other factor is 0, so that its
result does not matter. Two ways that cancel (``a - a``) are not looked for, and where both factors are 0 each cuts off
the other, though something behind both of them could still make a difference.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bi.tasks.expression import Expr, Op, Ref, binary_operations, evaluate
from bi.tasks.problem import Problem


def live_quantities(problem: Problem) -> frozenset[str]:
    """Names of the needed quantities whose value matters to the answer: the target, and what no 0 cuts off from it."""
    return _search(problem)[0]


def dead_operations(problem: Problem) -> int:
    """How many of the ``problem.n_ops`` operations cannot influence the answer."""
    return _search(problem)[1]


def _search(problem: Problem) -> tuple[frozenset[str], int]:
    values = {quantity.name: quantity.value for quantity in problem.quantities}
    alive = {problem.target}
    dead = 0
    for quantity in reversed(problem.quantities):
        if quantity.name not in problem.needed:
            continue
        if quantity.name not in alive:
            dead += quantity.operations
            continue
        for part, lives in _parts(quantity.formula, True, values, problem.modulus):
            if lives and isinstance(part, Ref):
                alive.add(part.name)
            if not lives and isinstance(part, Op):
                dead += len(part.args) - 1
    return frozenset(alive), dead


def _parts(expr: Expr, lives: bool, values: Mapping[str, int], modulus: int | None) -> Iterator[tuple[Expr, bool]]:
    """Every part of ``expr`` and whether its value matters to that of the whole."""
    yield expr, lives
    if not isinstance(expr, Op):
        return
    zero = [expr.symbol == "*" and evaluate(arg, values, modulus) == 0 for arg in expr.args]
    for index, arg in enumerate(expr.args):
        yield from _parts(arg, lives and not any(zero[:index] + zero[index + 1 :]), values, modulus)


@dataclass(frozen=True)
class Facts:
    """Means and shares over problems; ``shares`` have binomial errors, see :meth:`error`.

    ``premises``: sentences of a question, with standard deviation ``premises_sd``. ``redundant``: share of the premises
    that the answer does not need. ``abstract``: share of targets that are category totals. ``zero``: share of answers
    that are 0. ``guess``: accuracy of always answering ``guessed``, the most common answer. ``dead``: share of the
    operations that cannot influence the answer. ``arithmetic``: binary operations per stated operation (an assignment
    is stated as one and computes nothing). ``operations``: share of each operation count.
    """

    problems: int
    premises: float
    premises_sd: float
    redundant: float
    abstract: float
    zero: float
    guess: float
    guessed: int
    dead: float
    arithmetic: float
    operations: Mapping[int, float]

    def error(self, share: float) -> float:
        """Standard error of a share of the problems."""
        return math.sqrt(share * (1 - share) / self.problems)


def measure(problems: Iterable[Problem]) -> Facts:
    """The facts of ``problems``, which are read once; raises ``ValueError`` if there is none."""
    answers: Counter[int] = Counter()
    operations: Counter[int] = Counter()
    premises: list[int] = []
    redundant = abstract = dead = arithmetic = 0
    for problem in problems:
        answers[problem.answer] += 1
        operations[problem.n_ops] += 1
        premises.append(len(problem.premises))
        redundant += sum(name not in problem.needed for name in problem.premises)
        abstract += not problem.by_name[problem.target].stated
        dead += dead_operations(problem)
        arithmetic += sum(binary_operations(problem.by_name[name].formula) for name in problem.needed)
    count, stated = len(premises), sum(premises)
    if not count:
        raise ValueError("no problems to measure; give at least one")
    total = sum(size * number for size, number in operations.items())
    mean = stated / count
    guessed, hits = answers.most_common(1)[0]
    return Facts(
        problems=count,
        premises=mean,
        premises_sd=math.sqrt(sum((number - mean) ** 2 for number in premises) / max(1, count - 1)),
        redundant=redundant / stated,
        abstract=abstract / count,
        zero=answers[0] / count,
        guess=hits / count,
        guessed=guessed,
        dead=dead / total,
        arithmetic=arithmetic / total,
        operations={size: operations[size] / count for size in sorted(operations)},
    )
