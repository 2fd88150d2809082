"""The anatomy of a failure: what the first error of a completion was about, and how hard the failing step is.

Errors (:data:`bi.augmentation.verdict.ERRORS`) are grouped by what would repair them: subgoals repair arithmetic,
information analysis repairs look-ups, reflection repairs order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bi.augmentation.reading import Line, Reading
from bi.augmentation.trace import first_unsolved
from bi.augmentation.verdict import ERRORS, LineCheck, judged_lines
from bi.tasks.expression import Expr, Op
from bi.tasks.problem import Problem

KINDS = {
    "arithmetic": ("arithmetic",),
    "look-up": ("lookup", "formula", "unknown"),
    "order": ("locked", "reflection", "unfinished"),
    "format": ("unreadable", "answer"),
}
"""Kinds by the errors that they hold. Look-up: a wrong value, a wrong or an unheard-of definition. Order: a quantity
whose parents are not solved, a reflection that is none, an end before the target. Format: a line that cannot be read,
an answer that is not the target's value."""
KIND_OF = {error: kind for kind, errors in KINDS.items() for error in errors}
assert set(KIND_OF) == set(ERRORS)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The first error of a completion.

    ``error``: one of :data:`bi.augmentation.verdict.ERRORS`; ``kind``: its kind (:data:`KINDS`). ``line``:
    which line fails, from 1; 0 where no single line does. ``name``: its quantity, empty where there is none of that
    name. ``operands``: numbers that the true formula of that quantity combines. ``parents``: how many quantities it
    needs. ``missing``: for a locked step, the first parent without a value. ``solved``: quantities that were right
    before.
    """

    error: str
    kind: str
    line: int = 0
    name: str = ""
    operands: int = 0
    parents: int = 0
    missing: str = ""
    solved: int = 0


def dissect(reading: Reading, problem: Problem, added: Mapping[str, LineCheck] | None = None) -> Anatomy | None:
    """The first error of ``reading``, or ``None`` if all of it is right; agrees with the verdict's ``first_error``."""
    solved: set[str] = set()
    for number, (line, error) in enumerate(judged_lines(reading, problem, added), start=1):
        if error is not None:
            return _failing(line, error, number, problem, solved)
        if line.kind == "solve":
            solved.add(line.name)
    if problem.target not in solved:
        return _anatomy("unfinished", solved=len(solved))
    if reading.answer == problem.answer and reading.format:
        return None
    return _anatomy("answer", name=problem.target, solved=len(solved))


def _failing(line: Line, error: str, number: int, problem: Problem, solved: set[str]) -> Anatomy:
    quantity = problem.by_name.get(line.name)
    if quantity is None:
        return _anatomy(error, line=number, solved=len(solved))
    missing = first_unsolved(quantity, solved) or "" if error == "locked" else ""
    operands = sum(1 for _ in _leaves(quantity.formula))
    return _anatomy(error, line=number, name=line.name, operands=operands, parents=len(quantity.parents),
                    missing=missing, solved=len(solved))  # fmt: skip


def _anatomy(error: str, **facts: Any) -> Anatomy:
    return Anatomy(error, KIND_OF[error], **facts)


def _leaves(expr: Expr) -> Iterator[Expr]:
    if isinstance(expr, Op):
        for arg in expr.args:
            yield from _leaves(arg)
    else:
        yield expr
