"""Other people's chains of thought: read by stated rules or refused, injected in prose, read back, never lost."""

import dataclasses
import json
import os
import random
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from chain_cases import gsm8k_row, shared_sample, steps_row
from typer.testing import CliRunner

from bi.__main__ import app
from bi.augmentation.behaviors import counts, inject
from bi.augmentation.formats import Request, inject_row, read_plain_gsm8k
from bi.augmentation.prose import (
    find_behaviors,
    plain_chain_trace,
    read_chain_trace,
    settle,
    strip_chain_trace,
    write_chain,
)
from bi.augmentation.prose_phrases import ANALYSIS, PHRASES, REFLECTION
from bi.augmentation.prose_verdict import judge_lines, judge_prose
from bi.augmentation.trace import check_trace, draw_phrases
from bi.augmentation.verdict import ERRORS
from bi.recipes import BehaviorRates
from bi.streams import stream
from bi.tasks.expression import Num, Op, Ref
from bi.tasks.gsm8k import read_gsm8k
from bi.tasks.steps import read_steps
from bi.tasks.written import (
    find_source,
    noun_phrase,
    numbers_in,
    read_number,
    sentences,
    write_expression,
    write_number,
)

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "book" / "data" / "word_problems.jsonl"
STEPS = ROOT / "book" / "data" / "steps_example.jsonl"
ALL = BehaviorRates(reflection=1.0, analysis=(1.0,), subgoal=1.0, strict=True)
SOME = BehaviorRates(reflection=0.4, analysis=(0.3, 0.6), subgoal=0.6, strict=True)
NEW = ["prompt", "completion", "n_reflection", "n_analysis", "n_subgoal"]


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_injection(chain, rates, rng):
    """All that holds for every chain, every rate and every draw."""
    plain = plain_chain_trace(chain)
    assert write_chain(plain, chain) == chain.text
    assert read_chain_trace(chain.text, chain) == plain
    trace = settle(draw_phrases(inject(plain, chain.problem, rates, rng), PHRASES, rng), chain)
    text = write_chain(trace, chain)
    assert read_chain_trace(text, chain) == trace
    assert strip_chain_trace(trace) == plain
    before, found = find_behaviors(chain.text), find_behaviors(text)
    assert {name: before[name] + number for name, number in counts(trace).items()} == found
    assert text.endswith(chain.ending)
    return trace, text


# --- the file that ships with the project ----------------------------------------------------------------------------


