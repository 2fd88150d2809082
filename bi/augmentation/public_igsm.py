"""The authors' public iGSM rows: ``question``, ``response``, ``n_ops``, ``answer``, ``style``, read and written.

The question has the form that :class:`bi.augmentation.english.EnglishWording` reads and writes, given the vocabulary.
Of a chain of thought in foreign phrases only what every phrasing must hold is used: which quantity a bullet is about,
its short name, the computation, or that there is none because a parent is unknown. What is read is checked against the
problem, so a row that cannot be trusted is refused with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bi.augmentation.english import EnglishWording
from bi.augmentation.trace import Step, Trace, check_trace
from bi.tasks.expression import binary_operations
from bi.tasks.problem import Problem

STYLES = ("plain", "injected")
_CHAIN = re.compile(r"(?:^|[^\w'])(?P<symbol>[A-Za-z]{1,2}) = (?P<parts>[^.]+)\.\s*\Z")
_NAMED = re.compile(r"[Tt]he number of each ")
_SYMBOL = re.compile(r"[A-Za-z]{1,2}")
_ANALYSIS = re.compile(r" equals? | according to ", re.I)


@dataclass(frozen=True, slots=True)
class PublicRow:
    """A row as data. The trace has no phrases of ours (``phrase`` is 0 in every step)."""

    problem: Problem
    trace: Trace


def read_public_row(row: Mapping[str, Any], wording: EnglishWording) -> PublicRow:
    """The problem and the trace of ``row``; the stated answer and, if there, ``n_ops`` must be the problem's own.

    Raises ``ValueError`` with the reason for a row that cannot be read or contradicts itself.
    """
    problem = wording.read_problem(row["question"])
    for column, true in (("answer", problem.answer), ("n_ops", problem.n_ops)):
        if column in row and row[column] != true:
            raise ValueError(f"the row says {column} {row[column]!r}, but its question gives {true}")
    return PublicRow(problem, read_public_trace(row["response"], problem))


def read_public_trace(response: str, problem: Problem) -> Trace:
    """The trace that the bullets of ``response`` follow; raises ``ValueError`` that quotes the first faulty bullet.

    Each computation must use exactly the parents of its quantity and end in its value.
    """
    names = sorted(problem.by_name, key=len, reverse=True)
    symbols: dict[str, str] = {}
    solved: set[str] = set()
    steps = []
    for bullet in (line[2:] for line in response.split("</think>")[0].split("\n") if line.startswith("- ")):
        step = _read_bullet(bullet, problem, names, symbols, solved)
        if step.kind == "solve":
            solved.add(step.name)
        steps.append(step)
    trace = Trace(tuple(steps))
    check_trace(trace, problem)
    return trace


def _read_bullet(
    bullet: str, problem: Problem, names: list[str], symbols: dict[str, str], solved: set[str]
) -> Step:
    """One step; ``symbols`` maps short names to quantities and grows."""
    told = _NAMED.search(bullet)
    name = next((name for name in names if told and bullet.startswith(name, told.end())), None)
    if name is None:
        raise ValueError(f"no quantity of the question in {bullet[:120]!r}")
    quantity = problem.by_name[name]
    chain = _CHAIN.search(bullet)
    before = bullet[: chain.start()] if chain else bullet
    analysis = quantity.stated and _ANALYSIS.search(before) is not None
    if chain is None:
        return Step(name, "reflect", analysis)
    symbol, parts = chain["symbol"], chain["parts"].split(" = ")
    if symbols.setdefault(symbol, name) != name:
        raise ValueError(f"{symbol!r} already stands for another quantity: {bullet[:120]!r}")
    used = {symbols.get(word, "?") for word in _SYMBOL.findall(parts[0])}
    if parts[-1] != str(quantity.value) or (used and used != set(quantity.parents)):
        raise ValueError(f"the computation of {name!r} is not the question's: {bullet[-120:]!r}")
    wide = binary_operations(quantity.formula) > 1
    # formula, numbers and result are the plain form; whatever stands between the last two is a subgoal
    return Step(name, "recall" if name in solved else "solve", analysis, wide and len(parts) > 3)


def public_row(problem: Problem, trace: Trace, wording: EnglishWording) -> dict[str, Any]:
    """``problem`` and ``trace`` as a row with the public columns; the chain of thought is in our own phrases."""
    behaves = any(step.kind != "solve" or step.analysis or step.subgoal for step in trace.steps)
    return {
        "question": wording.prompt(problem),
        "response": wording.completion(trace, problem),
        "n_ops": problem.n_ops,
        "answer": problem.answer,
        "style": STYLES[behaves],
    }
