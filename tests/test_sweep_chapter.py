"""The chapter on the recipe: what is chosen is what the profile has, and tables say what each candidate sets."""

import dataclasses

import pytest
from book_cases import sweep_tables

from bi.recipes import PROFILES
from bi.sweep import Candidate, chosen
from bi.sweep_chapter import changes, curve_rows, sweep_facts, sweep_rows
from bi.sweep_plans import PLANS


@pytest.mark.parametrize("name", ["regime", "sft", "grpo"])
def test_the_frozen_recipe_is_one_of_the_candidates(name):
    assert chosen(PLANS[name]) in PLANS[name].candidates


def test_a_sweep_without_the_frozen_recipe_is_refused():
    plan = dataclasses.replace(PLANS["sft"], candidates=(Candidate("x", sft=(("learning_rate", 0.5),), grpo=None),))
    with pytest.raises(ValueError, match="no candidate of the sweep has the recipe of profile 'cpu'"):
        chosen(plan)


def test_a_changed_option_is_not_the_frozen_recipe():
    options = dict(PROFILES["cpu"].task.options)
    low, high = options["redundant"]
    other = Candidate("x", options=(("redundant", (low, high + 1)),), grpo=None)
    same = Candidate("y", options=(("redundant", (low, high)),), grpo=None)
    assert chosen(dataclasses.replace(PLANS["regime"], candidates=(other, same))) == same


def test_every_candidate_and_arm_has_its_row_with_the_range_of_seeds():
    plan = PLANS["grpo"]
    metrics = sweep_tables(plan)["metrics"]
    metrics.loc[metrics["seed"] == plan.seeds[1], "value"] += 0.2
    rows = sweep_rows(plan, metrics)
    assert len(rows) == sum(len(candidate.arms or plan.arms) for candidate in plan.candidates)
    assert set(rows["RL"]) == {"0.50 (0.40–0.60)"}
    assert sum("(chosen)" in name for name in rows.index.unique()) == 1


def test_the_rules_are_judged_on_the_chosen_candidate():
    plan = PLANS["sft"]
    tables = sweep_tables(plan)
    assert sweep_facts(plan, tables, "sft")["sft_level"] == "met"
    others = tables["metrics"]["candidate"] != chosen(plan).name
    tables["metrics"].loc[others, "value"] = 0.9
    assert sweep_facts(plan, tables, "sft")["sft_level"] == "met"
    tables["metrics"].loc[~others & (tables["metrics"]["arm"] == "bridge"), "value"] = 0.2
    tables["anatomy"].loc[tables["anatomy"]["kind"] == "order", "share_of_errors"] = 0.1
    facts = sweep_facts(plan, tables, "sft")
    assert (facts["sft_level"], facts["sft_spread"]) == ("not met", "not met")


def test_only_the_last_steps_of_a_run_count_as_its_end():
    curves = sweep_tables(PLANS["grpo"])["curves"]
    curves.loc[curves["step"] <= 10, "entropy"] = 9.0
    assert set(curve_rows(curves)["entropy (nats)"]) == {"0.20 (0.20–0.20)"}


def test_an_arm_of_its_own_is_compared_at_its_own_rate():
    plan = PLANS["grpo"]
    tables = sweep_tables(plan)
    metrics = tables["metrics"]
    beside = (metrics["candidate"] == "GRPO 0.0001") & (metrics["stage"] == "rl")
    metrics.loc[beside & (metrics["arm"] == "bridge"), "value"] = 0.7
    facts = sweep_facts(plan, tables, "grpo")
    assert facts["grpo_beside_recipe"] == "GRPO 0.0001" and facts["grpo_beside_bridge_rl"] == 70
    assert facts["grpo_beside_subgoal_rl"] == facts["grpo_beside_bridge_sft"] == 40


def test_changes_are_worded_and_their_absence_too():
    candidate = Candidate("x", sft=(("learning_rate", 2e-4),), grpo=(("beta", 0.01),))
    assert changes(candidate) == "learning_rate = 0.0002, beta = 0.01"
    assert changes(Candidate("y")) == "as the profile"
