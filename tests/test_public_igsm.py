"""The authors' public iGSM rows: read to the stated answers, written, refused when they contradict themselves."""

import dataclasses
import json

import pytest
from igsm_cases import shared_data

from bi.augmentation.arms import build_problems
from bi.augmentation.behaviors import inject
from bi.augmentation.english import EnglishWording
from bi.augmentation.public_igsm import public_row, read_public_row, read_public_trace
from bi.augmentation.trace import Step, draw_phrases, plain_trace
from bi.recipes import BehaviorRates, TaskRecipe
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.vocabulary import WORLDS, World, read_worlds

DATA = shared_data()
SAMPLE = pytest.mark.skipif(not (DATA / "igsm_sample.jsonl").is_file(), reason="the released sample is not here")

FARM = World(
    "farm",
    ({"Farm": ["Tom's Farm", "Elm & Oak"]}, {"Barn": ["Hay Barn", "Cow Barn"]}, {"Feed": ["Oats", "Bran"]}),
    ("Holding", "Building", "Fodder"),
)
QUESTION = """The number of each Tom's Farm's Hay Barn equals 2.
The number of each Tom's Farm's Cow Barn equals 1 more than each Tom's Farm's Hay Barn.
The number of each Hay Barn's Oats equals 3.
The number of each Cow Barn's Oats equals the difference of each Tom's Farm's Cow Barn and each Hay Barn's Oats.
The number of each Cow Barn's Bran equals 4 times each Hay Barn's Oats.
The number of each Elm & Oak's Hay Barn equals 9.
How many Fodder does each Tom's Farm have?"""
RESPONSE = """<think>
Some other phrase.
- the number of each Tom's Farm's Hay Barn is 2. It gets the letter h. So h = 2.
- Now the number of each Cow Barn's Bran, named b. But the number of each Hay Barn's Oats is not there yet.
- The number of each Hay Barn's Oats is 3. Call it o. So o = 3.
- Take the number of each Hay Barn's Fodder as f. f = o = 3.
- Take the number of each Cow Barn's Bran as b. It equals 4 times each Hay Barn's Oats. b = 4 * o = 4 * 3 = 12.
- Remember the number of each Tom's Farm's Cow Barn as c. c = 1 + h = 1 + 2 = 3.
- The number of each Cow Barn's Oats as n. Then n = c - o = 3 - 3 = 0.
- the number of each Cow Barn's Fodder: F. F = n + b = 0 + 12 = 12.
- the number of each Tom's Farm's Fodder: t. t = h * f + c * F = 2 * 3 + 3 * 12 = 6 + 36 = 42.
</think>
<answer>
\\boxed{42}
</answer>"""
ROW = {"question": QUESTION, "response": RESPONSE, "answer": 42, "n_ops": 10}


def test_names_with_an_apostrophe_and_totals_by_layer_name_are_read():
    row = read_public_row(ROW, EnglishWording([FARM]))
    assert row.problem.answer == 42 and row.problem.n_ops == 10
    assert row.problem.redundant == ("Elm & Oak's Hay Barn",)
    assert EnglishWording([FARM]).prompt(row.problem) == QUESTION
    by_category = QUESTION.replace("How many Fodder", "How many Feed")
    assert EnglishWording([FARM]).read_problem(by_category).answer == 42


def test_steps_of_foreign_phrases_are_found():
    trace = read_public_row(ROW, EnglishWording([FARM])).trace
    assert trace.steps[1] == Step("Cow Barn's Bran", "reflect")
    assert trace.steps[4] == Step("Cow Barn's Bran", "solve", analysis=True)
    assert trace.steps[-1] == Step("Tom's Farm's Fodder", "solve", subgoal=True)
    assert [step.kind for step in trace.steps].count("solve") == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer": 41}, "answer 41"),
        ({"n_ops": 3}, "n_ops 3"),
        ({"response": RESPONSE.replace("F = n + b", "F = n + o")}, "not the question's"),
        ({"response": RESPONSE.replace("= 12.", "= 13.")}, "not the question's"),
        ({"response": RESPONSE.replace("Hay Barn's Oats is 3", "Hay Barn's Wheat is 3")}, "no quantity"),
        ({"response": RESPONSE.split("- the number of each Cow Barn's Fodder")[0]}, "does not end with the target"),
        ({"question": QUESTION.replace("Oats", "Wheat")}, "vocabulary"),
        ({"question": QUESTION.replace("equals 2", "is two")}, "cannot read the premise"),
        ({"question": QUESTION.replace("How many", "What")}, "the last line"),
    ],
)
def test_rows_that_cannot_be_trusted_are_refused_with_the_reason(change, words):
    with pytest.raises(ValueError, match=words):
        read_public_row(ROW | change, EnglishWording([FARM]))


