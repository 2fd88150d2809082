"""Rollout tables as groups: one prompt, its completions and their rewards, checked before any long work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import nn

REQUIRED = ("problem_id", "prompt_ids", "completion_ids", "reward")


@dataclass(frozen=True)
class RolloutGroup:
    """The N rollouts of one prompt, in the order of their ``sample`` number."""

    problem_id: str
    prompt: list[int]
    completions: list[list[int]]
    rewards: np.ndarray
    probabilities: np.ndarray | None

    @property
    def lengths(self) -> np.ndarray:
        """(N,) tokens of each completion."""
        return np.array([len(completion) for completion in self.completions])


def iterate_groups(rollouts: pd.DataFrame) -> Iterator[RolloutGroup]:
    """Groups of a rollout table in the order in which their prompts first appear.

    Columns: ``problem_id``, ``prompt_ids``, ``completion_ids`` (token ids), ``reward``; optional ``sample`` (order
    within the group) and ``weight`` (probability of the rollout, for an enumerated group; equal by default).
    """
    for problem_id, rows in rollouts.groupby("problem_id", sort=False):
        if "sample" in rows:
            rows = rows.sort_values("sample", kind="stable")
        prompts = [list(map(int, ids)) for ids in rows["prompt_ids"]]
        if any(prompt != prompts[0] for prompt in prompts):
            raise ValueError(f"prompt_ids: the rollouts of problem {problem_id!r} have different prompts; give each "
                             "prompt a problem_id of its own")
        yield RolloutGroup(
            problem_id=str(problem_id),
            prompt=prompts[0],
            completions=[list(map(int, ids)) for ids in rows["completion_ids"]],
            rewards=rows["reward"].to_numpy(dtype=np.float64),
            probabilities=rows["weight"].to_numpy(dtype=np.float64) if "weight" in rows else None,
        )


def check_groups(rollouts: pd.DataFrame, model: nn.Module) -> list[RolloutGroup]:
    """All groups of ``rollouts``, or a ``ValueError`` that names problem, value and remedy."""
    missing = [column for column in REQUIRED if column not in rollouts]
    if missing:
        raise ValueError(f"rollouts lack the column(s) {', '.join(missing)}; make them with `bi rollouts`")
    if rollouts.empty:
        raise ValueError("rollouts: the table has no rows; make rollouts first (`bi rollouts`)")
    config = getattr(model, "config", None)
    vocabulary = _vocabulary_size(model)
    context = getattr(config, "max_position_embeddings", None)
    groups = list(iterate_groups(rollouts))
    for group in groups:
        _check_group(group, vocabulary, context)
    return groups


def _vocabulary_size(model: nn.Module) -> int | None:
    """Rows of the input embedding (the config of some models names a smaller number)."""
    embeddings = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    weight = getattr(embeddings, "weight", None)
    return None if weight is None else int(weight.shape[0])


def _check_group(group: RolloutGroup, vocabulary: int | None, context: int | None) -> None:
    name = f"problem {group.problem_id!r}"
    if not np.isfinite(group.rewards).all():
        raise ValueError(f"reward: {name} has a reward that is not a finite number; score the rollouts again")
    if not group.prompt:
        raise ValueError(f"prompt_ids: {name} has an empty prompt; the first token of a completion needs a context")
    if min(group.lengths) == 0:
        sample = int(np.argmin(group.lengths))
        raise ValueError(f"completion_ids: rollout {sample} of {name} is empty; keep the end-of-sequence token in "
                         "completion_ids, or drop the rollout")
    if context is not None and len(group.prompt) + max(group.lengths) > context:
        raise ValueError(f"completion_ids: {name} needs {len(group.prompt) + max(group.lengths)} positions, the model "
                         f"has {context}; sample shorter completions")
    largest = max(max(group.prompt), *(max(completion) for completion in group.completions))
    smallest = min(min(group.prompt), *(min(completion) for completion in group.completions))
    if smallest < 0 or (vocabulary is not None and largest >= vocabulary):
        wrong = smallest if smallest < 0 else largest
        raise ValueError(f"completion_ids: {name} holds token id {wrong}, outside the model's vocabulary of "
                         f"{vocabulary}; the rollouts come from another tokenizer: make them with this checkpoint")
