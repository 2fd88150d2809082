"""Solutions of the chapter on the two kinds of behaviour, run by the tests and shown folded in the book."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from bi.augmentation.behavior import AddedBehavior, Behavior
from bi.augmentation.contract import check_behavior
from bi.augmentation.english import FORMS
from bi.augmentation.reading import Line
from bi.augmentation.template import Template
from bi.augmentation.trace import Step, Trace
from bi.augmentation.wording import get_wording
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.problem import Problem

PHRASES = (
    "So far, {quantity} comes to {value}.",
    "Keep in mind that {quantity} is {value}.",
    "Let us note that {quantity} equals {value}.",
    "We have got as far as {quantity}, namely {value}.",
    "To sum up, {quantity} turned out to be {value}.",
    "Our latest result: {quantity} is {value}.",
)


@dataclass(frozen=True)
class InterimResult(AddedBehavior):
    """Behind every ``every``-th step, say its result once more in words (English wording)."""

    every: int = 3
    name: ClassVar[str] = "interim"
    kind: ClassVar[str] = "interim"

    def inject(self, trace: Trace, problem: Problem, rng: random.Random) -> Trace:
        """Nothing is drawn: the places follow from the number of the step."""
        steps: list[Step] = []
        for number, step in enumerate(trace.steps, start=1):
            steps.append(step)
            if step.kind == "solve" and number % self.every == 0 and number < len(trace.steps):
                steps.append(Step(step.name, self.kind))
        return Trace(tuple(steps))

    def claim(self, step: Step, problem: Problem, values: Mapping[str, int], wording: str) -> str:
        """Six phrases, as for all other kinds of line."""
        fields = {"quantity": f"the number of each {step.name}", "value": values[step.name]}
        return PHRASES[step.phrase].format(**fields)

    def read(self, claim: str, wording: str) -> Line | None:
        """Inverse of ``claim``."""
        for phrase, text in enumerate(PHRASES):
            found = Template(text, FORMS).match(claim)
            if found is not None:
                return Line(self.kind, claim, found["quantity"], result=int(found["value"]), phrase=phrase)
        return None

    def error(self, line: Line, problem: Problem, solved: Mapping[str, int]) -> str | None:
        """Right if it repeats a value that has been found."""
        if line.name not in problem.by_name:
            return "unknown"
        return None if solved.get(line.name) == line.result else "lookup"


def promises_kept(behavior: Behavior) -> int:
    """How often ``behavior`` was injected into sixty problems; raises at the first promise that does not hold."""
    problems = [generate(IGSMConfig(3, 10), stream("exercise", index)) for index in range(60)]
    return check_behavior(behavior, problems, get_wording("english"))


def expected_reflections(locked: list[float], rate: float) -> float:
    """Expected number of reflections in a trace.

    ``locked[i]`` is the probability that an attempt before step i + 1 (of the steps between the first and the last)
    lands on a locked quantity.
    """
    return rate * sum(locked)


def chance_of_none(locked: list[float], rate: float) -> float:
    """Chance that a trace holds no reflection, if the attempts are independent."""
    chance = 1.0
    for share in locked:
        chance *= 1.0 - rate * share
    return chance
