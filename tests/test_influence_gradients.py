"""Group gradients by one backward pass equal the plain loop over rollouts, for several architectures."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
import torch
from influence_cases import CONFIGS, VOCABULARY, make_model, make_rollouts

from bi.influence.advantages import Weighting
from bi.influence.backward import WeightedGradient
from bi.influence.gradients import group_gradients, rollout_gradients
from bi.influence.groups import iterate_groups
from bi.influence.likelihood import completion_logprobs, differentiable
from bi.influence.subsets import parameter_count


def naive_groups(model: torch.nn.Module, rollouts: pd.DataFrame, weighting: Weighting,
                 gradients: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The definition, written again: mean over rollouts of A l grad log pi."""
    rollouts = rollouts.reset_index(drop=True)
    if gradients is None:
        gradients = rollout_gradients(model, rollouts).astype(np.float64)
    result = {}
    for problem, rows in rollouts.groupby("problem_id", sort=False):
        reward, lengths = rows["reward"].to_numpy(), rows["completion_ids"].map(len).to_numpy()
        centred = reward - reward.mean()
        ddof = 1 if weighting.std == "sample" else 0
        scale = {"grpo": reward.std(ddof=ddof) or 1.0, "dr_grpo": 1.0, "rloo": 1 - 1 / len(reward)}[weighting.scheme]
        factor = {"none": 1.0, "sequence": 1 / lengths, "token": 1 / lengths.mean()}[weighting.length_norm]
        result[str(problem)] = (centred / scale * factor) @ gradients[rows.index] / len(reward)
    return result


def relative_error(fast: np.ndarray, slow: np.ndarray) -> float:
    return float(np.abs(fast - slow).max() / np.abs(slow).max())


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_one_backward_pass_equals_the_plain_loop(kind: str, dtype: torch.dtype, tolerance: float) -> None:
    model, rollouts = make_model(kind, dtype), make_rollouts()
    result = group_gradients(model, rollouts, micro_batch_size=4)
    naive = naive_groups(model, rollouts, Weighting())
    assert result.ids == tuple(naive)
    assert relative_error(result.full(), np.stack(list(naive.values()))) < tolerance


@cache
def one_by_one(temperature: float) -> tuple[torch.nn.Module, pd.DataFrame, np.ndarray]:
    """A model, rollouts, and the gradient of every rollout by the plain loop."""
    model, rollouts = make_model(), make_rollouts(count=5)
    return model, rollouts, rollout_gradients(model, rollouts, temperature=temperature)


@pytest.mark.parametrize("weighting", [
    Weighting(std="sample"), Weighting(scheme="dr_grpo", length_norm="token"), Weighting(scheme="rloo"),
    Weighting(length_norm="sequence", temperature=0.7)])
@pytest.mark.parametrize("split", ["none", "halves", "outcomes"])
def test_every_option_equals_the_plain_loop(weighting: Weighting, split: str) -> None:
    model, rollouts, gradients = one_by_one(weighting.temperature)
    result = group_gradients(model, rollouts, weighting=weighting, split=split)
    naive = np.stack(list(naive_groups(model, rollouts, weighting, gradients).values()))
    assert relative_error(result.full(), naive) < 1e-10


def test_halves_are_the_means_over_even_and_odd_rollouts() -> None:
    model, rollouts = make_model(), make_rollouts(count=5)
    result = group_gradients(model, rollouts, split="halves")
    rows = rollouts[rollouts["problem_id"] == "q1"].sort_values("sample").reset_index(drop=True)
    reward = rows["reward"].to_numpy()
    each = ((reward - reward.mean()) / reward.std())[:, None] * rollout_gradients(model, rows)
    row = result.ids.index("q1")
    assert relative_error(result.parts[0, row], each[0::2].mean(0)) < 1e-10
    assert relative_error(result.parts[1, row], each[1::2].mean(0)) < 1e-10


def test_outcomes_are_the_means_over_correct_and_wrong_rollouts() -> None:
    model, rollouts = make_model(), make_rollouts()
    result = group_gradients(model, rollouts, split="outcomes")
    rows = rollouts[rollouts["problem_id"] == "q0"].reset_index(drop=True)
    each, correct = rollout_gradients(model, rows), rows["reward"].to_numpy() == 1
    row = result.ids.index("q0")
    assert relative_error(result.parts[0, row], each[correct].mean(0)) < 1e-10
    assert relative_error(result.parts[1, row], each[~correct].mean(0)) < 1e-10
    alpha = correct.mean()
    assert result.shares[:, row] == pytest.approx([np.sqrt(alpha * (1 - alpha)), -np.sqrt(alpha * (1 - alpha))])


def test_micro_batches_change_nothing_but_memory() -> None:
    model, rollouts = make_model(), make_rollouts()
    whole = group_gradients(model, rollouts, micro_batch_size=64).full()
    assert relative_error(group_gradients(model, rollouts, micro_batch_size=1).full(), whole) < 1e-12


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_prompt_encoded_once_gives_the_same_gradient_for_fewer_tokens(kind: str) -> None:
    model, rollouts = make_model(kind), make_rollouts(prompts=1)
    (group,) = iterate_groups(rollouts)
    weights, parameters = np.linspace(-1, 1, 6), list(model.parameters())
    seen: list[int] = []
    model.get_input_embeddings().register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].numel()))
    results, tokens = [], []
    with differentiable(model, parameters):
        for share in (False, True):
            backward = WeightedGradient(model, parameters, micro_batch_size=2, share_prefix=share)
            for _ in range(2):  # the first call checks itself against the ordinary pass
                seen.clear()
                gradient = backward(group.prompt, group.completions, weights, "q0").clone().numpy()
            results.append(gradient)
            tokens.append(sum(seen))
    assert relative_error(results[1], results[0]) < 1e-12
    assert tokens[0] - tokens[1] >= 5 * len(group.prompt)


