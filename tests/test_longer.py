"""More steps of RL: the grid changes steps, policies and arms alone, and claims are decided at the last step."""

import dataclasses

import matplotlib.pyplot as plt
import pytest
from through_cases import count_rows, through_tables

from bi.chapter import UNMEASURED
from bi.evaluation.claims import judge_claims
from bi.evaluation.findings import HOLDS, IN_PART, OPEN, OPPOSITE, UNSEEN
from bi.evaluation.longer import NEVER, longer_table
from bi.evaluation.through import problem_table
from bi.recipes import CONTROLLED, CPU, LONGER, SMOKE, get_profile
from bi.through_chapters import longer_facts, longer_rows
from bi.through_figures import accuracy_by_step
from workflow.stages import check_notebooks, make_grid

TABLES = through_tables(CONTROLLED)
TOKENS = TABLES["tokens"]
RISES = {"vanilla": (0.3, 0.4, 0.4, 0.4), "bridge": (0.2, 0.5, 0.6, 0.7), "subgoal": (0.5, 0.6, 0.6, 0.6)}
STEPS = (0, 150, 300, 450)
CLAIMS = {"more_steps": "vanilla", "more_steps_subgoals": "subgoal"}


def judged(key, tokens):
    return judge_claims({"longer/tokens": tokens}.get)[key]


def set_to(low, high, **cell):
    """The invented table with other intervals in the rows of ``cell``."""
    found = TOKENS.copy()
    where = (found[list(cell)] == list(cell.values())).all(axis=1)
    assert where.any()
    found.loc[where, ["value", "low", "high"]] = [(low + high) / 2, low, high]
    return found


@pytest.mark.parametrize("first", [SMOKE, CPU])
def test_steps_policies_arms_and_further_seeds_are_all_that_differs(first):
    longer = get_profile(f"{first.name}-longer")
    assert longer.seeds == (*first.seeds, *get_profile(f"{first.name}-seeds").seeds)
    assert longer.grpo == dataclasses.replace(first.grpo, steps=LONGER * first.grpo.steps)
    assert longer.through.every == first.grpo.steps and longer.arms == CONTROLLED
    differs = ("name", "models", "bases", "sizes", "grpo", "through", "arms", "seeds")
    same = {name: getattr(first, name) for name in differs}
    assert dataclasses.replace(longer, **same) == first
    grid = make_grid(first.name, "longer")
    assert (grid.home, grid.results, grid.arms) == (first.name, "longer", CONTROLLED)
    check_notebooks(grid)


@pytest.mark.parametrize("key", CLAIMS)
def test_claims_are_decided_at_equal_steps_by_gains_and_ends(key):
    cell = dict(arm="bridge", versus=CLAIMS[key], how="steps")
    assert judged(key, set_to(0.1, 0.2, **cell)).verdict == HOLDS
    assert judged(key, set_to(-0.2, -0.1, **cell)).verdict == OPPOSITE
    assert judged(key, set_to(-0.1, 0.2, **cell)).verdict == UNSEEN
    above = set_to(0.1, 0.2, **cell)
    above.loc[(above["metric"] == "accuracy") & (above["versus"] == CLAIMS[key]), "low"] = -0.1
    assert judged(key, above).verdict == IN_PART
    elsewhere = set_to(0.1, 0.2, **cell | {"how": "tokens"})
    assert judged(key, elsewhere) == judged(key, TOKENS)


def test_a_finding_names_both_quantities_on_both_sizes():
    seen = judged("more_steps", set_to(0.1, 0.2, arm="bridge", versus="vanilla", how="steps")).seen
    assert [part.partition(":")[0] for part in seen.split("; ")] == [
        "gain, training size", "gain, larger", "after RL, training size", "after RL, larger"]
    assert seen.startswith("gain, training size: +15.0 points (95% interval +10.0 to +20.0)")


def test_without_the_control_its_claim_stays_open():
    tokens = through_tables(("vanilla", "bridge"))["tokens"]
    assert judged("more_steps_subgoals", tokens).verdict == OPEN and judged("more_steps", tokens).verdict != OPEN
    assert judged("more_steps", None).verdict == OPEN


def longer(resamples=100, **options):
    counts = count_rows(lambda arm, step: RISES[arm][STEPS.index(step)], dict.fromkeys(RISES, (0, 1, 2, 3)), n=10,
                        steps=STEPS, **options)
    return longer_table(problem_table(counts), resamples=resamples)


def test_levels_differences_and_what_the_further_steps_add():
    table = longer().set_index(["split", "arm", "versus", "step", "since"])["value"]
    for split in ("id", "ood"):
        for arm, path in RISES.items():
            assert [table[split, arm, "", step, NEVER] for step in STEPS] == pytest.approx(path)
        assert table[split, "bridge", "vanilla", 0, NEVER] == pytest.approx(-0.1)
        assert table[split, "bridge", "subgoal", 450, NEVER] == pytest.approx(0.1)
        assert table[split, "bridge", "", 450, 150] == pytest.approx(0.2)
        assert table[split, "bridge", "subgoal", 450, 150] == pytest.approx(0.2)
    assert (longer()["n"] == 3 * 40).all() and not longer()["value"].isna().any()


def test_intervals_are_those_of_paired_problems():
    """All arms answer problems of the same spread, so nothing is left of it in a difference."""
    table = longer()
    pairs = table[table["versus"] != ""]
    assert (pairs["high"] - pairs["low"]).max() < 1e-9 < 0.01 < (table["high"] - table["low"]).max()
    assert ((table["low"] <= table["value"] + 1e-9) & (table["value"] <= table["high"] + 1e-9)).all()
    assert longer().equals(table)


def test_arms_that_stopped_earlier_are_not_compared():
    problems = problem_table(count_rows(lambda *_: 0.5, dict.fromkeys(RISES, (0, 1, 2, 3)), steps=STEPS))
    problems.loc[problems["arm"] == "bridge", "step_450"] = None
    with pytest.raises(ValueError, match="arm bridge, step 450: .*sample all again"):
        longer_table(problems, resamples=5)


def test_the_page_shows_every_step_and_says_what_came_behind_the_first():
    rows, facts = longer_rows(longer()), longer_facts(longer())
    assert list(rows.columns) == ["step 0", "step 150", "step 300", "step 450", "450 minus 150"]
    assert rows.loc[("training size", "bridge minus subgoal"), "450 minus 150"].startswith("+20.0")
    assert rows.loc[("larger", "bridge"), "step 450"].startswith("70.0")
    told = facts["longer_told"]
    assert "step 150" in told and "step 450" in told and "bridge +20.0 points" in told and "bridge 70.0 (" in told
    assert "vanilla +0.0 points" in told and "3 seeds x 40 problems" in facts["longer_method"]
    assert longer_rows(None).empty and "GRID=longer" in longer_facts(None)["longer_told"]
    assert longer_facts(None)["longer_method"] == UNMEASURED and set(longer_facts(None)) == set(facts)


def test_a_figure_by_step_holds_every_policy_of_both_sizes():
    ax = accuracy_by_step(TABLES["steps"], plt.figure().add_subplot())
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 3]
    assert len(lines) == 2 * len(CONTROLLED) and list(ax.get_xticks()) == [0, 25, 50]
    assert {line.get_linestyle() for line in lines} == {"-", "--"} and ax.get_xlabel() and ax.get_ylabel()
    plt.close("all")
