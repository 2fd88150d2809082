"""Behaviours as objects: each is injected, stripped and counted alone; a fourth one joins without touching the rest."""

import dataclasses
import re

import pytest

from bi.augmentation import phrases
from bi.augmentation.arms import build_rows
from bi.augmentation.behavior import count_lines, count_steps, inject_all, strip_all
from bi.augmentation.behaviors import PAPER, Analysis, Reflection, Subgoal, at_rates, inject, strip
from bi.augmentation.trace import check_trace, draw_phrases, first_unsolved, plain_trace
from bi.augmentation.verification import PHRASES, Verification
from bi.augmentation.wording import extend, get_wording, register
from bi.recipes import ANALYSIS_LEVELS, INJECTION_PROBABILITIES, BehaviorRates, TaskRecipe
from bi.streams import stream
from bi.tasks.expression import Op
from bi.tasks.igsm import IGSMConfig, generate

CONFIGS = {
    "compact": IGSMConfig(2, 8, modulus=23, compact=True, operands=(2, 2, 4, 4)),
    "english": IGSMConfig(2, 16),
}
CHECK = Verification(rate=0.7)
FOUR = (*at_rates(BehaviorRates(reflection=0.3)), CHECK)


def cases(wording, count, name="behaviors"):
    for index in range(count):
        rng = stream(name, wording, index)
        problem = generate(CONFIGS[wording], rng)
        yield problem, plain_trace(problem, rng), rng


EVERY = [
    pytest.param((Reflection(rate=p, strict=strict),), id=f"reflection {p} {'strict' if strict else 'released'}")
    for p in INJECTION_PROBABILITIES
    for strict in (False, True)
]
EVERY += [pytest.param((Analysis(rates),), id=f"analysis level {level}") for level, rates in enumerate(ANALYSIS_LEVELS)]
EVERY += [pytest.param((Subgoal(p),), id=f"subgoal {p}") for p in (0.3, 1.0)]
EVERY += [pytest.param((CHECK,), id="verification"), pytest.param(FOUR, id="all four")]


def round_trip(behaviors, wording, count):
    voice = extend(get_wording(wording), CHECK)
    for problem, plain, rng in cases(wording, count):
        injected = inject_all(behaviors, plain, problem, rng)
        check_trace(injected, problem)
        told = draw_phrases(injected, voice.phrases, rng)
        assert strip_all(behaviors, told, problem) == plain
        assert strip_all((*PAPER, CHECK), told, problem) == plain
        text = voice.completion(told, problem)
        assert voice.read_trace(text, problem) == told
        assert voice.counts(text) == count_steps((*PAPER, CHECK), injected)
        assert voice.verdict(text, problem).strict and voice.read(text).answer == problem.answer


@pytest.mark.parametrize("wording", CONFIGS)
@pytest.mark.parametrize("behaviors", EVERY)
def test_each_behaviour_is_inverted_by_its_strip_and_counted_as_the_text_holds_it(behaviors, wording):
    round_trip(behaviors, wording, 25)


