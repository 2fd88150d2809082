"""The chapter on arithmetic trees: its claim is decided by its own tables, and what is not measured says so."""

import dataclasses

import pandas as pd
import pytest
from book_cases import base_card, invent_results, sweep_tables

from bi.bases_chapter import ready_rows
from bi.chapter import UNMEASURED, read_table, table_path
from bi.dyval_chapter import (
    added_rows,
    dyval_facts,
    level_rows,
    moved_text,
    shape_rows,
    shape_text,
    tree_rows,
)
from bi.evaluation.claims import CLAIMS, judge_claims
from bi.evaluation.findings import CROWDED, HOLDS, IN_PART, OPEN, OPPOSITE
from bi.evidence_chapters import result_rows
from bi.recipes import CPU_DYVAL
from bi.sweep_plans import get_plan

COLUMNS = ("how", "arm", "versus", "stage", "split")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    results = invent_results(tmp_path_factory.mktemp("dyval"))
    return {name: read_table(results, f"dyval/{name}") for name in ("summary", "influence", "behaviors", "anatomy")}


def moved(summary, low, high, split):
    """``summary`` with another interval of the extra gain on ``split``."""
    found = summary.copy()
    where = ((found["arm"] == "bridge") & (found["versus"] == "vanilla") & (found["stage"] == "gain")
             & (found["split"] == split) & (found["metric"] == "accuracy"))
    assert where.sum() == 1
    found.loc[where, ["value", "low", "high"]] = [(low + high) / 2, low, high]
    return found


def finding(summary):
    return judge_claims(lambda name: summary if name == "dyval/summary" else None)["dyval"]


def test_the_claim_needs_both_kinds_of_trees_and_reads_no_other_task(tables):
    up = moved(moved(tables["summary"], 0.1, 0.2, "id"), 0.05, 0.1, "ood")
    assert finding(up).verdict == HOLDS
    assert finding(up).seen == ("few redundant premises: +15.0 points (95% interval +10.0 to +20.0); "
                                "many redundant premises: +7.5 points (95% interval +5.0 to +10.0)")
    assert finding(moved(up, -0.1, 0.1, "ood")).verdict == IN_PART
    assert finding(moved(moved(up, -0.2, -0.1, "id"), -0.2, -0.1, "ood")).verdict == OPPOSITE
    assert judge_claims(lambda name: tables["summary"] if name == "summary" else None)["dyval"].verdict == OPEN
    assert next(claim.page for claim in CLAIMS if claim.key == "dyval") == "dyval"


def test_facts_say_start_gain_and_end_or_that_nothing_was_measured(tables):
    facts = dyval_facts(moved(tables["summary"], 0.1, 0.2, "id"))
    assert facts["levels"].startswith("Bridge relative to vanilla: with few redundant premises it starts ")
    assert facts["levels"].count(" and ends ") == 2 and "vanilla, bridge" in facts["measured"]
    assert "bootstrap" in facts["method"]
    nothing = dyval_facts(None)
    assert set(nothing) == set(facts) and "GRID=dyval" in nothing["measured"]
    assert nothing["method"] == UNMEASURED and UNMEASURED in nothing["levels"]
    assert result_rows(None).empty and ready_rows(None).empty


def test_rows_are_those_of_the_table(tables):
    summary = moved(tables["summary"], 0.1, 0.2, "id")
    rows = result_rows(summary, CROWDED, "redundant premises").set_index(["arm", "redundant premises"])
    assert len(rows) == 4 and list(rows) == ["after SFT", "after RL", "gain (points)"]
    summary = tables["summary"]
    assert "base" in set(summary["arm"])  # which stands in the table and is no arm of the comparison
    wanted = summary[(summary["arm"] == "vanilla") & (summary["stage"] == "rl") & (summary["split"] == "ood")
                     & (summary["metric"] == "accuracy") & (summary["versus"].isna())]["value"].item()
    assert rows.loc[("vanilla", "many redundant premises"), "after RL"].startswith(f"{100 * wanted:.1f} (")
    assert ready_rows(tables["influence"])["arm"].tolist() == ["vanilla", "bridge"]


def test_what_rl_moved_is_told_from_the_tables(tables):
    text = moved_text(tables["behaviors"], tables["anatomy"])
    seen = tables["behaviors"].query("arm == 'bridge' and split == 'id' and metric == 'n_subgoal'")
    before, after = (seen[seen["stage"] == stage]["value"].mean() for stage in ("sft", "rl"))
    assert f"subgoals from {before:.2f} to {after:.2f} a completion" in text
    wrong = tables["anatomy"].query("arm == 'vanilla' and split == 'id' and stage == 'rl' and kind == 'arithmetic'")
    share = wrong[wrong["operations"] == 0]["share"].mean()
    assert text.endswith(f"and {100 * share:.0f} per cent of vanilla's.")
    assert moved_text(None, tables["anatomy"]) == ""


