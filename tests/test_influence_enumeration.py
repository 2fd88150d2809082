"""The equations of per-step influence hold exactly on policies small enough to list every completion."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bi.influence.advantages import Weighting, group_weights
from bi.influence.gradients import group_gradients, rollout_gradients
from bi.influence.kernel import co_influence, outcome_kernels
from bi.influence.likelihood import completion_logprobs
from bi.influence.per_step import accuracy_matrix, influence_matrix

LENGTH = 3


class TabularPolicy(torch.nn.Module):
    """Softmax over tables: logits of position t for prompt q are shared[t] + own[q, t]."""

    def __init__(self, prompts: int, vocabulary: int, length: int = LENGTH) -> None:
        super().__init__()
        self.shared = torch.nn.Parameter(torch.randn(length, vocabulary, dtype=torch.float64))
        self.own = torch.nn.Parameter(torch.randn(prompts, length, vocabulary, dtype=torch.float64))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        logits = self.shared + self.own[input_ids[:, 0]]
        return SimpleNamespace(logits=torch.cat([logits, logits[:, :1]], dim=1))


def tabular(vocabulary: int = 4, length: int = LENGTH) -> TabularPolicy:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return TabularPolicy(3, vocabulary, length)


def transformer() -> LlamaForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = LlamaForCausalLM(LlamaConfig(
            vocab_size=4, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=8)).to(torch.float64)
        for parameter in model.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model


POLICIES = {"tabular": tabular, "transformer": transformer}
COMPLETIONS = [list(completion) for completion in product(range(4), repeat=LENGTH)]
REWARDS = np.random.default_rng(3).random((3, len(COMPLETIONS))) < np.array([[0.15], [0.5], [0.8]])


@pytest.mark.parametrize("kind", POLICIES)
def test_the_probabilities_of_all_completions_are_products_over_their_tokens_and_add_up_to_one(kind: str) -> None:
    model = POLICIES[kind]()
    with torch.no_grad():
        found = completion_logprobs(model, [1], COMPLETIONS)
        assert found.exp().sum().item() == pytest.approx(1.0, abs=1e-12)
        for completion, value in zip(COMPLETIONS[::9], found[::9], strict=True):
            ids, total = torch.tensor([[1, *completion]]), 1.0
            logits = model(ids, attention_mask=torch.ones_like(ids)).logits[0]
            for place, token in enumerate(completion):
                total *= logits[place].softmax(-1)[token].item()
            assert value.exp().item() == pytest.approx(total, rel=1e-6)  # the model alone normalises in float32


def exact_accuracy(model: torch.nn.Module, prompt: int) -> torch.Tensor:
    """alpha(q), the sum of pi(o|q) r(q, o) over every completion."""
    probabilities = completion_logprobs(model, [prompt], COMPLETIONS).exp()
    return probabilities @ torch.as_tensor(REWARDS[prompt], dtype=probabilities.dtype)


def enumerated(model: torch.nn.Module) -> pd.DataFrame:
    """Every completion of every prompt with its probability as weight."""
    rows = []
    for prompt in range(3):
        with torch.no_grad():
            weights = completion_logprobs(model, [prompt], COMPLETIONS).exp().numpy()
        rows += [{"problem_id": str(prompt), "prompt_ids": [prompt], "completion_ids": completion,
                  "reward": float(REWARDS[prompt, i]), "weight": weights[i]}
                 for i, completion in enumerate(COMPLETIONS)]
    return pd.DataFrame(rows)


def accuracies(model: torch.nn.Module) -> np.ndarray:
    with torch.no_grad():
        return np.array([exact_accuracy(model, prompt).item() for prompt in range(3)])


def stepped_accuracies(model: torch.nn.Module, direction: np.ndarray, lr: float) -> np.ndarray:
    """Exact accuracies after theta + lr * direction; the parameters are put back."""
    start = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    try:
        torch.nn.utils.vector_to_parameters(start + lr * torch.from_numpy(direction), model.parameters())
        return accuracies(model)
    finally:
        torch.nn.utils.vector_to_parameters(start, model.parameters())


@pytest.fixture(params=POLICIES)
def model(request: pytest.FixtureRequest) -> torch.nn.Module:
    return POLICIES[request.param]()


def test_group_gradient_is_the_gradient_of_the_surrogate_objective(model: torch.nn.Module) -> None:
    """grad J = sqrt(alpha (1 - alpha)) (g+ - g-) = grad alpha / sqrt(alpha (1 - alpha)), whole and from g+ and g-."""
    whole = group_gradients(model, enumerated(model)).full()
    outcomes = group_gradients(model, enumerated(model), split="outcomes")
    for prompt in range(3):
        accuracy = exact_accuracy(model, prompt)
        exact = torch.cat([g.reshape(-1) for g in torch.autograd.grad(accuracy, list(model.parameters()))]).numpy()
        spread = np.sqrt(accuracy.item() * (1 - accuracy.item()))
        scale = np.abs(exact).max()
        assert np.abs(whole[prompt] * spread - exact).max() < 1e-10 * scale
        contrast = outcomes.parts[0, prompt] - outcomes.parts[1, prompt]
        assert np.abs(spread**2 * contrast - exact).max() < 1e-10 * scale  # grad alpha = alpha (1 - alpha) (g+ - g-)
        assert np.abs(spread * contrast - whole[prompt]).max() < 1e-10 * scale


def test_accuracy_gradient_is_exact(model: torch.nn.Module) -> None:
    gradients = group_gradients(model, enumerated(model))
    for prompt in range(3):
        exact = torch.autograd.grad(exact_accuracy(model, prompt), list(model.parameters()))
        flat = torch.cat([g.reshape(-1) for g in exact]).numpy()
        assert np.abs(gradients.accuracy_gradients()[prompt] - flat).max() < 1e-10 * np.abs(flat).max()


@pytest.mark.parametrize("unit", ["objective", "accuracy"])
def test_predicted_change_is_the_exact_change_up_to_the_square_of_the_step(model: torch.nn.Module, unit: str) -> None:
    gradients = group_gradients(model, enumerated(model))
    before = accuracies(model)
    spread = np.sqrt(before * (1 - before)) if unit == "objective" else np.ones(3)  # held fixed at theta_0
    predict = influence_matrix if unit == "objective" else accuracy_matrix
    errors = {}
    for lr in (2e-4, 1e-4):
        predicted = predict(gradients, gradients, lr, "naive")
        exact = np.stack([(stepped_accuracies(model, row, lr) - before) / spread for row in gradients.full()], axis=1)
        assert np.abs(predicted / exact - 1).max() < 0.01
        errors[lr] = np.abs(predicted - exact)
    assert errors[2e-4] / errors[1e-4] == pytest.approx(np.full((3, 3), 4.0), rel=0.05)


def test_the_mean_of_pair_influences_is_the_change_by_one_step_on_the_batch(model: torch.nn.Module) -> None:
    gradients, lr = group_gradients(model, enumerated(model)), 1e-5
    before = accuracies(model)
    exact = stepped_accuracies(model, gradients.full().mean(0), lr) - before
    assert accuracy_matrix(gradients, gradients, lr, "naive").mean(1) == pytest.approx(exact, rel=1e-3)


def test_the_papers_form_with_k_plus_and_k_minus_is_the_inner_product(model: torch.nn.Module) -> None:
    rollouts = enumerated(model)
    whole, outcomes = group_gradients(model, rollouts), group_gradients(model, rollouts, split="outcomes")
    positive, negative = outcome_kernels(outcomes, whole)
    spread = np.sqrt(whole.mean * (1 - whole.mean))
    assert 0.1 * spread[:, None] * (positive - negative) == pytest.approx(influence_matrix(whole, whole, 0.1, "naive"))


def test_the_advantage_weighted_kernel_of_single_rollouts_is_the_inner_product() -> None:
    model = tabular()
    rollouts = enumerated(model)
    kernel = co_influence(rollout_gradients(model, rollouts))
    weights = np.zeros((3, len(rollouts)))
    for prompt, rows in rollouts.groupby("problem_id", sort=False):
        lengths, chance = np.full(len(rows), LENGTH), rows["weight"].to_numpy()
        group = group_weights(rows["reward"].to_numpy(), lengths, Weighting(), chance)
        weights[int(str(prompt)), rows.index] = group.weights
    gradients = group_gradients(model, rollouts)
    assert weights @ kernel @ weights.T == pytest.approx(influence_matrix(gradients, gradients, 1.0, "naive"))


def test_co_influence_is_the_change_of_log_probability_by_a_step_along_another() -> None:
    model = transformer()
    rollouts = enumerated(model).iloc[[5, 70, 140]].reset_index(drop=True)
    gradients = rollout_gradients(model, rollouts)
    kernel = co_influence(gradients)
    start = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()

    def logprobs(shift: np.ndarray) -> np.ndarray:
        torch.nn.utils.vector_to_parameters(start + torch.from_numpy(shift), model.parameters())
        with torch.no_grad():
            return np.array([completion_logprobs(model, row.prompt_ids, [row.completion_ids]).item()
                             for row in rollouts.itertuples()])

    for column, row in enumerate(gradients):
        change = (logprobs(1e-6 * row) - logprobs(-1e-6 * row)) / 2e-6
        assert change == pytest.approx(kernel[:, column], rel=1e-6)


def sampled_groups(model: torch.nn.Module, count: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Every group of ``count`` rollouts of prompt 0 over four completions, its probability, and grad alpha."""
    completions, rewards = [list(c) for c in product(range(2), repeat=2)], np.array([1.0, 0.0, 0.0, 0.0])
    logprobs = completion_logprobs(model, [0], completions)
    accuracy = logprobs.exp() @ torch.from_numpy(rewards)
    exact = torch.cat([g.reshape(-1) for g in torch.autograd.grad(accuracy, list(model.parameters()))]).numpy()
    chance = logprobs.detach().exp().numpy()
    groups = list(product(range(4), repeat=count))
    rows = [{"problem_id": str(number), "sample": sample, "prompt_ids": [0], "completion_ids": completions[pick],
             "reward": rewards[pick]} for number, group in enumerate(groups) for sample, pick in enumerate(group)]
    return pd.DataFrame(rows), np.array([chance[list(group)].prod() for group in groups]), exact


