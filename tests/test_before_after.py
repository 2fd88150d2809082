"""Completions to be read: chosen by rule, each outcome is what it says, and the first error is the verdict's."""

import pandas as pd
import pytest

from bi.augmentation.arms import build_problems, build_rows, prompt_row
from bi.augmentation.wording import get_wording
from bi.evaluation.before_after import COLUMNS, OUTCOMES, completion_pairs
from bi.recipes import SMOKE
from bi.runs import SPLITS, Run

STAGES = {"sft": 0, "rl": 1}
WRONG = {"answer": "! 99", "look-up": "D0 .", "empty": ""}


def write_rollouts(runs, *, problems=26, drop=0):
    """Two samples of each problem and stage for two arms and two seeds; the first samples pass through all outcomes."""
    drawn = build_problems(SMOKE.task, "test_id", problems, seed=0)
    right = build_rows(drawn, "bridge", SMOKE.task, SMOKE.rates, seed=0)
    wording = get_wording(SMOKE.task.wording)
    for arm in ("vanilla", "bridge"):
        for seed in (3, 4):
            run = Run("smoke", "models/tiny-base", arm, seed, str(runs))
            for stage, place in STAGES.items():
                rows = []
                for index, (problem, row) in enumerate(zip(drawn, right, strict=True)):
                    good = list(OUTCOMES.values())[index % 4][place]
                    for sample in (1, 0):
                        broken = row["completion"].rsplit("!", 1)[0] + list(WRONG.values())[index % 3]
                        text = row["completion"] if good and sample == 0 else broken
                        verdict = wording.verdict(text, problem)
                        rows.append({**prompt_row(problem, SMOKE.task), "sample": sample, "completion": text,
                                     "answer": verdict.answer, "first_error": verdict.first_error})
                for split in SPLITS:
                    run.rollouts(stage, split).parent.mkdir(parents=True, exist_ok=True)
                    table = pd.DataFrame(rows[:len(rows) - (drop if stage == "rl" else 0)])
                    table.to_parquet(run.rollouts(stage, split))
    return [Run("smoke", "models/tiny-base", arm, seed, str(runs)) for arm in ("vanilla", "bridge") for seed in (3, 4)]


def test_each_outcome_holds_its_first_problems_and_says_how_many_it_has(tmp_path):
    table = completion_pairs(write_rollouts(tmp_path), shown=3)
    assert tuple(table.columns) == COLUMNS and set(table["seed"]) == {3}
    for (_, _, outcome), part in table.groupby(["arm", "split", "outcome"]):
        was, became = OUTCOMES[outcome]
        assert (part["before_right"] == was).all() and (part["after_right"] == became).all()
        assert part["problem_id"].tolist() == sorted(part["problem_id"]) and len(part) == 3
        assert (part["n"] == 26).all() and part["problems"].iloc[0] in (6, 7)
    assert len(table) == 2 * len(SPLITS) * len(OUTCOMES) * 3


def test_the_first_error_is_that_of_the_verdict(tmp_path):
    table = completion_pairs(write_rollouts(tmp_path))
    for row in table.itertuples():
        wording = get_wording(row.wording)
        problem = wording.read_problem(row.prompt)
        for text, error, line in ((row.before, row.before_error, row.before_line),
                                  (row.after, row.after_error, row.after_line)):
            assert (wording.verdict(text, problem).first_error or "") == error
            steps = wording.steps(text, problem)
            assert line == next((at for at, step in enumerate(steps, start=1) if step.error), 0)


def test_the_rule_sees_nothing_but_identifiers_and_outcomes(tmp_path):
    cells = write_rollouts(tmp_path)
    before = completion_pairs(cells, shown=2)
    for path in tmp_path.rglob("rollouts_*.parquet"):
        pd.read_parquet(path).sample(frac=1, random_state=0).to_parquet(path)
    pd.testing.assert_frame_equal(completion_pairs(cells, shown=2), before)


def test_stages_with_other_problems_are_refused(tmp_path):
    with pytest.raises(ValueError, match="vanilla, seed 3, id: .* of other problems"):
        completion_pairs(write_rollouts(tmp_path, drop=2))
