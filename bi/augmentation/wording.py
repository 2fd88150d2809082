"""Wordings: how problems and traces become text, and how text is read back.

A wording draws nothing: the same problem and trace always give the same text, and reading inverts writing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache

from bi.augmentation.trace import Step, Trace, solved_before
from bi.augmentation.verdict import Reading, Verdict, has_subgoal, judge
from bi.tasks.problem import Problem


class Wording(ABC):
    """What a wording must provide; the methods without ``abstractmethod`` are common to all of them."""

    name: str
    phrases: int

    @abstractmethod
    def prompt(self, problem: Problem) -> str:
        """The question as text."""

    @abstractmethod
    def read_problem(self, prompt: str) -> Problem:
        """Inverse of :meth:`prompt`; raises ``ValueError`` that quotes what cannot be read."""

    @abstractmethod
    def line(self, step: Step, problem: Problem, values: Mapping[str, int], symbols: dict[str, str]) -> str:
        """One step as text, given the values solved before it.

        ``symbols`` holds the short names given so far; a wording that gives such names adds to it.
        """

    @abstractmethod
    def wrap(self, lines: list[str], problem: Problem) -> str:
        """The completion that holds ``lines`` and states the answer."""

    @abstractmethod
    def read(self, completion: str) -> Reading:
        """What ``completion`` says, without judging it; never raises."""

    def completion(self, trace: Trace, problem: Problem) -> str:
        """The chain of thought and the answer as text."""
        symbols: dict[str, str] = {}
        lines = [self.line(step, problem, values, symbols) for step, values in solved_before(trace, problem)]
        return self.wrap(lines, problem)

    def read_trace(self, completion: str, problem: Problem) -> Trace:
        """Inverse of :meth:`completion`; raises ``ValueError`` for text that no trace of ``problem`` gives."""
        steps = []
        for index, line in enumerate(self.read(completion).lines):
            if line.kind == "unreadable":
                raise ValueError(f"cannot read line {index + 1} of the chain of thought: {line.claim[:80]!r}")
            steps.append(Step(line.name, line.kind, line.restated is not None, has_subgoal(line), line.phrase))
        trace = Trace(tuple(steps))
        unknown = [step.name for step in steps if step.name not in problem.by_name]
        if unknown or self.completion(trace, problem) != completion:
            raise ValueError(
                "the chain of thought does not follow from the problem" + (f" ({unknown[0]!r})" if unknown else "")
            )
        return trace

    def verdict(self, completion: str, problem: Problem) -> Verdict:
        """The strict verdict on any text; never raises."""
        return judge(self.read(completion), problem)


WORDINGS = ("compact", "english", "english_plural")


@cache
def get_wording(name: str) -> Wording:
    """The wording called ``name``; raises ``ValueError`` that lists the known ones."""
    if name == "compact":
        from bi.augmentation.compact import CompactWording

        return CompactWording()
    if name == "english":
        from bi.augmentation.english import EnglishWording

        return EnglishWording()
    if name == "english_plural":
        from bi.augmentation.plural import PluralWording

        return PluralWording()
    raise ValueError(f"unknown wording {name!r}; choose one of {', '.join(WORDINGS)}")