def check_written_rows(count):
    wording = EnglishWording()
    for index in range(count):
        problem = generate(IGSMConfig(1, 25), stream("public", index))
        injected = inject(plain_trace(problem, stream("order", index)), problem, BehaviorRates(reflection=0.3),
                          stream("behaviors", index))
        row = public_row(problem, draw_phrases(injected, wording.phrases, stream("phrases", index)), wording)
        assert wording.read_problem(row["question"]) == problem
        assert (row["answer"], row["n_ops"]) == (problem.answer, problem.n_ops)
        assert wording.read_trace(row["response"], problem).steps[-1].name == problem.target
        json.dumps(row)


def test_written_rows_are_read_again():
    check_written_rows(60)


@pytest.mark.slow
def test_ten_thousand_written_rows_are_read_again():
    check_written_rows(10_000)


@SAMPLE
def test_every_row_of_the_released_sample_is_read_to_its_answer_count_and_steps():
    wording = EnglishWording(read_worlds(DATA / "igsm_categories.json"))
    rows = [json.loads(line) for line in (DATA / "igsm_sample.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 40
    for row in rows:
        read = read_public_row(row, wording)
        assert (read.problem.answer, read.problem.n_ops) == (row["answer"], row["n_ops"])
        assert wording.prompt(read.problem) == row["question"]
        turns = sum(step.kind == "reflect" for step in read.trace.steps)
        assert turns == sum(row["response"].count(words) for words in ("unknown", "don't know"))
        assert row["style"] == "injected" or not turns
        again = read_public_trace(wording.completion(read.trace, read.problem), read.problem)
        assert [step.name for step in again.steps] == [step.name for step in read.trace.steps]


@SAMPLE
def test_released_questions_can_be_told_in_all_our_arms():
    wording = EnglishWording(read_worlds(DATA / "igsm_categories.json"))
    row = json.loads((DATA / "igsm_sample.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    problem = wording.read_problem(row["question"])
    trace = inject(plain_trace(problem, stream(1)), problem, BehaviorRates(reflection=0.3), stream(2))
    assert wording.verdict(wording.completion(trace, problem), problem).strict


def test_a_vocabulary_file_gives_its_worlds(tmp_path):
    path = tmp_path / "words.json"
    path.write_text(json.dumps({w.name: {str(i): layer for i, layer in enumerate(w.layers)} for w in WORLDS}))
    worlds = read_worlds(path)
    problem = build_problems(TaskRecipe(wording="english", test_problems=2), "test_id", 1, 0)[0]
    assert EnglishWording(worlds).read_problem(EnglishWording().prompt(problem)) == problem
    assert [dataclasses.replace(world, layer_names=()).place for world in worlds] == [world.place for world in WORLDS]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not a JSON vocabulary"),
        ("[]", "an object of worlds"),
        ('{"w": {"a": {"A": ["x"]}}}', "two to four layers"),
        ('{"w": {"a": {"A": ["x"]}, "b": {}}}', "object of categories"),
        ('{"w": {"a": {"A": ["x"]}, "b": {"B": []}}}', "list of names"),
        ('{"w": {"a": {"A": ["x"]}, "b": {"B": ["x"]}}}', "'x' stands twice"),
    ],
)
def test_vocabularies_that_are_none_are_refused(tmp_path, content, words):
    path = tmp_path / "words.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=words):
        read_worlds(path)