def test_the_shipped_file_is_what_its_script_writes():
    script = ROOT / "book" / "data" / "make_word_problems.py"
    made = subprocess.run([sys.executable, script], capture_output=True, check=True, cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert made.stdout == DATA.read_bytes()


def test_the_shipped_file_holds_what_such_data_hold():
    rows = rows_of(DATA)
    assert len(rows) >= 40 and len({row["question"] for row in rows}) == len(rows)
    text = "\n".join(row["answer"] for row in rows)
    assert "$" in text and "%" in text and "1,200" in text and ".25>>" in text
    chains = [read_gsm8k(row["question"], row["answer"]) for row in rows]
    assert any(len(passage.slots) > 1 for chain in chains for passage in chain.passages)
    assert any("\n" in passage.text for chain in chains for passage in chain.passages)
    assert any(chain.problem.redundant for chain in chains) and any(chain.doubtful for chain in chains)
    assert any(slot.at is None for chain in chains for passage in chain.passages for slot in passage.slots)


@pytest.mark.parametrize("rates", [ALL, SOME], ids=["all", "some"])
def test_shipped_rows_are_injected_legally_and_read_back(rates):
    kinds = Counter()
    for seed in range(2):
        for row in rows_of(DATA):
            chain = read_gsm8k(row["question"], row["answer"])
            trace, _ = check_injection(chain, rates, stream("own data", seed, row["id"]))
            check_trace(dataclasses.replace(trace), chain.problem)
            kinds.update(counts(trace))
    assert min(kinds.values()) > 20


def test_reflections_name_a_later_step_and_an_earlier_result_that_it_needs():
    for row in rows_of(DATA):
        chain = read_gsm8k(row["question"], row["answer"])
        trace, _ = check_injection(chain, ALL, stream("reflections", row["id"]))
        solved = set()
        for step in trace.steps:
            if step.kind == "reflect":
                missing = next(p for p in chain.problem.by_name[step.name].parents if p not in solved)
                assert chain.passage_of[missing] < chain.passage_of[step.name] and step.name not in solved
                assert (step.name, missing) not in chain.doubtful
            else:
                solved.add(step.name)


# --- random chains ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cases", [80, pytest.param(10_000, marks=pytest.mark.slow)])
def test_random_answers_are_read_injected_and_read_back(cases):
    kinds = Counter()
    for index in range(cases):
        rng = stream("gsm8k", index)
        row = gsm8k_row(rng)
        chain = read_gsm8k(row["question"], row["answer"])
        assert chain.text == row["answer"]
        trace, text = check_injection(chain, (ALL, SOME)[index % 2], rng)
        again = read_plain_gsm8k(row["question"], text)
        assert again.text == chain.text and again.problem == chain.problem
        assert judge_prose(text, chain).strict, text
        kinds.update(counts(trace))
    assert min(kinds.values()) > cases // 10


@pytest.mark.parametrize("cases", [80, pytest.param(10_000, marks=pytest.mark.slow)])
def test_random_steps_are_read_injected_and_read_back(cases):
    kinds = Counter()
    for index in range(cases):
        rng = stream("steps", index)
        chain = read_steps(steps_row(rng))
        trace, _ = check_injection(chain, (ALL, SOME)[index % 2], rng)
        kinds.update(counts(trace))
    assert min(kinds.values()) > cases // 25


# --- the rules of GSM8K ----------------------------------------------------------------------------------------------

QUESTION = "Ann has 3 bags with 5 pens each and buys 15 more at $2 each. 20% of 50 children come. How many?"


def formulas(answer, question=QUESTION):
    chain = read_gsm8k(question, answer)
    return {quantity.name: quantity.formula for quantity in chain.problem.quantities}, chain


def test_an_operand_is_the_latest_unused_result_of_its_value():
    found, chain = formulas("<<4+4=8>>8\n<<2*4=8>>8\n<<8+8=16>>16\n<<8*16=128>>128\n#### 128")
    assert found["3"] == Op("+", (Ref("2"), Ref("1")))  # the latest one first, then the other
    assert found["4"] == Op("*", (Ref("2"), Ref("3")))  # both were used, and the question states no 8
    assert ("3", "2") in chain.doubtful and ("4", "3") not in chain.doubtful


def test_a_used_result_gives_way_to_a_number_of_the_question():
    found, chain = formulas("<<3*5=15>>15\n<<15+15=30>>30\n#### 30")
    assert found["2"] == Op("+", (Ref("1"), Num(15)))
    assert chain.doubtful == {("2", "1")}  # it might be the 15 of the question as well


def test_percentages_meet_their_results_again():
    found, _ = formulas("It is <<11/44*100=25>>25%.\n<<25/100*84=21>>21\n#### 21")
    assert found["2"] == Op("*", (Op("/", (Ref("1"), Num(100))), Num(84)))
    found, _ = formulas("It is <<11/44*100=25>>25%.\n<<.25*84=21>>21\n#### 21")
    assert found["2"] == Op("*", (Op("/", (Ref("1"), Num(100))), Num(84)))
    found, _ = formulas("<<20%*50=10>>10\n#### 10")
    assert found["1"].args[0] == Num(read_number("20%"))


def test_money_thousands_and_decimals_are_numbers():
    found, chain = formulas("She pays $1,200.50 x 2 = $<<1,200.50*2=2401>>2,401.00 now.\n#### $2,401")
    assert found["1"] == Op("*", (Num(read_number("1200.5")), Num(2))) and chain.problem.answer == 2401


def test_rounded_decimals_are_taken_and_rounded_whole_numbers_refused():
    assert formulas("<<10/3=3.33>>3.33\n#### 3.33")[1].problem.answer == read_number("3.33")
    with pytest.raises(ValueError, match=r"step 1: <<11/3=4>> is wrong, it is 3\.666667, not 4 \(rule 5\)"):
        formulas("<<11/3=4>>4\n#### 4")


def test_fractions_and_mixed_numbers_are_exact_results():
    assert formulas("So 1/2*3 = <<1/2*3=1.5>>1.5.\n#### 1.5")[1].problem.answer == Fraction(3, 2)
    assert formulas("So <<1/3=1/3>>1/3.\n#### 1/3")[1].problem.answer == Fraction(1, 3)
    assert formulas("So <<3/4+3/4=1 1/2>>1 1/2.\n#### 1 1/2")[1].problem.answer == Fraction(3, 2)
    assert formulas("So <<3/4+3/4=1 1/2>>1.5.\n#### 3/2")[1].problem.answer == Fraction(3, 2)
    assert formulas("So <<1/3-1=-2/3>>-2/3.\n#### -2/3")[1].problem.answer == Fraction(-2, 3)


def test_a_mixed_number_in_a_calculation_is_one_number():
    found, _ = formulas("It takes <<2 1/2*4=10>>10 cups and <<10/1 1/4=8>>8 jars.\n#### 8")
    assert found["1.1"] == Op("*", (Num(Fraction(5, 2)), Num(4)))
    assert found["1.2"] == Op("/", (Ref("1.1"), Num(Fraction(5, 4))))
    found, _ = formulas("<<1+1/2=1 1/2>>1 1/2 cups\n<<1 1/2*6=9>>9\n#### 9")
    assert found["2"] == Op("*", (Ref("1"), Num(6)))


def test_a_quotient_is_an_earlier_result_that_is_written_as_a_fraction():
    found, chain = formulas("<<2/6=1/3>>1/3 of them\n<<12-12*1/3=8>>8\n#### 8")
    assert found["2"] == Op("-", (Num(12), Op("*", (Num(12), Ref("1"))))) and not chain.doubtful
    found, chain = formulas("<<1/2*3=1.5>>1.5\n<<3/2*2=3>>3\n#### 3")  # written as a decimal: 3/2 divides
    assert found["2"] == Op("*", (Op("/", (Num(3), Num(2))), Num(2)))
    found, chain = formulas("<<1+2=3>>3\n<<1/3=1/3>>1/3\n<<1/3*12=4>>4\n#### 4", "Nothing is stated.")
    assert found["3"].args[0] == Ref("2") and chain.doubtful == {("3", "2")}  # or one third as 1 over the first result
    found, _ = formulas("<<2/6=1/3>>1/3\n<<6/1/3=2>>2\n#### 2")  # from left to right
    assert found["2"] == Op("/", (Op("/", (Num(6), Num(1))), Num(3)))


FRACTION_ROWS = [
    ("Ben eats 1/3 of 12 rolls and Ida half of the rest. How many are left?",
     "Ben leaves 1-1/3 = <<1-1/3=2/3>>2/3 of the rolls.\nThat is 12*2/3 = <<12*2/3=8>>8 rolls.\n"
     "Ida eats 8/2 = <<8/2=4>>4 rolls.\nSo 8-4 = <<8-4=4>>4 rolls are left.\n#### 4"),
    ("A cake takes 2 1/2 cups of flour, a loaf 3 3/4. How many cups do 2 cakes and a loaf take?",
     "The cakes take 2 * 2 1/2 = <<2*2 1/2=5>>5 cups.\nTogether that is 5 + 3 3/4 = <<5+3 3/4=8 3/4>>8 3/4 cups.\n"
     "#### 8 3/4"),
    ("Three friends share 2 pizzas, and each gives 1/6 of a pizza to the dog. What does each eat?",
     "Each gets 2/3 = <<2/3=2/3>>2/3.\nThe dog's part leaves 2/3-1/6 = <<2/3-1/6=1/2>>1/2.\n#### 1/2"),
    ("A jug holds 1 1/2 liters. A glass takes 1/4 liter. How many glasses fill 2 jugs, 1 less for the spill?",
     "Two jugs hold 2*1 1/2 = <<2*1 1/2=3>>3 liters.\nThey fill 3/(1/4)-1 = <<3/(1/4)-1=11>>11 glasses.\n#### 11"),
]


@pytest.mark.parametrize(("question", "answer"), FRACTION_ROWS)
def test_rows_with_fractions_are_injected_legally_and_read_back(question, answer):
    for seed in range(12):
        chain = read_gsm8k(question, answer)
        _, text = check_injection(chain, (ALL, SOME)[seed % 2], random.Random(seed))
        assert judge_prose(text, chain).strict, text
        assert read_plain_gsm8k(question, text).text == answer


def test_results_written_as_fractions_get_no_small_steps():
    assert formulas("It is (5-2)/6*3 = <<(5-2)/6*3=3/2>>3/2.\n#### 3/2")[1].small_steps("1") == ()
    assert formulas("It is (5-2)/6*3 = <<(5-2)/6*3=1.5>>1.5.\n#### 1.5")[1].small_steps("1") != ()
    row = {"question": "", "answer": "1/3", "steps": [
        {"id": "a", "parents": [], "statement": "It is a third.", "expression": "(5-3-1)/3", "value": "1/3"}]}
    assert read_steps(row).small_steps("a") == () and read_steps(row).problem.answer == Fraction(1, 3)


def fraction_row(rng):
    """Sums, differences and products of fractions, each result written as a decimal, a fraction or a mixed number."""
    def written(value):
        forms = [str(value)]  # 3, or 3/2
        if value > 1 and value.denominator > 1:
            forms.append(f"{int(value)} {value - int(value)}")
        return rng.choice([*forms, *([write_number(value)] if (1000 * value).denominator == 1 else [])])

    results, lines = [Fraction(rng.randint(1, 9), rng.choice((1, 2, 3, 4)))], []
    for _ in range(rng.randint(2, 5)):
        other, sign = Fraction(rng.randint(1, 9), rng.choice((1, 2, 3, 4, 8))), rng.choice("+*-")
        left = f"{written(results[-1])}{sign}{written(other)}"
        value = {"+": results[-1] + other, "-": results[-1] - other, "*": results[-1] * other}[sign]
        if value <= 0:
            continue
        results.append(value)
        shown = written(value)
        lines.append(f"It makes {left} = <<{left}={written(value)}>>{shown} cups.")
    lines.append(f"At last <<{written(results[-1])}*1={shown}>>{shown}." if len(results) > 1 else "So <<1+1=2>>2.")
    return "\n".join(lines) + f"\n#### {shown if len(results) > 1 else 2}"


@pytest.mark.parametrize("cases", [60, pytest.param(10_000, marks=pytest.mark.slow)])
def test_random_fractions_are_read_injected_and_read_back(cases):
    kinds = Counter()
    for index in range(cases):
        rng = stream("fractions", index)
        answer = fraction_row(rng)
        chain = read_gsm8k("", answer)
        trace, text = check_injection(chain, ALL, rng)
        assert judge_prose(text, chain).strict, text
        kinds.update(counts(trace))
    assert kinds["reflection"] > cases // 4


def test_an_unused_result_stays_and_is_redundant():
    _, chain = formulas("<<3*5=15>>15\n<<3+4=7>>7\n<<7*2=14>>14\n#### 14")
    assert chain.problem.redundant == ("1",)
    trace, text = check_injection(chain, ALL, random.Random(0))
    assert "<<3*5=15>>15" in text and [s.name for s in trace.steps if s.kind == "solve"] == ["1", "2", "3"]


def test_a_line_with_several_annotations_is_not_torn_apart():
    answer = ("First <<3*5=15>>15 pens and <<7+4=11>>11 caps.\nThen <<15+11=26>>26 and <<26*2=52>>52.\n"
              "So <<52-1=51>>51.\n#### 51")
    for index in range(40):
        _, chain = formulas(answer, "Nothing is stated.")
        _, text = check_injection(chain, ALL, random.Random(index))
        assert all(line in text.split("\n") for line in answer.split("\n"))


@pytest.mark.parametrize(("answer", "said"), [
    ("no end", "does not end in a line '#### NUMBER'"),
    ("<<1+1=2>>2\n#### two", "holds no number"),
    ("plain words\n#### 2", "no calculator annotation"),
    ("<<1+1=3>>3\n#### 3", r"step 1: <<1\+1=3>> is wrong, it is 2, not 3 \(rule 5\)"),
    ("<<1+1=2=2>>2\n#### 2", "exactly one equals sign"),
    ("<<1+1>>2\n#### 2", "exactly one equals sign"),
    ("<<2 pens*3=6>>6\n#### 6", "cannot read the calculation"),
    ("<<2(3+4)=14>>14\n#### 14", "cannot read the calculation"),
    ("<<1/0=1>>1\n#### 1", "division by zero"),
    ("<<1+1=2>>3\n#### 2", r"<<1\+1=2>> is followed by 3"),
    ("<<1+1=2>>2\n<<2+2=4>>4\n#### 2", r"answer 2 is the result of step 1, and the text goes on computing \(rule 8\)"),
    ("<<1+1=2>>2\n#### 5", r"answer 5 is no result of the text \(rule 8\)"),
    ("<<1+1=2>>2 <<3\n#### 2", "not closed on its line"),
    ("<<1+1=two>>2\n#### 2", "'two' is no number"),
    ("<<1/3=1/4>>1/4\n#### 1/4", r"<<1/3=1/4>> is wrong, .*, not 1/4 \(rule 5\)"),
    ("<<1/3=.33>>1/3\n#### 1/3", r"<<1/3=.33>> is followed by 1/3 \(rule 5\)"),
    ("<<6/2=3>>3 1/2-cup jars\n#### 3", r"<<6/2=3>> is followed by 3 1/2 \(rule 5\)"),
    ("<<1+1/2=1 3/6>>1/2\n#### 1", "is followed by 1/2"),
    ("<<1+3/2=1 3/2>>2.5\n#### 2.5", "'1 3/2' is no number"),
    ("<<1 3/2*2=5>>5\n#### 5", "cannot read the calculation"),
    ("<<1/2/2=1/2/2>>.25\n#### .25", "'1/2/2' is no number"),
    ("<<1.5/2=1.5/2>>.75\n#### .75", "'1.5/2' is no number"),
    ("<<1,000/3=1,000/3>>333\n#### 333", "'1,000/3' is no number"),
    ("<<1-1=0/0>>0\n#### 0", "'0/0' is no number"),
    ("<<1/2=1/2%>>50\n#### 50", "'1/2%' is no number"),
    ("<<2/6=1/3>>1/3\n<<6/1/3=18>>18\n#### 18", r"<<6/1/3=18>> is wrong, it is 2, not 18"),
    ("<<1/3=1/3>>1/3\n#### 1 4/3", "holds no number"),
    ("<<1/3=1/3>>1/3\n<</3*3=1>>1\n#### 1", "cannot read the calculation"),
])
def test_what_cannot_be_read_is_refused_with_its_reason(answer, said):
    with pytest.raises(ValueError, match=said):
        read_gsm8k(QUESTION, answer)


def test_small_steps_of_the_author_are_left_alone_and_ours_are_taken_out():
    own = "In all 5+3+2 = 10+0 = <<5+3+2=10>>10.\n#### 10"
    chain = read_gsm8k("", own)
    assert chain.small_steps("1") == () and find_behaviors(own)["subgoal"] == 1
    ours = "In all 5+3+2 = 8+2 = <<5+3+2=10>>10.\n#### 10"
    assert read_plain_gsm8k("", ours).text == "In all 5+3+2 = <<5+3+2=10>>10.\n#### 10"


def test_values_that_are_no_short_decimals_are_not_expanded():
    chain = read_gsm8k("", "It is 10/3*6 = <<10/3*6=20>>20.\n#### 20")
    assert chain.small_steps("1") == ()


@pytest.mark.parametrize(("text", "values"), [
    ("half of 1,200.5 and 20%", {"2", "1200.5", "20", "0.2", "0.5"}),
    ("3/4 of a dozen", {"3", "4", "0.75", "12"}), ("2 1/2 cups", {"2", "0.5", "2.5"}),
    ("Twice as many thirds", {"2", "3"}),
])
def test_numbers_of_a_question_are_found_in_digits_and_words(text, values):
    assert {read_number(value) for value in values} <= numbers_in(text)


def test_the_source_is_the_sentence_that_states_most():
    question = "Ann has 3 bags. Each bag holds 5 pens. She has 3 bags with 5 caps too! Who knows?"
    assert find_source([3, 5], "caps", question) == "She has 3 bags with 5 caps too!"
    assert find_source([5], "pens in a bag", question) == "Each bag holds 5 pens."
    assert find_source([99], "pens", question) is None
    assert sentences("It costs $1.50. Is it dear? Yes") == ["It costs $1.50.", "Is it dear?", "Yes"]


@pytest.mark.parametrize(("after", "phrase"), [
    (" clips in May.", "the number of clips in May"), (" red apples.", "the number of red apples"),
    (" of them.", None), (" more than Tom has.", None), (".", None), ("% of the boys.", None),
    (" apples and Tom has pears.", None), (" across the river.", None),
])
def test_noun_phrases_are_taken_only_where_they_are_plain(after, phrase):
    assert noun_phrase(after) == phrase


def test_expressions_are_written_with_no_parentheses_too_many():
    expr = Op("-", (Op("+", (Op("*", (Num(2), Op("+", (Num(3), Num(4))))), Num(1))), Op("-", (Num(5), Num(2)))))
    assert write_expression(expr, False) == "2*(3+4)+1-(5-2)"
    assert write_expression(expr, True) == "2 * (3 + 4) + 1 - (5 - 2)"


def test_six_phrasings_of_each_kind_that_never_meet():
    assert len(set(ANALYSIS)) == len(set(REFLECTION)) == PHRASES >= 6
    chain = read_gsm8k("A 7. B 8.", "<<7+1=8>>8 pens\n<<8+8=16>>16 caps\n<<16*2=32>>32 bags\n#### 32")
    for phrase in range(PHRASES):
        steps = settle(inject(plain_chain_trace(chain), chain.problem, ALL, random.Random(1)), chain).steps
        trace = type(plain_chain_trace(chain))(tuple(
            step._replace(phrase=phrase * (step.analysis or step.kind == "reflect")) for step in steps))
        assert read_chain_trace(write_chain(trace, chain), chain) == trace


# --- the steps format ------------------------------------------------------------------------------------------------


def test_the_shipped_example_of_steps_is_read_and_injected():
    texts = []
    for row in rows_of(STEPS):
        chain = read_steps(row)
        assert chain.text == "\n".join(step["statement"] for step in row["steps"]) + f"\n#### {row['answer']}"
        texts.append(check_injection(chain, ALL, random.Random(1))[1])
    assert "In small steps" not in texts[0] and "48 - 11 - 5 = 37 - 5 = 32" in texts[0]
    assert "(375 - 40) / 5 = 335 / 5 = 67" in texts[2]
    assert '"Wine is kept in the cellar."' in texts[1] and "#### yes" in texts[1]


GOOD = {"question": "Ann has 3 pens and buys 4. She gives 2 away.", "answer": 5, "steps": [
    {"id": "a", "parents": [], "statement": "3+4 = 7", "expression": "3+4", "value": 7},
    {"id": "b", "parents": ["a"], "statement": "7-2 = 5", "expression": "a-2", "value": 5}]}


def changed(index=None, **fields):
    row = json.loads(json.dumps(GOOD))
    target = row if index is None else row["steps"][index]
    for name, value in fields.items():
        if value is None:
            del target[name]
        else:
            target[name] = value
    return row


@pytest.mark.parametrize(("row", "said"), [
    (changed(question=None), "'question' is no text"), (changed(steps=[]), "no list with at least one step"),
    (changed(answer=None), "'answer' is neither"), (changed(answer=True), "'answer' is neither"),
    (changed(answer=6), "the answer is 6, but the last step ends with 5"),
    (changed(1, id=None), "step 2 lacks the field 'id'"),
    (changed(1, parents=None), "step 2 lacks the field 'parents'"),
    (changed(1, statement=""), "step 2: the field 'statement' is no text, or empty"),
    (changed(1, parents="a"), "'parents' is no list of ids"),
    (changed(1, parents=["c"]), "parent 'c' is no earlier step"),
    (changed(0, parents=["b"]), r"step 1 \('a'\): its parent 'b' is no earlier step"),
    (changed(1, id="a"), "the id was used before"),
    (changed(1, parents=[]), "uses 'a', which is not among its parents"),
    (changed(1, expression="a -"), "cannot read the expression 'a -'"),
    (changed(1, value=None), "an expression but no value"),
    (changed(1, expression="z - 2"), "cannot read the expression"), (changed(1, value=4), "is wrong, it is 5, not 4"),
    (changed(1, value=[5]), "'value' is neither"),
    (changed(1, source="not there"), "source is no part of the question"),
    (changed(1, statement="#### 5"), "starts with '####'"), (changed(steps=[5]), "step 1 is no object"),
    (changed(0, expression=None, value="seven"), "uses 'a', which has no number as its value"),
])
def test_wrong_steps_are_named(row, said):
    with pytest.raises(ValueError, match=said):
        read_steps(row)


def test_good_steps_are_read():
    assert read_steps(GOOD).problem.answer == 5
    assert [q.parents for q in read_steps(GOOD).problem.quantities] == [(), ("a",)]


# --- the strict verdict ----------------------------------------------------------------------------------------------

CLIPS = ("Natalia sold clips to 48 of her friends in April, and half as many in May. She had 100. How many are left?")
TRUE = ("Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nShe sold 48+24 = <<48+24=72>>72 clips.\n"
        "So 100-72 = <<100-72=28>>28 clips are left.\n#### 28")
CHAIN = read_gsm8k(CLIPS, TRUE)
TOO_EARLY = REFLECTION[0].format(target=CHAIN.labels["2"], missing=CHAIN.labels["1"])


@pytest.mark.parametrize(("completion", "error", "answer"), [
    (TRUE, None, True),
    ("In another order of words: <<100-48=52>>52 and <<52-24=28>>28.\n#### 28", "locked", True),
    ("May: <<48/2=24>>24. Left: <<100-48-24=28>>28.\n#### 28", None, True),
    (f"{TOO_EARLY}\n{TRUE}", None, True),
    (TRUE.replace("\nShe", f"\n{TOO_EARLY}\nShe"), "reflection", True),
    (f"{REFLECTION[1].format(target='the moon', missing='the sun')}\n{TRUE}", "unknown", True),
    (f"{ANALYSIS[0].format(fact='She had 100.')}\n{TRUE}", None, True),
    (f"{ANALYSIS[0].format(fact='She had 200.')}\n{TRUE}", "formula", True),
    (TRUE.replace("48/2=24>>24", "48/2=26>>26"), "arithmetic", True),
    (TRUE.replace(">>24 clips", ">>25 clips"), "arithmetic", True),
    (TRUE.replace("48+24=72", "48+77=125").replace(">>72", ">>125"), "unknown", True),
    (TRUE.replace("<<48/2=24>>", "<<48/2>>"), "unreadable", True),
    (TRUE.replace("<<48/2=24>>", "<<48/2=24>"), "unreadable", True),
    ("Surely.\n#### 28", "unfinished", True),
    (TRUE.replace("#### 28", "#### 29"), "answer", False),
    (TRUE.replace("#### 28", ""), "answer", False),
    (TRUE.replace("#### 28", "#### 28\n#### 28"), "answer", True),
    ("", "unfinished", False),
])
def test_first_error_is_named(completion, error, answer):
    verdict = judge_prose(completion, CHAIN)
    assert (verdict.first_error, verdict.answer) == (error, answer)
    assert verdict.strict == (error is None)


def test_every_line_has_its_own_verdict_and_a_slip_condemns_one_line_only():
    text = TRUE.replace("48/2=24>>24", "48/2=26>>26").replace("48+24=72>>72", "48+26=74>>74").replace(
        "100-72=28>>28", "100-74=26>>26")
    assert [error for _, error in judge_lines(text, CHAIN)] == ["arithmetic", None, None]
    assert [error for _, error in judge_lines(TRUE.replace("100-72", "99-72"), CHAIN)] == [None, None, "unknown"]
    assert [line for line, _ in judge_lines(TRUE, CHAIN)] == TRUE.split("\n")[:-1]


@pytest.mark.parametrize("cases", [100, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_text_breaks_the_readers(cases):
    rng = random.Random(5)
    rows = [*rows_of(DATA), *({"question": question, "answer": answer} for question, answer in FRACTION_ROWS)]
    texts = [inject_row(row, "gsm8k", Request(ALL))["completion"] for row in rows]
    for index in range(cases):
        words = list(texts[index % len(texts)])
        for _ in range(rng.randint(1, 6)):
            where, change = rng.randrange(len(words)), rng.randrange(4)
            if change == 0 and where > len(words) // 2:
                del words[where:]
            elif change == 1:
                words[where] = rng.choice("<>=#0 \n$%/")
            elif change == 2:
                words.insert(where, words[where])
            else:
                words[where] = bytes(rng.randrange(256) for _ in range(3)).decode("latin-1")
        text = "".join(words)
        verdict = judge_prose(text, CHAIN)
        assert verdict.first_error in (None, *ERRORS) and verdict.strict <= verdict.answer
        try:
            read_plain_gsm8k(CLIPS, text)
        except ValueError as error:
            assert str(error)


FAST_ODD, SLOW_ODD = ("<", "9", "\n", "= 1 "), ("x", " ", "=", "(", ".", "1+", "<<1+1=2>>2 ", "\n####", "$1 = ")


@pytest.mark.parametrize("odd", [*FAST_ODD, *(pytest.param(odd, marks=pytest.mark.slow) for odd in SLOW_ODD)])
def test_a_million_characters_are_read_in_linear_time(odd):
    text = odd * (1_000_000 // len(odd) if len(odd) == 1 else 100_000 // len(odd))
    verdict = judge_prose(text, CHAIN)
    assert not verdict.strict
    with pytest.raises(ValueError):
        read_gsm8k("", text)


# --- rows and files --------------------------------------------------------------------------------------------------


def bi(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeed(*words):
    result = bi(*words)
    assert result.exit_code == 0, result.stderr
    return result


@pytest.mark.parametrize(("format", "source"), [("gsm8k", DATA), ("steps", STEPS)])
def test_inject_keeps_every_column_and_adds_what_it_found(tmp_path, format, source):
    succeed("inject", source, "--format", format, "--rate", 1, "--out", tmp_path / "out.jsonl")
    before, after = rows_of(source), rows_of(tmp_path / "out.jsonl")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert list(new) == [*old, *NEW] and all(new[name] == value for name, value in old.items())
        assert new["prompt"] == old["question"]
        assert {f"n_{name}": number for name, number in find_behaviors(new["completion"]).items()} == {
            name: new[name] for name in NEW[2:]}
    assert sum(row["n_reflection"] for row in after) > 0 and sum(row["n_subgoal"] for row in after) > 0


def test_the_result_depends_on_the_rows_and_not_on_their_places_or_processes(tmp_path):
    rows = rows_of(DATA)
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
    runs = (("a", DATA, ()), ("b", mixed, ()), ("c", DATA, ("--num-proc", 2)), ("d", DATA, ("--seed", 1)))
    for name, source, more in runs:
        succeed("inject", source, "--format", "gsm8k", "--rate", 0.5, *more, "--out", tmp_path / f"{name}.jsonl")
    first = rows_of(tmp_path / "a.jsonl")
    assert first == rows_of(tmp_path / "b.jsonl")[::-1] == rows_of(tmp_path / "c.jsonl")
    assert first != rows_of(tmp_path / "d.jsonl")


def test_injecting_again_replaces_what_was_injected(tmp_path):
    ask = ("--format", "gsm8k", "--rate", 1, "--out")
    succeed("inject", DATA, *ask, tmp_path / "once.jsonl")
    succeed("inject", tmp_path / "once.jsonl", *ask, tmp_path / "twice.jsonl")
    assert rows_of(tmp_path / "once.jsonl") == rows_of(tmp_path / "twice.jsonl")
    moved = tmp_path / "moved.jsonl"  # the injected text as the answer: behaviours are taken out first
    once = rows_of(tmp_path / "once.jsonl")
    moved.write_text("".join(json.dumps({"question": r["question"], "answer": r["completion"]}) + "\n" for r in once))
    succeed("inject", moved, *ask, tmp_path / "again.jsonl")
    assert [row["completion"] for row in rows_of(tmp_path / "again.jsonl")] == [row["completion"] for row in once]


def test_behaviours_that_are_not_chosen_do_not_come(tmp_path):
    for chosen in ("reflection", "analysis", "subgoal"):
        succeed("inject", DATA, "--format", "gsm8k", "--behaviors", chosen, "--rate", 1, "--overwrite", "--out",
                tmp_path / "out.jsonl")
        rows = rows_of(tmp_path / "out.jsonl")
        assert {name for row in rows for name in NEW[2:] if row[name]} == {f"n_{chosen}"}


def test_unread_rows_are_listed_with_line_and_reason_and_stop_the_run(tmp_path):
    rows = rows_of(DATA)[:3]
    rows[1]["answer"] = rows[1]["answer"].replace("= $<<", "= $<<1+")
    source, out = tmp_path / "bad.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    stopped = bi("inject", source, "--format", "gsm8k", "--out", out)
    assert stopped.exit_code == 2 and not out.exists()
    assert f"unread: {source}, line 2: step 1.1: <<1+" in stopped.stderr and "1 rows of" in stopped.stderr
    for more in ((), ("--num-proc", 2)):
        kept = succeed("inject", source, "--format", "gsm8k", "--keep-unread", *more, "--overwrite", "--out", out)
        assert "2 rows with" in kept.stderr and "1 rows copied unread" in kept.stderr
        assert rows_of(out)[1] == rows[1]


@pytest.mark.parametrize(("row", "said"), [
    ({"question": "a", "answer": 5}, "line 1: column 'answer' holds a whole number (5), not text"),
    ({"question": "a"}, "line 1: lacks the column 'answer'"),
    ({"question": "a", "answer": "<<1+1=2>>2\n#### 2", "completion": "mine"}, "'completion' already"),
    ({"question": "a", "answer": "<<1+1=2>>2\n#### 2", "prompt": "mine"}, "other than the question"),
])
def test_columns_that_are_missing_or_in_the_way_are_named(tmp_path, row, said):
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    refused = bi("inject", tmp_path / "a.jsonl", "--format", "gsm8k", "--out", tmp_path / "b.jsonl")
    assert refused.exit_code == 2 and said in refused.stderr and not (tmp_path / "b.jsonl").exists()


def test_an_unknown_format_is_refused(tmp_path):
    refused = bi("inject", DATA, "--format", "gsm9k", "--out", tmp_path / "b.jsonl")
    assert refused.exit_code == 2
    assert "unknown format 'gsm9k'; choose one of igsm, dyval, gsm8k, steps" in refused.stderr


SAMPLE = shared_sample("dyval_sample.jsonl")


@pytest.mark.skipif(not SAMPLE.is_file(), reason="no sample of public data here")
def test_public_dyval_rows_are_injected(tmp_path):
    succeed("inject", SAMPLE, "--format", "dyval", "--rate", 1, "--out", tmp_path / "out.jsonl")
    for old, new in zip(rows_of(SAMPLE), rows_of(tmp_path / "out.jsonl"), strict=True):
        assert all(new[name] == value for name, value in old.items())
        assert new["n_analysis"] > 0 and new["completion"].endswith(old["inferences"].rsplit("\n", 1)[1])


IGSM = SAMPLE.with_name("igsm_sample.jsonl")


@pytest.mark.skipif(not IGSM.is_file(), reason="no sample of public data here")
def test_public_igsm_rows_are_injected_with_their_vocabulary(tmp_path):
    names = IGSM.with_name("igsm_categories.json")
    succeed("inject", IGSM, "--vocabulary", names, "--rate", 1, "--out", tmp_path / "out.jsonl")
    for old, new in zip(rows_of(IGSM), rows_of(tmp_path / "out.jsonl"), strict=True):
        assert all(new[name] == value for name, value in old.items()) and new["prompt"] == old["question"]
        assert f"\\boxed{{{old['answer']}}}" in new["completion"]
    assert all(sum(row[name] for row in rows_of(tmp_path / "out.jsonl")) > 20 for name in NEW[2:])
    refused = bi("inject", IGSM, "--out", tmp_path / "none.jsonl")
    assert refused.exit_code == 2 and "names of no single world" in refused.stderr


# --- datasets --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference():
    request = Request(SOME, 0)
    return [inject_row(row, "gsm8k", request) for row in rows_of(DATA)]


@pytest.mark.parametrize("num_proc", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_a_dataset_gets_the_rows_of_the_command(reference, num_proc):
    from datasets import Dataset

    from bi.augmentation.dataset import inject_dataset

    dataset = Dataset.from_list(rows_of(DATA))
    assert inject_dataset(dataset, "gsm8k", SOME, num_proc=num_proc).to_list() == reference


def test_a_stream_gets_them_too_and_reads_no_further_than_asked(reference):
    from datasets import IterableDataset

    from bi.augmentation.dataset import inject_dataset

    taken = []

    def rows():
        for row in rows_of(DATA):
            taken.append(row)
            yield row

    streamed = inject_dataset(IterableDataset.from_generator(rows), "gsm8k", SOME)
    assert [row for row, _ in zip(streamed, range(5), strict=False)] == reference[:5]
    with pytest.raises(ValueError, match="num_proc=2: a streamed dataset"):
        inject_dataset(IterableDataset.from_generator(rows), "gsm8k", SOME, num_proc=2)


def test_steps_survive_the_columns_that_arrow_fills_up():
    from datasets import Dataset

    from bi.augmentation.dataset import inject_dataset

    rows = [{**row, "answer": str(row["answer"]), "steps": [{**s, "value": str(s["value"])} if "value" in s else s
                                                             for s in row["steps"]]} for row in rows_of(STEPS)]
    changed = inject_dataset(Dataset.from_list(rows), "steps", ALL).to_list()
    expected = [inject_row(row, "steps", Request(ALL))["completion"] for row in rows]
    assert [row["completion"] for row in changed] == expected


def test_unread_rows_of_a_dataset_are_named_or_kept(reference):
    from datasets import Dataset, IterableDataset

    from bi.augmentation.dataset import inject_dataset

    rows = rows_of(DATA)[:3]
    rows[1]["answer"] = "no end"
    dataset = Dataset.from_list(rows)
    with pytest.raises(ValueError, match=r"1 rows cannot be read \(row 1: the answer does not end"):
        inject_dataset(dataset, "gsm8k", SOME)
    kept = inject_dataset(dataset, "gsm8k", SOME, keep_unread=True).to_list()
    assert kept[1]["completion"] is None and "does not end" in kept[1]["unread"] and kept[0]["unread"] is None
    assert {name: kept[0][name] for name in reference[0]} == reference[0]
    with pytest.raises(ValueError, match="row 1 cannot be read"):
        list(inject_dataset(IterableDataset.from_generator(rows.__iter__), "gsm8k", SOME))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    """Peak memory for 100,000 rows is that for 5,000, up to what the allocator does."""
    lines, peaks = DATA.read_text(encoding="utf-8").splitlines(keepends=True), []
    code = ("import resource, sys; from bi.__main__ import app\ntry: app(sys.argv[1:])\n"
            "except SystemExit as done: assert not done.code\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")
    for count in (5_000, 100_000):
        source = tmp_path / f"{count}.jsonl"
        with open(source, "w", encoding="utf-8") as file:
            for index in range(count):
                file.write(lines[index % len(lines)])
        out = subprocess.run([sys.executable, "-c", code, "inject", source, "--format", "gsm8k", "--out",
                              tmp_path / f"{count}.out"], capture_output=True, text=True, check=True, cwd=ROOT)
        peaks.append(int(out.stdout.split()[-1]))
        assert sum(1 for _ in open(tmp_path / f"{count}.out", encoding="utf-8")) == count
    assert peaks[1] < 1.15 * peaks[0], peaks
