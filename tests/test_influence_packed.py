"""Completions that lie end to end: the same gradient without a padded token, or padded rows where that cannot be."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from influence_cases import ARCHITECTURES, make_model, make_rollouts

from bi.influence import packed
from bi.influence.backward import WeightedGradient
from bi.influence.groups import RolloutGroup, iterate_groups
from bi.influence.likelihood import differentiable
from bi.influence.packed import Layout, Unpackable, packed_attention

WINDOWED = "mistral"  # its cache is no plain one, so that not even the prompt is shared


def passed(model: torch.nn.Module, group: RolloutGroup, **options: Any) -> tuple[np.ndarray, WeightedGradient, int]:
    """The gradient of a group, what worked it out, and the tokens that went through the model."""
    weights, parameters = np.linspace(-1, 1.5, len(group.completions)), list(model.parameters())
    seen: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].numel()))
    with differentiable(model, parameters):
        backward = WeightedGradient(model, parameters, **options)
        backward(group.prompt, group.completions, weights, "q")  # the first call checks itself
        seen.clear()
        gradient = backward(group.prompt, group.completions, weights, "q").clone().numpy()
    hook.remove()
    return gradient, backward, sum(seen)


def a_group() -> RolloutGroup:
    (group,) = iterate_groups(make_rollouts(prompts=1, count=7))
    assert len(set(map(len, group.completions))) > 2 and min(map(len, group.completions)) == 1
    return group


def close(first: np.ndarray, second: np.ndarray) -> bool:
    return np.abs(first - second).max() < 1e-12 * np.abs(second).max()


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_nothing_is_padded_where_the_attention_can_be_replaced(kind: str) -> None:
    model, group = make_model(kind, tied=False), a_group()
    before = model.config._attn_implementation
    whole, _, _ = passed(model, group, share_prefix=False)
    found, backward, tokens = passed(model, group)
    assert close(found, whole) and model.config._attn_implementation == before
    assert backward.packed == backward.share_prefix == (kind != WINDOWED)
    if kind != WINDOWED:
        assert tokens == len(group.prompt) + sum(len(c) - 1 for c in group.completions)


def test_half_precision_meets_few_shapes_and_keeps_the_gradient() -> None:
    """Rows are filled up to a multiple, since each new length costs a kernel; what fills them has no gradient."""
    model, group = make_model(dtype=torch.float32), a_group()
    whole, _, _ = passed(model, group)
    rows, _, _ = passed(model, group, share_prefix=False, autocast=torch.bfloat16)
    found, backward, tokens = passed(model, group, autocast=torch.bfloat16)
    assert backward.packed and (tokens - len(group.prompt)) % packed.FILL == 0
    to_whole, to_rows = (1 - found @ other / np.linalg.norm(found) / np.linalg.norm(other) for other in (whole, rows))
    assert to_whole < 1e-3 and to_rows < 1e-3
    assert 0.99 < np.linalg.norm(found) / np.linalg.norm(whole) < 1.01


def test_an_attention_that_does_not_ask_leads_back_to_padded_rows() -> None:
    model, group = make_model(), a_group()
    whole, _, _ = passed(model, group, share_prefix=False)
    for layer in model.model.layers:
        layer.self_attn.config = copy.deepcopy(model.config)  # which says what it said before, whatever the model's
    found, backward, tokens = passed(model, group)
    assert close(found, whole) and backward.share_prefix and not backward.packed
    assert tokens > len(group.prompt) + sum(len(c) - 1 for c in group.completions)


def test_an_attention_that_computes_something_else_leads_back_to_padded_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model, group = make_model(), a_group()
    whole, _, _ = passed(model, group, share_prefix=False)
    shares = packed._shares
    monkeypatch.setattr(packed, "_shares", lambda *given: 0.9 * shares(*given))
    found, backward, _ = passed(model, group)
    assert close(found, whole) and backward.share_prefix and not backward.packed


def test_completions_of_one_token_prove_nothing_about_the_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    parameters = list(model.parameters())
    short, long = [[1], [2]], [[3], [4], [5, 6, 7], [8, 9]]
    shares = packed._shares
    monkeypatch.setattr(packed, "_shares", lambda *given: 0.9 * shares(*given))
    found = []
    with differentiable(model, parameters):
        for share in (False, True):
            backward = WeightedGradient(model, parameters, share_prefix=share)
            backward([1, 2], short, np.array([1.0, -1.0]), "q")
            found.append(backward([1, 2], long, np.array([1.0, -1.0, 0.5, -0.5]), "q").clone().numpy())
    assert close(found[1], found[0]) and backward.share_prefix and not backward.packed


def test_weights_that_are_worked_out_again_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, group = make_model(), a_group()
    kept, _, _ = passed(model, group)
    monkeypatch.setattr(packed, "KEPT", 0)
    again, backward, _ = passed(model, group)
    assert backward.packed and np.array_equal(kept, again)


@pytest.mark.parametrize("kept", [0, packed.KEPT])
def test_the_gradient_of_the_attention_is_that_of_finite_differences(kept: int,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "KEPT", kept)
    start, lengths, generator = 3, (2, 1, 4), torch.Generator().manual_seed(0)
    shapes = (2, 3, sum(lengths), 5), (2, start + sum(lengths), 5), (2, start + sum(lengths), 5)
    query, key, value = (torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
                         for shape in shapes)
    assert torch.autograd.gradcheck(lambda *given: packed._Packed.apply(*given, 0.4, start, lengths),
                                    (query, key, value))


def test_a_completion_sees_the_prompt_and_its_own_past_alone() -> None:
    start, lengths = 2, (3, 2)
    query, key, value = torch.zeros(1, 1, 5, 4), torch.zeros(1, 7, 4), torch.eye(7)[None]
    seen = packed._Packed.apply(query, key, value[..., :4], 1.0, start, lengths)[0, 0]
    assert torch.allclose(seen[0], torch.tensor([1.0, 1, 1, 0]) / 3)  # the first token of the first completion
    assert torch.allclose(seen[2], torch.tensor([1.0, 1, 1, 1]) / 5)
    assert torch.allclose(seen[3], torch.tensor([1.0, 1, 0, 0]) / 3)  # of the second, which sees none of the first


@pytest.mark.parametrize("kind", [{"softcap": 30.0}, {"s_aux": torch.ones(4)}, {"sliding_window": 4},
                                  {"attention_mask": torch.ones(1)}])
def test_kinds_of_attention_without_an_implementation_are_refused(kind: dict) -> None:
    query, key = torch.zeros(1, 2, 3, 4), torch.zeros(1, 1, 5, 4)
    with packed_attention(make_model(), Layout(2, (3,))):
        plain = packed._attend(torch.nn.Identity(), query, key, key, None, scaling=0.5, sliding_window=5)[0]
        assert plain.shape == (1, 3, 2, 4)
        with pytest.raises(Unpackable):
            packed._attend(torch.nn.Identity(), query, key, key, **{"attention_mask": None, "scaling": 0.5, **kind})
