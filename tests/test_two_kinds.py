"""What the chapter on behaviours shows: comparisons, realised rates, a behaviour's contract, and its exercises."""

import random
import re
import sys
from dataclasses import dataclass, replace
from html import unescape
from typing import ClassVar

import pytest
from book_cases import ROOT

sys.path.insert(0, str(ROOT / "book" / "exercises"))

import two_kinds

from bi.augmentation.behavior import inject_all
from bi.augmentation.behaviors import PAPER, Analysis, Reflection, Subgoal, at_rates
from bi.augmentation.contract import check_behavior
from bi.augmentation.trace import Trace, draw_phrases, plain_trace
from bi.augmentation.verification import Verification
from bi.augmentation.wording import extend, get_wording
from bi.comparison import compare, first_showing
from bi.evaluation.realised import realised_analyses, realised_attempts
from bi.recipes import BehaviorRates
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate

ENGLISH = get_wording("english")
PROBLEMS = [generate(IGSMConfig(3, 10), stream("two kinds", index)) for index in range(60)]


def told_twice(behavior, problem, seed=0):
    plain = plain_trace(problem, stream(seed, problem.key()))
    injected = behavior.inject(plain, problem, stream(seed, "inject", problem.key()))
    return plain, draw_phrases(injected, ENGLISH.phrases, stream(seed, "phrases", problem.key()))


@pytest.mark.parametrize("behavior", [Reflection(0.5), Analysis((1.0,)), Subgoal(), Verification()],
                         ids=lambda behavior: behavior.name)
def test_a_comparison_holds_the_whole_text_and_marks_what_is_new(behavior):
    voice = extend(ENGLISH, Verification())
    marks = set()
    for problem in PROBLEMS[:20]:
        plain, told = told_twice(behavior, problem)
        found = compare(plain, told, problem, voice)
        assert [" ".join(word for word, _ in line.words) for line in found.lines] == voice.lines(told, problem)
        assert sum(line.added for line in found.lines) == len(told.steps) - len(plain.steps)
        for line in found.lines:
            assert not line.added or all(new for _, new in line.words)
        marks |= {line.mark for line in found.lines}
        shown = unescape(re.sub(r"<[^>]+>", "", found._repr_html_()))
        assert all(line in shown for line in voice.lines(told, problem))
    assert marks >= ({"new", ""} if behavior.name in ("reflection", "verification") else {"changed"})


def test_a_comparison_with_itself_marks_nothing_and_text_is_escaped():
    plain = plain_trace(PROBLEMS[0], random.Random(0))
    same = compare(plain, plain, PROBLEMS[0], ENGLISH)
    assert {line.mark for line in same.lines} == {""} and "<ins>" not in same._repr_html_()
    assert "[" not in repr(same)
    _, told = told_twice(Analysis((1.0,)), PROBLEMS[0], 1)
    changed = compare(plain, told, PROBLEMS[0], ENGLISH)
    assert "changed" in repr(changed) and "[" in repr(changed) and changed._repr_html_().count("<ins>") > 0
    line = replace(same.lines[0], words=(("<b>", True),))
    assert "<ins>&lt;b&gt;</ins>" in replace(same, lines=(line,))._repr_html_()


def test_the_example_shows_every_behaviour_and_keeps_the_phrases():
    behaviors = (Reflection(0.3), Analysis(), Subgoal(), Verification())
    example = first_showing(behaviors, PROBLEMS, ENGLISH.phrases)
    phrases = {step.name: step.phrase for step in example.plain.steps}
    assert len(set(phrases.values())) > 1
    for behavior in behaviors:
        told = example.told[behavior.name]
        assert any(map(behavior.in_step, told.steps))
        assert all(step.phrase in (0, phrases.get(step.name)) for step in told.steps)
    with pytest.raises(ValueError, match="no problem shows all of subgoal"):
        first_showing([Subgoal(0.0)], PROBLEMS[:3], ENGLISH.phrases)


