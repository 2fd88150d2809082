"""Traces, behaviours and wordings: legal, invertible, and counted as they stand in the text."""

import dataclasses
import random

import pytest
from mutation_cases import mutated

from bi.augmentation.behaviors import counts, inject, strip
from bi.augmentation.trace import Step, Trace, check_trace, draw_phrases, plain_trace
from bi.augmentation.verdict import ERRORS
from bi.augmentation.wording import get_wording
from bi.recipes import BehaviorRates
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate

CONFIGS = {
    "compact": IGSMConfig(2, 8, modulus=23, compact=True, operands=(2, 2, 4, 4)),
    "english": IGSMConfig(2, 16),
}
RELEASED, STRICT = BehaviorRates(), BehaviorRates(reflection=0.3, strict=True)
CASES = 400


def cases(wording, rates=RELEASED, count=CASES):
    for index in range(count):
        rng = stream("traces", wording, index)
        problem = generate(CONFIGS[wording], rng)
        plain = plain_trace(problem, rng)
        yield problem, plain, draw_phrases(inject(plain, problem, rates, rng), get_wording(wording).phrases, rng)


@pytest.mark.parametrize("rates", [RELEASED, STRICT], ids=["released", "strict"])
@pytest.mark.parametrize("wording", CONFIGS)
def test_injection_is_legal_invertible_and_counted(wording, rates):
    voice = get_wording(wording)
    for problem, plain, injected in cases(wording, rates):
        check_trace(plain, problem)
        check_trace(injected, problem)
        assert strip(injected, problem) == plain
        prompt, text = voice.prompt(problem), voice.completion(injected, problem)
        assert voice.read_problem(prompt) == problem
        assert voice.read_trace(text, problem) == injected
        verdict = voice.verdict(text, problem)
        assert verdict.strict and verdict.answer and verdict.format and verdict.first_error is None
        assert counts(injected) == {name: getattr(verdict, f"n_{name}") for name in counts(injected)}


def test_released_rates_are_realised():
    reflections = chances = jumps = plain_jumps = analyses = wide = subgoals = 0
    for problem, plain, injected in cases("english", count=1500):
        chances += max(0, len(plain.steps) - 2)
        solved: dict[str, int] = {}
        for step in injected.steps:
            reflections += step.kind == "reflect"
            plain_jumps += step.kind == "solve" and (
                step.name not in problem.needed
                or any(s.kind == "recall" and s.name == step.name for s in injected.steps)
            )
            quantity = problem.by_name[step.name]
            if step.kind == "solve" and quantity.stated and len(quantity.parents) == 2:
                wide, analyses = wide + 1, analyses + step.analysis
            subgoals += step.subgoal
            solved[step.name] = quantity.value
        jumps = reflections + plain_jumps
    assert abs(jumps / chances - RELEASED.reflection) < 0.012  # some 9,000 chances: standard error .003
    assert abs(analyses / wide - RELEASED.analysis[2]) < 0.04
    assert 0.05 < plain_jumps / jumps < 0.5 and subgoals > 0


def test_strict_reflections_always_meet_a_locked_quantity():
    for _, _, injected in cases("english", STRICT):
        assert not any(step.kind == "recall" for step in injected.steps)


def test_switching_one_behaviour_off_leaves_the_others_in_place():
    off = dataclasses.replace(RELEASED, subgoal=0.0)
    for index in range(100):
        problem = generate(CONFIGS["english"], stream("switch", index))
        plain = plain_trace(problem, stream("order", index))
        full = inject(plain, problem, RELEASED, stream("behaviors", index))
        less = inject(plain, problem, off, stream("behaviors", index))
        assert Trace(tuple(step._replace(subgoal=False) for step in full.steps)) == less


def test_illegal_traces_are_named():
    problem = next(p for p, plain, _ in cases("compact") if len(plain.steps) > 2)
    order = [step.name for step in plain_trace(problem, random.Random(0)).steps]
    with pytest.raises(ValueError, match="step 1 .* not solved yet"):
        check_trace(Trace(tuple(Step(name) for name in reversed(order))), problem)
    with pytest.raises(ValueError, match="does not end with the target"):
        check_trace(Trace(tuple(Step(name) for name in order[:-1])), problem)
    with pytest.raises(ValueError, match="needs a locked quantity"):
        check_trace(Trace((Step(order[0], "reflect"),)), problem)


