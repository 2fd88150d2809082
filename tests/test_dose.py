"""More rows of SFT from the base without behaviours: the grid changes rows alone, and the doses are paired."""

import dataclasses

import pandas as pd
import pytest

from bi.bases_chapter import dose_levels, dose_rows
from bi.chapter import read_table
from bi.evaluation.claims import judge_claims
from bi.evaluation.dose import FEW, MORE, TABLES, dose_table
from bi.evaluation.findings import HOLDS, OPEN, OPPOSITE, UNSEEN
from bi.evaluation.kept import packed_counts, unpacked_counts
from bi.recipes import CPU, MORE_ROWS, PLAIN_BASE, SMOKE, get_profile
from workflow.stages import make_grid

SIZES = {"id": 8, "ood": 10}
PROBLEMS, N = 20, 10


def counts(ends, problems=PROBLEMS):
    """Rows of ``rollout_accuracy``: both arms start with 3 of 10 right, vanilla ends with 5, bridge as ``ends`` says.
    """
    rows = [(arm, seed, stage, split, f"p{split}{number:02}", N, right)
            for arm, end in (("vanilla", 5), ("bridge", ends)) for seed in (0, 1, 2)
            for stage, right in (("sft", 3), ("rl", end)) for split in SIZES for number in range(problems)]
    return pd.DataFrame(rows, columns=["arm", "seed", "stage", "split", "problem_id", "n", "correct"])


def bases(ends):
    """The tables ``items`` and ``accuracy`` of two bases, the second of which has read no behaviour."""
    cells = [counts(ends).assign(base=base) for base in ("tiny-base", "plain-base")]
    held = pd.concat(cells).assign(size=lambda rows: rows["split"].map(SIZES))
    accuracy = pd.DataFrame([(base, size, split) for base in ("tiny-base", "plain-base")
                             for split, size in (*SIZES.items(), (None, 4))], columns=["base", "size", "split"])
    return packed_counts(held), accuracy


def judged(key, few, more):
    items, accuracy = bases(few)
    unseen = dict.fromkeys(("arm", "versus", "stage", "than"), "")  # no row for the claims on bases themselves
    tables = dict(zip(TABLES, (counts(more), items, accuracy.assign(**unseen, value=0.0)), strict=True))
    return judge_claims(tables.get)[key]


@pytest.mark.parametrize("first", [SMOKE, CPU])
def test_more_rows_and_the_base_are_all_that_differs(first):
    more = get_profile(f"{first.name}-dose")
    assert [model.name for model in more.models] == [PLAIN_BASE] and more.seeds == first.seeds
    assert more.task == dataclasses.replace(first.task, sft_rows=MORE_ROWS * first.task.sft_rows)
    same = {name: getattr(first, name) for name in ("name", "models", "bases", "sizes", "task")}
    assert dataclasses.replace(more, **same) == first
    grid = make_grid(first.name, "dose")
    assert (grid.home, grid.results, grid.arms) == (first.name, "dose", ("vanilla", "bridge"))


def test_a_profile_without_that_base_says_what_it_has():
    with pytest.raises(ValueError, match="profile 'gpu' has no grid 'dose'; it has main, arms, full, "):
        make_grid("gpu", "dose")


def test_doses_are_compared_problem_by_problem():
    table = dose_table(counts(7), *bases(4), resamples=50)
    held = table[(table["arm"] == "bridge") & (table["versus"] == "vanilla")]
    held = held.set_index(["base", "than", "stage", "split"])
    for split in SIZES:
        assert held.loc[(FEW, "", "rl", split), "value"] == pytest.approx(-0.1)
        assert held.loc[(MORE, "", "rl", split), "value"] == pytest.approx(0.2)
        assert held.loc[(MORE, FEW, "rl", split), "value"] == pytest.approx(0.3)
        assert held.loc[(MORE, "", "sft", split), "value"] == pytest.approx(0.0)
    assert (held["n"] == 3 * PROBLEMS).all()


def test_other_problems_are_no_pairs():
    with pytest.raises(ValueError, match="not the same seeds and problems"):
        dose_table(counts(7, problems=PROBLEMS - 1), *bases(4), resamples=10)


def test_without_one_of_its_tables_there_is_no_comparison():
    items, accuracy = bases(4)
    assert dose_table(None, items, accuracy) is None and dose_table(counts(7), None, accuracy) is None
    assert dose_table(counts(7), items, accuracy[accuracy["base"] == "tiny-base"]) is None
    assert judge_claims(lambda name: None)["dose"].verdict == OPEN
    assert dose_rows(None).empty


def test_the_end_and_its_move_are_judged_apart():
    assert judged("dose", few=4, more=7).verdict == HOLDS and judged("dose_more", few=4, more=7).verdict == HOLDS
    assert judged("dose", few=3, more=4).verdict == OPPOSITE and judged("dose_more", few=3, more=4).verdict == HOLDS
    assert judged("dose", few=7, more=7).verdict == HOLDS and judged("dose_more", few=7, more=7).verdict == UNSEEN
    found = judged("dose", few=4, more=7)
    assert "training size: +20.0 points" in found.seen and f"Relative to {FEW}: training size: +30.0" in found.seen


def test_the_page_shows_both_doses_and_what_lies_between():
    rows = dose_rows(dose_table(counts(7), *bases(4), resamples=50))
    ends = rows[rows["difference"] == "after RL"]
    assert list(ends[FEW].str.split().str[0]) == ["\N{MINUS SIGN}10.0"] * 2
    assert list(ends[MORE].str.split().str[0]) == ["+20.0"] * 2
    assert list(ends["more rows minus fewer"].str.split().str[0]) == ["+30.0"] * 2


def test_right_answers_read_from_a_file_keep_their_zeros(tmp_path):
    items, _ = bases(4)
    items["right"] = "00" + items["right"].str[2:]
    (tmp_path / "bases").mkdir()
    items.to_csv(tmp_path / "bases" / "items.csv", index=False)
    read = read_table(tmp_path, "bases/items")
    assert list(read["right"]) == list(items["right"])
    assert unpacked_counts(read)["correct"].tolist() == unpacked_counts(items)["correct"].tolist()


def test_levels_of_both_doses_stand_beside_each_other():
    levels = dose_levels(dose_table(counts(7), *bases(4), resamples=50))
    assert len(levels) == 2 * 2 * 2 and list(levels.columns[-2:]) == ["before RL", "after RL"]
    ends = levels.set_index(["rows of fine-tuning", "arm"])["after RL"].str.split().str[0]
    assert set(ends[FEW, "bridge"]) == {"40.0"} and set(ends[MORE, "bridge"]) == {"70.0"}
    assert set(ends[MORE, "vanilla"]) == {"50.0"} and dose_levels(None).empty
