"""The chapter on the base models: facts of a card, every option explained, models that are not made said to be so."""

import pandas as pd
import pytest
from book_cases import base_card

from bi.base_chapter import OPTION_REASONS, Card, abilities_rows, base_facts, option_rows, others_text, speed_facts
from bi.recipes import COMPACT
from bi.training.corpus import CorpusRecipe


def card(**changes):
    tables = base_card()
    return Card(**{**tables, **changes})


def test_every_option_of_the_compact_task_has_its_reason():
    assert {name for name, _ in COMPACT} == set(OPTION_REASONS)
    assert list(option_rows(COMPACT).index) == [name for name, _ in COMPACT]
    with pytest.raises(KeyError, match="colour"):
        option_rows([("colour", "red")])


def test_facts_are_those_of_the_card():
    tables = base_card()
    accuracy = tables["accuracy"]
    accuracy.loc[(accuracy["metric"] == "lookup") & (accuracy["n_ops"] == 4), "value"] = 0.5
    accuracy.loc[(accuracy["metric"] == "lookup") & (accuracy["n_ops"] == 6), "value"] = 0.1
    corpus = tables["corpus"].assign(behavior=[None, "subgoal"])
    facts = base_facts(card(accuracy=accuracy, corpus=corpus), CorpusRecipe(max_ops=(2, 9)), 800_000)
    assert facts["lookup_least"] == 50, "up to five operations"
    assert facts["behavior_share"] == pytest.approx(100 * 10 / 90)
    assert (facts["first_ops"], facts["last_ops"]) == (2, 9)
    assert facts["parameters"] == 0.8 and facts["n"] == 40


def test_lines_are_pooled_by_how_many_there_are():
    accuracy = base_card()["accuracy"]
    wide = accuracy["metric"].isin(["arithmetic_2", "arithmetic_3"])
    accuracy.loc[wide, "value"] = 0.0
    one = (accuracy["metric"] == "arithmetic_2") & (accuracy["n_ops"] == 8)
    accuracy.loc[one, ["value", "n"]] = [1.0, 15 * 40]
    assert card(accuracy=accuracy).wide() == pytest.approx(0.5)


def test_speeds_are_in_thousands_and_floors_in_per_cent():
    table = pd.DataFrame({"work": ["fine-tuning"], "tokens_per_s": [8700.0], "floor_share": [0.4]})
    assert speed_facts(table) == pytest.approx({"fine_tuning_speed": 8.7, "fine_tuning_floor": 40.0})


def test_a_base_that_is_not_made_is_said_to_be_so():
    sizes = {"tiny-base": 1, "plain-base": 1, "small-base": 3_500_000}
    text = others_text({"tiny-base": card(), "plain-base": card()}, sizes)
    assert "small-base (3.5 million parameters) has not been trained" in text
    assert ("plain-base (0.0 million parameters) is about as strong: it solves 90.0 against 90.0 per cent at 5 "
            "operations") in text
    poor = base_card()["accuracy"]
    poor.loc[poor["metric"] == "accuracy", ["value", "low", "high"]] = [0.3, 0.2, 0.4]
    assert "is the weaker base: it solves 30.0 against" in others_text(
        {"tiny-base": card(), "plain-base": card(accuracy=poor)}, sizes)
    assert "is the stronger base" in others_text({"tiny-base": card(accuracy=poor), "plain-base": card()}, sizes)
    assert list(abilities_rows({"tiny-base": card()}, 5).columns) == ["tiny-base"]
