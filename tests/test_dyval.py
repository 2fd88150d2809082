"""DyVal: sound exact problems, the public text read and written, judged by what is written."""

import dataclasses
import json
import math
import random
import re
from collections import Counter
from decimal import Decimal, getcontext
from fractions import Fraction

import pytest
from chain_cases import shared_sample
from mutation_cases import mutated
from typer.testing import CliRunner

from bi.__main__ import app
from bi.augmentation.arms import build_problems, build_rows
from bi.augmentation.behaviors import counts, inject, strip
from bi.augmentation.dyval import TASKS, read_description
from bi.augmentation.dyval_compact import vocabulary
from bi.augmentation.trace import check_trace, draw_phrases, plain_trace
from bi.augmentation.verdict import ERRORS
from bi.augmentation.wording import get_wording
from bi.commands.prompts import check_prompt
from bi.recipes import DYVAL, BehaviorRates
from bi.streams import stream
from bi.tasks.dyval import DyvalConfig, generate, letter_codes
from bi.tasks.expression import Num, Op, evaluate
from bi.tasks.problem import rename
from bi.tasks.radical import Radical

SAMPLE = shared_sample("dyval_sample.jsonl")

CONFIGS = {
    "arithmetic": DyvalConfig(2, 5),
    "arithmetic wide": DyvalConfig(3, 4, children=3, extra_links=(0, 2)),
    "arithmetic radicals": DyvalConfig(3, 5, extra_links=(0, 2), exact_roots=False),
    "arithmetic modulus": DyvalConfig(3, 4, children=3, extra_links=(0, 2), modulus=23),
    "boolean": DyvalConfig(2, 5, kind="boolean"),
    "boolean wide": DyvalConfig(3, 4, kind="boolean", children=4, extra_links=(1, 2)),
    "deductive": DyvalConfig(2, 5, kind="deductive"),
    "deductive wide": DyvalConfig(3, 4, kind="deductive", children=3, extra_links=(0, 2)),
    "out of distribution": DyvalConfig(5, 5, redundant=(20, 22)),
    "compact": DyvalConfig(2, 4, children=3, extra_links=(0, 0), modulus=23, compact=True),
}
RATES = BehaviorRates(reflection=0.3, analysis=(0.3, 0.5, 1.0))


def wording_of(name):
    return get_wording("dyval_compact" if name == "compact" else "dyval")


def draw(name, count, purpose="dyval"):
    return [generate(CONFIGS[name], stream(purpose, name, index)) for index in range(count)]


# --- problems --------------------------------------------------------------------------------------------------------


def depth_of(problem, name):
    parents = problem.by_name[name].parents
    return 1 + max((depth_of(problem, parent) for parent in parents), default=0)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_problem_is_sound(name):
    config = CONFIGS[name]
    for problem in draw(name, 30):
        values = {quantity.name: quantity.value for quantity in problem.quantities}
        for quantity in problem.quantities:
            assert evaluate(quantity.formula, values, config.modulus) == quantity.value
            assert quantity.stated and quantity.name in problem.premises
            if isinstance(quantity.value, (int, Fraction)) and config.kind == "arithmetic":
                assert abs(quantity.value) <= config.value_bound
            if config.exact_roots and config.kind == "arithmetic":
                assert not isinstance(quantity.value, Radical)
        assert config.min_depth <= depth_of(problem, problem.target) <= config.max_depth
        assert config.redundant[0] <= len(problem.redundant) <= config.redundant[1]
        assert config.modulus is None or all(0 <= value < config.modulus for value in values.values())


def test_redundant_premises_are_uniform_over_their_range():
    found = Counter(len(problem.redundant) for problem in draw("arithmetic", 900))
    assert set(found) == set(range(9)) and all(60 < number < 140 for number in found.values())  # 100, error 9.4


def test_the_number_of_extra_links_is_exact():
    for links in (0, 1, 3):
        for index in range(40):
            problem = generate(DyvalConfig(4, 4, extra_links=(links, links), redundant=(0, 0)), stream("links", index))
            edges = sum(len(list(_mentions(quantity.formula))) for quantity in problem.quantities)
            assert edges - (len(problem.quantities) - 1) == links  # a tree has one edge less than quantities


def _mentions(formula):
    if isinstance(formula, Op):
        for arg in formula.args:
            yield from _mentions(arg)
    elif not isinstance(formula, Num):
        yield formula.name


