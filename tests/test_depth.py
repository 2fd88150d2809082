"""Deeper trees: problems of one more level than is trained on, one table of all arms, and the claim that reads it."""

import dataclasses

import pandas as pd
import pytest

from bi.augmentation.arms import SPLITS, build_problems
from bi.augmentation.sizes import sized_problems, trained_size
from bi.dyval_chapter import depth_rows
from bi.evaluation.bases import bases_table
from bi.evaluation.claims import judge_claims
from bi.evaluation.findings import HOLDS, OPEN, OPPOSITE, UNSEEN
from bi.recipes import BESIDE, CPU_DYVAL
from bi.tasks.problem import in_corpus_half
from workflow.stages import check_notebooks, make_grid

TREES = [name for name in BESIDE if name.endswith("-dyval")]


def accuracy(ends):
    """Two arms on trees of 3 and 4 levels: both start with 2 of 10 right and end as ``ends`` says, level by level."""
    rows = [("trees", arm, seed, stage, levels, f"p{number}", 10, 2 if stage == "sft" else ends[levels][arm])
            for levels in ends for arm in ("vanilla", "bridge") for seed in (0, 1, 2) for stage in ("sft", "rl")
            for number in range(20)]
    counts = pd.DataFrame(rows, columns=["base", "arm", "seed", "stage", "size", "problem_id", "n", "correct"])
    return bases_table(counts, resamples=50).assign(trained=lambda table: table["size"] == 3)


def judged(bridge, trained=9):
    table = accuracy({3: {"vanilla": 4, "bridge": trained}, 4: {"vanilla": 4, "bridge": bridge}})
    return judge_claims({"depth/accuracy": table}.get)["tree_depth"]


@pytest.mark.parametrize("name", TREES)
def test_no_profile_tests_a_depth_that_it_trains_on(name):
    recipe = BESIDE[name]
    for levels in recipe.sizes.ops:
        assert levels > trained_size(recipe.task) and len(sized_problems(recipe.task, levels, 2)) == 2
    for levels in {trained_size(recipe.task), dict(recipe.task.options)["sft.max_depth"]}:
        with pytest.raises(ValueError, match=f"problems of size {levels} are trained on"):
            sized_problems(recipe.task, levels, 2)


def test_deeper_trees_stand_in_no_corpus_and_no_split():
    task = CPU_DYVAL.task
    problems = sized_problems(task, 4, 40)
    shallow = build_problems(task, "test_id", 40, 0)
    assert sum(p.n_ops for p in problems) > 1.5 * sum(p.n_ops for p in shallow)
    assert problems == sized_problems(task, 4, 40)
    keys = {p.key() for p in problems}
    few = dataclasses.replace(task, test_problems=20, rl_prompts=40)
    assert len(keys) == 40 and not any(map(in_corpus_half, keys))
    assert not keys & {p.key() for split in SPLITS for p in build_problems(few, split, 40, 0)}


def test_the_grid_shares_the_cells_of_the_trees_and_has_a_table_of_its_own():
    grid, first = make_grid("cpu", "depth"), make_grid("cpu", "dyval")
    check_notebooks(grid)
    assert (grid.profile, grid.home, grid.results, grid.arms) == (first.profile, "cpu", "depth", first.arms)
    assert {job for job in grid.jobs() if job[0] in ("sft", "grpo")} <= set(first.jobs())
    with pytest.raises(ValueError, match="depth always runs whole"):
        make_grid("cpu", "depth:bridge")


def test_its_claim_is_decided_on_deeper_trees_alone():
    assert judged(6).verdict == HOLDS and judged(6).seen.startswith("4 levels: +20.0 points")
    assert judged(4).verdict == UNSEEN and judged(3).verdict == OPPOSITE
    assert judged(6, trained=1).verdict == HOLDS and judge_claims({}.get)["tree_depth"].verdict == OPEN


def test_rows_have_every_arm_on_every_depth():
    rows = depth_rows(accuracy({3: {"vanilla": 4, "bridge": 9}, 4: {"vanilla": 3, "bridge": 5}}))
    assert rows[["levels", "arm"]].values.tolist() == [[3, "vanilla"], [3, "bridge"], [4, "vanilla"], [4, "bridge"]]
    deep = rows.iloc[-1]
    assert (deep["before RL"], deep["after RL"]) == ("20.0 (20.0 to 20.0)", "50.0 (50.0 to 50.0)")
    assert deep["gain, minus vanilla's"] == deep["after RL, minus vanilla's"] == "+20.0 (+20.0 to +20.0)"
    assert rows.iloc[0]["gain, minus vanilla's"] == "" and depth_rows(None).empty
