"""The chapter on the recipe: what is chosen is what the profile has, and tables say what each candidate sets."""

import dataclasses

import pytest
from book_cases import sweep_tables

from bi.recipes import PROFILES
from bi.sweep import Candidate, chosen
from bi.sweep_chapter import (
    changes,
    curve_rows,
    rate_facts,
    rate_levels,
    rate_rows,
    rates_by_arm,
    sweep_facts,
    sweep_rows,
)
from bi.sweep_plans import PLANS


@pytest.mark.parametrize("name", ["regime", "sft", "grpo", "arms"])
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


def joined_rates(arm: str = "bridge", rate: float = 1e-4, rl: float = 0.7):
    """Invented sweeps of every arm and rate, each from .4 to .4, but ``arm`` at ``rate`` to ``rl``."""
    sweeps = []
    for name in ("grpo", "arms"):
        metrics = sweep_tables(PLANS[name])["metrics"]
        of_rate = [c.name for c in PLANS[name].candidates if dict(c.grpo)["learning_rate"] == rate]
        met = metrics["candidate"].isin(of_rate) & (metrics["arm"] == arm) & (metrics["stage"] == "rl")
        metrics.loc[met, "value"] = rl
        sweeps.append((PLANS[name], metrics))
    return rates_by_arm(sweeps)


def test_two_sweeps_together_hold_every_arm_at_every_rate_once():
    rates = joined_rates()
    arms = ["vanilla", "pp", "rc", "bridge", "subgoal"]
    assert sorted(set(rates["arm"])) == sorted(arms) and len(rates) == len(arms) * 3 * 2 * 2
    moved = rates[rates["rl"] > 0.5]
    assert set(moved["arm"]) == {"bridge"} and set(moved["rate"]) == {1e-4} and len(moved) == 4
    plan, metrics = PLANS["grpo"], sweep_tables(PLANS["grpo"])["metrics"]
    with pytest.raises(ValueError, match="in more than one sweep: bridge at 0.0001"):
        rates_by_arm([(plan, metrics), (plan, metrics)])


def test_the_figure_of_rates_has_every_run_before_and_after():
    levels = rate_levels(joined_rates("bridge", 1e-4, 0.7))
    assert len(levels) == 5 * 3 * 2 * 2 and list(dict.fromkeys(levels["split"]))[1] == "GRPO 0.0001"
    high = levels[levels["value"] > 0.5]
    assert set(high["arm"]) == {"bridge"} and set(high["stage"]) == {"rl"} and set(high["split"]) == {"GRPO 0.0001"}


def test_the_price_of_one_rate_is_counted_against_the_best_of_the_arm_itself():
    rates = joined_rates("rc", 2e-4, 0.6)
    rows = rate_rows(rates, 5e-5)
    assert rows.loc["rc", "best"] == "0.0002" and rows.loc["rc", "given up"] == "20.0"
    assert set(rows.drop("rc")["given up"]) == {"0.0"}
    facts = rate_facts(rates, 5e-5)
    assert facts["rates_lost_most_arm"] == "rc" and facts["rates_lost_most"] == pytest.approx(20)
    assert facts["rates_lost_bridge"] == 0 and facts["rates_own_next_arm"] == "rc"
    assert facts["rates_own_extra"] == pytest.approx(-20) and facts["rates_taken_extra"] == pytest.approx(0)
    assert facts["rates_everywhere"] == 0


def test_an_arm_that_gains_most_at_one_rate_is_counted_there_alone():
    facts = rate_facts(joined_rates(), 1e-4)
    assert (facts["rates_everywhere"], facts["rates_compared"], facts["rates_lost_most"]) == (2, 6, 0)
    assert facts["rates_taken_extra"] == facts["rates_own_extra"] == pytest.approx(30)
    assert facts["rates_bridge_taken"] == pytest.approx(70) and facts["rates_bridge_before"] == pytest.approx(40)


def test_changes_are_worded_and_their_absence_too():
    candidate = Candidate("x", sft=(("learning_rate", 2e-4),), grpo=(("beta", 0.01),))
    assert changes(candidate) == "learning_rate = 0.0002, beta = 0.01"
    assert changes(Candidate("y")) == "as the profile"
