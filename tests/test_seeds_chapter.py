"""Further seeds: they are others, everything else is the profile's, and both together are weighed by seeds."""

import dataclasses

import pandas as pd
import pytest

from bi.evaluation.ablation import ablation_table
from bi.recipes import PROFILES, get_profile
from bi.seeds_chapter import pooled_counts, seed_rows

PROBLEMS = 12


def counts(seeds, bridge_after):
    """Rows of ``rollout_accuracy``: vanilla goes from 1 to 2 of 8, subgoals from 3 to 4, bridge from 1 as given."""
    after = {"vanilla": 2, "subgoal": 4, "bridge": bridge_after}
    before = {"vanilla": 1, "subgoal": 3, "bridge": 1}
    rows = [(arm, seed, stage, split, f"p{number}", 8, correct[arm]) for arm in after for seed in seeds
            for stage, correct in (("sft", before), ("rl", after)) for split in ("id", "ood")
            for number in range(PROBLEMS)]
    base = [("base", 0, "base", "id", "p0", 8, 1)]
    return pd.DataFrame([*base, *rows], columns=["arm", "seed", "stage", "split", "problem_id", "n", "correct"])


@pytest.mark.parametrize("name", PROFILES)
def test_further_seeds_are_others_and_nothing_else_is(name):
    first, further = get_profile(name), get_profile(f"{name}-seeds")
    assert further.seeds and not set(first.seeds) & set(further.seeds)
    assert set(further.arms) == {"vanilla", "pp", "rc", "bridge", "subgoal"}
    same = {"name": first.name, "seeds": first.seeds, "arms": first.arms, "bases": first.bases, "models": first.models}
    assert dataclasses.replace(further, **same) == first and further.models == first.models[:1]


def test_all_seeds_together_weigh_each_seed_alike():
    first, further = counts((0, 1, 2), 6), counts((3, 4), 3)
    rows = seed_rows(*(ablation_table(table[table["arm"] != "base"], resamples=20) for table in (first, further)),
                     (first, further))
    assert list(rows.columns[2:]) == ["seeds 0, 1, 2", "seeds 3, 4", "all of them, 0, 1, 2, 3, 4"]
    gain = rows[(rows["problems"] == "larger") & (rows["difference"] == "gain")].loc["vanilla"]
    points = [float(gain[name].split()[0].replace("\N{MINUS SIGN}", "-")) for name in rows.columns[2:]]
    assert points == pytest.approx([50.0, 12.5, (3 * 50.0 + 2 * 12.5) / 5])
    assert set(rows.index) == {"vanilla", "subgoal"} and len(rows) == 2 * 2 * 2


def test_arms_that_one_side_lacks_are_left_out_of_the_whole():
    first = counts((0, 1), 6)
    together = pooled_counts(first[first["arm"] != "subgoal"], counts((2,), 6))
    assert set(together["arm"]) == {"vanilla", "bridge"} and set(together["seed"]) == {0, 1, 2}


def test_a_seed_in_both_tables_is_refused():
    with pytest.raises(ValueError, match="seeds 1 are in both tables"):
        pooled_counts(counts((0, 1), 6), counts((1, 2), 6))


def test_without_further_seeds_there_is_no_table():
    first = counts((0,), 6)
    assert seed_rows(pd.DataFrame(), None, (first, None)).empty
