"""The strict verdict: every step gets its own, the first error is dissected, and no text can break or slow it."""

import random
import sys
import time

import pytest
from mutations import ODD, mutate

from bi.augmentation.anatomy import dissect
from bi.augmentation.behavior import count_lines
from bi.augmentation.behaviors import inject
from bi.augmentation.trace import draw_phrases, plain_trace
from bi.augmentation.verdict import ERRORS, STEPS, judge, judged_steps
from bi.augmentation.verification import Verification
from bi.augmentation.wording import extend, get_wording
from bi.recipes import BehaviorRates
from bi.streams import stream
from bi.tasks.expression import binary_operations
from bi.tasks.igsm import IGSMConfig, generate

CONFIGS = {
    "compact": IGSMConfig(2, 8, modulus=23, compact=True, operands=(2, 2, 4, 4)),
    "english": IGSMConfig(2, 14),
}
CHECK = Verification()
VOICES = {name: extend(get_wording(name), CHECK) for name in CONFIGS}
COMPACT = get_wording("compact")
PROMPT = "%23 D4 7 . D5 2 . D9 3 . D8 4 + N5 . D12 3 * ( N4 + N5 ) . D13 N12 + N9 . ? N13 :"
PROBLEM = COMPACT.read_problem(PROMPT)
RIGHT = "D4 7 = V4 7 . D5 2 = V5 2 . D12 3 * ( 7 + 2 ) = V12 4 . D9 3 = V9 3 . D13 4 + 3 = V13 7 . ! 7"


def words(completion, problem=PROBLEM):
    return [step.word for step in COMPACT.steps(completion, problem)]


def test_every_step_of_a_right_completion_is_right():
    assert words(RIGHT) == ["right"] * 5
    assert COMPACT.anatomy(RIGHT, PROBLEM) is None


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("= V12 4", "= V12 5", {2: "wrong value"}),
    ("( 7 + 2 )", "( 7 + 3 )", {2: "wrong value"}),
    ("3 * (", "4 * (", {2: "wrong formula"}),
    ("D12 3 *", "D12 3 * ( N4 + N9 ) ; 3 *", {2: "wrong formula"}),
    ("D5 2 = V5 2 . ", "", {1: "locked"}),
    ("D9", "D20 1 = V20 1 . D9", {3: "unknown quantity"}),
    ("D9", "D8 ? N5 . D9", {3: "wrong reflection"}),
    ("D9", "what is . D9", {3: "unreadable"}),
    ("D9", "V5 2 . D9", {}),
    ("D9", "V5 3 . D9", {3: "wrong value"}),
])
def test_a_wrong_step_is_named_and_the_others_stay_right(old, new, expected):
    assert old in RIGHT
    found = words(RIGHT.replace(old, new, 1))
    assert {index: word for index, word in enumerate(found) if word != "right"} == expected


def test_steps_that_go_on_with_a_wrong_value_have_inherited_it():
    text = RIGHT.replace("= V12 4", "= V12 5").replace("4 + 3 = V13 7", "5 + 3 = V13 8")
    steps = COMPACT.steps(text, PROBLEM)
    assert [(step.error, step.inherited) for step in steps[2:]] == [
        ("arithmetic", False), (None, False), ("lookup", True)]
    steps = COMPACT.steps(text.replace("V13 8", "V13 9"), PROBLEM)
    assert (steps[4].error, steps[4].inherited) == ("lookup", False)


def test_one_unsolved_parent_does_not_lock_all_that_follows():
    assert words(RIGHT.replace("D4 7 = V4 7 . ", "")) == ["right", "locked", "right", "right"]


@pytest.mark.parametrize(("text", "expected"), [
    (RIGHT.replace("7 + 2", "7 + 3"), ("lookup", "look-up", 3, "12", 3, 2, "")),
    (RIGHT.replace("7 + 2", "7 - 2"), ("formula", "look-up", 3, "12", 3, 2, "")),
    (RIGHT.replace("= V12 4", "= V12 5"), ("arithmetic", "arithmetic", 3, "12", 3, 2, "")),
    (RIGHT.replace("V13 7", "V13 8"), ("arithmetic", "arithmetic", 5, "13", 2, 2, "")),
    (RIGHT.replace("D5 2 = V5 2 . ", ""), ("locked", "order", 2, "12", 3, 2, "5")),
    (RIGHT.replace("D13 4 + 3 = V13 7 . ", ""), ("unfinished", "order", 0, "", 0, 0, "")),
    (RIGHT.replace("D9", "D4 ? N5 . D9"), ("reflection", "order", 4, "4", 1, 0, "")),
    (RIGHT.replace("D9", "D D . D9"), ("unreadable", "format", 4, "", 0, 0, "")),
    (RIGHT.replace("D9", "D20 1 = V20 1 . D9"), ("unknown", "look-up", 4, "", 0, 0, "")),
    (RIGHT + " ! 7", ("answer", "format", 0, "13", 0, 0, "")),
    (RIGHT.replace("! 7", "! 8"), ("answer", "format", 0, "13", 0, 0, "")),
])
def test_the_first_error_is_dissected(text, expected):
    found = COMPACT.anatomy(text, PROBLEM)
    assert found is not None
    assert (found.error, found.kind, found.line, found.name, found.operands, found.parents, found.missing) == expected


# no text breaks it


