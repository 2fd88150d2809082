"""Wordings: how problems and traces become text, and how text is read back.

A wording draws nothing: the same problem and trace always give the same text, and reading inverts writing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from bi.augmentation.anatomy import Anatomy, dissect
from bi.augmentation.behavior import AddedBehavior, Behavior, count_lines
from bi.augmentation.behaviors import PAPER
from bi.augmentation.reading import Line, Reading, has_subgoal
from bi.augmentation.trace import Step, Trace, solved_before
from bi.augmentation.verdict import LineCheck, StepVerdict, Verdict, judge, judged_steps
from bi.tasks.problem import Problem


class Wording(ABC):
    """What a wording must provide; the methods without ``abstractmethod`` are common to all of them."""

    name: str
    phrases: int
    added: Mapping[str, LineCheck] = {}
    """What judges lines of added kinds, by kind."""

    @property
    def behaviors(self) -> tuple[Behavior, ...]:
        """The behaviours that this wording can write and read."""
        return PAPER

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

    def frame(self, claim: str) -> str:
        """The line that holds ``claim``: what :attr:`bi.augmentation.reading.Line.claim` is taken from."""
        return f"- {claim}"

    def lines(self, trace: Trace, problem: Problem) -> list[str]:
        """The chain of thought as text, one line a step."""
        symbols: dict[str, str] = {}
        return [self.line(step, problem, values, symbols) for step, values in solved_before(trace, problem)]

    def completion(self, trace: Trace, problem: Problem) -> str:
        """The chain of thought and the answer as text."""
        return self.wrap(self.lines(trace, problem), problem)

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

    def compared(self, completion: str, problem: Problem) -> tuple[Reading, Problem]:
        """What verdicts compare: the completion as it was read, and the problem with values as this wording writes
        them (exact, unless a wording rounds)."""
        return self.read(completion), problem

    def verdict(self, completion: str, problem: Problem) -> Verdict:
        """The strict verdict on any text; never raises."""
        return judge(*self.compared(completion, problem), self.added)

    def steps(self, completion: str, problem: Problem) -> list[StepVerdict]:
        """Every line of any text with its own verdict; never raises."""
        return list(judged_steps(*self.compared(completion, problem), self.added))

    def anatomy(self, completion: str, problem: Problem) -> Anatomy | None:
        """The first error of any text, taken apart; ``None`` if all of it is right; never raises."""
        return dissect(*self.compared(completion, problem), self.added)

    def counts(self, completion: str) -> dict[str, int]:
        """How often a reader of the text finds each of :attr:`behaviors`, right or wrong."""
        return count_lines(self.behaviors, self.read(completion).lines)


class ExtendedWording(Wording):
    """A wording that also writes and reads the lines of added behaviours; all else is the wording below it."""

    def __init__(self, base: Wording, behaviors: tuple[AddedBehavior, ...]) -> None:
        self.base, self._added = base, {behavior.kind: behavior for behavior in behaviors}
        if len(self._added) < len(behaviors) or {"solve", "reflect", "recall", "unreadable"} & self._added.keys():
            raise ValueError(f"kinds {[behavior.kind for behavior in behaviors]}: each added kind needs a name of its "
                             "own, other than solve, reflect, recall and unreadable")  # fmt: skip
        self.name = "+".join((base.name, *(behavior.name for behavior in behaviors)))
        self.phrases = base.phrases
        self.added = {**base.added, **{kind: behavior.error for kind, behavior in self._added.items()}}

    @property
    def behaviors(self) -> tuple[Behavior, ...]:
        """Those of the wording below, and the added ones."""
        return (*self.base.behaviors, *self._added.values())

    def prompt(self, problem: Problem) -> str:
        """The question as the wording below words it."""
        return self.base.prompt(problem)

    def read_problem(self, prompt: str) -> Problem:
        """Inverse of :meth:`prompt`; raises ``ValueError`` that quotes what cannot be read."""
        return self.base.read_problem(prompt)

    def frame(self, claim: str) -> str:
        """A line as the wording below frames it."""
        return self.base.frame(claim)

    def line(self, step: Step, problem: Problem, values: Mapping[str, int], symbols: dict[str, str]) -> str:
        """One step as text; steps of added kinds are worded by their behaviour."""
        behavior = self._added.get(step.kind)
        if behavior is None:
            return self.base.line(step, problem, values, symbols)
        return self.base.frame(behavior.claim(step, problem, values, self.base.name))

    def wrap(self, lines: list[str], problem: Problem) -> str:
        """The completion that holds ``lines`` and states the answer."""
        return self.base.wrap(lines, problem)

    def read(self, completion: str) -> Reading:
        """What the wording below reads; the added behaviours are shown the lines that it cannot read."""
        return self._extended(self.base.read(completion))

    def compared(self, completion: str, problem: Problem) -> tuple[Reading, Problem]:
        """What the wording below compares, with the lines of the added behaviours."""
        reading, compared = self.base.compared(completion, problem)
        return self._extended(reading), compared

    def _extended(self, reading: Reading) -> Reading:
        return replace(reading, lines=tuple(map(self._read_line, reading.lines)))

    def _read_line(self, line: Line) -> Line:
        if line.kind != "unreadable":
            return line
        found = (behavior.read(line.claim, self.base.name) for behavior in self._added.values())
        return next((read for read in found if read is not None), line)


def extend(wording: Wording, *behaviors: AddedBehavior) -> Wording:
    """``wording`` with the lines of ``behaviors`` as well; raises ``ValueError`` for kinds that clash."""
    return ExtendedWording(wording, behaviors) if behaviors else wording


WORDINGS = ("compact", "english", "english_plural", "dyval", "dyval_compact")


@cache
def get_wording(name: str) -> Wording:
    """The wording called ``name``, such as ``english``, or ``english+verification`` with a registered behaviour.

    Raises ``ValueError`` that lists the known ones.
    """
    if "+" in name:
        return _extended(*name.split("+"))
    if name == "compact":
        from bi.augmentation.compact import CompactWording

        return CompactWording()
    if name == "english":
        from bi.augmentation.english import EnglishWording

        return EnglishWording()
    if name == "dyval":
        from bi.augmentation.dyval import DyvalWording

        return DyvalWording()
    if name == "dyval_compact":
        from bi.augmentation.dyval_compact import DyvalCompactWording

        return DyvalCompactWording()
    if name == "english_plural":
        from bi.augmentation.plural import PluralWording

        return PluralWording()
    raise ValueError(f"unknown wording {name!r}; choose one of {', '.join(WORDINGS)}")


_REGISTERED: dict[str, AddedBehavior] = {}


def register(behavior: AddedBehavior) -> None:
    """Make ``WORDING+NAME`` known to :func:`get_wording` in this process, for every wording there is.

    The wordings themselves stay as they are, so nothing that was written without it reads differently. Raises
    ``ValueError`` when another behaviour has that name already.
    """
    if _REGISTERED.setdefault(behavior.name, behavior) != behavior:
        raise ValueError(f"a behaviour named {behavior.name!r} is registered already; give yours another name")


def _extended(base: str, *names: str) -> Wording:
    unknown = [name for name in names if name not in _REGISTERED]
    if unknown:
        raise ValueError(f"unknown behaviour {unknown[0]!r} behind + in a wording; registered are: "
                         f"{', '.join(_REGISTERED) or 'none'}")
    return extend(get_wording(base), *(_REGISTERED[name] for name in names))
