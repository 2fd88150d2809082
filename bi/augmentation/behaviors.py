"""The three behaviours of the paper, as pure functions on traces (paper, section on behaviour injection).

Reflection explores: it starts on a quantity that may be locked, notices an unknown parent, and goes back. Information
analysis and subgoal computation exploit: the first restates a definition before using it, the second expands the
arithmetic one binary operation at a time. The question, the answer and the number of rows never change.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from bi.augmentation.behavior import Behavior, count_steps, inject_all, strip_all
from bi.augmentation.reading import Line, has_subgoal
from bi.augmentation.trace import Step, Trace, first_unsolved, new_step
from bi.recipes import ANALYSIS_LEVELS, BehaviorRates
from bi.tasks.problem import Problem

BEHAVIORS = ("reflection", "analysis", "subgoal")


@dataclass(frozen=True)
class Reflection(Behavior):
    """Start on a quantity out of turn; if it is locked, say which parent is missing and go back.

    Before each step but the first and the last, with probability ``rate``, a quantity is attempted: with probability
    ``redundant`` one that the answer does not need, else one whose turn comes later. An attempt that lands on an
    unlocked quantity simply solves it, as in the released data, and its own turn only recalls it; ``strict`` never
    lands there.
    """

    rate: float = 0.1
    redundant: float = 0.3
    strict: bool = False
    name: ClassVar[str] = "reflection"

    def __post_init__(self) -> None:
        _check("reflection", self.rate)
        _check("redundant", self.redundant)

    def inject(self, trace: Trace, problem: Problem, rng: random.Random) -> Trace:
        """``trace`` with attempts before some of its steps; each quantity is attempted once at most."""
        steps: list[Step] = []
        solved: set[str] = set()
        tried: set[str] = set()
        last, draw = len(trace.steps) - 1, rng.random
        for index, step in enumerate(trace.steps):
            if 0 < index < last and draw() < self.rate:
                name = self._landing(trace.steps[index + 1 :], problem, solved, tried, rng)
                if name is not None:
                    tried.add(name)
                    locked = first_unsolved(problem.by_name[name], solved) is not None
                    steps.append(Step(name, "reflect" if locked else "solve"))
                    if not locked:
                        solved.add(name)
            steps.append(step._replace(kind="recall") if step.name in solved else step)
            solved.add(step.name)
        return Trace(tuple(steps))

    def _landing(
        self, later: tuple[Step, ...], problem: Problem, solved: set[str], tried: set[str], rng: random.Random
    ) -> str | None:
        """The quantity that is attempted, or ``None`` where there is none left."""
        pools = [list(problem.redundant), [step.name for step in later]]
        if rng.random() >= self.redundant:
            pools.reverse()
        for pool in pools:
            allowed = [
                name
                for name in pool
                if name not in solved
                and name not in tried
                and not (self.strict and first_unsolved(problem.by_name[name], solved) is None)
            ]
            if allowed:
                return rng.choice(allowed)
        return None

    def strip(self, trace: Trace, problem: Problem) -> Trace:
        """``trace`` without attempts: reflections and detours to redundant quantities go, and a quantity that was
        solved ahead of its turn returns to the place where the trace recalls it."""
        recalled = {step.name for step in trace.steps if step.kind == "recall"}
        steps = []
        for step in trace.steps:
            ahead = step.kind == "solve" and step.name in recalled
            if step.kind == "reflect" or ahead or step.name not in problem.needed:
                continue
            steps.append(step._replace(kind="solve") if step.kind == "recall" else step)
        return Trace(tuple(steps))

    def in_step(self, step: Step) -> bool:
        """Whether ``step`` turns back; an attempt that solved its quantity does not count."""
        return step.kind == "reflect"

    def in_line(self, line: Line) -> bool:
        """Whether ``line`` turns back."""
        return line.kind == "reflect"


@dataclass(frozen=True)
class Analysis(Behavior):
    """Information analysis: restate a definition of the question before it is used.

    ``rates``: its probability for 0, 1, 2, ... parents (the last entry covers all larger numbers); see
    :data:`bi.recipes.ANALYSIS_LEVELS`. Definitions that the question only implies are never restated.
    """

    rates: tuple[float, ...] = ANALYSIS_LEVELS[2]
    name: ClassVar[str] = "analysis"

    def __post_init__(self) -> None:
        if not self.rates:
            raise ValueError("analysis: no rates; give one for each number of parents, such as (0, .1, .4, .8, 1)")
        for rate in self.rates:
            _check("analysis", rate)

    def inject(self, trace: Trace, problem: Problem, rng: random.Random) -> Trace:
        """``trace`` with definitions restated in some steps."""
        steps, by_name, draw, most = [], problem.by_name, rng.random, len(self.rates) - 1
        for step in trace.steps:
            name, kind, analysis, subgoal, phrase = step
            quantity = by_name[name]
            drawn = draw() < self.rates[min(len(quantity.parents), most)]
            chosen = drawn and quantity.stated and kind in ("solve", "reflect")
            steps.append(step if analysis == chosen else new_step((name, kind, chosen, subgoal, phrase)))
        return Trace(tuple(steps))

    def strip(self, trace: Trace, problem: Problem) -> Trace:
        """``trace`` without restated definitions."""
        return Trace(tuple(step._replace(analysis=False) if step.analysis else step for step in trace.steps))

    def in_step(self, step: Step) -> bool:
        """Whether ``step`` restates its definition."""
        return step.analysis

    def in_line(self, line: Line) -> bool:
        """Whether ``line`` restates a definition."""
        return line.restated is not None


@dataclass(frozen=True)
class Subgoal(Behavior):
    """Subgoal computation: expand the arithmetic one binary operation at a time, with probability ``rate`` a step.

    Only where there are at least two operations; otherwise there is nothing to expand.
    """

    rate: float = 1.0
    name: ClassVar[str] = "subgoal"

    def __post_init__(self) -> None:
        _check("subgoal", self.rate)

    def inject(self, trace: Trace, problem: Problem, rng: random.Random) -> Trace:
        """``trace`` with the arithmetic of some steps expanded."""
        steps, by_name, draw = [], problem.by_name, rng.random
        for step in trace.steps:
            name, kind, analysis, subgoal, phrase = step
            chosen = draw() < self.rate and kind == "solve" and by_name[name].operations >= 2
            steps.append(step if subgoal == chosen else new_step((name, kind, analysis, chosen, phrase)))
        return Trace(tuple(steps))

    def strip(self, trace: Trace, problem: Problem) -> Trace:
        """``trace`` with every computation in one line."""
        return Trace(tuple(step._replace(subgoal=False) if step.subgoal else step for step in trace.steps))

    def in_step(self, step: Step) -> bool:
        """Whether ``step`` expands its arithmetic."""
        return step.subgoal

    def in_line(self, line: Line) -> bool:
        """Whether ``line`` writes an expression between the substituted formula and the result."""
        return has_subgoal(line)


def _check(field: str, rate: float) -> None:
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"{field} is {rate}; a rate is a probability, give 0 to 1")


PAPER = (Reflection(), Analysis(), Subgoal())
"""The three at the released rates, in the order in which they are injected."""


@lru_cache(maxsize=64)
def at_rates(rates: BehaviorRates) -> tuple[Behavior, ...]:
    """The three behaviours of the paper at ``rates``; raises ``ValueError`` for a rate that is no probability."""
    return (
        Reflection(rates.reflection, rates.redundant, rates.strict),
        Analysis(tuple(rates.analysis)),
        Subgoal(rates.subgoal),
    )


def inject(trace: Trace, problem: Problem, rates: BehaviorRates, rng: random.Random) -> Trace:
    """``trace``, a plain one, with the three behaviours at ``rates``; :func:`strip` takes them out again.

    Switching one of them off leaves the places of the other two unchanged (:func:`inject_all`).
    """
    return inject_all(at_rates(rates), trace, problem, rng)


def strip(trace: Trace, problem: Problem) -> Trace:
    """The plain trace below the three behaviours: the inverse of :func:`inject` up to the choice of phrases."""
    return strip_all(PAPER, trace, problem)


def counts(trace: Trace) -> dict[str, int]:
    """How often each behaviour really occurs in ``trace``."""
    return count_steps(PAPER, trace)