@pytest.mark.slow
@pytest.mark.parametrize("wording", CONFIGS)
@pytest.mark.parametrize("behaviors", EVERY)
def test_the_same_holds_for_ten_thousand_traces(behaviors, wording):
    round_trip(behaviors, wording, 10_000 // len(EVERY) + 1)


def found_by_eye(text, wording):
    """Counts by a reader of the text who shares no code with ours: by words that only one behaviour writes."""
    if wording == "compact":
        lines = [line.split() for line in text.split(" ! ")[0].split(" .")]
        return {"reflection": sum("?" in line for line in lines), "analysis": sum(";" in line for line in lines),
                "subgoal": sum(line.count("=") > 1 for line in lines if line[:1] and line[0][0] == "D")}
    back = ("not known yet", "not been computed so far", "still unknown", "is missing", "we step back",
            "put this aside")
    told = ("According to the question", "The question states", "Reading the question again", "We are told",
            "By the definition above", "One of the premises says")
    bullets = [line[2:] for line in text.split("\n") if line.startswith("- ")]
    sums = [re.findall(r"= ([^=]+?)(?= =|\.$)", bullet) for bullet in bullets]
    numeric = [[part for part in parts[:-1] if not re.search("[a-zA-Z]", part)] for parts in sums]
    return {"reflection": sum(any(words in bullet for words in back) for bullet in bullets),
            "analysis": sum(bullet.startswith(told) for bullet in bullets),
            "subgoal": sum(len(parts) > 1 for parts in numeric)}


@pytest.mark.parametrize("wording", CONFIGS)
def test_another_reader_of_the_text_counts_the_same(wording):
    voice, total = get_wording(wording), dict.fromkeys(("reflection", "analysis", "subgoal"), 0)
    for problem, plain, rng in cases(wording, 150, "eye"):
        told = draw_phrases(inject(plain, problem, BehaviorRates(reflection=0.3), rng), voice.phrases, rng)
        held = count_steps(PAPER, told)
        assert found_by_eye(voice.completion(told, problem), wording) == held
        total = {name: total[name] + held[name] for name in total}
    assert min(total.values()) > 50


def test_strict_reflection_starts_on_locked_quantities_only_and_released_may_solve_them():
    landed = {}
    for strict in (False, True):
        locked = solved = 0
        for problem, plain, rng in cases("english", 150):
            known = set()
            for step in Reflection(0.3, strict=strict).inject(plain, problem, rng).steps:
                if step.kind == "reflect":
                    assert first_unsolved(problem.by_name[step.name], known) is not None
                    locked += 1
                solved += step.kind == "recall"
                known |= {step.name} if step.kind == "solve" else set()
        landed[strict] = (locked, solved)
    assert landed[True][1] == 0 and landed[False][1] > 10 and min(landed[True][0], landed[False][0]) > 100


@pytest.mark.parametrize("p", INJECTION_PROBABILITIES)
def test_attempts_come_at_the_configured_rate(p):
    attempts = chances = 0
    for problem, plain, rng in cases("english", 250, "rates"):
        injected = Reflection(rate=p).inject(plain, problem, rng)
        attempts += len(injected.steps) - len(plain.steps)
        chances += max(0, len(plain.steps) - 2)
    # some 1,700 chances: four standard errors; an attempt without anything left to try is rare here
    assert abs(attempts / chances - p) <= 4 * (p * (1 - p) / chances) ** 0.5


def test_analysis_levels_rise_from_never_to_always():
    shares = []
    for rates in ANALYSIS_LEVELS:
        stated = analysed = 0
        for problem, plain, rng in cases("english", 80, "levels"):
            steps = Analysis(rates).inject(plain, problem, rng).steps
            stated += sum(problem.by_name[step.name].stated for step in steps)
            analysed += sum(step.analysis for step in steps)
        shares.append(analysed / stated)
    assert shares == sorted(shares) and (shares[0], shares[4]) == (0.0, 1.0) and len(set(shares)) == 5
    assert ANALYSIS_LEVELS[2] == (0.0, 0.1, 0.4, 0.8, 1.0) == BehaviorRates().analysis


def test_a_behaviour_behind_the_three_leaves_them_in_place():
    for problem, plain, rng in cases("english", 60):
        seed = rng.getrandbits(64)
        three = inject(plain, problem, BehaviorRates(), stream(seed))
        four = inject_all((*at_rates(BehaviorRates()), CHECK), plain, problem, stream(seed))
        assert CHECK.strip(four, problem) == three
        assert strip(three, problem) == plain


def test_the_paper_arms_hold_no_verification():
    problems = [problem for problem, _, _ in cases("english", 20)]
    for arm in ("vanilla", "bridge"):
        rows = build_rows(problems, arm, TaskRecipe(wording="english"), BehaviorRates(), 0)
        voice = extend(get_wording("english"), CHECK)
        assert all(voice.counts(row["completion"])["verification"] == 0 for row in rows)
        assert all("n_verification" not in row for row in rows)


def test_every_kind_of_phrase_has_six_that_differ():
    tables = [value for name, value in vars(phrases).items() if name.isupper() and isinstance(value, tuple)]
    for table in (*tables, PHRASES):
        assert len(table) == len(set(table)) >= 6
    assert len(tables) == 6 and phrases.PHRASES == 6


PROMPT = "%23 D4 7 . D5 2 . D12 3 * ( N4 + N5 ) . ? N12 :"
SOLVED = "D4 7 = V4 7 . D5 2 = V5 2 . D12 3 * ( 7 + 2 ) = V12 4 . "


@pytest.mark.parametrize(("check", "error"), [
    ("V12 4 = 3 * ( 7 + 2 ) . ", None),
    ("V12 5 = 3 * ( 7 + 2 ) . ", "arithmetic"),
    ("V12 4 = 3 * ( 7 + 3 ) . ", "lookup"),
    ("V12 4 = 3 + ( 7 + 2 ) . ", "formula"),
    ("V9 4 = 3 * ( 7 + 2 ) . ", "unknown"),
    ("V12 4 = 3 * . ", "unreadable"),
])
def test_a_wrong_verification_is_found(check, error):
    voice = extend(get_wording("compact"), CHECK)
    problem = voice.read_problem(PROMPT)
    assert voice.verdict(SOLVED + check + "! 4", problem).first_error == error
    early = voice.verdict(check + SOLVED + "! 4", problem).first_error
    assert early == ("locked" if error in (None, "arithmetic", "lookup", "formula") else error)
    assert get_wording("compact").verdict(SOLVED + check + "! 4", problem).first_error == "unreadable"


def test_a_registered_behaviour_has_a_wording_by_name():
    register(CHECK)
    register(CHECK)
    voice = get_wording("english+verification")
    assert voice.name == "english+verification" and voice.behaviors[-1] == CHECK
    with pytest.raises(ValueError, match="registered already"):
        register(Verification(rate=0.1))
    with pytest.raises(ValueError, match="unknown behaviour 'song'.*verification"):
        get_wording("english+song")
    with pytest.raises(ValueError, match="each added kind"):
        extend(get_wording("english"), CHECK, dataclasses.replace(CHECK, rate=1.0))


def test_a_verification_needs_something_to_check():
    for problem, plain, rng in cases("compact", 60):
        wide = isinstance(problem.by_name[problem.target].formula, Op)
        assert (len(Verification().inject(plain, problem, rng).steps) > len(plain.steps)) == wide


@pytest.mark.parametrize("make", [lambda: Reflection(rate=1.5), lambda: Reflection(redundant=-1),
                                  lambda: Analysis((0.1, 2)), lambda: Analysis(()), lambda: Subgoal(-0.1)])
def test_a_rate_that_is_no_probability_is_refused(make):
    with pytest.raises(ValueError, match="give 0 to 1|give one for each"):
        make()


def test_counts_of_lines_and_steps_have_the_same_names():
    assert list(count_lines(FOUR, ())) == ["reflection", "analysis", "subgoal", "verification"]
