"""More test problems: training gives way to them alone, both parts are told apart, intervals are of what they say."""

import dataclasses
from itertools import islice

import numpy as np
import pandas as pd
import pytest

from bi.augmentation.arms import build_problems
from bi.evaluation.claims import judge_claims
from bi.evaluation.findings import HOLDS, IN_PART, OPEN, OPPOSITE
from bi.evaluation.kept import packed_counts, unpacked_counts
from bi.evaluation.retest import ALL, CELL, FIRST, FURTHER, MOVED, in_parts, retest_table
from bi.recipes import CPU, FURTHER_ARMS, PAPER, SMOKE, get_profile
from bi.seeds_chapter import retest_rows
from workflow.stages import make_grid

SPLITS, N = ("id", "ood"), 10
SIZES = {FIRST: 12, FURTHER: 8}
MAIN = {"vanilla": 5, "bridge": 7}


def counts(further, ends=MAIN):
    """Rows of a retest: all start with 3 of 10 right; ``further`` is bridge's end on the further problems by split."""
    rows = []
    for part, problems in SIZES.items():
        for arm, end in ends.items():
            for split in SPLITS:
                last = further[split] if (part, arm) == (FURTHER, "bridge") else end
                rows += [(judged, part, arm, seed, stage, split, f"{part}{split}{number:02}", N, right)
                         for judged in ("answer", "strict") for seed in range(5)
                         for stage, right in (("sft", 3), ("rl", last)) for number in range(problems)]
    return pd.DataFrame(rows, columns=[*CELL, "problem_id", "n", "correct"])


@pytest.mark.parametrize(("first", "problems"), [(SMOKE, 24), (CPU, PAPER.task.test_problems)])
def test_problems_and_seeds_are_all_that_differs(first, problems):
    more = get_profile(f"{first.name}-retest")
    further = get_profile(f"{first.name}-seeds").seeds
    assert more.seeds == (*first.seeds, *further) and len(set(more.seeds)) == len(more.seeds)
    assert more.arms == FURTHER_ARMS and set(first.arms) < set(more.arms)
    assert more.task == dataclasses.replace(first.task, test_problems=problems)
    same = {name: getattr(first, name) for name in ("name", "seeds", "bases", "sizes", "task", "arms")}
    assert dataclasses.replace(more, **same) == first
    grid = make_grid(first.name, "retest")
    assert (grid.home, grid.results, grid.arms) == (first.name, "retest", FURTHER_ARMS)


def test_a_profile_that_tests_on_as_many_has_no_such_grid():
    with pytest.raises(ValueError, match="profile 'gpu' has no grid 'retest'"):
        make_grid("gpu", "retest")


def test_the_first_problems_are_those_of_the_main_tables_and_the_further_ones_are_others():
    tested = [problem.key() for problem in build_problems(get_profile("smoke-retest").task, "test_id", 24, 0)]
    parts = in_parts(tested, "smoke-retest")
    assert parts[FIRST] == [problem.key() for problem in build_problems(SMOKE.task, "test_id", 16, 1)]
    assert len(parts[FURTHER]) == 8 and len(set(tested)) == 24


@pytest.mark.slow
@pytest.mark.parametrize("seed", get_profile("cpu-retest").seeds)
def test_of_the_training_problems_those_give_way_that_are_held_out_now_and_no_other(seed):
    few, more = CPU.task, get_profile("cpu-retest").task
    held = {problem.key() for split in ("test_id", "test_ood", "dev_id", "dev_ood")
            for problem in build_problems(more, split, more.test_problems, seed)}
    for split, size in (("rl", few.rl_prompts), ("sft", few.sft_rows)):
        before, after = ([problem.key() for problem in build_problems(task, split, size, seed)] for task in (few, more))
        assert set(before) - set(after) == set(before) & held and not set(after) & held
        kept = [key for key in before if key not in held]
        assert after[: len(kept)] == kept and len(before) - len(kept) < size / 500


def test_parts_and_their_difference():
    table = retest_table(counts({"id": 8, "ood": 7}), resamples=60)
    rows = table[(table["arm"] == "bridge") & (table["versus"] == "vanilla") & (table["judged"] == "answer")]
    rows = rows.set_index(["split", "stage", "problems"]).sort_index()
    value, n = rows["value"], rows["n"]
    assert value["id", "gain"].to_dict() == pytest.approx({FIRST: 0.2, FURTHER: 0.3, ALL: 0.24, MOVED: 0.1})
    assert value["ood", "rl"].to_dict() == pytest.approx({FIRST: 0.2, FURTHER: 0.2, ALL: 0.2, MOVED: 0.0})
    assert value["id", "sft"].to_dict() == pytest.approx(dict.fromkeys((FIRST, FURTHER, ALL, MOVED), 0.0))
    assert n["id", "gain"].to_dict() == {FIRST: 60, FURTHER: 40, ALL: 100, MOVED: 100}


