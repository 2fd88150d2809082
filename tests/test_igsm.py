"""iGSM problems: exact operation counts, sound graphs, one function of the seed, clear refusals."""

import dataclasses
import random
import re
from itertools import islice

import pytest

from bi.augmentation.arms import problem_stream
from bi.augmentation.wording import get_wording
from bi.recipes import TaskRecipe
from bi.streams import below, between, draws, sample, shuffle, stream
from bi.tasks.expression import Num, Op, Ref, evaluate
from bi.tasks.igsm import IGSMConfig, generate
from bi.tasks.problem import Quantity, build_problem, rename
from bi.tasks.released import released_config
from bi.tasks.vocabulary import WORLDS

CONFIGS = {
    "one": IGSMConfig(1, 1),
    "small": IGSMConfig(2, 5),
    "paper": IGSMConfig(15, 20),
    "validation": IGSMConfig(21, 25),
    "largest": IGSMConfig(30, 30),
    "modulus": IGSMConfig(5, 12, modulus=23),
    "compact": IGSMConfig(3, 8, modulus=23, compact=True),
    "alive": IGSMConfig(15, 20, no_dead_operations=True),
    "released": released_config(),
    "plain sums": IGSMConfig(8, 8, modulus=23, compact=True, abstract_depth=1, redundant=(0, 3)),
}


def draw(config, count, name="test"):
    return [generate(config, stream(name, index)) for index in range(count)]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_problem_is_sound(name):
    config = CONFIGS[name]
    for problem in draw(config, 150):
        place = {quantity.name: index for index, quantity in enumerate(problem.quantities)}
        values = {quantity.name: quantity.value for quantity in problem.quantities}
        for quantity in problem.quantities:
            assert all(place[parent] < place[quantity.name] for parent in quantity.parents)
            assert evaluate(quantity.formula, values, config.modulus) == quantity.value
            assert quantity.stated == (quantity.name in problem.premises)
        assert config.min_ops <= problem.n_ops <= config.max_ops
        assert problem.target in problem.needed
        assert set(problem.redundant).isdisjoint(problem.needed)
        if config.modulus:
            assert all(0 <= value < config.modulus for value in values.values())
        else:
            assert abs(problem.answer) < config.answer_bound


def test_operation_counts_are_uniform_or_skewed_as_asked():
    plain = [p.n_ops for p in draw(IGSMConfig(3, 6), 800)]
    skewed = [p.n_ops for p in draw(IGSMConfig(3, 6, skewed=True), 800)]
    # uniform over four values: standard error of a share is .015; the minimum of two draws has 7/16 and 1/16
    assert all(abs(plain.count(n) / 800 - 0.25) < 0.06 for n in range(3, 7))
    assert abs(skewed.count(3) / 800 - 7 / 16) < 0.07 and abs(skewed.count(6) / 800 - 1 / 16) < 0.035


def test_live_problems_have_no_dead_factor():
    for problem in draw(IGSMConfig(10, 15), 200):
        for quantity in problem.quantities:
            formula = quantity.formula
            assert not (isinstance(formula, Op) and formula.symbol == "*" and formula.args[0] == Num(0))


def independent_solution(question: str) -> tuple[int, int]:
    """Answer and operation count from the public text alone; shares no code with the generator or the reader."""
    layer_of, category_of = {}, {}
    for world in WORLDS:
        for depth, layer in enumerate(world.layers):
            for category, names in layer.items():
                for name in names:
                    layer_of[name], category_of[name] = (world.name, depth), category
    *facts, query = question.split("\n")
    modulus = None
    stated = {}
    for fact in facts:
        if fact.startswith("All numbers"):
            modulus = int(re.findall(r"\d+", fact)[0])
            continue
        left, right = fact.removeprefix("The number of each ").rstrip(".").split(" equals ")
        stated[tuple(left.split("'s "))] = right
    items = {}
    for owner, item in stated:
        items.setdefault(owner, []).append(item)
    found = {}

    def value(owner, item):
        if (owner, item) in found:
            return found[owner, item][0]
        if (owner, item) in stated:
            result, count = formula(stated[owner, item])
        else:
            result, count = total(owner, item)
        found[owner, item] = (result if modulus is None else result % modulus, max(1, count))
        return found[owner, item][0]

    def formula(text):
        words = text.split()
        if text.isdigit():
            return int(text), 0
        if words[0].isdigit():
            rest, count = formula(" ".join(words[2:] if words[1] == "times" else words[3:]))
            return (int(words[0]) * rest if words[1] == "times" else int(words[0]) + rest), count + 1
        numbers = [value(*name.split("'s ")) for name in re.findall(r"each (.+?)(?=, each | and each |$)", text)]
        if text.startswith("the difference"):
            return numbers[0] - numbers[1], 1
        return sum(numbers), len(numbers) - 1

    def total(owner, category):
        direct = [item for item in items[owner] if category_of[item] == category]
        if direct:
            return sum(value(owner, item) for item in direct), len(direct) - 1
        parts = [value(owner, item) * value(item, category) for item in items[owner]]
        return sum(parts), 2 * len(parts) - 1

    item, owner = re.match(r"How many (.+) does each (.+) have\?", query).groups()
    answer = value(owner, item)
    return answer, sum(count for _, count in found.values())


