"""Checkers on lucky answers and on the width of lines (chapter on the base model)."""

from __future__ import annotations

from functools import cache
from itertools import product

from bi.course.exercise import Attempt, Exercise, agree, expect
from bi.recipes import COMPACT
from bi.streams import stream
from bi.tasks.expression import Expr, Op
from bi.tasks.igsm import IGSMConfig, generate

PROBLEMS, N_OPS = 200, 8


def inspect_luck(chance: Attempt) -> None:
    """The chance against listing all guesses of small groups."""
    agree(chance.number(23, 1), 0, "a single rollout is never a mixed group")
    agree(chance.number(1, 5), 0, "with one value (m = 1) every guess is right, so no group is mixed",
          (1, "this is the chance of at least one right guess; a group of right guesses is not mixed"))
    for m in (3, 2, 5):
        for n in (2, 3, 4):
            agree(chance.number(m, n), _listed_luck(m, n), f"m = {m}, N = {n}",
                  (1 - (1 - 1 / m) ** n, "this is the chance of at least one right guess; a group of right guesses is "
                   "not mixed"),
                  (1 - m ** -n, "this is the chance of at least one wrong guess; a group of wrong guesses is not "
                   "mixed"),
                  (m ** -n + (1 - 1 / m) ** n, "this is the chance that all outcomes are the same"))


def inspect_reuse(widths: Attempt) -> None:
    """Means over problems against counts on other problems of the same task."""
    for reuse in (0.7, 0.0):
        lines, wide = widths.numbers(("lines", "wide"), reuse, PROBLEMS)
        wanted, everything, counts = _counted(reuse)
        where = f"reuse = {reuse:g}, {PROBLEMS} problems"
        expect(not _near(lines, everything, 0.05) or _near(lines, wanted, 0.05), f"{where}: you count all quantities; "
               "redundant ones are in no solution")
        expect(not _near(lines, wanted * PROBLEMS, 0.1), f"{where}: you add the problems up; take their mean")
        expect(_near(lines, wanted, 0.08), f"{where}: you find {lines:.2f} lines a solution; on other problems of the "
               f"task there are {wanted:.2f}")
        for least, words in ((1, "one operation"), (3, "three operations")):
            expect(_near(wide, counts[2], 0.25) or not _near(wide, counts[least], 0.1), f"{where}: you count lines "
                   f"with {words} or more; two are asked for")
        expect(_near(wide, counts[2], 0.25), f"{where}: you find {wide:.2f} wide lines a solution; on other problems "
               f"of the task there are {counts[2]:.2f} (three numbers added up take two operations)")


def _listed_luck(m: int, n: int) -> float:
    """Share of the ``m**n`` equally likely groups in which some guesses are right (say, are 0) and some are not."""
    return sum(0 < guesses.count(0) < n for guesses in product(range(m), repeat=n)) / m**n


@cache
def _counted(reuse: float) -> tuple[float, float, dict[int, float]]:
    """Means over problems: needed quantities, all of them, and lines with at least 1, 2, 3 operations."""
    config = IGSMConfig(N_OPS, N_OPS, **{**dict(COMPACT), "reuse": reuse})
    problems = [generate(config, stream("course", "ex-reuse", number)) for number in range(PROBLEMS)]
    widths = [_operations(problem.by_name[name].formula) for problem in problems for name in problem.needed]
    everything = sum(len(problem.quantities) for problem in problems)
    wide = {least: sum(width >= least for width in widths) / PROBLEMS for least in (1, 2, 3)}
    return len(widths) / PROBLEMS, everything / PROBLEMS, wide


def _operations(expr: Expr) -> int:
    """Binary operations, by walking through the formula with a list of what is left."""
    waiting, count = [expr], 0
    while waiting:
        part = waiting.pop()
        if isinstance(part, Op):
            count += len(part.args) - 1
            waiting += part.args
    return count


def _near(found: float, wanted: float, rel: float) -> bool:
    return abs(found - wanted) <= rel * wanted


CHAPTER = "notebooks/base_model"
EXERCISES = (
    Exercise("ex-luck", CHAPTER, "pencil", ("chance_of_luck",), inspect_luck,
             "listing all guesses of small groups gives the same chance"),
    Exercise("ex-reuse", CHAPTER, "code", ("line_widths",), inspect_reuse,
             "other problems of the task have as many lines, and as many wide ones"),
)
