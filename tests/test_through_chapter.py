"""The chapter on the way through RL: claims are decided by the tables, figures draw them, and nothing is invented."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from through_cases import through_tables

from bi import through_figures as figures
from bi.evaluation.claims import judge_claims
from bi.evaluation.findings import HOLDS, IN_PART, NOT_RUN, OPEN, OPPOSITE, UNSEEN
from bi.evidence_chapters import drawing
from bi.through_chapters import factor_rows, profile_rows, through_facts, token_rows, training_informative

TABLES = through_tables()


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def finding(key, **tables):
    return judge_claims(lambda name: tables.get(name.removeprefix("through/")))[key]


def widened(table, low, high, **cell):
    """``table`` with other intervals in the rows of ``cell``."""
    found = table.copy()
    where = (found[list(cell)] == pd.Series(cell)).all(axis=1)
    assert where.any()
    found.loc[where, ["value", "low", "high"]] = [(low + high) / 2, low, high]
    return found


def test_a_falling_influence_is_one_that_falls_in_every_arm():
    steps = TABLES["steps"]
    found = finding("decay", steps=steps)
    assert found.verdict == HOLDS and "bridge" in found.seen and "vanilla" in found.seen
    rises = dict(versus="start", metric="influence", split="id", step=50)
    assert finding("decay", steps=widened(steps, 0.1, 0.2, arm="bridge", **rises)).verdict == IN_PART
    assert finding("decay", steps=widened(steps, 0.1, 0.2, **rises)).verdict == OPPOSITE
    assert finding("decay", steps=widened(steps, -0.1, 0.2, **rises)).verdict == UNSEEN


def test_a_lead_is_looked_for_between_the_ends():
    lead = dict(arm="bridge", versus="vanilla", metric="influence", split="id")
    steps = widened(widened(TABLES["steps"], -0.2, -0.1, **lead), 0.1, 0.2, step=25, **lead)
    found = finding("lead", steps=steps)
    assert found.verdict == HOLDS and "at 1 and below zero at 0 of 1 policies" in found.seen
    assert finding("lead", steps=widened(steps, -0.2, -0.1, step=25, **lead)).verdict == OPPOSITE
    only_ends = steps[steps["step"] != 25]
    assert finding("lead", steps=only_ends).verdict == OPEN


def test_equal_profiles_and_equal_tokens_are_decided_on_both_splits():
    cell = dict(arm="bridge", versus="vanilla", metric="influence", how="equal", step=0)
    up = widened(TABLES["profiles"], 0.1, 0.2, **cell)
    assert finding("profile", profiles=up).verdict == HOLDS
    assert finding("profile", profiles=widened(up, -0.1, 0.2, split="ood", **cell)).verdict == IN_PART
    paid = dict(arm="bridge", versus="vanilla", metric="gain", how="tokens")
    assert finding("tokens", tokens=widened(TABLES["tokens"], 0.1, 0.2, **paid)).verdict == HOLDS
    down = widened(TABLES["tokens"], -0.2, -0.1, **paid)
    assert finding("tokens", tokens=down).verdict == OPPOSITE and "training size" in finding("tokens", tokens=down).seen


def test_arms_that_were_not_run_leave_the_claims_open():
    alone = through_tables(("subgoal",), resamples=5)
    for key, name in (("lead", "steps"), ("profile", "profiles"), ("tokens", "tokens")):
        found = finding(key, **{name: alone[name]})
        assert (found.seen, found.verdict) == (NOT_RUN, OPEN)


@pytest.mark.parametrize("draw", [figures.influence_by_step, figures.parts_by_step, figures.accuracy_by_tokens])
def test_figures_use_the_axes_they_are_given_and_name_what_is_missing(draw):
    steps = TABLES["steps"]
    before, ax = steps.copy(), plt.figure().add_subplot()
    assert draw(steps, ax) is ax and ax.get_title() == "" and ax.get_xlabel() and ax.get_ylabel()
    pd.testing.assert_frame_equal(steps, before)
    with pytest.raises(ValueError, match="needs the column.* tokens"):
        draw(steps.drop(columns="tokens"))


def test_the_dotted_line_stands_at_the_cost_of_the_cheapest_run():
    ax = figures.accuracy_by_tokens(TABLES["steps"])
    dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert len(dotted) == 1 and dotted[0].get_xdata()[0] == pytest.approx(0.002)


def test_texts_say_the_numbers_of_the_tables():
    facts = through_facts(TABLES["steps"], TABLES["tokens"])
    assert "2 arms (vanilla, bridge), each at 3 policies from step 0 to step 50" in facts["measured"]
    assert "3 seeds x 40 problems" in facts["method"] and "3 seeds x 16 target" in facts["method_influence"]
    rows = factor_rows(TABLES["steps"]).set_index(["arm", "quantity"])
    steps = TABLES["steps"].assign(versus=TABLES["steps"]["versus"]).set_index(
        ["arm", "step", "versus", "split", "metric"])["value"]
    told = rows.loc[("bridge", "influence, points a step"), "before RL"]
    assert told == f"{100 * steps['bridge', 0, '', 'id', 'influence']:.3f}"
    paid = token_rows(TABLES["tokens"]).set_index(["arms", "problems"])
    assert paid.loc[("bridge minus vanilla", "larger"), "steps of the seeds there"] == "25 25 25 against 50 50 50"
    assert set(profile_rows(TABLES["profiles"])["step"]) == {0, 50}
    assert list(training_informative(TABLES["through"]).index) == [0, 25, 50]


def test_tables_survive_being_written_and_read(tmp_path):
    for name, table in TABLES.items():
        table.to_csv(tmp_path / name, index=False)
    read = {name: pd.read_csv(tmp_path / name) for name in TABLES}
    assert finding("decay", steps=read["steps"]) == finding("decay", steps=TABLES["steps"])
    assert factor_rows(read["steps"]).equals(factor_rows(TABLES["steps"]))
    assert figures.influence_by_step(read["steps"]).get_xlabel()


def test_what_has_not_been_run_is_said_in_words():
    facts = through_facts(None, None)
    assert "GRID=through" in facts["measured"] and set(facts) == set(through_facts(TABLES["steps"], TABLES["tokens"]))
    assert all(rows(None).empty for rows in (factor_rows, token_rows, profile_rows, training_informative))
    ax = drawing(None, figures.influence_by_step, "make reproduce GRID=through")()
    assert "GRID=through" in ax.texts[0].get_text() and np.isfinite(ax.get_position().bounds).all()
