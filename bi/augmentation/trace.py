"""A trace: the chain of thought as data, before it has words.

Three kinds of step exist. ``solve`` computes a quantity whose parents are all solved. ``reflect`` starts on a locked
quantity, notices the first parent that is not solved yet, and goes back. ``recall`` names a quantity again that a jump
has solved ahead of its turn. Behaviours of your own may add kinds (:mod:`bi.augmentation.behavior`); their steps speak
of a quantity that is solved already.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from bi.streams import below, draws
from bi.tasks.problem import Problem, Quantity


class Step(NamedTuple):  # made twice a line: a frozen dataclass takes three times as long
    """One line of the chain of thought.

    ``analysis``: the definition is restated before it is used. ``subgoal``: the arithmetic is expanded one binary
    operation at a time (only on formulas with two or more of them, where there is something to expand). ``phrase``:
    which of the wording's phrasings is used.
    """

    name: str
    kind: str = "solve"
    analysis: bool = False
    subgoal: bool = False
    phrase: int = 0


new_step = partial(tuple.__new__, Step)
"""A step out of a tuple of all its fields, in half the time."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Steps in written order; the last one is about the target, which is solved there or (with added kinds) before."""

    steps: tuple[Step, ...]


def first_unsolved(quantity: Quantity, solved: Container[str]) -> str | None:
    """The first parent, in written order, that is not solved yet; ``None`` when the quantity is unlocked."""
    return next((parent for parent in quantity.parents if parent not in solved), None)


def topological_order(problem: Problem, rng: random.Random, names: Iterable[str] | None = None) -> list[str]:
    """A random order of ``names`` (default: the needed quantities) in which parents come first.

    Each place is drawn uniformly from the unlocked ones. ``names`` must hold all parents of its members. The target is
    the only needed quantity without a needed child, so by default it comes last.
    """
    by_name, chosen = problem.by_name, sorted(problem.needed if names is None else names)
    missing: dict[str, int] = {}
    children: dict[str, list[str]] = {name: [] for name in chosen}
    order, unlocked = [], []
    for name in chosen:
        parents = by_name[name].parents
        for parent in parents:
            children[parent].append(name)
        if parents:
            missing[name] = len(parents)
        else:
            unlocked.append(name)
    while unlocked:
        name = unlocked.pop(below(rng, len(unlocked)))
        order.append(name)
        for child in children[name]:
            if missing[child] == 1:
                unlocked.append(child)
            else:
                missing[child] -= 1
    return order


def plain_trace(problem: Problem, rng: random.Random) -> Trace:
    """The vanilla chain of thought: every needed quantity once, in a random topological order, without behaviours."""
    return Trace(tuple([new_step((name, "solve", False, False, 0)) for name in topological_order(problem, rng)]))


def draw_phrases(trace: Trace, phrases: int, rng: random.Random) -> Trace:
    """``trace`` with one of ``phrases`` phrasings drawn for every step."""
    drawn = draws(rng, phrases, len(trace.steps))
    return Trace(tuple([new_step((name, kind, analysis, subgoal, phrase))
                        for (name, kind, analysis, subgoal, _), phrase in zip(trace.steps, drawn, strict=True)]))


def check_trace(trace: Trace, problem: Problem) -> None:
    """Raise ``ValueError`` that names the first illegal step, or the target if the trace does not end there."""
    solved: set[str] = set()
    for index, step in enumerate(trace.steps):
        fault = _fault(step, problem, solved)
        if fault:
            raise ValueError(f"step {index + 1} ({step.kind} {step.name!r}): {fault}")
        if step.kind == "solve":
            solved.add(step.name)
    if not trace.steps or trace.steps[-1].name != problem.target or problem.target not in solved:
        raise ValueError(f"the trace does not end with the target {problem.target!r}")


def _fault(step: Step, problem: Problem, solved: set[str]) -> str | None:
    quantity = problem.by_name.get(step.name)
    if quantity is None:
        return "the problem has no such quantity"
    missing = first_unsolved(quantity, solved)
    if step.kind == "solve" and missing:
        return f"its parent {missing!r} is not solved yet"
    if step.kind == "reflect" and not missing:
        return "a reflection needs a locked quantity, and this one is unlocked"
    if step.kind not in ("solve", "reflect") and step.name not in solved:
        return f"a {step.kind} needs a solved quantity"
    return None


def solved_before(trace: Trace, problem: Problem) -> Iterator[tuple[Step, dict[str, int]]]:
    """Each step with the values that are known before it (the same growing dictionary every time)."""
    values: dict[str, int] = {}
    for step in trace.steps:
        yield step, values
        if step.kind == "solve":
            values[step.name] = problem.by_name[step.name].value
