"""The fast gradient equals a plain loop over padded rollouts, written anew here, whatever the architecture."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from influence_cases import ARCHITECTURES, make_model, make_rollouts

from bi.influence.gradients import group_gradients
from bi.influence.likelihood import differentiable, double_kept

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}
PAD = 3


def plain_loop(model: torch.nn.Module, rollouts: pd.DataFrame, side: str) -> np.ndarray:
    """(prompts, P): mean over rollouts of A grad log pi, one padded row and one backward pass each."""
    rows = []
    with differentiable(model, list(model.parameters())):
        for _, group in rollouts.groupby("problem_id", sort=False):
            rewards = group["reward"].to_numpy()
            advantages = (rewards - rewards.mean()) / (rewards.std() or 1.0)
            rows.append(sum(a * rollout_gradient(model, row.prompt_ids, row.completion_ids, side)
                            for a, row in zip(advantages, group.itertuples(), strict=True)) / len(group))
    return np.stack(rows)


def rollout_gradient(model: torch.nn.Module, prompt: list[int], completion: list[int], side: str) -> np.ndarray:
    """grad log pi(completion | prompt) as trainers compute it: PAD tokens of padding on one side, a mask, positions."""
    left = PAD if side == "left" else 0
    ids = torch.tensor([[0] * left + prompt + completion + [0] * (PAD - left)])
    mask = torch.zeros_like(ids)
    mask[:, left : left + len(prompt) + len(completion)] = 1
    with double_kept(model):
        logits = model(input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0),
                       use_cache=False).logits
    begin = left + len(prompt)
    logprobs = logits[0, begin - 1 : begin - 1 + len(completion)].log_softmax(-1)
    total = logprobs[torch.arange(len(completion)), torch.tensor(completion)].sum()
    gradients = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten()
                      for p, g in zip(model.parameters(), gradients, strict=True)]).double().numpy()


def check(kind: str, dtype: torch.dtype, tied: bool, side: str, recompute: bool, batch: int) -> None:
    model, rollouts = make_model(kind, dtype, tied), make_rollouts(prompts=2, count=4)
    slow = plain_loop(model, rollouts, side)
    if recompute:
        model.activation_checkpointing_enable()
    fast = group_gradients(model, rollouts, micro_batch_size=batch).full()
    assert model.training
    assert np.abs(fast - slow).max() < TOLERANCES[dtype] * np.abs(slow).max()


@pytest.mark.parametrize(("kind", "number"), [(kind, number) for number, kind in enumerate(ARCHITECTURES)])
def test_the_fast_gradient_equals_the_plain_loop_on_every_architecture(kind: str, number: int) -> None:
    """One corner of the matrix for each architecture; the test below goes through all of it."""
    side = ("left", "right")[number % 2]
    check(kind, torch.float64, tied=number % 2 == 0, side=side, recompute=number % 3 == 0, batch=(1, 16)[number % 2])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "tied", "side", "recompute", "batch"), product(
    ARCHITECTURES, (False, True), ("left", "right"), (False, True), (1, 16)))
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_the_whole_matrix_of_architectures_and_options(kind: str, dtype: torch.dtype, tied: bool, side: str,
                                                       recompute: bool, batch: int) -> None:
    check(kind, dtype, tied, side, recompute, batch)


def test_gradient_checkpointing_is_kept_on_and_dropout_off() -> None:
    model, rollouts = make_model("gpt2", torch.float64, tied=False), make_rollouts(prompts=1, count=4)
    model.activation_checkpointing_enable()
    runs = []
    model.transformer.h[0].mlp.register_forward_pre_hook(lambda *_: runs.append(1))
    first, second = (group_gradients(model, rollouts).full() for _ in range(2))
    assert len(runs) == 4  # two passes, each computed again in its backward pass
    assert np.array_equal(first, second)
