"""The three behaviours of the paper, as pure functions on traces (paper, section on behaviour injection).

Reflection explores: it starts on a quantity that may be locked, notices an unknown parent, and goes back. Information
analysis and subgoal computation exploit: the first restates a definition before using it, the second expands the
arithmetic one binary operation at a time. The question, the answer and the number of rows never change.
"""

from __future__ import annotations

import random
from dataclasses import replace

from bi.augmentation.trace import Step, Trace, first_unsolved
from bi.recipes import BehaviorRates
from bi.tasks.expression import binary_operations
from bi.tasks.problem import Problem

BEHAVIORS = ("reflection", "analysis", "subgoal")


def inject(trace: Trace, problem: Problem, rates: BehaviorRates, rng: random.Random) -> Trace:
    """``trace`` with the three behaviours at ``rates``; ``strip`` takes them out again.

    Expects a plain trace. The draws of the three behaviours come from streams of their own, so switching one of them
    off leaves the places of the other two unchanged.
    """
    reflecting, analysing, expanding = (random.Random(rng.getrandbits(64)) for _ in range(3))
    steps = _reflect(trace, problem, rates, reflecting)
    steps = [_restate(step, problem, rates, analysing) for step in steps]
    return Trace(tuple(_expand(step, problem, rates, expanding) for step in steps))


def _reflect(trace: Trace, problem: Problem, rates: BehaviorRates, rng: random.Random) -> list[Step]:
    """Insert jumps before steps: never before the first or the last one, and each quantity is tried once at most.

    A jump that lands on an unlocked quantity simply solves it (``rates.strict`` never lands there); when its own turn
    comes, the trace recalls it.
    """
    steps: list[Step] = []
    solved: set[str] = set()
    tried: set[str] = set()
    last = len(trace.steps) - 1
    for index, step in enumerate(trace.steps):
        if 0 < index < last and rng.random() < rates.reflection:
            name = _landing(trace, index, problem, rates, solved, tried, rng)
            if name is not None:
                tried.add(name)
                locked = first_unsolved(problem.by_name[name], solved) is not None
                steps.append(Step(name, "reflect" if locked else "solve"))
                if not locked:
                    solved.add(name)
        steps.append(replace(step, kind="recall") if step.name in solved else step)
        solved.add(step.name)
    return steps


def _landing(
    trace: Trace,
    index: int,
    problem: Problem,
    rates: BehaviorRates,
    solved: set[str],
    tried: set[str],
    rng: random.Random,
) -> str | None:
    """The quantity that a jump before step ``index`` attempts: a redundant one, or one whose turn comes later."""
    later = [step.name for step in trace.steps[index + 1 :]]
    pools = [list(problem.redundant), later]
    if rng.random() >= rates.redundant:
        pools.reverse()
    for pool in pools:
        allowed = [
            name
            for name in pool
            if name not in solved
            and name not in tried
            and not (rates.strict and first_unsolved(problem.by_name[name], solved) is None)
        ]
        if allowed:
            return rng.choice(allowed)
    return None


def _restate(step: Step, problem: Problem, rates: BehaviorRates, rng: random.Random) -> Step:
    """Information analysis: only of definitions that the question states, more often with more parents."""
    draw = rng.random()
    quantity = problem.by_name[step.name]
    level = rates.analysis[min(len(quantity.parents), len(rates.analysis) - 1)]
    return replace(step, analysis=step.kind != "recall" and quantity.stated and draw < level)


def _expand(step: Step, problem: Problem, rates: BehaviorRates, rng: random.Random) -> Step:
    """Subgoal computation, where there are at least two binary operations to expand."""
    draw = rng.random()
    wide = binary_operations(problem.by_name[step.name].formula) >= 2
    return replace(step, subgoal=step.kind == "solve" and wide and draw < rates.subgoal)


def strip(trace: Trace, problem: Problem) -> Trace:
    """The plain trace below the behaviours: the inverse of :func:`inject` up to the choice of phrases.

    Reflections and detours to redundant quantities go; a quantity solved ahead of its turn returns to the place where
    the trace recalls it.
    """
    recalled = {step.name for step in trace.steps if step.kind == "recall"}
    steps = []
    for step in trace.steps:
        ahead = step.kind == "solve" and step.name in recalled
        if step.kind == "reflect" or ahead or step.name not in problem.needed:
            continue
        steps.append(Step(step.name))
    return Trace(tuple(steps))


def counts(trace: Trace) -> dict[str, int]:
    """How often each behaviour really occurs in ``trace``."""
    return {
        "reflection": sum(step.kind == "reflect" for step in trace.steps),
        "analysis": sum(step.analysis for step in trace.steps),
        "subgoal": sum(step.subgoal for step in trace.steps),
    }