def test_a_model_without_a_plain_cache_falls_back_to_whole_sequences() -> None:
    model, rollouts = make_model(), make_rollouts()
    whole = group_gradients(model, rollouts).full()
    model.forward = partial(_without_cache, model.forward)
    assert relative_error(group_gradients(model, rollouts).full(), whole) < 1e-12


def _without_cache(forward: Callable, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> object:
    return forward(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)


def test_one_outcome_is_zero_without_a_backward_pass_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rollouts = make_model(), make_rollouts()
    result = group_gradients(model, rollouts)
    silent = result.ids.index("q2")
    assert not result.informative[silent] and not result.full()[silent].any()
    assert result.informative.sum() == 3
    assert "1 with one outcome only" in result.describe()
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: pytest.fail("a backward pass ran"))
    only = group_gradients(model, rollouts[rollouts["problem_id"] == "q2"])
    assert not only.full().any()


def test_the_model_is_left_as_it_was() -> None:
    model, rollouts = make_model("gpt2"), make_rollouts(prompts=1)
    model.transformer.wte.weight.requires_grad_(False)
    group_gradients(model, rollouts)
    assert model.training
    assert not model.transformer.wte.weight.requires_grad and model.transformer.wpe.weight.requires_grad
    assert all(p.grad is None for p in model.parameters())


def test_a_pattern_selects_parameters() -> None:
    model, rollouts = make_model(), make_rollouts()
    everything = group_gradients(model, rollouts).full()
    last = group_gradients(model, rollouts, parameters=r"layers\.1\.mlp").full()
    assert last.shape[1] == parameter_count(model, r"layers\.1\.mlp") == 3 * 16 * 24
    names = [name for name, _ in model.named_parameters()]
    start = sum(p.numel() for n, p in model.named_parameters() if names.index(n) < names.index(
        "model.layers.1.mlp.gate_proj.weight"))
    assert relative_error(last, everything[:, start : start + last.shape[1]]) < 1e-12
    with pytest.raises(ValueError, match="no parameter matches 'lora'"):
        group_gradients(model, rollouts, parameters="lora")


def test_rows_go_into_a_memory_map(tmp_path) -> None:
    model, rollouts = make_model(dtype=torch.float32), make_rollouts()
    shape = (2, 4, parameter_count(model))
    store = np.memmap(tmp_path / "rows.bin", dtype=np.float32, mode="w+", shape=shape)
    result = group_gradients(model, rollouts, split="halves", out=store)
    assert result.parts is store
    assert relative_error(result.full(), group_gradients(model, rollouts).full()) < 1e-5
    with pytest.raises(ValueError, match="out: expected"):
        group_gradients(model, rollouts, out=np.zeros((4, 3), np.float32))


def test_gradients_that_cannot_fit_are_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 100)
    with pytest.raises(ValueError, match="4 prompts over .* choose fewer parameters"):
        group_gradients(make_model(), make_rollouts())


def test_other_rewards_take_the_general_form_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    model, rollouts = make_model(), make_rollouts()
    rollouts["reward"] = rollouts["reward"] + 0.05 * (rollouts["sample"] % 2)
    result = group_gradients(model, rollouts)
    naive = np.stack(list(naive_groups(model, rollouts, Weighting()).values()))
    assert relative_error(result.full(), naive) < 1e-10
    assert not result.binary and "general advantage form" in caplog.text
    with pytest.raises(ValueError, match="split='none' or 'halves'"):
        group_gradients(model, rollouts, split="outcomes")


def test_logprobs_do_not_depend_on_padding() -> None:
    model = make_model().eval()
    together = completion_logprobs(model, [1, 2], [[3], [4, 5, 6, 7]])
    alone = completion_logprobs(model, [1, 2], [[3]])
    assert (together[0] - alone[0]).abs().item() < 1e-12


def altered(column: str, value: object) -> pd.DataFrame:
    rollouts = make_rollouts()
    rollouts.at[0, column] = value
    return rollouts


@pytest.mark.parametrize("rollouts, message", [
    (altered("completion_ids", []), "empty"), (altered("completion_ids", [VOCABULARY]), "another tokenizer"),
    (altered("completion_ids", [-1]), "token id -1"), (altered("completion_ids", [1] * 40), "the model has 32"),
    (altered("prompt_ids", [1]), "different prompts"), (altered("reward", np.nan), "not a finite number"),
    (make_rollouts().drop(columns="reward"), "lack the column.* reward"), (make_rollouts().iloc[:0], "no rows")])
def test_bad_rollouts_are_refused_with_a_reason(rollouts: pd.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group_gradients(make_model(), rollouts)


def test_a_broken_checkpoint_and_a_single_rollout_are_refused() -> None:
    model = make_model()
    model.lm_head.weight.data[0] = np.nan
    with pytest.raises(ValueError, match="problem 'q.*not finite"):
        group_gradients(model, make_rollouts())
    with pytest.raises(ValueError, match="cannot be halved"):
        group_gradients(make_model(), make_rollouts().query("sample == 0"), split="halves")


@pytest.mark.parametrize("options", [{"scheme": "ppo"}, {"std": "biased"}, {"length_norm": "word"},
                                     {"temperature": 0.0}, {"epsilon": -1.0}])
def test_unknown_options_are_named(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Weighting(**options)
