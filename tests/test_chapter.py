"""Numbers and verdicts that the pages show come from the tables, and say so when a table lacks them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from book_cases import estimate

from bi.chapter import UNMEASURED, command_facts, hand_over, read_stage_times, read_table, time_text
from bi.evaluation.verdicts import compare_seeds, find

SUMMARY = pd.DataFrame(
    [("bridge", "gain", np.nan, "id", "accuracy", 0.25, 0.2, 0.3),
     ("bridge", "gain", "vanilla", "id", "accuracy", 0.1, 0.05, 0.2),
     ("vanilla", "gain", np.nan, "id", "accuracy", 0.15, 0.1, 0.2)],
    columns=["arm", "stage", "versus", "split", "metric", "value", "low", "high"],
).assign(n=900, method="95% percentile bootstrap over 3 seeds x 900 problems")


@pytest.mark.parametrize(("low", "high", "word"), [(0.01, 0.2, "supported"), (-0.1, 0.2, "undecided"),
                                                   (-0.2, -0.1, "contradicted"), (math.nan, math.nan, "undecided")])
def test_a_verdict_needs_the_whole_interval_on_one_side_of_zero(low: float, high: float, word: str) -> None:
    assert estimate(0.0, low, high).verdict() == word


def test_an_interval_that_touches_zero_decides_nothing() -> None:
    assert estimate(0.1, 0.0, 0.2).verdict() == "undecided"


def test_estimates_are_worded_in_points_with_their_interval() -> None:
    assert estimate(0.154, 0.101, 0.203).points() == "+15.4 points (95% interval +10.1 to +20.3)"
    assert estimate(-0.154, -0.2, 0.1).brief() == "−15.4 (−20.0 to +10.0)"
    assert estimate(0.154, math.nan, math.nan).points() == "+15.4 points (no interval)"


def test_the_gain_of_an_arm_is_not_taken_for_its_difference_to_another() -> None:
    assert find(SUMMARY, "bridge", "gain", "id").value == 0.25
    assert find(SUMMARY, "bridge", "gain", "id", versus="vanilla").value == 0.1


def test_a_missing_or_double_row_of_the_summary_is_refused() -> None:
    with pytest.raises(ValueError, match="0 rows .*'ood'"):
        find(SUMMARY, "bridge", "gain", "ood")
    with pytest.raises(ValueError, match="2 rows"):
        find(pd.concat([SUMMARY, SUMMARY]), "vanilla", "gain", "id")


def seeds_table(first: list[float], second: list[float]) -> pd.DataFrame:
    rows = [(arm, seed, "id", value) for arm, values in (("a", first), ("b", second))
            for seed, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["arm", "seed", "target", "value"])


@pytest.mark.parametrize(("first", "larger", "word"), [([2, 3, 4], 3, "supported"), ([0, 0, 0], 0, "contradicted"),
                                                       ([2, 0, 4], 2, "undecided"), ([2], 1, "undecided")])
def test_seeds_are_compared_one_by_one(first: list[float], larger: int, word: str) -> None:
    result = compare_seeds(seeds_table(first, [1] * len(first)), "a", "b", target="id")
    assert (result.larger, result.seeds, result.verdict()) == (larger, len(first), word)


def test_a_ratio_is_said_only_where_it_means_something() -> None:
    assert compare_seeds(seeds_table([3, 3], [1, 2]), "a", "b", target="id").times() == "2.0 times"
    assert compare_seeds(seeds_table([3, 3], [-1, 1]), "a", "b", target="id").times() == "no ratio to"


def test_arms_with_different_seeds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="each seed"):
        compare_seeds(seeds_table([1, 2, 3], [1, 2]), "a", "b", target="id")


def test_missing_tables_are_named_with_their_remedy(tmp_path: Path) -> None:
    results = tmp_path / "results" / "smoke"
    for read, name in ((lambda: read_table(results, "main"), "main.csv"),
                       (lambda: read_stage_times(results), "timings.json")):
        with pytest.raises(ValueError, match=name):
            read()


def test_commands_nobody_has_measured_are_said_to_be_so(tmp_path: Path) -> None:
    results = tmp_path / "results" / "cpu"
    assert set(command_facts(results).values()) == {UNMEASURED}
    results.mkdir(parents=True)
    row = "command,wall_s,peak_gb,machine,commit,date\nmake test,95.4,1.26,2 cores,00012ab,2025-01-01\n"
    (results.parent / "commands.csv").write_text(row)
    facts = command_facts(results)
    assert (facts["time_test"], facts["memory_test"], facts["commit_test"]) == ("95 s", "1.3 GB", "00012ab")
    assert facts["time_book"] == UNMEASURED


def test_stage_times_add_up_by_stage(tmp_path: Path) -> None:
    records = [{"stage": "sft", "wall_s": 10.0, "peak_mb": 5}, {"stage": "grpo", "wall_s": 7.0, "peak_mb": 9},
               {"stage": "sft", "wall_s": 20.0, "peak_mb": 6}]
    (tmp_path / "timings.json").write_text(json.dumps(records))
    table = read_stage_times(tmp_path).set_index("stage")
    assert list(table.index) == ["sft", "grpo"]
    assert list(table.loc["sft"]) == [2, 15.0, 30.0, 6]


def test_a_number_that_a_page_could_not_show_is_refused() -> None:
    with pytest.raises(ValueError, match="'gain' is nan"):
        hand_over({"gain": float("nan")})


@pytest.mark.parametrize(("seconds", "text"), [(42, "42 s"), (420, "7 min"), (3900, "1 h 05 min")])
def test_times_are_worded_for_people(seconds: float, text: str) -> None:
    assert time_text(seconds) == text
