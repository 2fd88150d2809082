"""Arms: the same problems row by row, disjoint splits, the same bytes in every process."""

import dataclasses
import hashlib
import itertools
import json
import os
import subprocess
import sys

import pytest

from bi import figure_style
from bi.augmentation.arm import (
    ARM_TABLE,
    DRAWN_ARMS,
    GRID_ARMS,
    Tally,
    count_words,
    get_arm,
    step_orders,
    with_premises,
)
from bi.augmentation.arms import (
    ARM_RATES,
    SPLITS,
    build_problems,
    build_rows,
    further_problems,
    iterate_rows,
    prompt_row,
    task_config,
)
from bi.augmentation.trace import plain_trace
from bi.augmentation.wording import get_wording
from bi.recipes import CPU, PAPER, PROFILES, SMOKE, BehaviorRates, TaskRecipe
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate
from bi.training.reward import score

SMALL = dataclasses.replace(CPU.task, sft_rows=40, rl_prompts=60, test_problems=30)


def test_arms_share_problems_and_differ_in_behaviour_only():
    problems = build_problems(SMALL, "sft", 40, seed=0)
    rates = BehaviorRates(reflection=0.3, strict=True)  # no detour is solved, so all arms solve the same quantities
    rows = {arm: build_rows(problems, arm, SMALL, rates, seed=0) for arm in ARM_RATES}
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


ENGLISH = TaskRecipe(wording="english")


def english_problems(count, low=2, high=12):
    return [generate(IGSMConfig(low, high), stream("arms", index)) for index in range(count)]


@pytest.mark.parametrize("arm", ["pp", "rc"])
def test_augmented_arms_have_four_rows_a_problem_and_the_first_is_vanillas(arm):
    problems = english_problems(40, 5)
    rows, vanilla = (build_rows(problems, name, ENGLISH, BehaviorRates(), 0) for name in (arm, "vanilla"))
    assert len(rows) == 4 * len(vanilla) and len({row["id"] for row in rows}) == len(rows)
    for index, first in enumerate(vanilla):
        four = rows[4 * index : 4 * index + 4]
        assert {**four[0], "id": first["id"], "arm": "vanilla"} == first
        assert {row["problem_id"] for row in four} == {first["problem_id"]}
        assert {row["answer"] for row in four} == {first["answer"]}
        assert all(score(row["completion"], row["prompt"], "english").strict for row in four)
        assert not any(row["n_reflection"] + row["n_analysis"] + row["n_subgoal"] for row in four)


def test_pp_changes_the_order_of_the_question_and_nothing_else():
    for problem in english_problems(40):
        four = build_rows([problem], "pp", ENGLISH, BehaviorRates(), 0)
        assert len({row["completion"] for row in four}) == 1
        assert len({tuple(sorted(row["prompt"].split("\n")[:-1])) for row in four}) == 1
        assert len({row["prompt"].split("\n")[-1] for row in four}) == 1
        assert len({row["prompt"] for row in four}) == min(4, len(set(itertools.permutations(problem.premises[:4]))))
        shuffled = with_premises(problem, problem.premises[::-1])
        assert get_wording("english").read_problem(get_wording("english").prompt(shuffled)) == shuffled


def linear_extensions(problem, done=frozenset()):
    """All topological orders of what the answer needs, by brute force."""
    left = problem.needed - done
    if not left:
        yield ()
    for name in left:
        if done.issuperset(problem.by_name[name].parents):
            yield from ((name, *rest) for rest in linear_extensions(problem, done | {name}))


def test_rc_changes_the_order_of_the_answer_as_often_as_the_problem_allows():
    fewer = 0
    for index, problem in enumerate(english_problems(60, 1, 5)):
        four = build_rows([problem], "rc", ENGLISH, BehaviorRates(), 0)
        assert len({row["prompt"] for row in four}) == 1
        known = {order for order, _ in zip(linear_extensions(problem), range(5), strict=False)}
        first = tuple(step.name for step in plain_trace(problem, stream(index)).steps)
        orders = step_orders(problem, first, 4, stream(index))
        assert len(orders) == 4 and len(set(orders)) == min(4, len(known))
        fewer += len(known) < 4
    assert 5 < fewer < 55