def test_realised_attempts_lie_in_their_interval_and_strict_ones_all_turn_back():
    table = realised_attempts(PROBLEMS)
    assert table["configured"].tolist() == [0.0, 0.1, 0.2, 0.3] * 2
    assert (table["low"] <= table["realised"]).all() and (table["realised"] <= table["high"]).all()
    strict = table[(table["mode"] == "strict") & (table["configured"] > 0)]
    released = table[(table["mode"] == "released") & (table["configured"] > 0)]
    assert (strict["turned_back"] == 1).all() and (released["turned_back"] < 1).all()
    assert (table.loc[table["configured"] == 0, ["realised", "none"]].to_numpy() == [[0, 1]] * 2).all()
    assert released["none"].is_monotonic_decreasing


def test_realised_analyses_follow_the_level():
    table = realised_analyses(PROBLEMS, BehaviorRates(analysis=(0.0, 1.0)))
    assert table["parents"].tolist() == [0, 1] and table["realised"].tolist() == [0.0, 1.0]
    assert table["steps"].sum() == sum(
        problem.by_name[name].stated for problem in PROBLEMS for name in problem.needed)


@pytest.mark.parametrize("behavior", [*PAPER, Verification(0.5), two_kinds.InterimResult()],
                         ids=lambda behavior: behavior.name)
def test_behaviours_keep_their_contract(behavior):
    assert check_behavior(behavior, PROBLEMS, ENGLISH) > 10


@dataclass(frozen=True)
class Careless(Verification):
    """A verification that breaks one promise."""

    broken: str = ""
    name: ClassVar[str] = "careless"

    def inject(self, trace, problem, rng):
        trace = super().inject(trace, problem, random.Random() if self.broken == "inject" else rng)
        return Trace(trace.steps[:1] + trace.steps) if self.broken == "strip" else trace

    def read(self, claim, wording):
        line = super().read(claim, wording)
        return replace(line, phrase=0) if line and self.broken == "read" else line

    def in_line(self, line):
        return self.broken != "count" and super().in_line(line)

    def error(self, line, problem, solved):
        return "lookup" if self.broken == "error" else super().error(line, problem, solved)


@pytest.mark.parametrize(("broken", "said"), [
    ("inject", "draws elsewhere"), ("strip", "strip gives"), ("read", "does not follow from the problem"),
    ("count", "a reader of the text finds 0"), ("error", "judged wrong"),
])
def test_a_broken_promise_is_named(broken, said):
    with pytest.raises(ValueError, match=said):
        check_behavior(Careless(0.5, broken), PROBLEMS, ENGLISH)
    assert check_behavior(Careless(0.5), PROBLEMS, ENGLISH) > 10


def test_a_behaviour_that_never_comes_is_not_checked():
    with pytest.raises(ValueError, match="never injected"):
        check_behavior(Verification(0.0), PROBLEMS, ENGLISH)


def test_the_interim_result_joins_the_others_and_finds_its_own_mistakes():
    interim = two_kinds.InterimResult(2)
    voice = extend(ENGLISH, interim)
    problem = next(problem for problem in PROBLEMS if len(problem.needed) > 4)
    plain = plain_trace(problem, random.Random(1))
    told = inject_all((*at_rates(BehaviorRates()), interim), plain, problem, random.Random(2))
    text = voice.completion(told, problem)
    assert voice.verdict(text, problem).strict and voice.counts(text)["interim"] > 0
    claim = next(line for line in text.split("\n") if line.startswith("- So far, "))
    wrong = text.replace(claim, re.sub(r"-?\d+\.$", "12345.", claim))
    assert voice.verdict(wrong, problem).first_error == "lookup"


def test_expected_reflections_agree_with_many_draws():
    problem = next(problem for problem in PROBLEMS if len(problem.needed) == 5)
    plain = plain_trace(problem, random.Random(3))
    behavior, draws = Reflection(0.02, redundant=0.0, strict=True), 20_000
    found = [sum(map(behavior.in_step, behavior.inject(plain, problem, random.Random(i)).steps)) for i in range(draws)]
    names = [step.name for step in plain.steps]
    locked = [float(any(set(problem.by_name[name].parents) - set(names[:at]) for name in names[at + 1 :]))
              for at in range(1, len(names) - 1)]
    assert sum(found) / draws == pytest.approx(two_kinds.expected_reflections(locked, 0.02), abs=0.006)
    none = sum(count == 0 for count in found) / draws
    assert none == pytest.approx(two_kinds.chance_of_none(locked, 0.02), abs=0.006)