def check_independently(config, count):
    for problem in draw(config, count, "independent"):
        assert independent_solution(get_wording("english").prompt(problem)) == (problem.answer, problem.n_ops)


@pytest.mark.parametrize("name", ["one", "small", "paper", "validation", "modulus", "released"])
def test_independent_evaluator_agrees(name):
    check_independently(CONFIGS[name], 60)


@pytest.mark.slow
@pytest.mark.parametrize("ops", [(1, 1), (2, 5), (6, 14), (15, 20), (20, 20), (21, 25), (25, 25), (30, 30)])
def test_independent_evaluator_agrees_on_two_thousand_of_every_range(ops):
    check_independently(IGSMConfig(*ops), 2000)
    check_independently(released_config(*ops), 500)


def check_round_trips(config, count):
    wording = get_wording("compact" if config.compact else "english")
    for problem in draw(config, count, "round trip"):
        assert wording.read_problem(wording.prompt(problem)) == problem


@pytest.mark.parametrize("name", CONFIGS)
def test_reading_a_question_gives_the_same_problem(name):
    check_round_trips(CONFIGS[name], 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "paper", "modulus", "compact", "released"])
def test_reading_ten_thousand_questions_gives_the_same_problems(name):
    check_round_trips(CONFIGS[name], 10_000)


@pytest.mark.parametrize("ops", range(1, 31))
def test_every_operation_count_can_be_drawn_from_two_three_or_four_layers(ops):
    for layers in (2, 3, 4):
        config = IGSMConfig(ops, ops, layers=(layers, layers))
        assert {problem.n_ops for problem in draw(config, 3)} == {ops}


def test_zero_answers_are_dropped_at_the_rate_asked_for():
    kept = [p.answer for p in draw(IGSMConfig(3, 6, live=False, constants=(0, 3)), 600)]
    some = [p.answer for p in draw(IGSMConfig(3, 6, live=False, constants=(0, 3), drop_zero=0.6), 600)]
    none = [p.answer for p in draw(IGSMConfig(3, 6, live=False, constants=(0, 3), drop_zero=1.0), 200)]
    share = kept.count(0) / 600
    expected = 0.4 * share / (1 - 0.6 * share)
    assert share > 0.05 and 0 not in none
    assert abs(some.count(0) / 600 - expected) < 4 * (expected / 600) ** 0.5


def test_zero_answers_are_never_dropped_from_what_is_trained_on():
    options = (("live", False), ("constants", (0, 2)))
    task = TaskRecipe(wording="english", train_ops=(4, 6), id_ops=(4, 6), test_problems=40, options=options)
    dropping = dataclasses.replace(task, options=(*options, ("drop_zero", 1.0)))
    assert first_answers(dropping, "rl") == first_answers(task, "rl") and 0 in first_answers(task, "rl")
    assert 0 not in first_answers(dropping, "test_id")


def first_answers(task, split):
    return [problem.answer for problem in islice(problem_stream(task, split, 0), 40)]


def test_same_stream_same_problem_and_neighbours_differ():
    config = CONFIGS["paper"]
    assert generate(config, stream(3, "sft", 7)) == generate(config, stream(3, "sft", 7))
    keys = [generate(config, stream(seed, "sft", index)).key() for seed in range(4) for index in range(50)]
    assert len(set(keys)) == len(keys)