@pytest.mark.parametrize("kind", ["boolean", "deductive"])
def test_no_constant_guess_pays_in_balanced_logic(kind):
    answers = Counter(str(problem.answer) for problem in draw(kind, 600))
    assert set(answers) == ({"True", "False"} if kind == "boolean" else {"True", "N/A"})
    assert all(240 < number < 360 for number in answers.values())  # 300, standard error 12


def test_all_operators_occur():
    found = Counter(quantity.formula.symbol for problem in draw("arithmetic", 200) for quantity in problem.quantities
                    if isinstance(quantity.formula, Op))
    assert set(found) == {"+", "-", "*", "/", "square", "sqrt"} and min(found.values()) > 0.08 * sum(found.values())


def test_shuffled_names_do_not_give_the_order_away_and_ordered_ones_do():
    def forward(config):
        pairs = [(parent, quantity.name) for index in range(100) for problem in [generate(config, stream("n", index))]
                 for quantity in problem.quantities for parent in quantity.parents]
        return sum(parent < name for parent, name in pairs) / len(pairs)

    assert abs(forward(DyvalConfig(4, 4)) - 0.5) < 0.05
    assert forward(DyvalConfig(4, 4, ordered_names=True)) == 1.0


def test_names_are_no_words_of_the_sentences():
    codes = list(letter_codes())
    assert not {"and", "the", "has", "its"} & set(codes) and len(codes) > 17_000


def test_same_stream_same_problem_and_neighbours_differ():
    config = CONFIGS["arithmetic"]
    assert generate(config, stream(3, 7)) == generate(config, stream(3, 7))
    keys = [generate(DyvalConfig(5, 5), stream(seed, index)).key() for seed in range(3) for index in range(60)]
    assert len(set(keys)) > 0.97 * len(keys)  # a tree may be a chain of squares, so a few recur


def test_key_ignores_names_and_order_but_not_the_order_of_a_quotient():
    rng = random.Random(0)
    for problem in draw("arithmetic wide", 40):
        names = {quantity.name: f"x{index}" for index, quantity in enumerate(problem.quantities)}
        premises = [names[name] for name in problem.premises]
        rng.shuffle(premises)
        assert rename(problem, names, premises).key() == problem.key()
    halves = [read_description(f"The value of aaa is {a}.\nThe value of aab is {b}.\n{QUOTIENT}", "aac").key()
              for a, b in ((2, 8), (8, 2))]
    assert halves[0] != halves[1]


@pytest.mark.parametrize(("change", "words"), [
    ({"min_depth": 1}, "min_depth=1"), ({"max_depth": 8}, "max_depth=8"), ({"min_depth": 5}, "min_depth=5"),
    ({"kind": "modal"}, "kind='modal'"), ({"children": 1}, "children=1"), ({"extra_links": (2, 1)}, "extra_links="),
    ({"min_depth": 2, "extra_links": (0, 1)}, "min_depth=2"), ({"redundant": (3, 1)}, "redundant="),
    ({"operators": ("and",)}, "operators="), ({"leaves": (5, 5)}, "leaves="), ({"modulus": 21}, "modulus=21"),
    ({"modulus": 7}, "leaves="), ({"kind": "boolean", "modulus": 23}, "modulus=23"), ({"order": "sorted"}, "order="),
    ({"compact": True, "names": 12}, "names=12"),
])
def test_bad_configs_are_refused_by_name(change, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        DyvalConfig(**{"min_depth": 3, "max_depth": 4} | change)


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ValueError, match="no problem of depth 3"):
        generate(DyvalConfig(3, 3, operators=("sqrt",), leaves=(2, 3)), stream("none"))


# --- an evaluator that knows the text alone --------------------------------------------------------------------------


