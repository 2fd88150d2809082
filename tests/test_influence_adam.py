"""Adam's step and its first-order effect: equal to torch's optimiser, and exact on enumerable policies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from influence_cases import make_model, make_rollouts
from test_influence_enumeration import POLICIES, accuracies, enumerated, stepped_accuracies

from bi.evaluation.intervals import numpy_stream
from bi.influence.adam import AdamState, adam_step, flat_parameters, load_adam_state
from bi.influence.gradients import group_gradients
from bi.influence.kernel import gram
from bi.influence.per_step import accuracy_matrix, drift_changes, per_step_influence

SETTINGS = {"lr": 1e-3, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}


def trained(model: torch.nn.Module, steps: int = 3, decay: float = 0.1) -> torch.optim.AdamW:
    """AdamW after a few steps on invented gradients of about the size of the true ones."""
    named = list(model.named_parameters())
    groups = [{"params": [p for n, p in named if "norm" not in n], "weight_decay": decay},
              {"params": [p for n, p in named if "norm" in n], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, **SETTINGS | {"weight_decay": decay})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(steps):
            for p in model.parameters():
                p.grad = 0.1 * torch.randn_like(p)
            optimiser.step()
    return optimiser


def saved_state(model: torch.nn.Module, optimiser: torch.optim.AdamW, folder: Path,
                parameters: str | None = None) -> AdamState:
    torch.save(optimiser.state_dict(), folder / "optimizer.pt")
    return load_adam_state(folder, model, parameters)


def set_gradients(model: torch.nn.Module, ascent: np.ndarray) -> None:
    for p, g in zip(model.parameters(), np.split(ascent, np.cumsum([p.numel() for p in model.parameters()])[:-1]),
                    strict=True):
        p.grad = -torch.from_numpy(g).view_as(p)


def test_the_step_is_that_of_torch_from_a_trainers_file(tmp_path: Path) -> None:
    model = make_model()
    optimiser = trained(model)
    state, before = saved_state(model, optimiser, tmp_path), flat_parameters(model)
    ascent = numpy_stream(0, "adam").normal(size=before.size)
    set_gradients(model, ascent)
    optimiser.step()
    expected = (flat_parameters(model) - before) / SETTINGS["lr"]
    step = adam_step(state, ascent, before)
    assert state.steps == 3 and state.betas == SETTINGS["betas"]
    assert np.abs(step.direction(ascent) - expected).max() < 1e-9 * np.abs(expected).max()


def test_the_first_step_is_nearly_the_sign_of_the_gradient() -> None:
    gradient = numpy_stream(0, "sign").normal(size=50)
    assert adam_step(AdamState.fresh(50), gradient).direction(gradient) == pytest.approx(np.sign(gradient), abs=1e-5)


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("steps", [0, 3])
def test_predicted_change_by_adam_is_the_exact_change_up_to_the_square_of_the_step(
        kind: str, steps: int, tmp_path: Path) -> None:
    model = POLICIES[kind]()
    size = flat_parameters(model).size
    state = saved_state(model, trained(model), tmp_path) if steps else AdamState.fresh(size, epsilon=1e-2)
    gradients, before = group_gradients(model, enumerated(model)), accuracies(model)
    ascent = gradients.full().mean(0)
    step = adam_step(state, ascent, flat_parameters(model))
    errors = {}
    for lr in (2e-5, 1e-5):
        pairs = accuracy_matrix(gradients, gradients, lr, "naive", metric=step.metric).mean(1)
        predicted = pairs + gradients.to_accuracy * drift_changes(gradients, step.drift, lr)
        exact = stepped_accuracies(model, step.direction(ascent), lr) - before
        assert np.abs(predicted / exact - 1).max() < 0.01
        errors[lr] = np.abs(predicted - exact)
    assert errors[2e-5] / errors[1e-5] == pytest.approx(np.full(3, 4.0), rel=0.05)


def test_the_preconditioned_product_is_the_product_with_the_diagonal_in_between() -> None:
    model, rollouts = make_model(), make_rollouts()
    gradients = group_gradients(model, rollouts, split="halves")
    metric = numpy_stream(0, "metric").random(gradients.parts.shape[2]) + 0.5
    rows = gradients.full()
    assert gram(rows, metric=metric) == pytest.approx(rows @ np.diag(metric) @ rows.T)
    plain, adam = (per_step_influence(gradients, gradients, 0.1, rng=numpy_stream(0, "x"), metric=m, resamples=20)
                   for m in (np.ones(len(metric)), metric))
    reference = per_step_influence(gradients, gradients, 0.1, rng=numpy_stream(0, "x"), resamples=20)
    assert plain.objective == pytest.approx(reference.objective)
    assert adam.objective[0, 1] == pytest.approx(0.1 * rows[0] @ (metric * rows[1]))
    with pytest.raises(ValueError, match="metric: one number for each"):
        gram(rows, metric=metric[:-1])


def test_a_subset_of_parameters_takes_its_part_of_the_state(tmp_path: Path) -> None:
    model = make_model()
    optimiser = trained(model)
    part = saved_state(model, optimiser, tmp_path, "last:1")
    expected = [-optimiser.state[p]["exp_avg"].flatten() for n, p in model.named_parameters() if "layers.1." in n]
    assert np.array_equal(part.first, torch.cat(expected).numpy())
    decays = [0.0 if "norm" in n else 0.1 for n, p in model.named_parameters() if "layers.1." in n
              for _ in range(p.numel())]
    assert np.array_equal(part.weight_decay, decays)


def test_a_missing_or_foreign_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no optimizer.pt: .* training checkpoint"):
        load_adam_state(tmp_path, make_model())
    torch.save(trained(make_model("gpt2")).state_dict(), tmp_path / "optimizer.pt")
    with pytest.raises(ValueError, match="not the optimiser state of this model"):
        load_adam_state(tmp_path, make_model())
    with pytest.raises(ValueError, match="choose the same parameters"):
        adam_step(AdamState.fresh(3), np.zeros(4))
