"""Bases and sizes: problems of other sizes are held out, and differences between bases are what was put in."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from bi.augmentation.arms import SPLITS, build_problems
from bi.augmentation.sizes import sized_problems
from bi.evaluation.bases import bases_table
from bi.evaluation.metrics import cell_counts
from bi.recipes import CPU
from bi.tasks.problem import in_corpus_half

GAINS = {("tiny", "vanilla"): 0.1, ("tiny", "bridge"): 0.3, ("wide", "vanilla"): 0.2, ("wide", "bridge"): 0.25}


def counts(n=1000, problems=30, seeds=(0, 1, 2)):
    """Every base and arm starts at .4 on size 8 and .2 on size 12 and gains what :data:`GAINS` says."""
    rows = []
    for (base, arm), gain in GAINS.items():
        for seed in seeds:
            for size, start in ((8, 0.4), (12, 0.2)):
                for stage, level in (("sft", start), ("rl", start + gain)):
                    spread = np.linspace(-0.1, 0.1, problems)
                    rows.append(pd.DataFrame({
                        "base": base, "arm": arm, "seed": seed, "stage": stage, "size": size, "n": n,
                        "problem_id": [f"{size}-{i}" for i in range(problems)],
                        "correct": np.rint(n * (level + spread)).astype(int)}))
    return pd.concat(rows, ignore_index=True)


def one(table, **cell):
    rows = table[(table[list(cell)] == pd.Series(cell)).all(axis=1)]
    assert len(rows) == 1, cell
    return rows.iloc[0]


def test_levels_gains_and_differences_are_what_was_put_in():
    table = bases_table(counts(), resamples=100)
    for size, start in ((8, 0.4), (12, 0.2)):
        for (base, arm), gain in GAINS.items():
            cell = {"base": base, "arm": arm, "size": size, "versus": "", "than": ""}
            assert one(table, stage="sft", **cell)["value"] == pytest.approx(start)
            assert one(table, stage="gain", **cell)["value"] == pytest.approx(gain, abs=2e-3)
        extra = one(table, base="wide", arm="bridge", size=size, versus="vanilla", than="", stage="gain")
        assert extra["value"] == pytest.approx(0.05, abs=2e-3)
        less = one(table, base="wide", arm="bridge", size=size, versus="vanilla", than="tiny", stage="gain")
        assert less["value"] == pytest.approx(0.05 - 0.2, abs=2e-3)
        assert less["low"] <= less["value"] <= less["high"] and less["n"] == 90
    assert set(table.loc[table["than"] != "", "base"]) == {"wide"}


def test_differences_are_paired_so_hard_problems_do_not_widen_them():
    table = bases_table(counts(), resamples=200)
    level = one(table, base="tiny", arm="bridge", size=8, versus="", than="", stage="rl")
    gain = one(table, base="tiny", arm="bridge", size=8, versus="", than="", stage="gain")
    assert level["high"] - level["low"] > 10 * (gain["high"] - gain["low"])


def test_cells_with_other_problems_are_refused():
    rows = counts()
    rows = rows[~((rows["base"] == "wide") & (rows["seed"] == 2) & (rows["problem_id"] == "12-3"))]
    with pytest.raises(ValueError, match="base wide, arm vanilla, stage sft: not the same seeds and .* on size 12"):
        bases_table(rows, resamples=10)


def test_rows_of_a_rollout_table_count_right_answers_by_problem():
    rollouts = pd.DataFrame({"problem_id": ["a", "a", "b"], "answer": [True, False, True], "reward": [1.0, 0.0, 1.0]})
    rows = cell_counts(rollouts, {"base": "tiny", "arm": "bridge", "seed": 1, "stage": "rl", "size": 4})
    assert rows[["problem_id", "n", "correct"]].values.tolist() == [["a", 2, 1], ["b", 1, 1]]
    assert (rows["base"] == "tiny").all() and list(rows)[:5] == ["base", "arm", "seed", "stage", "size"]


@pytest.mark.parametrize("size", CPU.sizes.ops)
def test_problems_of_other_sizes_stand_in_no_corpus_and_no_split(size):
    problems = sized_problems(CPU.task, size, 40)
    assert [p.n_ops for p in problems] == [size] * 40 and problems == sized_problems(CPU.task, size, 40)
    keys = {p.key() for p in problems}
    assert len(keys) == 40 and not any(map(in_corpus_half, keys))
    few = dataclasses.replace(CPU.task, test_problems=20, rl_prompts=40)  # splits are drawn one after the other
    assert not keys & {p.key() for split in SPLITS for p in build_problems(few, split, 40, 0)}


@pytest.mark.parametrize("size", [5, 8])
def test_a_size_that_is_trained_on_is_refused(size):
    with pytest.raises(ValueError, match=f"problems of size {size} are trained on"):
        sized_problems(CPU.task, size, 4)