def independent_solution(question):
    """Answer (a Decimal of 60 digits, a truth value or None) and operation count, from the public text alone."""
    getcontext().prec = 60
    *facts, asked = question.split("\n")
    modulus = None
    if facts[0].startswith("All numbers"):
        modulus = int(re.search(r"\d+", facts.pop(0))[0])
    rules = {}
    for fact in facts:
        rule = " -> " in fact
        head = fact.rstrip(".").split(" -> ")[1] if rule else re.match(r"(?:The value of )?(\w+)", fact)[1]
        rules[head] = fact.rstrip(".")
    known = {}

    def value(name):
        if name not in known:
            result, count = work(rules[name])
            known[name] = (result if modulus is None or not isinstance(result, int) else result % modulus, count)
        return known[name][0]

    def number(text):
        return int(text) if modulus else Decimal(text)

    def divided(a, b):
        return a * pow(b, -1, modulus) if modulus else a / b

    def rooted(a):
        return next(r for r in range(modulus) if r * r % modulus == a) if modulus else a.sqrt()

    def names(text):
        return [value(name) for name in re.findall(r"\b[a-z]{3}\b", text) if name in rules]

    def work(fact):
        if found := re.fullmatch(r"(?:The value of )?\w+ is (.+)", fact):
            return ({"True": True, "False": False}[found[1]] if found[1][0] in "TF" else number(found[1])), 1
        if " -> " in fact:
            premise, count = logic(fact.split(" -> ")[0].lower())
            return True if premise is True else None, count
        if " equals to " in fact:
            return logic(fact.split(" equals to ")[1].lower())
        doing = fact.split(" gets its value by ")[1]
        if doing.startswith(("adding", "multiplying")):
            numbers = names(doing.split("the value of ")[1])
            return (sum(numbers) if doing[0] == "a" else math.prod(numbers)), len(numbers) - 1
        if doing.startswith("subtracting"):
            taken, given = doing.split(" from the value of ")
            taken = names(taken.split("value")[1])
            return value(given) - sum(taken), len(taken)
        if doing.startswith("dividing"):
            given, by = re.split(r" by (?:those|the product)", doing)
            by = names(by)
            return divided(names(given)[0], math.prod(by)), len(by)
        only = names(doing)[0]
        return (only * only if doing.startswith("squaring") else rooted(only)), 1

    def logic(text):
        text = text.strip("()")
        if text.startswith("not "):
            only = value(text[4:])
            return (None if only is None else not only), 1
        word = " and " if " and " in text else " or "
        parts = [value(name) for name in text.split(word)]
        if word == " or ":
            result = True if True in parts else None if None in parts else False
        else:
            result = None if None in parts else all(parts)
        return result, len(parts) - 1

    answer = value(re.match(r"What is the value of (\w+)\?", asked)[1])
    return answer, sum(count for _, count in known.values())


def check_independently(name, count):
    for problem in draw(name, count, "independent"):
        answer, operations = independent_solution(get_wording("dyval").prompt(problem))
        assert operations == problem.n_ops
        if isinstance(answer, Decimal):
            mine = problem.answer
            mine = mine.round(40) if isinstance(mine, Radical) else Fraction(mine)
            assert abs(Fraction(answer) - mine) <= Fraction(1, 10**38) * max(1, abs(mine))
        elif answer is None:
            assert str(problem.answer) == "N/A"
        else:
            assert answer == problem.answer and type(answer) is type(problem.answer)


ENGLISH = [name for name in CONFIGS if name != "compact"]


@pytest.mark.parametrize("name", ENGLISH)
def test_independent_evaluator_agrees(name):
    check_independently(name, 30)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGLISH)
def test_independent_evaluator_agrees_on_two_thousand(name):
    check_independently(name, 2000)


# --- text ------------------------------------------------------------------------------------------------------------


def check_reading_inverts_writing(name, count):
    voice = wording_of(name)
    for index, problem in enumerate(draw(name, count, "inverse")):
        rng = stream("inverse trace", name, index)
        plain = plain_trace(problem, rng)
        rates = dataclasses.replace(RATES, strict=bool(index % 2))
        trace = draw_phrases(inject(plain, problem, rates, rng), voice.phrases, rng)
        trace = trace if name == "compact" else voice.settle(trace)
        check_trace(trace, problem)
        assert strip(trace, problem) == plain
        prompt, text = voice.prompt(problem), voice.completion(trace, problem)
        assert voice.read_problem(prompt) == problem
        assert voice.read_trace(text, problem) == trace
        verdict = voice.verdict(text, problem)
        assert verdict.strict and verdict.answer and verdict.format and verdict.first_error is None
        assert counts(trace) == {kind: getattr(verdict, f"n_{kind}") for kind in counts(trace)}