def test_token_matched_vanilla_goes_on_until_it_is_as_long_as_bridge():
    problems = build_problems(SMALL, "sft", 30, seed=0)
    more = further_problems(SMALL, "sft", 0, 30)
    rates = BehaviorRates(reflection=0.3)
    bridge = build_rows(problems, "bridge", SMALL, rates, 0)
    vanilla = build_rows(problems, "vanilla", SMALL, rates, 0)
    for count in (count_words, len):
        more = further_problems(SMALL, "sft", 0, 30)
        rows = build_rows(problems, "vanilla_tokens", SMALL, rates, 0, more=more, count_tokens=count)
        assert [row["prompt"] for row in rows[:30]] == [row["prompt"] for row in vanilla]
        assert [row["completion"] for row in rows[:30]] == [row["completion"] for row in vanilla]
        assert len({row["problem_id"] for row in rows}) == len(rows) > 30
        longest = max(count(row["completion"]) for row in rows)
        totals = [sum(count(row["completion"]) for row in table) for table in (rows, bridge)]
        assert abs(totals[0] - totals[1]) <= longest / 2
    assert [row["problem_id"] for row in rows] == [p.key() for p in build_problems(SMALL, "sft", len(rows), 0)]
    with pytest.raises(ValueError, match="needs further problems"):
        build_rows(problems, "vanilla_tokens", SMALL, rates, 0)
    with pytest.raises(ValueError, match="ran out"):
        build_rows(problems, "vanilla_tokens", SMALL, rates, 0, more=[])


def test_controls_hold_their_own_behaviours_only():
    problems = build_problems(SMALL, "sft", 40, seed=0)
    for arm in ("subgoal", "reflection", "analysis", "exploration", "exploitation"):
        rows = build_rows(problems, arm, SMALL, BehaviorRates(reflection=0.3), 0)
        held = {name for name in ("reflection", "analysis", "subgoal") if any(row[f"n_{name}"] for row in rows)}
        assert held == set(get_arm(arm).behaviors)
    same = [build_rows(problems, arm, SMALL, BehaviorRates(), 0) for arm in ("reflection", "exploration")]
    assert [row["completion"] for row in same[0]] == [row["completion"] for row in same[1]]


def test_the_names_of_the_arms_are_the_same_everywhere():
    assert list(figure_style.ARM_COLORS) == list(figure_style.ARM_MARKERS)
    assert set(figure_style.ARM_COLORS) == set(ARM_TABLE)
    assert set(GRID_ARMS) == set(ARM_TABLE) - {"exploration", "bridge_20", "bridge_30", "rejection", "rejection_bridge",
                                               "vanilla_tokens"}
    assert set(ARM_RATES) < set(GRID_ARMS) < set(DRAWN_ARMS)
    assert set(GRID_ARMS) >= {arm for profile in PROFILES.values() for arm in profile.arms}


def test_a_tally_reports_rows_problems_tokens_and_behaviours():
    problems, tally = build_problems(SMALL, "sft", 6, seed=0), Tally()
    rows = list(tally.counted(iterate_rows(problems, "bridge", SMALL, BehaviorRates(), 0)))
    assert (tally.rows, tally.problems) == (6, 6)
    assert tally.tokens == sum(len(row["completion"].split()) for row in rows)
    assert all(tally.behaviors[name] == sum(row[f"n_{name}"] for row in rows) for name in tally.behaviors)
    assert tally.text().startswith(f"6 rows of 6 problems, {tally.tokens} words of completions; ")
    four = Tally()
    list(four.counted(iterate_rows(problems, "rc", SMALL, BehaviorRates(), 0)))
    assert (four.rows, four.problems) == (24, 6)


def test_rows_of_today_stay_as_they_are():
    """Models were trained on these bytes: new options and wordings must not redraw them."""
    expected = {"compact": "1c8b1601fb1f1c4d", "english": "df2deae72480a0f5"}
    compact = IGSMConfig(2, 8, modulus=23, compact=True, abstract_depth=1, operands=(2, 3, 5, 4), redundant=(1, 4))
    configs = {"compact": compact, "english": IGSMConfig(2, 16)}
    for wording, config in configs.items():
        problems = [generate(config, stream("bytes", index)) for index in range(60)]
        rows = build_rows(problems, "bridge", TaskRecipe(wording=wording), BehaviorRates(reflection=0.2), 1)
        assert hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] == expected[wording], wording


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
    with pytest.raises(ValueError, match="arm 'rejection' is made of a checkpoint's rollouts.*bi select"):
        build_rows(problems, "rejection", SMALL, BehaviorRates(), 0)
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
