"""More steps of RL: the grid changes steps, policies and arms alone, and claims are decided at the last step."""

import dataclasses

import pytest
from through_cases import through_tables

from bi.evaluation.claims import judge_claims
from bi.evaluation.findings import HOLDS, IN_PART, OPEN, OPPOSITE, UNSEEN
from bi.recipes import CONTROLLED, CPU, LONGER, SMOKE, get_profile
from workflow.stages import check_notebooks, make_grid

TOKENS = through_tables(CONTROLLED)["tokens"]
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
def test_steps_policies_and_arms_are_all_that_differs(first):
    longer = get_profile(f"{first.name}-longer")
    assert longer.grpo == dataclasses.replace(first.grpo, steps=LONGER * first.grpo.steps)
    assert longer.through.every == first.grpo.steps and longer.arms == CONTROLLED
    same = {name: getattr(first, name) for name in ("name", "models", "bases", "sizes", "grpo", "through", "arms")}
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