PROMPT = "%23 D4 7 . D5 2 . D9 3 . D8 4 + N5 . D12 3 * ( N4 + N5 ) . ? N12 :"
RIGHT = "D4 7 = V4 7 . D5 2 = V5 2 . D12 3 * ( 7 + 2 ) = V12 4 . ! 4"


@pytest.mark.parametrize(
    ("completion", "error", "answer"),
    [
        (RIGHT, None, True),
        (RIGHT.replace("D12 3", "D12 3 * ( N4 + N5 ) ; 3"), None, True),
        (RIGHT.replace("= V12", "= 3 * 9 = V12"), None, True),
        ("D12 3 * ( ? N4 . " + RIGHT, None, True),
        ("D9 3 = V9 3 . " + RIGHT, None, True),
        (RIGHT.replace("V12 4", "V12 5").replace("! 4", "! 5"), "arithmetic", False),
        (RIGHT.replace("V12 4", "V12 5"), "arithmetic", True),
        (RIGHT.replace("= V12", "= 3 * 8 = V12"), "arithmetic", True),
        (RIGHT.replace("7 + 2", "7 + 3"), "lookup", True),
        (RIGHT.replace("7 + 2", "7 - 2"), "formula", True),
        (RIGHT.replace("3 * (", "4 * ("), "formula", True),
        (RIGHT.replace("D12 3", "D12 3 * ( N4 + N9 ) ; 3"), "formula", True),
        (RIGHT.replace("D5 2 = V5 2 . ", ""), "locked", True),
        ("D20 7 = V20 7 . " + RIGHT, "unknown", True),
        ("D4 7 = V4 7 . D12 3 * ( 7 + ? N4 . " + RIGHT, "reflection", True),
        ("D4 ? N5 . " + RIGHT, "reflection", True),
        ("V4 7 . " + RIGHT, "lookup", True),
        ("D4 D4 D4 . " + RIGHT, "unreadable", True),
        ("D4 7 = V4 7 . D5 2 = V5 2 . ! 4", "unfinished", True),
        (RIGHT.replace("! 4", "! 5"), "answer", False),
        (RIGHT.replace("! 4", ""), "answer", False),
        (RIGHT + " ! 4", "answer", True),  # a second answer is a fault of format, whatever the steps
        ("", "unfinished", False),
    ],
)
def test_first_error_is_named(completion, error, answer):
    voice = get_wording("compact")
    verdict = voice.verdict(completion, voice.read_problem(PROMPT))
    assert (verdict.first_error, verdict.answer) == (error, answer)


@pytest.mark.parametrize("wording", CONFIGS)
def test_no_text_breaks_the_reader(wording):
    rng = random.Random(5)
    voice = get_wording(wording)
    for problem, _, injected in cases(wording, count=60):
        text = voice.completion(injected, problem)
        words = text.split(" ")
        for _ in range(12):
            verdict = voice.verdict(" ".join(mutated(words, rng)), problem)
            assert verdict.first_error in (None, *ERRORS)
            assert verdict.strict == (verdict.first_error is None)
            assert verdict.strict <= verdict.answer
    for odd in ("x" * 1_000_000, "( " * 100_000, "- " * 100_000, "\n" * 100_000, "D4 7 = " * 50_000):
        assert not voice.verdict(odd, problem).strict


def test_wrong_questions_are_quoted():
    with pytest.raises(ValueError, match="D4 D5"):
        get_wording("compact").read_problem("%23 D4 D5 . ? N4 :")
    with pytest.raises(ValueError, match="does not end in"):
        get_wording("compact").read_problem("%23 D4 5 .")
    with pytest.raises(ValueError, match="cannot read the premise"):
        get_wording("english").read_problem("The number is 4.\nHow many Mango does each Oak Crate have?")
    with pytest.raises(ValueError, match="unknown wording 'latin'"):
        get_wording("latin")