def test_draws_without_checks_are_those_of_the_standard_library():
    mine, theirs = random.Random(5), random.Random(5)
    sizes = [1, 2, 3, 7, 8, 9, 100, 2**40] * 50
    assert [below(mine, n) for n in sizes] == [theirs.randrange(n) for n in sizes]
    assert [between(mine, -3, n) for n in sizes] == [theirs.randint(-3, n) for n in sizes]
    assert draws(mine, 6, 50) == [theirs.randrange(6) for _ in range(50)]
    for size in (*range(9), 21, 22, 30, 90, 100, 300):
        for count in {0, min(1, size), size // 3, size // 2, size}:
            assert sample(mine, range(size), count) == theirs.sample(range(size), count)
        one, other = list(range(size)), list(range(size))
        shuffle(mine, one)
        theirs.shuffle(other)
        assert one == other
    assert mine.getstate() == theirs.getstate()
    with pytest.raises(ValueError, match="larger than population"):
        sample(mine, range(3), 4)


def test_key_ignores_names_order_and_redundancy_but_not_meaning():
    rng = random.Random(0)
    for problem in draw(CONFIGS["small"], 60):
        names = {quantity.name: f"x{index}" for index, quantity in enumerate(problem.quantities)}
        premises = [names[name] for name in problem.premises]
        rng.shuffle(premises)
        assert rename(problem, names, premises).key() == problem.key()
    base = build_problem("igsm", {"a": Num(3), "b": Op("+", (Num(2), Ref("a")))}, ["a", "b"], "b")
    swapped = build_problem("igsm", {"b": Op("+", (Ref("a"), Num(2))), "a": Num(3), "c": Num(9)}, ["c", "b", "a"], "b")
    other = build_problem("igsm", {"a": Num(4), "b": Op("+", (Num(2), Ref("a")))}, ["a", "b"], "b")
    assert base.key() == swapped.key() != other.key()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"min_ops": 5, "max_ops": 3}, "min_ops=5"),
        ({"min_ops": 0}, "min_ops=0"),
        ({"max_ops": 31}, "max_ops=31"),
        ({"modulus": 1}, "modulus=1"),
        ({"layers": (1, 2)}, "layers="),
        ({"entities": (2, 9)}, "entities="),
        ({"constants": (5, 5)}, "constants="),
        ({"modulus": 7}, "constants="),
        ({"operands": (1, 0, 0)}, "operands="),
        ({"redundant": (3, 1)}, "redundant="),
        ({"abstract_depth": 4}, "abstract_depth="),
        ({"drop_zero": 1.5}, "drop_zero=1.5"),
        ({"redundant_share": -0.1}, "redundant_share=-0.1"),
        ({"addend": 0.8}, "addend=0.8"),
        ({"abstract_depth": 0, "abstract_target": 0.5}, "abstract_depth=0"),
        ({"answer_bound": 0}, "answer_bound=0"),
        ({"compact": True, "names": 5}, "names=5"),
    ],
)
def test_bad_configs_are_refused_by_name(change, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        IGSMConfig(**{"min_ops": 2, "max_ops": 4} | change)


def test_cycles_and_unknown_names_are_refused():
    with pytest.raises(ValueError, match="depends on itself"):
        build_problem("igsm", {"a": Ref("b"), "b": Ref("a")}, ["a", "b"], "a")
    with pytest.raises(ValueError, match="no formula"):
        build_problem("igsm", {"a": Ref("z")}, ["a"], "a")


def test_vocabulary_has_no_ambiguous_name():
    assert len(WORLDS) >= 4
    seen: set[str] = set()
    for world in WORLDS:
        assert len(world.layers) == 4
        for layer in world.layers:
            assert len(layer) == 4
            for category, names in layer.items():
                assert len(names) == 5
                for name in (category, *names):
                    assert name not in seen and "'" not in name and " and " not in name, name
                    seen.add(name)


def test_what_follows_from_a_formula_is_the_same_however_a_quantity_is_made():
    for index in range(20):
        for made in generate(CONFIGS["paper"], stream(0, "facts", index)).quantities:
            anew = Quantity(made.name, made.formula, made.value, made.stated)
            assert (anew, anew.parents, anew.operations) == (made, made.parents, made.operations)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_problem_is_the_one_that_its_expressions_give(name):
    for index in range(20):
        made = generate(CONFIGS[name], stream(0, "expressions", index))
        formulas = {quantity.name: quantity.formula for quantity in reversed(made.quantities)}
        anew = build_problem(made.task, formulas, made.premises, made.target, made.modulus)
        assert anew == made and anew.quantities == made.quantities
