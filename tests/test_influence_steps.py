"""Measured changes are unbiased, moved parameters come back, and matched sets differ in influence alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_influence_enumeration import (
    POLICIES,
    accuracies,
    enumerated,
    sampled_groups,
    stepped_accuracies,
    tabular,
    transformer,
)

from bi.evaluation.intervals import numpy_stream
from bi.influence.gradients import group_gradients
from bi.influence.steps import (
    fresh_changes,
    importance_changes,
    matched_sets,
    moved,
    predicted_changes,
    sequence_logprobs,
)


def flat(model: torch.nn.Module) -> np.ndarray:
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach().numpy().copy()


@pytest.mark.parametrize("kind", POLICIES)
def test_the_predicted_change_is_the_exact_change_of_a_small_step(kind: str) -> None:
    model = POLICIES[kind]()
    gradients, before = group_gradients(model, enumerated(model)), accuracies(model)
    errors = {}
    for lr in (2e-4, 1e-4):
        shift = lr * gradients.full().mean(0)
        exact = stepped_accuracies(model, gradients.full().mean(0), lr) - before
        assert predicted_changes(gradients, shift) == pytest.approx(exact, rel=0.01)
        errors[lr] = np.abs(predicted_changes(gradients, shift) - exact)
        with moved(model, shift):
            assert accuracies(model) - before == pytest.approx(exact, abs=1e-15)
    assert errors[2e-4] / errors[1e-4] == pytest.approx(np.full(3, 4.0), rel=0.05)


def test_a_moved_policy_comes_back_bit_by_bit() -> None:
    model = transformer()
    before, count = flat(model), sum(p.numel() for n, p in model.named_parameters() if "mlp" in n)
    with pytest.raises(RuntimeError, match="on purpose"), moved(model, np.ones(count), "mlp"):
        changed = flat(model) != before
        assert changed.sum() == count
        raise RuntimeError("on purpose")
    assert np.array_equal(flat(model), before)
    with pytest.raises(ValueError, match="shift: .* numbers are needed"), moved(model, np.ones(3)):
        pass


@pytest.mark.parametrize("size", [0.01, 1.0])
def test_the_importance_estimate_is_unbiased_for_the_exact_change_of_any_step(size: float) -> None:
    """Its mean over every group of three rollouts, weighted by their probability, and its stated variance."""
    model = tabular(vocabulary=2, length=2)
    rollouts, chance, _ = sampled_groups(model, 3)
    stored = sequence_logprobs(model, rollouts)
    shift = size * numpy_stream(0, "shift").normal(size=flat(model).size)
    alpha = [np.exp(sequence_logprobs(model, rollouts.iloc[:3])[0][1][0])]  # (0, 0) is the right one
    with moved(model, shift):
        found = importance_changes(model, stored, rollouts)
        alpha.append(np.exp(sequence_logprobs(model, rollouts.iloc[:3])[0][1][0]))
    assert chance @ found["change"] == pytest.approx(alpha[1] - alpha[0], rel=1e-9)
    assert (found["effective"] <= 3 + 1e-9).all()
    with pytest.raises(ValueError, match="at least 2"):
        importance_changes(model, sequence_logprobs(model, rollouts.iloc[:1]), rollouts.iloc[:1])


def test_log_probabilities_do_not_depend_on_how_they_are_computed() -> None:
    model = transformer()
    rollouts = enumerated(model)
    shared, plain = (sequence_logprobs(model, rollouts, share_prefix=share, micro_batch_size=size)
                     for share, size in ((True, 64), (False, 7)))
    for (group, first), (_, second) in zip(shared, plain, strict=True):
        assert first == pytest.approx(second, abs=1e-12)
        assert np.exp(first) == pytest.approx(group.probabilities)


def table(rewards: list[list[float]]) -> pd.DataFrame:
    return pd.DataFrame([{"problem_id": f"q{q}", "sample": i, "reward": r} for q, row in enumerate(rewards)
                         for i, r in enumerate(row)])


def test_fresh_rollouts_are_compared_pair_by_pair() -> None:
    found = fresh_changes(table([[0, 1, 1, 0], [0, 0, 0, 0]]), table([[1, 1, 1, 0], [0, 0, 0, 0]]))
    assert found["change"].tolist() == [0.25, 0.0]
    assert found["variance"].tolist() == [pytest.approx(0.0625), 0.0]
    assert found["independent"][0] > found["variance"][0]
    assert found["same"].tolist() == [0.75, 1.0]
    with pytest.raises(ValueError, match="the same samples"):
        fresh_changes(table([[0, 1]]), table([[0, 1, 1]]))


def test_matched_sets_have_the_same_accuracies_and_no_prompt_in_common() -> None:
    rng = numpy_stream(0, "sets")
    correct, scores = rng.integers(1, 6, size=90), rng.normal(size=90)
    sets = matched_sets(scores, correct)
    assert sorted(correct[sets["high"]]) == sorted(correct[sets["low"]])
    assert not set(sets["high"]) & set(sets["low"])
    for count in range(1, 6):
        high, low = (scores[rows[correct[rows] == count]] for rows in (sets["high"], sets["low"]))
        assert high.min() >= low.max()
    with pytest.raises(ValueError, match="measure more prompts"):
        matched_sets(np.arange(3.0), np.arange(3))
    with pytest.raises(ValueError, match="share"):
        matched_sets(scores, correct, 0.6)


@pytest.mark.slow
def test_the_step_test_runs_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    from dataclasses import replace

    from bi.augmentation.arms import build_problems, prompt_row
    from bi.influence.step_test import run_step_test
    from bi.recipes import SMOKE
    from bi.training.policy import load_policy

    recipe = replace(SMOKE.step_test, train_prompts=24)
    policy = load_policy("models/tiny-base")
    rows = {split: [prompt_row(p, SMOKE.task) for p in build_problems(SMOKE.task, split, count, 0)]
            for split, count in (("rl", 24), ("dev_id", 8))}
    told: list[str] = []
    given = dict(max_new_tokens=40, seed=0, work=tmp_path, say=told.append)
    before = flat(policy.model)
    tables = run_step_test(policy, rows["rl"], rows["dev_id"], recipe, **given)
    steps, prompts, differences = tables["steps"], tables["step_prompts"], tables["step_contrasts"]
    assert np.array_equal(flat(policy.model), before)
    assert list(steps["set"]) == ["high", "low"] * 2 and list(steps["optimiser"]) == ["sgd"] * 2 + ["adam"] * 2
    assert steps.groupby("optimiser")["train_accuracy"].nunique().eq(1).all()
    assert np.isfinite(steps[["predicted", "importance", "fresh", "effective"]]).all(axis=None)
    assert set(prompts["set"]) == {"", "high", "low"}
    (tmp_path / "step-adam-0.01-low.json").unlink()
    again = run_step_test(policy, rows["rl"], rows["dev_id"], recipe, **given)
    pd.testing.assert_frame_equal(again["steps"], steps)
    for row in differences.itertuples():
        pair = steps[steps["optimiser"] == row.optimiser].set_index("set")[row.how]
        assert row.value == pytest.approx(pair["high"] - pair["low"])
    with pytest.raises(ValueError, match="24 prompts, the step test needs 99"):
        run_step_test(policy, rows["rl"], rows["dev_id"], replace(recipe, train_prompts=99), **given)
    with pytest.raises(ValueError, match="is a training prompt too"):
        run_step_test(policy, rows["rl"], rows["rl"], recipe, **given)
