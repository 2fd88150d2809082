"""A larger range of values: the grid changes the base and the modulus alone, and its claims read its own tables."""

import dataclasses

import pandas as pd
import pytest

from bi.augmentation.arms import build_problems
from bi.bases_chapter import range_facts, range_rows
from bi.chapter import UNMEASURED
from bi.evaluation.claims import judge_claims
from bi.evaluation.findings import HOLDS, IN_PART, OPEN, OPPOSITE, UNSEEN
from bi.recipes import COMPACT, CPU, LARGER_MODULUS, RANGE_BASE, SMOKE, get_profile
from bi.training.pretrain import BASES
from workflow.stages import check_notebooks, make_grid


def summary(gains, ends=(0.1, 0.2)):
    """A table of both arms and bridge minus vanilla, with the intervals ``gains`` and ``ends`` on both splits."""
    rows = []
    for split in ("id", "ood"):
        for stage, (low, high) in {"sft": (-0.1, 0.0), "gain": gains, "rl": ends}.items():
            rows += [(arm, stage, "", split, value, value - 0.05, value + 0.05)
                     for arm, value in (("vanilla", 0.25), ("bridge", 0.5))]
            rows.append(("bridge", stage, "vanilla", split, (low + high) / 2, low, high))
    table = pd.DataFrame(rows, columns=["arm", "stage", "versus", "split", "value", "low", "high"])
    return table.assign(metric="accuracy", n=900, method="95% crossed bootstrap")


@pytest.mark.parametrize("first", [SMOKE, CPU])
def test_the_base_and_the_modulus_are_all_that_differs(first):
    larger = get_profile(f"{first.name}-range")
    assert [model.name for model in larger.models] == [RANGE_BASE] and RANGE_BASE == "models/range-base"
    assert dict(larger.task.options) == {**dict(COMPACT), "modulus": LARGER_MODULUS}
    assert dataclasses.replace(larger.task, options=first.task.options) == first.task
    same = {name: getattr(first, name) for name in ("name", "models", "bases", "sizes", "task")}
    assert dataclasses.replace(larger, **same) == first
    grid = make_grid(first.name, "range")
    assert (grid.home, grid.results, grid.arms) == (first.name, "range", ("vanilla", "bridge"))
    check_notebooks(grid)


def test_the_base_reads_such_values_and_is_else_the_first_one():
    recipe, first = BASES["range-base"], BASES["tiny-base"]
    assert dataclasses.replace(recipe, name=first.name, corpus=first.corpus) == first
    assert dataclasses.replace(recipe.corpus, modulus=first.corpus.modulus) == first.corpus
    assert first.corpus.modulus == dict(COMPACT)["modulus"] and recipe.corpus.modulus == LARGER_MODULUS
    assert all(LARGER_MODULUS % divisor for divisor in range(2, LARGER_MODULUS))


def test_problems_of_the_profile_use_the_whole_range():
    problems = build_problems(get_profile("cpu-range").task, "dev_id", 50, seed=0)
    answers = {problem.answer for problem in problems}
    assert {problem.modulus for problem in problems} == {LARGER_MODULUS}
    assert max(answers) >= dict(COMPACT)["modulus"] and max(answers) < LARGER_MODULUS


@pytest.mark.parametrize(("gains", "ends", "verdicts"), [
    ((0.1, 0.2), (0.1, 0.2), (HOLDS, HOLDS)), ((0.1, 0.2), (-0.1, 0.2), (HOLDS, UNSEEN)),
    ((-0.2, -0.1), (-0.2, -0.1), (OPPOSITE, OPPOSITE))])
def test_its_claims_read_its_own_table(gains, ends, verdicts):
    found = judge_claims({"range/summary": summary(gains, ends), "summary": summary((0.3, 0.4))}.get)
    assert (found["range"].verdict, found["range_end"].verdict) == verdicts
    assert judge_claims({"summary": summary(gains, ends)}.get)["range"].verdict == OPEN


def test_its_claims_need_both_sizes():
    one = summary((0.1, 0.2))
    one.loc[(one["versus"] != "") & (one["stage"] == "gain") & (one["split"] == "id"), "low"] = -0.9
    assert judge_claims({"range/summary": one}.get)["range"].verdict == IN_PART


def test_rows_hold_levels_and_differences_of_both_ranges():
    rows = range_rows({23: summary((0.1, 0.2)), 47: summary((-0.1, 0.1))})
    assert list(rows["values modulo"]) == [23] * 6 + [47] * 6
    kept = rows.set_index(["values modulo", "problems", "arm"])
    assert kept.loc[(23, "training size", "bridge"), "after RL"] == "50.0 (45.0 to 55.0)"
    assert kept.loc[(47, "larger", "bridge minus vanilla"), "gain"] == "+0.0 (−10.0 to +10.0)"
    assert range_rows({23: summary((0.1, 0.2)), 47: None}).empty


def test_the_front_page_has_the_larger_range_in_short():
    facts = range_facts(summary((0.1, 0.2), (-0.1, 0.1)))
    assert facts["brief_range_gain"] == "+15.0 (+10.0 to +20.0); +15.0 (+10.0 to +20.0)"
    assert facts["brief_range_end"].startswith("+0.0 (") and facts["larger_modulus"] == str(LARGER_MODULUS)
    assert range_facts(None)["brief_range_end"] == UNMEASURED and set(range_facts(None)) == set(facts)
