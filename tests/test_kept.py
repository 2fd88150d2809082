"""Right answers problem by problem: packed and unpacked without loss, kept from one run to the next, never mixed up."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from test_bases import counts

from bi.evaluation.bases import bases_table
from bi.evaluation.kept import CELL, cells_digest, packed_counts, read_kept, unpacked_counts
from bi.provenance import write_table
from bi.recipes import CPU, SMOKE
from workflow.checks import check_compared
from workflow.keys import kept_digest
from workflow.stages import Grid, make_grid

FOUR = {"tiny": "tiny-base", "wide": "plain-base"}


def few(seed=0, problems=30, samples=4):
    """Cells like those of the map, with 4 samples a problem and problems in another order in each cell."""
    rng = np.random.default_rng(seed)
    table = counts(n=samples, problems=problems).replace({"base": FOUR})
    table["correct"] = rng.integers(0, samples + 1, len(table))
    return pd.concat([part.sample(frac=1, random_state=int(rng.integers(1000)))
                      for _, part in table.groupby(list(CELL), sort=False)], ignore_index=True)


def facts_of(ran, commit="abc", kept=None, recipe=CPU):
    """The provenance of a run of ``ran``, as far as later runs look at it."""
    return {"cells": cells_digest(recipe), "ran": list(ran), "kept": kept or {},
            **dict.fromkeys(("dirty", "hardware", "libraries")), "commit": commit}


def published(folder, table):
    """``table`` as the tables of a finished grid leave it."""
    facts = facts_of(dict.fromkeys(table["base"]))
    write_table(folder / "items.csv", packed_counts(table), facts)
    bases = list(dict.fromkeys(table["base"]))
    write_table(folder / "conditions.csv", pd.DataFrame({"base": bases, "value": 0.5}), facts)
    return folder


@pytest.mark.parametrize("samples", [1, 4, 35])
def test_packing_loses_nothing_that_a_table_needs(samples, tmp_path):
    table = few(samples=samples)
    packed = packed_counts(table)
    assert len(packed) == len(table.groupby(list(CELL))) and set(packed["right"].str.len()) == {30}
    sums = table.groupby(list(CELL))["correct"].sum()
    assert unpacked_counts(packed).groupby(list(CELL))["correct"].sum().equals(sums)
    folder = published(tmp_path, table)
    kept = read_kept([folder], "base", CPU)
    again = unpacked_counts(kept.joined("items", packed.iloc[:0], list(FOUR.values())))
    pd.testing.assert_frame_equal(bases_table(again, resamples=50), bases_table(table.sort_values("problem_id"),
                                                                                resamples=50))


def test_problems_of_equal_number_and_other_keys_are_not_taken_for_pairs():
    table = few()
    other = table["problem_id"].where(table["base"] != "plain-base", table["problem_id"] + "x")
    with pytest.raises(ValueError, match="not the same seeds and problems"):
        bases_table(unpacked_counts(packed_counts(table.assign(problem_id=other))), resamples=10)


def test_cells_that_do_not_fit_are_refused():
    table = few()
    table.loc[3, "n"] = 5
    with pytest.raises(ValueError, match=r"'base': .* \[4, 5\] samples a problem; sample every problem equally often"):
        packed_counts(table)
    with pytest.raises(ValueError, match="at most 35 times"):
        packed_counts(few(samples=36))


def test_bases_that_did_not_run_keep_their_rows_and_others_lose_them(tmp_path):
    old, new = few(1), few(2)
    kept = read_kept([published(tmp_path, old)], "base", CPU, ["tiny-base"])
    run = packed_counts(new[new["base"] == "plain-base"])
    both = kept.joined("items", run, ["tiny-base", "plain-base", "wide-base"])
    assert list(dict.fromkeys(both["base"])) == ["tiny-base", "plain-base"]
    pd.testing.assert_frame_equal(both[both["base"] == "plain-base"].reset_index(drop=True), run)
    assert list(both["right"])[: len(run)] == list(packed_counts(old[old["base"] == "tiny-base"])["right"])
    bases_table(unpacked_counts(both), resamples=10)  # still pairs
    assert list(kept.joined("items", run, ["plain-base"])["base"].unique()) == ["plain-base"]


def test_what_is_missing_or_of_another_recipe_is_told(tmp_path):
    assert read_kept([], "base", CPU).made == {} and read_kept([tmp_path], "base", CPU).made == {}
    with pytest.raises(ValueError, match="no results of tiny-base in .*; name what is missing behind the colon"):
        read_kept([tmp_path], "base", CPU, ["tiny-base"])
    folder = published(tmp_path, few())
    with pytest.raises(ValueError, match="no results of wide-base"):
        read_kept([folder], "base", CPU, ["wide-base"])
    with pytest.raises(ValueError, match="made with another recipe than the present one"):
        read_kept([folder], "base", SMOKE)
    assert read_kept([folder], "base", dataclasses.replace(CPU, bases=(), note="x")).made  # neither decides a cell
    (folder / "accuracy.provenance.json").write_text(json.dumps({"arms": ["vanilla"]}))  # nobody can check that
    with pytest.raises(ValueError, match="or do not say with which; run the whole grid"):
        read_kept([folder], "base", CPU)


def test_the_first_folder_that_has_an_arm_is_asked(tmp_path):
    for folder, arms in (("own", ("b",)), ("all", ("a", "b"))):
        write_table(tmp_path / folder / "main.csv", pd.DataFrame({"arm": arms, "value": folder}),
                    facts_of(arms[-1:], folder, {"a": {"commit": "old"}} if "a" in arms else {}))
    kept = read_kept([tmp_path / "own", tmp_path / "all"], "arm", CPU, ["a", "b"])
    run = pd.DataFrame({"arm": ["base", "c"], "value": "new"})
    joined = kept.joined("main", run, ["a", "b", "c"])
    assert joined.values.tolist() == [["base", "new"], ["a", "all"], ["b", "own"], ["c", "new"]]
    assert kept.joined("other", run, ["a", "b", "c"]).values.tolist() == run.values.tolist()
    facts = kept.facts(["a", "b", "c", "d"], ["c"])
    assert facts["ran"] == ["c"] and {arm: made["commit"] for arm, made in facts["kept"].items()} == {
        "a": "old", "b": "own"}


def test_published_tables_joined_with_nothing_are_the_same_bytes(tmp_path):
    """Rows of an arm keep their text: what is kept is not rounded, and what is empty stays empty."""
    frame = pd.DataFrame({"arm": ["a", "b", "b"], "value": [0.1234567891, np.nan, 1.0], "n": [1.0, 2.0, 2.5],
                          "right": ["012", "300", "1"], "low": [1.0, 0.00012345678912345, 2.0]})
    facts = facts_of(["a", "b"])
    path = write_table(tmp_path / "t.csv", frame, facts)
    kept = read_kept([tmp_path], "arm", CPU)
    for arm in ("a", "b"):
        write_table(tmp_path / "again.csv", kept.joined("t", frame[frame["arm"] == arm], ["a", "b"]), facts)
        assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_a_grid_of_some_bases_runs_these_and_needs_results_of_the_first(tmp_path):
    every, some = make_grid("cpu", "bases"), make_grid("cpu", "bases:plain-base")
    assert {run.model for _, run in some.jobs() if run.model} == {"models/plain-base"}
    assert len(some.compared) == 1 and not every.kept and some.kept == ["results/cpu/bases"]
    assert make_grid("cpu", some.title) == some and make_grid("cpu", every.title) == every
    check_compared(make_grid("cpu", "bases:tiny-base,plain-base"), tmp_path)
    with pytest.raises(ValueError, match="no results of tiny-base in .*results/cpu/bases"):
        check_compared(some, tmp_path)
    published(tmp_path / some.kept[0], few())
    check_compared(some, tmp_path)


def test_a_grid_of_some_arms_runs_these_and_what_their_rollouts_come_from(tmp_path):
    some = make_grid("cpu", "rejection:rejection_bridge")
    cells = {(stage, run.arm) for stage, run in some.jobs() if run.arm}
    assert cells == {("sft", "bridge"), *((stage, "rejection_bridge")
                                          for stage in ("select", "measure", "grpo", "evaluate", "lines"))}
    assert some.every == make_grid("cpu", "rejection").arms and some.arms == ("rejection_bridge",)
    assert some.kept == ["results/cpu", "results/cpu/rejection"] and make_grid("cpu", some.title) == some
    with pytest.raises(ValueError, match="no results of vanilla, bridge, rejection in .*results/cpu"):
        check_compared(some, tmp_path)


def test_arms_of_several_models_are_not_kept():
    assert len(make_grid("paper", "tokens").models) > 1
    with pytest.raises(ValueError, match="profile 'paper' has several models, whose arms are not kept apart"):
        make_grid("paper", "tokens:vanilla_tokens")


@pytest.mark.parametrize(("name", "told"), [
    ("main:pp", "GRID=main:pp: main always runs whole"), ("through:vanilla", "through always runs whole"),
    ("tokens:pp", "tokens of profile 'cpu' has no pp; choose from vanilla, vanilla_tokens, bridge"),
    ("bases:plain-base,nope", "bases of profile 'cpu' has no nope; choose from tiny-base, plain-base")])
def test_what_a_grid_cannot_run_is_told(name, told):
    with pytest.raises(ValueError, match=told):
        make_grid("cpu", name)


def test_tables_are_made_again_when_kept_results_change_and_not_when_own_ones_do(tmp_path):
    grid: Grid = make_grid("cpu", "bases:plain-base")
    assert kept_digest(make_grid("cpu", "bases"), tmp_path) == ""
    old, new = few(1), few(2)
    published(tmp_path / grid.kept[0], old)
    first = kept_digest(grid, tmp_path)
    published(tmp_path / grid.kept[0], pd.concat([old[old["base"] == "tiny-base"], new[new["base"] == "plain-base"]]))
    assert kept_digest(grid, tmp_path) == first
    published(tmp_path / grid.kept[0], new)
    assert kept_digest(grid, tmp_path) != first
