"""The wording with plurals: grammar, and reading inverts writing."""

import re

import pytest

from bi.augmentation.arms import build_problems, build_rows
from bi.augmentation.behaviors import inject
from bi.augmentation.plural import PluralWording, plural
from bi.augmentation.trace import draw_phrases, plain_trace
from bi.augmentation.wording import get_wording
from bi.recipes import BehaviorRates, TaskRecipe
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.vocabulary import WORLDS, World
from bi.training.reward import score

NAMES = [name for world in WORLDS for name in (*world.place, *world.category_layer)]


@pytest.mark.parametrize(
    ("one", "many"),
    [("Fig", "Figs"), ("Map Library", "Map Libraries"), ("Blue Jay", "Blue Jays"), ("Radio Dish", "Radio Dishes"),
     ("Score Box", "Score Boxes"), ("Golden Patch", "Golden Patches"), ("Louse", "Lice"), ("Harp Case", "Harp Cases")],
)
def test_plurals(one, many):
    assert plural(one) == many


def test_no_plural_is_ambiguous():
    assert len({plural(name) for name in NAMES}) == len(NAMES)
    assert not {plural(name) for name in NAMES} & set(NAMES)
    twins = World("twins", ({"Top": ["Pair"]}, {"Low": ["Sock", "Socks"]}))
    with pytest.raises(ValueError, match="rename one of the items"):
        PluralWording([twins])


def check(count):
    wording = get_wording("english_plural")
    for index in range(count):
        problem = generate(IGSMConfig(1, 20), stream("plural", index))
        question = wording.prompt(problem)
        for owner, item in re.findall(r"each ([A-Z][\w ]+?)'s ([A-Z][\w ]*?)(?= equals|[,.]| and)", question):
            assert owner in NAMES and item not in NAMES, (owner, item)
        assert re.search(r"How many ([A-Z][\w ]*?) does each", question)[1] not in NAMES
        assert wording.read_problem(question) == problem
        trace = inject(plain_trace(problem, stream(index)), problem, BehaviorRates(reflection=0.3), stream(index, "b"))
        trace = draw_phrases(trace, wording.phrases, stream(index, "p"))
        text = wording.completion(trace, problem)
        assert wording.read_trace(text, problem) == trace
        assert wording.verdict(text, problem).strict


def test_what_is_counted_stands_in_the_plural_and_is_read_back():
    check(60)


@pytest.mark.slow
def test_ten_thousand_problems_and_traces_are_read_back():
    check(10_000)


def test_rows_of_the_arms_can_be_written_with_plurals():
    task = TaskRecipe(wording="english_plural", train_ops=(3, 5), rl_prompts=5, test_problems=5)
    for row in build_rows(build_problems(task, "sft", 5, 0), "bridge", task, BehaviorRates(), 0):
        assert score(row["completion"], row["prompt"], row["wording"]).strict
