"""What a behaviour is: an object that puts itself into a trace, takes itself out again, and can be counted.

The three of the paper stand in :mod:`bi.augmentation.behaviors`. A behaviour of your own is a subclass of
:class:`Behavior` if it marks steps that are there, and of :class:`AddedBehavior` if it writes lines of its own;
:mod:`bi.augmentation.verification` is a worked example of the second kind.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from bi.augmentation.reading import Line
from bi.augmentation.trace import Step, Trace
from bi.tasks.problem import Problem


class Behavior(ABC):
    """A way of thinking that can be injected: a pure function on traces, its inverse, and what tells it.

    For every legal trace ``strip(inject(trace, problem, rng), problem) == trace`` up to the choice of phrases, and
    ``in_step`` of the steps of a trace agrees with ``in_line`` of the lines of its text, so that counts of the trace
    are what a reader of the text finds. The question and the answer never change.
    """

    name: ClassVar[str]

    @abstractmethod
    def inject(self, trace: Trace, problem: Problem, rng: random.Random) -> Trace:
        """``trace`` with this behaviour, at places drawn from ``rng``."""

    @abstractmethod
    def strip(self, trace: Trace, problem: Problem) -> Trace:
        """``trace`` without this behaviour, whoever put it there."""

    @abstractmethod
    def in_step(self, step: Step) -> bool:
        """Whether ``step`` holds it."""

    @abstractmethod
    def in_line(self, line: Line) -> bool:
        """Whether ``line``, as it was read from a text, holds it (right or wrong)."""


class AddedBehavior(Behavior):
    """A behaviour with lines of its own: steps of a new ``kind`` that speak of a quantity solved already.

    The wordings know nothing of them: :meth:`claim` writes such a line, and :meth:`read` and :meth:`error` read and
    judge it. Extend a wording by :func:`bi.augmentation.wording.extend`.
    """

    kind: ClassVar[str]

    def strip(self, trace: Trace, problem: Problem) -> Trace:
        """``trace`` without the steps of this kind."""
        return Trace(tuple(step for step in trace.steps if step.kind != self.kind))

    def in_step(self, step: Step) -> bool:
        """Whether ``step`` is of this kind."""
        return step.kind == self.kind

    def in_line(self, line: Line) -> bool:
        """Whether ``line`` was read as this kind."""
        return line.kind == self.kind

    @abstractmethod
    def claim(self, step: Step, problem: Problem, values: Mapping[str, int], wording: str) -> str:
        """The text of ``step``, without bullet or full stop, in the wording called ``wording``."""

    @abstractmethod
    def read(self, claim: str, wording: str) -> Line | None:
        """Inverse of :meth:`claim`, or ``None`` for text that is none; never raises, linear in the length."""

    @abstractmethod
    def error(self, line: Line, problem: Problem, solved: Mapping[str, int]) -> str | None:
        """What is wrong with ``line``, one of :data:`bi.augmentation.verdict.ERRORS`, or ``None``; never raises."""


def inject_all(behaviors: Iterable[Behavior], trace: Trace, problem: Problem, rng: random.Random) -> Trace:
    """``trace`` with each of ``behaviors``, in this order.

    Every behaviour draws from a stream of its own, so a behaviour that is put behind the others, or injected at rate 0,
    leaves the places of the others as they were.
    """
    for behavior in behaviors:
        trace = behavior.inject(trace, problem, random.Random(rng.getrandbits(64)))
    return trace


def strip_all(behaviors: Sequence[Behavior], trace: Trace, problem: Problem) -> Trace:
    """The inverse of :func:`inject_all`: each behaviour is taken out, the last one first, and phrases go back to 0."""
    for behavior in reversed(behaviors):
        trace = behavior.strip(trace, problem)
    return Trace(tuple(step._replace(phrase=0) if step.phrase else step for step in trace.steps))


def count_steps(behaviors: Iterable[Behavior], trace: Trace) -> dict[str, int]:
    """How many steps of ``trace`` hold each behaviour, by its name."""
    return {behavior.name: sum([behavior.in_step(step) for step in trace.steps]) for behavior in behaviors}


def count_lines(behaviors: Iterable[Behavior], lines: Iterable[Line]) -> dict[str, int]:
    """How many ``lines`` of a text hold each behaviour, by its name."""
    found = tuple(lines)
    return {behavior.name: sum(map(behavior.in_line, found)) for behavior in behaviors}