def test_seeds_are_drawn_for_both_parts_alike_and_problems_apart():
    held = counts({"id": 7, "ood": 7})
    by_seed = held.assign(correct=np.where((held["arm"] == "bridge") & (held["stage"] == "rl"), 3 + held["seed"], 3))
    keys = ["judged", "split", "arm", "versus", "stage", "problems"]
    rows = retest_table(by_seed, resamples=200).set_index(keys).sort_index()
    gains = rows.loc["answer", "id", "bridge", "vanilla", "gain"]
    assert gains.loc[FIRST, "low"] < gains.loc[FIRST, "high"]  # seeds differ
    assert gains.loc[MOVED, ["value", "low", "high"]].tolist() == pytest.approx([0, 0, 0])  # and both parts share them
    alike = by_seed.assign(correct=np.where(by_seed["problem_id"].str.endswith(("1", "3", "5")), by_seed["correct"], 3))
    moved = retest_table(alike, resamples=200).set_index(keys).sort_index()
    apart = moved.loc[("answer", "id", "bridge", "vanilla", "gain", MOVED)]
    assert apart["low"] < apart["high"]


def test_missing_problems_are_an_error():
    held = counts({"id": 7, "ood": 7})
    with pytest.raises(ValueError, match="not the same seeds and problems"):
        retest_table(held[~((held["arm"] == "bridge") & (held["problem_id"] == "furtherid03"))], resamples=5)
    for column, value in (("seed", 4), ("arm", "bridge"), ("stage", "rl")):
        with pytest.raises(ValueError, match="different arms, stages or seeds"):
            retest_table(held[~((held["part"] == FURTHER) & (held[column] == value))], resamples=5)


def test_counts_are_kept_by_part_and_judge():
    held = counts({"id": 8, "ood": 7})
    items = packed_counts(held, CELL)
    assert len(items) == 2 * 2 * 2 * 5 * 2 * 2
    pd.testing.assert_frame_equal(retest_table(unpacked_counts(items, CELL), resamples=20),
                                  retest_table(held, resamples=20))


def test_the_claim_reads_the_further_problems_alone():
    def judged(further):
        table = retest_table(counts(further), resamples=60)
        return judge_claims({"retest/accuracy": table}.get)["retest"]

    assert judged({"id": 8, "ood": 8}).verdict == HOLDS
    found = judged({"id": 5, "ood": 8})
    assert found.verdict == IN_PART and "training size: +0.0 points" in found.seen
    assert judge_claims(lambda name: None)["retest"].verdict == OPEN


def test_the_other_arms_are_judged_on_the_further_problems_too():
    def judged(bridge, **others):
        table = retest_table(counts({"id": bridge, "ood": 9}, MAIN | others), resamples=60)
        found = judge_claims({"retest/accuracy": table}.get)
        return found["retest_augmented"], found["retest_subgoals"]

    augmented, subgoals = judged(8, pp=6, rc=5, subgoal=5)
    assert (augmented.verdict, subgoals.verdict) == (HOLDS, HOLDS)
    assert "pp, training size: +20.0 points" in augmented.seen and "rc, larger: +40.0 points" in augmented.seen
    assert "gain: +30.0 points" in subgoals.seen and "after RL: +30.0 points" in subgoals.seen
    assert judged(6, pp=6, rc=5, subgoal=7)[0].verdict == IN_PART
    assert judged(6, pp=6, rc=5, subgoal=7)[1].verdict == OPPOSITE
    assert [found.verdict for found in judged(8, pp=6)] == [OPEN, OPEN]


def test_the_page_shows_levels_and_differences():
    held = counts({"id": 8, "ood": 7})
    rows = retest_rows(retest_table(held, resamples=40), packed_counts(held, CELL))
    assert list(rows.columns) == ["first 12", "further 8", "all 20", "further minus first"]
    assert len(rows) == 2 * 6 and list(islice(rows.index.get_level_values("problems"), 1)) == ["training size"]
    assert rows.loc[("training size", "bridge, after RL"), "further 8"].split()[0] == "80.0"
    assert rows.loc[("training size", "bridge minus vanilla, gain"), "all 20"].split()[0] == "+24.0"
    assert retest_rows(None, None).empty