@pytest.mark.parametrize("name", CONFIGS)
def test_reading_inverts_writing(name):
    check_reading_inverts_writing(name, 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_reading_inverts_writing_ten_thousand_times(name):
    check_reading_inverts_writing(name, 10_000)


def test_compact_words_are_in_the_vocabulary():
    words = set(vocabulary(64, 23))
    voice = get_wording("dyval_compact")
    for index, problem in enumerate(draw("compact", 50)):
        trace = inject(plain_trace(problem, stream(index)), problem, RATES, stream("v", index))
        assert set(f"{voice.prompt(problem)} {voice.completion(trace, problem)}".split()) <= words


QUOTIENT = "aac gets its value by dividing the value of aaa by those of aab."
PROMPT = f"""The value of aaa is 7.
The value of aab is 3.
{QUOTIENT}
aad gets its value by squaring the value that aac has.
The value of aae is 5.
What is the value of aad?"""
RIGHT = """aaa is 7.0
aab is 3.0
aac = aaa / aab = 7.0 / 3.0 = 2.33333333
aad = aac^2 = (2.33333333)^2 = 5.44444444

Thus, the answer is <<<5.44444444>>>"""
TOO_EARLY = "Wait, aad cannot be done before aac. We return to what can be done.\n"


@pytest.mark.parametrize(("completion", "error", "answer"), [
    (RIGHT, None, True),
    (RIGHT.replace("<<<5.44444444", "<<<49/9"), None, True),
    (RIGHT.replace("aad =", f"{TOO_EARLY}aad =", 1), "reflection", True),
    (RIGHT.replace("aac =", f"{TOO_EARLY}aac =", 1), None, True),
    (RIGHT.replace("aac =", f"One premise reads: {QUOTIENT}\naac ="), None, True),
    (RIGHT.replace("aac =", "One premise reads: aac gets its value by squaring the value that aaa has.\naac ="),
     "formula", True),
    (RIGHT.replace("= 2.33333333", "= 2.33333334", 1), "arithmetic", True),
    (RIGHT.replace("7.0 / 3.0", "7.0 / 5.0"), "lookup", True),
    (RIGHT.replace("aaa / aab", "aab / aaa"), "formula", True),
    (RIGHT.replace("aab is 3.0\n", ""), "locked", True),
    (RIGHT.replace("aab is 3.0", "aaz is 3.0"), "unknown", True),
    (RIGHT.replace("aab is 3.0", "aab is three"), "unreadable", True),
    (RIGHT.replace("aad = aac^2 = (2.33333333)^2 = 5.44444444\n", ""), "unfinished", True),
    (RIGHT.replace("<<<5.44444444", "<<<5.4444"), "answer", False),
    (RIGHT.replace("Thus, the answer is ", ""), "unreadable", True),
    (RIGHT + " <<<5.44444444>>>", "answer", True),
    ("", "unfinished", False),
])
def test_first_error_is_named(completion, error, answer):
    voice = get_wording("dyval")
    verdict = voice.verdict(completion, voice.read_problem(PROMPT))
    assert (verdict.first_error, verdict.answer) == (error, answer)


@pytest.mark.parametrize("text", ["D1 7 = V1 7 . D2 3 = V2 3 . D3 7 / 3 = 7 / 0 = V3 0 . ! 0",
                                  "D1 7 = sqrt 5 = V1 5 .", f"D1 {'7 - ' * 30_000}7 = V1 7 .",
                                  f"D3 7 / 3 = {'22 * ' * 30_000}7 = V3 10 ."])
def test_what_a_compact_completion_divides_by_breaks_nothing(text):
    voice = get_wording("dyval_compact")
    problem = voice.read_problem("%23 D1 7 . D2 3 . D3 N1 / N2 . ? N3 :")
    assert not voice.verdict(text, problem).strict


def test_a_division_by_zero_is_refused_by_name():
    with pytest.raises(ValueError, match="'aac' has no value: division by zero"):
        read_description(f"The value of aaa is 1.\nThe value of aab is 0.\n{QUOTIENT}", "aac")
    with pytest.raises(ValueError, match="cannot read the premise 'aac is perhaps.'"):
        read_description("aac is perhaps.", "aac")
    with pytest.raises(ValueError, match="different tasks: dyval_arithmetic, dyval_boolean"):
        read_description("The value of aaa is 1.\nThe value of aab equals to (NOT aac).\naac is True.", "aab")


@pytest.mark.parametrize("cases", [12, pytest.param(8000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["arithmetic wide", "deductive", "boolean", "compact"])
def test_no_text_breaks_the_reader(name, cases):
    rng, voice = random.Random(5), wording_of(name)
    for index, problem in enumerate(draw(name, cases)):
        trace = inject(plain_trace(problem, stream(index)), problem, RATES, stream("m", index))
        text = voice.completion(draw_phrases(trace, voice.phrases, stream("p", index)), problem)
        words = re.split(r"(?<= )|(?=\n)", text)
        for _ in range(12):
            verdict = voice.verdict("".join(mutated(words, rng)), problem)
            assert verdict.first_error in (None, *ERRORS)
            assert verdict.strict == (verdict.first_error is None) and verdict.strict <= verdict.answer


@pytest.mark.parametrize("odd", ["x" * 1_000_000, "\n" * 1_000_000, "aaa is 7.0\n" * 20_000, "<" * 1_000_000,
                                 "aaa = " * 160_000, "( " * 400_000, "(aaa AND aab) = " * 60_000, "9" * 1_000_000])
def test_a_million_characters_are_read_in_linear_time(odd):
    voice = get_wording("dyval")
    assert not voice.verdict(odd, voice.read_problem(PROMPT)).strict


# --- public data -----------------------------------------------------------------------------------------------------


def sample_rows():
    return [json.loads(line) for line in SAMPLE.read_text().splitlines()] if SAMPLE.is_file() else []


@pytest.mark.skipif(not SAMPLE.is_file(), reason="no sample of public data here")
def test_public_rows_are_read_evaluated_and_written_back():
    voice = get_wording("dyval")
    rows = sample_rows()
    assert len(rows) == 20
    for row in rows:
        problem = read_description(row["descriptions"], row["vars"], TASKS[row["task"]])
        if isinstance(row["answers"], float):
            assert float(problem.answer) == pytest.approx(row["answers"], rel=1e-15)
        else:
            assert str(problem.answer) == str(row["answers"])
        trace = voice.read_trace(row["inferences"], problem)
        assert voice.completion(trace, problem) == row["inferences"]
        assert voice.prompt(problem).rsplit("\n", 1)[0] == row["descriptions"]
        assert voice.verdict(row["inferences"], problem).strict
        assert independent_solution(voice.prompt(problem))[1] == problem.n_ops


# --- arms ------------------------------------------------------------------------------------------------------------


def test_splits_have_the_papers_sizes():
    task = dataclasses.replace(DYVAL, test_problems=10, rl_prompts=10)
    for split, depth, redundant in (("sft", 4, range(9)), ("rl", 5, range(9)), ("test_ood", 5, range(20, 23))):
        problems = build_problems(task, split, 10, 0)
        assert {depth_of(problem, problem.target) for problem in problems} == {depth}
        assert all(len(problem.redundant) in redundant for problem in problems)


def test_rows_of_an_arm_say_what_they_hold():
    task = dataclasses.replace(DYVAL, test_problems=5, rl_prompts=5)
    problems = build_problems(task, "sft", 12, 0)
    voice = get_wording("dyval")
    for row, problem in zip(build_rows(problems, "bridge", task, RATES, 0), problems, strict=True):
        verdict = voice.verdict(row["completion"], voice.read_problem(row["prompt"]))
        assert verdict.strict and row["answer"] == str(problem.answer)
        assert (row["n_reflection"], row["n_analysis"]) == (verdict.n_reflection, verdict.n_analysis)


@pytest.mark.parametrize(("options", "wording"), [
    (("--task", "dyval_arithmetic"), "dyval"), (("--task", "dyval_boolean"), "dyval"),
    (("--task", "dyval_deductive", "--min-ops", 3, "--max-ops", 3), "dyval"),
    (("--task", "dyval_arithmetic", "--wording", "dyval_compact"), "dyval_compact"),
])
def test_the_command_writes_every_task_and_prompts_that_can_be_judged(tmp_path, options, wording):
    smoke = ("--profile", "smoke", "--rows", "6")
    for name, what in (("sft", ("--arm", "bridge")), ("rl", ("--prompts-only",))):
        words = ["data", *what, *map(str, options), *smoke, "--out", str(tmp_path / f"{name}.jsonl")]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in (tmp_path / "rl.jsonl").read_text().splitlines()]
    for row in rows:
        assert row["wording"] == wording and row["task"] == options[1]
        check_prompt(row)
    again = CliRunner().invoke(app, ["inject", str(tmp_path / "sft.jsonl"), "--format", "dyval", "--profile", "smoke",
                                     "--out", str(tmp_path / "again.jsonl")])
    assert again.exit_code == 0, again.stderr
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "sft.jsonl").read_bytes()


@pytest.mark.parametrize(("options", "said"), [
    (("--task", "dyval_boolean", "--wording", "english"), "'dyval_boolean' is not written in the wording 'english'"),
    (("--task", "dyval_boolean", "--min-ops", "9", "--max-ops", "9"), "min_depth=9"),
])
def test_what_does_not_fit_is_refused(tmp_path, options, said):
    result = CliRunner().invoke(app, ["data", "--arm", "vanilla", *options, "--out", str(tmp_path / "x.jsonl")])
    assert result.exit_code == 2 and said in result.stderr and not (tmp_path / "x.jsonl").exists()