def test_levels_of_the_base_come_from_its_card(tmp_path):
    card = base_card("n_levels", (2, 3, 4))
    card["accuracy"].loc[card["accuracy"]["n_levels"] == 4, "value"] = 0.125
    rows = level_rows(card["accuracy"])
    assert rows.index.tolist() == [2, 3, 4] and rows.loc[4, "right answer"] == "12.5"
    assert table_path("results/cpu", "dyval/summary").as_posix() == "results/cpu/dyval/summary.csv"


def test_the_choice_of_the_shape_is_told_from_its_tables():
    plan = get_plan("dyval")
    found = sweep_tables(plan)
    found["anatomy"].loc[found["anatomy"]["kind"] == "order", "share_of_errors"] = 0.1
    text = shape_text(plan, found)
    assert text.startswith("Chosen: three levels, linked, less crowded.")
    assert "vanilla solves 40 and bridge 40 per cent of 200" in text
    assert "three fifths is met" in text and "25 look-ups and 10 order; that each has a fifth is not met" in text
    rows = shape_rows(plan, found["metrics"], found["anatomy"])
    assert rows["recipe"].str.endswith(" (chosen)").sum() == 2 and set(rows["rarest error"]) == {"order, 10 %"}
    assert len(rows) == 2 * len(plan.candidates) and shape_rows(plan, None, None).empty
    assert "SWEEP=dyval" in shape_text(plan, found | {"metrics": None}) and level_rows(None).empty


def test_trees_are_counted_split_by_split():
    task = dataclasses.replace(CPU_DYVAL.task, rl_prompts=60, test_problems=40)  # drawn before those of SFT
    rows = tree_rows(task, 30).astype(float)
    rounding = 3 * 0.05  # three numbers told to a tenth
    most = rows["of these numbers that are stated"] + rows["operations"] + rounding
    assert (rows["lines of an answer"] <= most).all()
    useless = rows["premises that are of no use"]
    assert useless.iloc[-1] >= 4 and (useless.iloc[:-1] <= 3).all()
    flat = dataclasses.replace(task, options=(*task.options, ("sft.min_depth", 2), ("sft.max_depth", 2),
                                              ("sft.extra_links", (0, 0))))
    shallow = tree_rows(flat, 30).astype(float)
    assert shallow.loc["SFT", "operations"] < shallow.loc["RL", "operations"]


def test_what_behaviours_add_is_told_pair_by_pair_as_far_as_it_has_been_run():
    rows = [("all", "bridge", versus, stage, split, value, value - 0.01, value + 0.01, 9, "95%")
            for versus, shift in (("vanilla", 0.5), ("subgoal", 0.0)) for split in ("id", "ood")
            for stage, value in (("sft", shift - 0.1), ("gain", shift + 0.2), ("rl", shift + 0.1))]
    found = added_rows(pd.DataFrame(rows, columns=[*COLUMNS, "value", "low", "high", "n", "method"]))
    assert found["added to subgoals"].tolist() == ["analysis and reflection"] * 2
    assert found["trees"].tolist() == list(CROWDED.values())
    assert set(found["gain"]) == {"+20.0 (+19.0 to +21.0)"} and set(found["after RL"]) == {"+10.0 (+9.0 to +11.0)"}
    assert added_rows(None).empty


def test_each_behaviour_costs_at_the_start_if_both_intervals_lie_below_zero():
    def verdict(analysis, reflection):
        rows = [("all", arm, versus, stage, "id", value, value - 0.05, value + 0.05, 900, "95%")
                for stage in ("sft", "gain", "rl") for arm, versus, value in (("exploitation", "subgoal", analysis),
                                           ("bridge", "exploitation", reflection),
                                           ("bridge", "subgoal", analysis + reflection))]
        table = pd.DataFrame(rows, columns=[*COLUMNS, "value", "low", "high", "n", "method"])
        return judge_claims({"dyval/ablation": table}.get)["tree_cost"]

    both = verdict(-0.1, -0.2)
    assert both.verdict == HOLDS and "analysis: \N{MINUS SIGN}10.0 points" in both.seen
    assert verdict(-0.1, 0.01).verdict == IN_PART and verdict(0.1, 0.2).verdict == OPPOSITE
    table = pd.DataFrame(columns=[*COLUMNS, "value", "low", "high", "n", "method"])
    assert judge_claims({"dyval/ablation": table}.get)["tree_cost"].verdict == OPEN
