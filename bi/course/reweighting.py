"""Checkers on importance weights and their baseline (chapter on the step test)."""

from __future__ import annotations

import math

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances


def inspect_baseline(baseline: Attempt) -> None:
    """No constant may have less variance, on policies whose completions are all listed."""
    rng = instances("ex-baseline")
    even = np.full(4, 0.25)
    agree(baseline.number(even, np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 0.0, 0.0, 0.0])), 0.25,
          "if every completion is moved by the same amount, the best baseline is the accuracy")
    for _ in range(12):
        chances, rewards = rng.dirichlet(np.ones(6)), np.array([1.0, 1.0, 0.0, 0.0, 1.0, 0.0])
        scores = rng.normal(size=6)
        scores -= chances @ scores  # the new probabilities sum to one, so the moves have mean zero
        found = baseline.number(chances, scores, rewards)
        best = float(chances @ (scores**2 * rewards) / (chances @ scores**2))
        size = np.abs(scores)
        agree(found, best, f"a policy of six completions: at b = {found:.4f} the variance is "
              f"{_variance(chances, scores, rewards, found):.6f}, at b = {best:.4f} it is "
              f"{_variance(chances, scores, rewards, best):.6f}",
              (chances @ rewards, "this is the plain accuracy; completions that the step moves more weigh more"),
              (chances @ (size * rewards) / (chances @ size), "you weigh by how far a completion is moved; its square "
               "decides the variance"),
              (scores**2 @ rewards / (scores**2).sum(), "every completion counts the same; weigh them by their "
               "probability"))


def inspect_importance(change: Attempt) -> None:
    """No step and equal rewards give exactly 0; the mean over many samples is the change, for any size of the step."""
    rng, before = instances("ex-importance"), np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    rewards = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    small, large = np.array([0.31, 0.19, 0.2, 0.1, 0.1, 0.1]), np.array([0.1, 0.1, 0.1, 0.5, 0.1, 0.1])
    still = [change.number(before, before, rewards, rng, 9) for _ in range(5)]
    expect(np.allclose(still, 0), "without a step (after = before) every weight is 1, so the estimate is exactly 0; "
           f"yours is {max(still, key=abs):.4f}: reweight one sample, do not compare two")
    alike = [change.number(before, large, np.ones(6), rng, 8) for _ in range(3)]
    expect(np.allclose(alike, 0), "if all answers are right, accuracy cannot change; your estimate is "
           f"{alike[0]:.4f} there, because no baseline is subtracted from the rewards")
    for n, after in ((2, large), (8, small), (8, large)):
        found = np.array([change.number(before, after, rewards, rng, n) for _ in range(2000)])
        expect(found.std() > 1e-12, "every estimate is the same; it has to be made from draws of `rng`")
        error, wanted = 5 * float(found.std()) / math.sqrt(len(found)), float((after - before) @ rewards)
        where = f"the mean of {len(found)} estimates from {n} draws"
        if abs(found.mean() - wanted) <= error:
            continue
        expect(abs(found.mean() - wanted * (n - 1) / n) > error, f"{where} is too small by the factor {n - 1}/{n}: the "
               "baseline of a rollout must not contain its own reward")
        inverse = float((before * (before / after - 1)) @ rewards - (before * (before / after - 1)).sum()
                        * (before @ rewards))
        expect(abs(found.mean() - inverse) > error, f"{where} is {found.mean():.4f}, the change is {wanted:.4f}: the "
               "weights are upside down; they are new over old probabilities")
        expect(abs(found.mean() - wanted * n) > error, f"{where} is {n} times the change: take the mean")
        expect(False, f"{where} is {found.mean():.4f}, the change of accuracy is {wanted:.4f}: draw from the policy "
               "before the step, and weigh each draw by new over old probability")


def _variance(chances: np.ndarray, scores: np.ndarray, rewards: np.ndarray, baseline: float) -> float:
    """Variance of ``score * (reward - baseline)`` over all completions."""
    values = scores * (rewards - baseline)
    return float(chances @ values**2 - (chances @ values) ** 2)


CHAPTER = "notebooks/step_test"
EXERCISES = (
    Exercise("ex-baseline", CHAPTER, "pencil", ("best_baseline",), inspect_baseline,
             "on policies whose completions are listed, no constant has less variance"),
    Exercise("ex-importance", CHAPTER, "code", ("importance_change",), inspect_importance,
             "it is exactly 0 where nothing changes, and right on average for a small and for a large step"),
)
