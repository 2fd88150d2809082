"""Arms: the same problems row by row, disjoint splits, the same bytes in every process."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys

import pytest

from bi.augmentation.arms import ARM_RATES, SPLITS, build_problems, build_rows, prompt_row, task_config
from bi.recipes import CPU, PAPER, PROFILES, SMOKE, BehaviorRates, TaskRecipe
from bi.training.reward import score

SMALL = dataclasses.replace(CPU.task, sft_rows=40, rl_prompts=60, test_problems=30)


def test_arms_share_problems_and_differ_in_behaviour_only():
    problems = build_problems(SMALL, "sft", 40, seed=0)
    rows = {arm: build_rows(problems, arm, SMALL, BehaviorRates(reflection=0.3), seed=0) for arm in ARM_RATES}
    for arm, table in rows.items():
        assert [row["prompt"] for row in table] == [row["prompt"] for row in rows["vanilla"]]
        assert [row["answer"] for row in table] == [row["answer"] for row in rows["vanilla"]]
        assert all(score(row["completion"], row["prompt"], row["wording"]).strict for row in table)
        assert all(row["arm"] == arm for row in table)
    totals = {
        arm: {k: sum(row[f"n_{k}"] for row in table) for k in ("reflection", "analysis", "subgoal")}
        for arm, table in rows.items()
    }
    assert set(totals["vanilla"].values()) == {0}
    assert all(totals["bridge"].values())
    assert totals["subgoal"] == {"reflection": 0, "analysis": 0, "subgoal": totals["bridge"]["subgoal"]}
    assert totals["reflection"] == {"reflection": totals["bridge"]["reflection"], "analysis": 0, "subgoal": 0}


def test_splits_are_disjoint_and_held_out_ones_do_not_depend_on_the_seed():
    sizes = {"sft": 40, "rl": 60}
    keys = {split: [p.key() for p in build_problems(SMALL, split, sizes.get(split, 30), seed=1)] for split in SPLITS}
    everything = [key for split in SPLITS for key in keys[split]]
    assert len(set(everything)) == len(everything)
    other = {split: [p.key() for p in build_problems(SMALL, split, sizes.get(split, 30), seed=2)] for split in SPLITS}
    assert all(keys[split] == other[split] for split in SPLITS if "_" in split)
    assert keys["sft"] != other["sft"] and keys["rl"] != other["rl"]


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_can_draw_its_problems(name):
    task = dataclasses.replace(PROFILES[name].task, sft_rows=3, rl_prompts=3, test_problems=3)
    for split in SPLITS:
        rows = [prompt_row(problem, task) for problem in build_problems(task, split, 3, seed=0)]
        assert [set(row) for row in rows] == [{"id", "problem_id", "task", "wording", "prompt", "answer", "n_ops"}] * 3


def test_same_bytes_in_other_processes():
    code = (
        "import json; from bi.augmentation.arms import *; from bi.recipes import SMOKE;"
        "p = build_problems(SMOKE.task, 'sft', 20, 3);"
        "print(json.dumps(build_rows(p, 'bridge', SMOKE.task, SMOKE.rates, 3)))"
    )
    here = build_rows(build_problems(SMOKE.task, "sft", 20, 3), "bridge", SMOKE.task, SMOKE.rates, 3)
    digests = {hashlib.sha256((json.dumps(here) + "\n").encode()).hexdigest()}
    for hash_seed in ("0", "77"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout
        digests.add(hashlib.sha256(out).hexdigest())
    assert len(digests) == 1


def test_tasks_and_augmentation_import_without_torch():
    code = (
        "import sys, bi.augmentation.arms, bi.augmentation.english, bi.training.reward; print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert out.strip() == "False"


def test_unknown_names_are_refused_with_what_there_is():
    problems = build_problems(SMALL, "sft", 2, seed=0)
    with pytest.raises(ValueError, match="unknown arm 'plain'.*vanilla"):
        build_rows(problems, "plain", SMALL, BehaviorRates(), 0)
    with pytest.raises(ValueError, match="unknown split 'train'.*sft"):
        build_problems(SMALL, "train", 2, seed=0)
    with pytest.raises(ValueError, match="unknown task 'chess'"):
        task_config(TaskRecipe(task="chess"), (2, 3))
    with pytest.raises(ValueError, match="unknown option 'colour'"):
        task_config(TaskRecipe(options=(("colour", 1),)), (2, 3))
    with pytest.raises(ValueError, match="compact"):
        task_config(TaskRecipe(wording="english", options=(("compact", True),)), (2, 3))


def test_running_out_of_distinct_problems_is_said():
    tiny = TaskRecipe(
        train_ops=(1, 1), id_ops=(1, 1), ood_ops=(2, 2), test_problems=5, rl_prompts=5, options=CPU.task.options
    )
    with pytest.raises(ValueError, match="distinct problems"):
        build_problems(tiny, "sft", 200, seed=0)


def test_paper_profile_asks_for_the_released_sizes():
    assert (PAPER.task.train_ops, PAPER.task.id_ops, PAPER.task.ood_ops) == ((15, 20), (20, 20), (25, 25))
    assert (PAPER.task.sft_rows, PAPER.task.rl_prompts, PAPER.task.test_problems) == (2000, 10_000, 500)
