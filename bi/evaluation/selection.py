"""Rejection sampling: which prompts a checkpoint solves sometimes, and which of its completions are right.

The paper's appendix trains on prompts of medium accuracy to see whether an informative rollout accuracy alone makes a
checkpoint gain. Everything here is a pure function of a table of rollouts.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from bi.augmentation.behaviors import BEHAVIORS
from bi.augmentation.wording import get_wording
from bi.evaluation.metrics import correct_column, problem_counts

ARM = "rejection"


def mixed_rollouts(rollouts: pd.DataFrame, low: float = 0.0, high: float = 1.0) -> pd.DataFrame:
    """The rollouts of the prompts whose accuracy lies strictly between ``low`` and ``high``, in their order.

    Accuracy is that of the final answer (:func:`bi.evaluation.metrics.problem_counts`). Raises ``ValueError`` for
    bounds that are no range within 0..1, and when no prompt is left.
    """
    if not 0.0 <= low < high <= 1.0:
        raise ValueError(f"accuracy between {low} and {high}: give 0 <= low < high <= 1")
    counts = problem_counts(rollouts)
    kept = counts.loc[(counts["accuracy"] > low) & (counts["accuracy"] < high), "problem_id"]
    if kept.empty:
        raise ValueError(f"none of {len(counts)} prompts has an accuracy between {low:g} and {high:g}; sample more "
                         "completions of each prompt, or widen the range")
    return rollouts[rollouts["problem_id"].isin(kept)].reset_index(drop=True)


def prompt_rows(rollouts: pd.DataFrame, wording: str) -> list[dict[str, Any]]:
    """One row a prompt, for RL: the columns of ``bi data --prompts-only``.

    Raises ``ValueError`` for a prompt that ``wording`` cannot read.
    """
    firsts = rollouts.drop_duplicates("problem_id")
    return [_prompt_columns(row, wording) for row in firsts.to_dict("records")]


def completion_rows(
    rollouts: pd.DataFrame, wording: str, per_prompt: int = 1, *, strict: bool = False, arm: str = ARM
) -> list[dict[str, Any]]:
    """SFT rows of ``arm``: up to ``per_prompt`` different right completions of each prompt.

    Right is an answer that is right and in the right format; ``strict`` asks for every step as well. The first ones by
    sample number are taken. Columns as in :func:`bi.augmentation.arms.build_rows`. Raises ``ValueError`` when there is
    none at all.
    """
    if per_prompt < 1:
        raise ValueError(f"per_prompt is {per_prompt}; keep at least one completion of a prompt")
    right = correct_column(rollouts) & rollouts["format"].astype(bool)
    if strict:
        right &= rollouts["strict"].astype(bool)
    texts = rollouts[right].sort_values("sample", kind="stable").drop_duplicates(["problem_id", "completion"])
    kept = texts.groupby("problem_id", sort=False).head(per_prompt).sort_index()
    if kept.empty:
        raise ValueError("no completion is right" + (" in every step" if strict else "") + "; sample more of them")
    return [_completion_row(row, wording, arm) for row in kept.to_dict("records")]


def _prompt_columns(row: dict[Any, Any], wording: str) -> dict[str, Any]:
    problem = get_wording(wording).read_problem(row["prompt"])
    return {"id": row["problem_id"], "problem_id": row["problem_id"], "task": problem.task, "wording": wording,
            "prompt": row["prompt"], "answer": str(problem.answer), "n_ops": problem.n_ops}


def _completion_row(row: dict[Any, Any], wording: str, arm: str) -> dict[str, Any]:
    columns = _prompt_columns(row, wording)
    return {"id": f"{arm}-{row['problem_id']}-{row['sample']}", "problem_id": row["problem_id"],
            "task": columns["task"], "arm": arm, "wording": wording, "prompt": row["prompt"],
            "completion": row["completion"], "answer": columns["answer"], "n_ops": columns["n_ops"],
            **{f"n_{name}": int(row[f"n_{name}"]) for name in BEHAVIORS}}
