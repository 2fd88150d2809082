"""Tables hold what was measured, one measurement a row, and equal inputs give equal bytes."""

import numpy as np
import pandas as pd
import pytest

from bi.evaluation.tables import (
    BEHAVIORS,
    MAIN_COLUMNS,
    SUMMARY_COLUMNS,
    behavior_rows,
    curve_rows,
    main_rows,
    problem_rows,
    problem_values,
    sft_data_rows,
    stack,
    summary_table,
)

CELL = {"task": "igsm", "arm": "bridge", "seed": 0, "stage": "rl", "split": "id"}


def rollouts(correct, samples=4):
    """A rollout table with ``correct[i]`` of ``samples`` completions of problem i right."""
    rows = [
        {"problem_id": f"p{i}", "answer": j < right, "strict": j < right - 1, "format": True, "finished": True,
         "n_tokens": 10 + j, "n_reflection": j % 2, "n_analysis": 0, "n_subgoal": 3}
        for i, right in enumerate(correct) for j in range(samples)
    ]
    return pd.DataFrame(rows)


def grid(arms=("vanilla", "bridge"), seeds=(0, 1, 2), problems=40):
    """Values in which bridge gains .5 and vanilla .25 on every problem, whatever its level."""
    parts = []
    for arm in arms:
        for seed in seeds:
            levels = np.random.default_rng(seed).integers(0, 3, problems)
            after = levels + (2 if arm == "bridge" else 1)
            for stage, correct in (("sft", levels), ("rl", after)):
                parts.append(problem_values(rollouts(correct), CELL | {"arm": arm, "seed": seed, "stage": stage}, (1,)))
    values = stack(parts)
    return values[values["metric"].isin(["accuracy", "strict"])].reset_index(drop=True)


def row(table, **where):
    found = table[np.logical_and.reduce([table[name] == value for name, value in where.items()])]
    assert len(found) == 1, (where, found)
    return found.iloc[0]


def test_main_counts_every_problem_once_and_has_the_columns_of_the_contract():
    table = main_rows(rollouts([0, 2, 4]), CELL, (1, 4))
    assert tuple(table.columns) == MAIN_COLUMNS
    assert row(table, metric="accuracy")["value"] == pytest.approx(0.5)
    assert row(table, metric="pass@4")["value"] == pytest.approx(2 / 3)
    assert row(table, metric="n_tokens")["value"] == pytest.approx(11.5)
    assert set(table["n"]) == {3} and set(table["stage"]) == {"rl"}


def test_problem_rows_keep_the_counts():
    table = problem_rows(rollouts([0, 2, 4]), CELL)
    assert table["correct"].tolist() == [0, 2, 4] and table["n"].tolist() == [4, 4, 4]


def test_problem_values_average_to_the_main_table():
    data = rollouts([0, 1, 3])
    main = main_rows(data, CELL, (1, 2)).set_index("metric")["value"]
    means = problem_values(data, CELL, (1, 2)).groupby("metric")["value"].mean()
    for metric, value in means.items():
        assert value == pytest.approx(main[metric]), metric


def test_a_constant_gain_has_an_interval_without_width_and_the_difference_is_exact():
    table = summary_table(grid(), resamples=50)
    assert tuple(table.columns) == SUMMARY_COLUMNS
    gain = row(table, arm="bridge", stage="gain", versus="", split="id", metric="accuracy")
    assert (gain["value"], gain["low"], gain["high"]) == pytest.approx((0.5, 0.5, 0.5)) and gain["n"] == 120
    extra = row(table, arm="bridge", stage="gain", versus="vanilla", split="id", metric="accuracy")
    assert (extra["value"], extra["low"], extra["high"]) == pytest.approx((0.25, 0.25, 0.25))
    level = row(table, arm="vanilla", stage="sft", versus="", split="id", metric="accuracy")
    assert level["low"] < level["value"] < level["high"]
    assert "bootstrap over 3 seeds" in level["method"]


def test_one_seed_resamples_problems_and_says_so():
    table = summary_table(grid(seeds=(7,)), resamples=50)
    level = row(table, arm="bridge", stage="rl", versus="", split="id", metric="accuracy")
    assert level["low"] < level["value"] < level["high"] and "40 problems" in level["method"]


def test_the_base_model_is_a_level_without_gain():
    base = problem_values(rollouts([1, 2]), CELL | {"arm": "base", "stage": "base"}, (1,))
    table = summary_table(base, resamples=20)
    assert set(table["stage"]) == {"base"} and set(table["versus"]) == {""}


def test_the_summary_is_the_same_whatever_else_is_in_the_table():
    both, alone = summary_table(grid(), resamples=50), summary_table(grid(("bridge",)), resamples=50)
    where = {"arm": "bridge", "stage": "rl", "versus": "", "split": "id", "metric": "strict"}
    pd.testing.assert_series_equal(row(both, **where), row(alone, **where), check_names=False)


def test_seeds_evaluated_on_different_problems_are_refused():
    values = grid()
    values.loc[(values["seed"] == 1) & (values["problem_id"] == "p0"), "problem_id"] = "other"
    with pytest.raises(ValueError, match="same problems"):
        summary_table(values, resamples=5)


def test_sft_data_reports_what_the_rows_hold():
    rows = [{"n_ops": ops, "n_reflection": n, "n_analysis": 1, "n_subgoal": 2} for ops, n in ((3, 0), (5, 2))]
    table = sft_data_rows(rows, [10, 20], CELL).set_index("metric")["value"]
    assert table["rows"] == 2 and table["tokens"] == 30 and table["n_ops"] == 4
    assert table["n_reflection"] == 1 and table["share_n_reflection"] == 0.5


def test_behaviors_go_from_data_through_sft_to_rl_without_the_base():
    rows = [{"n_ops": 3, **dict.fromkeys(BEHAVIORS, 1)}]
    main = stack(main_rows(rollouts([1]), CELL | {"stage": stage}, (1,)) for stage in ("base", "sft", "rl"))
    table = behavior_rows(main, sft_data_rows(rows, [5], CELL))
    assert table["stage"].unique().tolist() == ["data", "sft", "rl"] and set(table["metric"]) == set(BEHAVIORS)


def test_curves_hold_no_times():
    history = pd.DataFrame({"step": [1], "reward": [0.5], "seconds": [3.2]})
    assert curve_rows(history, CELL).columns.tolist() == ["arm", "seed", "step", "reward"]


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        stack([])
