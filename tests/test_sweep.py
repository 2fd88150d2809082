"""Sweeps: cells are all combinations, shared SFT is trained once, tables hold every run, test problems stay unseen."""

import dataclasses

import pandas as pd
import pytest

from bi import sweep
from bi.augmentation.arms import build_problems
from bi.sweep import Candidate, Cell, SweepPlan, cells, chosen, development
from bi.sweep_plans import PLANS, get_plan

PLAN = PLANS["smoke"]


def test_every_plan_names_fields_that_exist_and_no_seed_of_the_book():
    for plan in PLANS.values():
        for cell in cells(plan):
            cell.task(plan), cell.sft(plan), cell.grpo(plan)
            assert cell.seed not in plan.recipe.seeds
        assert len({candidate.name for candidate in plan.candidates}) == len(plan.candidates)


def test_a_plan_starts_from_its_own_model_or_from_the_first_of_its_profile():
    assert get_plan("dose").start == "models/plain-base" and PLAN.start == PLAN.recipe.models[0].name
    assert chosen(get_plan("dose")).name == "rows of the book"


def test_an_unknown_plan_or_field_is_refused():
    with pytest.raises(ValueError, match="unknown sweep 'no'"):
        get_plan("no")
    with pytest.raises(TypeError, match="learning"):
        Cell(Candidate("x", sft=(("learning", 1),)), "bridge", 0).sft(PLAN)


def test_development_problems_are_no_test_problems():
    task = PLAN.recipe.task
    tests = {problem.key() for split in ("test_id", "test_ood")
             for problem in build_problems(task, split, task.test_problems, 0)}
    for _, problems in development(PLAN, task):
        assert problems and not tests & {problem.key() for problem in problems}


def test_candidates_with_the_same_sft_share_it(tmp_path):
    one, two = Candidate("a", grpo=(("steps", 1),)), Candidate("b", grpo=(("steps", 2),))
    other, harder = Candidate("c", sft=(("epochs", 2),)), Candidate("d", options=(("redundant", (2, 3)),))
    cells_ = [Cell(candidate, "bridge", 0) for candidate in (one, two, other, harder)]
    folders = [sweep._sft_folder(PLAN, cell, tmp_path) for cell in cells_]
    assert folders[0] == folders[1] and len(set(folders)) == 3


def test_a_candidate_changes_single_options_of_the_task():
    before = PLAN.recipe.task
    candidate = Candidate("x", task=(("sft_rows", 5),), options=(("redundant", (2, 3)),))
    after = Cell(candidate, "bridge", 0).task(PLAN)
    assert dict(after.options) == {**dict(before.options), "redundant": (2, 3)}
    assert after.sft_rows == 5 and after.train_ops == before.train_ops


def test_problems_that_cannot_be_drawn_stop_a_sweep_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "train_start", None)  # must not be reached
    plan = dataclasses.replace(
        get_plan("dyval"), problems=2,
        candidates=(Candidate("too linked", options=(("min_depth", 2), ("max_depth", 2), ("extra_links", (1, 3)))),))
    with pytest.raises(ValueError, match="'too linked' of the sweep, sft: .*extra links need at least 3 levels"):
        sweep.run_sweep(plan, tmp_path, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_sweep_trains_measures_and_resumes(tmp_path, monkeypatch):
    plan = dataclasses.replace(PLAN, seeds=(1000,))
    tables = sweep.run_sweep(plan, tmp_path, 2)
    numbers = tables["metrics"]
    assert set(numbers["stage"]) == {"sft", "rl"} and set(numbers["arm"]) == set(plan.arms)
    assert set(numbers.loc[numbers["candidate"] == "SFT alone", "stage"]) == {"sft"}
    assert len(tables["curves"]) == 2 * plan.recipe.grpo.steps
    again = sweep.run_sweep(plan, tmp_path, 1)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, again[name])


def test_plan_of_one_seed_has_as_many_cells_as_candidates_times_arms():
    plan = SweepPlan("cpu", (Candidate("a"), Candidate("b")), arms=("vanilla", "bridge", "subgoal"), seeds=(5,))
    assert len(cells(plan)) == 6