def told(wording, count, name="verdict"):
    for index in range(count):
        rng = stream(name, wording, index)
        problem = generate(CONFIGS[wording], rng)
        trace = inject(plain_trace(problem, rng), problem, BehaviorRates(reflection=0.3), rng)
        trace = CHECK.inject(trace, problem, rng)
        yield problem, VOICES[wording].completion(draw_phrases(trace, VOICES[wording].phrases, rng), problem), rng


def check_consistent(voice, text, problem):
    reading, problem = voice.compared(text, problem)
    verdict, steps = judge(reading, problem, voice.added), list(judged_steps(reading, problem, voice.added))
    fault, counts = dissect(reading, problem, voice.added), count_lines(voice.behaviors, reading.lines)
    assert verdict.first_error in (None, *ERRORS) and verdict.strict == (verdict.first_error is None)
    assert verdict.strict <= (verdict.answer and verdict.format)
    assert (fault.error if fault else None) == verdict.first_error
    wrong = [step.error for step in steps if step.error]
    assert all(step.word in STEPS.values() for step in steps)
    assert wrong[:1] == [verdict.first_error] if wrong else verdict.first_error in (None, "unfinished", "answer")
    assert [verdict.n_reflection, verdict.n_analysis, verdict.n_subgoal] == list(counts.values())[:3]
    assert verdict.error_operations == (binary_operations(problem.by_name[fault.name].formula) if fault and fault.line
                                        and fault.name else 0)
    if fault and fault.error != "answer":
        assert fault.operands == (verdict.error_operations + 1 if fault.name else 0)
    return verdict


def fuzz(wording, problems, each):
    voice, before, broken = VOICES[wording], "x", 0
    for problem, text, rng in told(wording, problems):
        for _ in range(each):
            mutated = mutate(text, before, rng)
            broken += not check_consistent(voice, mutated, problem).strict
        before = text
    assert broken > 0.5 * problems * each, "mutations that change nothing test nothing"


@pytest.mark.parametrize("wording", CONFIGS)
def test_no_mutated_completion_raises_and_all_verdicts_agree(wording):
    fuzz(wording, 60, 25)


@pytest.mark.slow
@pytest.mark.parametrize("wording", CONFIGS)
def test_the_same_holds_for_a_hundred_thousand(wording):
    fuzz(wording, 1250, 40)


def framed(wording, problem, odd):
    """Texts that bring ``odd`` to every part of the reader: behind a head, in a computation, in a definition."""
    first = next(quantity.name for quantity in problem.quantities if not quantity.parents)
    value = problem.by_name[first].value
    if wording == "compact":
        return (f"D{first} {odd} = V{first} {value} . ! 1", f"D{first} {value} = {odd} 1 = V{first} {value} . ! 1",
                f"D{first} {odd} 1 ; {value} = V{first} {value} .", f"V{first} {value} = {odd} 1 .")
    flat = odd.replace("\n", " ")
    return (f"<think>\n- {odd}", f"<think>\n- Let a be the number of each {first}. Then a = {flat}1.",
            f"<think>\n- Let a be the number of each {first}. Then a = {value} = {flat[:3000]}1 = {value}.",
            f"- According to the question, the number of each {first} equals {flat[:3000]}. Let a be the number of "
            f"each {first}. Then a = {value}.")


@pytest.mark.parametrize("wording", CONFIGS)
@pytest.mark.parametrize("piece", ODD.values(), ids=ODD)
def test_odd_texts_are_judged_wrong(wording, piece):
    problem, text, _ = next(told(wording, 1))
    for odd in (piece * 2000, *framed(wording, problem, piece * 500), text + piece * 200, piece * 200 + text):
        check_consistent(VOICES[wording], odd, problem)
    assert not VOICES[wording].verdict(piece * 3000, problem).strict


# and none takes longer than its length


def counted_work(voice, text, problem):
    """Lines of our own code that judging ``text`` executes, a measure of time that no busy machine changes."""
    lines = 0

    def count(frame, event, _):
        nonlocal lines
        lines += event == "line"
        return count if "/bi/" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(count)
    try:
        voice.verdict(text, problem)
        voice.steps(text, problem)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("wording", CONFIGS)
def test_work_grows_no_faster_than_the_text(wording):
    problem, text, _ = next(told(wording, 1))
    for name, piece in {**ODD, "a right completion": text + "\n"}.items():
        texts = zip(*(framed(wording, problem, piece * n) for n in (40, 160)), strict=True)
        for place, pair in enumerate(texts):
            short, long = (counted_work(VOICES[wording], odd, problem) for odd in pair)
            assert long <= 4 * short + 1500, (name, place)


@pytest.mark.slow
@pytest.mark.parametrize("wording", CONFIGS)
def test_a_megabyte_of_anything_takes_no_longer_than_its_length(wording):
    problem, text, _ = next(told(wording, 1))
    rng = random.Random(0)
    noise = {"noise": rng.randbytes(100_000).decode("latin-1"), "a right completion": text + "\n"}
    for name, piece in {**ODD, **noise}.items():
        short, long = (framed(wording, problem, piece * (size // len(piece) + 1)) for size in (125_000, 1_000_000))
        for place in range(len(long)):
            seconds = []
            for whole in (short[place], long[place]):
                begin = time.process_time()
                check_consistent(VOICES[wording], whole, problem)
                seconds.append(time.process_time() - begin)
            # eight times the length: four times that is allowed, a square would be sixty-four
            assert seconds[1] <= 8 * 4 * seconds[0] + 0.5, (name, place, seconds)
