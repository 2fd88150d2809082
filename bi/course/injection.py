"""Checkers on injected behaviours (chapter on the two kinds of behaviour)."""

from __future__ import annotations

from itertools import product
from typing import Any

from bi.augmentation.behavior import AddedBehavior
from bi.augmentation.contract import check_behavior
from bi.augmentation.trace import Step, Trace, plain_trace
from bi.augmentation.verdict import ERRORS
from bi.augmentation.wording import get_wording
from bi.course.exercise import Attempt, Exercise, agree, expect, instances
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.problem import Problem

PHRASES = 6
EVERY = 3
SUBTRACTED = "you subtract the expected number; that is right only while two reflections are impossible"


def inspect_none(expected: Attempt, none: Attempt) -> None:
    """Both numbers against listing which of the attempts turn back."""
    agree(expected.number([0.5, 1.0], 0.0), 0, "at rate 0 nothing is attempted, so no reflection is expected")
    agree(none.number([0.5, 1.0], 0.0), 1, "at rate 0 a trace never holds a reflection, so the chance of none is 1",
          (0, "you give the chance of at least one"))
    agree(none.number([1.0, 1.0], 1.0), 0, "at rate 1, with everything locked, some reflection is certain",
          (1, "you give the chance of at least one"), (-1, SUBTRACTED))
    agree(expected.number([], 0.3), 0, "a trace of two steps has no place for an attempt")
    agree(none.number([], 0.3), 1, "a trace of two steps has no place for an attempt")
    rng = instances("ex-none")
    for length in (1, 2, 3, 5):
        locked, rate = rng.uniform(0.2, 0.9, size=length).tolist(), float(rng.uniform(0.1, 0.9))
        shown = f"locked = {[round(share, 3) for share in locked]}, rate = {rate:.3f}"
        mean, chance = _listed_reflections(locked, rate)
        agree(expected.number(locked, rate), mean, shown,
              (rate * length, "you count every attempt; only those that land on a locked quantity turn back"),
              (sum(locked), "nothing is attempted where the coin says no: the rate is missing"))
        agree(none.number(locked, rate), chance, shown,
              ((1 - rate) ** length, "you ask that nothing is attempted; an attempt that lands on an unlocked quantity "
               "is no reflection either"),
              (1 - chance, "you give the chance of at least one"),
              (max(0, 1 - mean), SUBTRACTED))


def inspect_interim(behavior_class: Attempt) -> None:
    """The contract of a behaviour, then what this one is asked for: its places, its phrases, its mistakes."""
    name = behavior_class.name
    expect(isinstance(behavior_class.function, type) and issubclass(behavior_class.function, AddedBehavior),
           f"`{name}` should be a class that inherits from AddedBehavior")
    problems = [generate(IGSMConfig(3, 10), stream("course", "ex-own", index)) for index in range(24)]
    behavior = behavior_class()
    behavior_class.guard(lambda: check_behavior(behavior, problems, get_wording("english")),
                         lambda: "a promise does not hold: `check_behavior`")
    for problem in problems:
        plain = plain_trace(problem, stream("course", "ex-own", problem.key()))
        told = behavior_class.guard(lambda plain=plain, problem=problem: behavior.inject(
            plain, problem, stream("course", "ex-own", "inject")), lambda: "inject")
        _inspect_places(behavior, plain, told)
    _inspect_lines(behavior_class, behavior, problems[0])


def _inspect_places(behavior: AddedBehavior, plain: Trace, told: Trace) -> None:
    """An own step behind steps 3, 6, ..., about the step before it; behind the last step it may stand or not."""
    steps = len(plain.steps)
    wanted = list(range(EVERY, steps + 1, EVERY))
    solved, found = 0, []
    for before, step in zip((None, *told.steps), told.steps, strict=False):
        if not behavior.in_step(step):
            solved += 1
            continue
        found.append(solved)
        expect(before is not None and step.name == before.name, f"behind step {solved} stands a line about "
               f"{step.name!r}; the last result is that of {before.name if before else 'no step'!r}")
    optional = [at for at in wanted if at < steps]
    expect(found in (wanted, optional), f"a trace of {steps} steps should hold it behind the steps {_told(optional)}; "
           f"yours holds it behind {_told(found)}")


def _told(places: list[int]) -> str:
    return " and ".join(map(str, places)) or "none"


def _inspect_lines(behavior_class: Attempt, behavior: AddedBehavior, problem: Problem) -> None:
    """Six different sentences; a line is wrong if it repeats another value, or one that nobody has found."""
    name, value = problem.target, problem.answer
    values = {quantity.name: quantity.value for quantity in problem.quantities}

    def run(action: Any, what: str) -> Any:
        return behavior_class.guard(action, lambda: what)

    claims = [run(lambda i=i: behavior.claim(Step(name, behavior.kind, phrase=i), problem, values, "english"),
                  f"claim with phrase {i}") for i in range(PHRASES)]
    expect(len(set(claims)) == PHRASES, f"six phrases are asked for; the phrases 0 to 5 give {len(set(claims))} "
           "different sentences")
    for claim in claims:
        line = run(lambda claim=claim: behavior.read(claim, "english"), "read")
        expect(line is not None, f"read does not recognise its own sentence {claim!r}")
        cases = (({name: value}, None, "repeats the value that was found, and is judged wrong"),
                 ({name: value + 1}, "wrong", "repeats another value than was found, and is judged right"),
                 ({}, "wrong", "repeats a value that nobody has found yet, and is judged right"))
        for solved, wanted, words in cases:
            said = run(lambda line=line, solved=solved: behavior.error(line, problem, solved), "error")
            expect((said is None) == (wanted is None), f"a line that {words}: {claim!r}")
            expect(said is None or said in ERRORS, f"error returned {said!r}; choose one of {', '.join(ERRORS)}")
    expect(run(lambda: behavior.read("This is no such sentence", "english"), "read") is None,
           "read recognises a sentence that is none of yours; it should return None")


def _listed_reflections(locked: list[float], rate: float) -> tuple[float, float]:
    """Expected number and chance of none, over all patterns of attempts that turn back or do not."""
    mean = chance = 0.0
    for pattern in product((0, 1), repeat=len(locked)):
        weight = 1.0
        for turned, share in zip(pattern, locked, strict=True):
            weight *= rate * share if turned else 1 - rate * share
        mean += weight * sum(pattern)
        chance += weight * (not any(pattern))
    return mean, chance


CHAPTER = "notebooks/two_kinds"
EXERCISES = (
    Exercise("ex-none", CHAPTER, "pencil", ("expected_reflections", "chance_of_none"), inspect_none,
             "listing which attempts turn back gives the same numbers"),
    Exercise("ex-own", CHAPTER, "code", ("InterimResult",), inspect_interim,
             "the contract holds on two dozen problems, and places, phrases and mistakes are as asked",
             ("promises_kept",)),
)
