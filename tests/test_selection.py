"""Rejection sampling: only prompts of mixed outcomes stay, only right completions are kept, and nothing is invented."""

import pandas as pd
import pytest

from bi.evaluation.selection import completion_rows, mixed_rollouts, prompt_rows

PROMPT = "%23 D1 {} . D2 N1 + 4 . ? N2 :"


def rollouts():
    """Four prompts with 0, 1, 2 and 3 of 3 completions right; in the third one right answer has a wrong step."""
    rows = []
    for prompt in range(4):
        for sample in range(3):
            right = sample < prompt
            rows.append({
                "problem_id": f"p{prompt}", "sample": sample, "prompt": PROMPT.format(prompt),
                "completion": f"text {prompt} {sample}", "answer": right, "format": right, "reward": float(right),
                "strict": right and (prompt, sample) != (2, 0), "n_reflection": sample, "n_analysis": 1, "n_subgoal": 0,
            })
    return pd.DataFrame(rows)


def test_prompts_never_or_always_solved_go():
    kept = mixed_rollouts(rollouts())
    assert kept["problem_id"].unique().tolist() == ["p1", "p2"] and len(kept) == 6
    assert mixed_rollouts(rollouts(), 0.5)["problem_id"].unique().tolist() == ["p2"]
    assert mixed_rollouts(rollouts(), 0.0, 0.5)["problem_id"].unique().tolist() == ["p1"]


def test_the_table_itself_is_left_alone():
    table = rollouts()
    completion_rows(mixed_rollouts(table), "compact")
    pd.testing.assert_frame_equal(table, rollouts())


def test_rows_for_rl_are_those_of_the_prompts():
    rows = prompt_rows(mixed_rollouts(rollouts()), "compact")
    assert [row["problem_id"] for row in rows] == ["p1", "p2"]
    assert [row["answer"] for row in rows] == ["5", "6"] and {row["n_ops"] for row in rows} == {2}


def test_rows_for_sft_are_right_completions_with_their_counts():
    kept = mixed_rollouts(rollouts())
    assert [row["completion"] for row in completion_rows(kept, "compact")] == ["text 1 0", "text 2 0"]
    assert [row["completion"] for row in completion_rows(kept, "compact", 2)] == ["text 1 0", "text 2 0", "text 2 1"]
    assert [row["completion"] for row in completion_rows(kept, "compact", strict=True)] == ["text 1 0", "text 2 1"]
    assert [row["n_reflection"] for row in completion_rows(kept, "compact", 2)] == [0, 0, 1]


def test_what_cannot_be_kept_is_said():
    with pytest.raises(ValueError, match="0 <= low < high <= 1"):
        mixed_rollouts(rollouts(), 0.9, 0.1)
    with pytest.raises(ValueError, match="none of 4 prompts has an accuracy between 0.7 and 0.9"):
        mixed_rollouts(rollouts(), 0.7, 0.9)
    with pytest.raises(ValueError, match="keep at least one"):
        completion_rows(rollouts(), "compact", 0)
    with pytest.raises(ValueError, match="no completion is right in every step"):
        completion_rows(rollouts().assign(strict=False), "compact", strict=True)
    with pytest.raises(ValueError, match="compact question does not end"):
        prompt_rows(rollouts().assign(prompt="What?"), "compact")