@pytest.mark.parametrize("scheme", ["rloo", "dr_grpo", "grpo"])
def test_sampled_gradients_are_unbiased_for_the_accuracy_gradient(scheme: str) -> None:
    model = tabular(vocabulary=2, length=2)
    rollouts, chance, exact = sampled_groups(model, 4)
    gradients = group_gradients(model, rollouts, weighting=Weighting(scheme=scheme))
    assert chance @ gradients.accuracy_gradients() == pytest.approx(exact, abs=1e-12)


def test_halves_are_unbiased_up_to_the_stated_factor_and_the_naive_estimate_is_not() -> None:
    """Expected product of a prompt with itself over all groups of four rollouts, against the exact square."""
    model, count = tabular(vocabulary=2, length=2), 4
    rollouts, chance, exact = sampled_groups(model, count)
    gradients = group_gradients(model, rollouts, weighting=Weighting(scheme="rloo"), split="halves")
    own = [np.diagonal(influence_matrix(gradients, gradients, 1.0, estimator)) for estimator in ("halves", "naive")]
    halves, naive = (chance @ products / (exact @ exact) for products in own)
    assert halves == pytest.approx(1 + 1 / (count - 1) ** 2, rel=1e-10)
    assert naive > 1.5


def test_the_sample_standard_deviation_shrinks_the_gradient_by_its_factor() -> None:
    rewards, lengths = np.array([1.0, 0, 0, 1, 0]), np.ones(5)
    population = group_weights(rewards, lengths, Weighting())
    sample = group_weights(rewards, lengths, Weighting(std="sample"))
    assert sample.weights == pytest.approx(np.sqrt(4 / 5) * population.weights)
    assert sample.to_accuracy * sample.weights == pytest.approx(population.to_accuracy * population.weights)


def test_an_enumerated_group_refuses_corrections_for_a_sample() -> None:
    with pytest.raises(ValueError, match="enumerated group"):
        group_gradients(tabular(), enumerated(tabular()), weighting=Weighting(scheme="rloo"))
