"""Exercise of the chapter from fine-tuning to GRPO: solution and checker, run by the tests, shown folded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Step = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]


def grpo_step(logits: np.ndarray, drawn: np.ndarray, right: np.ndarray, lr: float) -> np.ndarray:
    """Logits (K,) after one step on the group ``drawn`` (N,); ``right`` (K,) says which are right."""
    rewards = right[drawn].astype(float)
    if rewards.std() == 0:
        return logits.copy()
    advantages = (rewards - rewards.mean()) / rewards.std()
    chances = np.exp(logits - logits.max())
    chances /= chances.sum()
    scores = np.eye(len(logits))[drawn] - chances  # grad log pi, one row a rollout
    return logits + lr * advantages @ scores / len(drawn)


def check(solution: Step) -> None:
    """Raise ``AssertionError`` that says what is wrong with a solution; silence means that it is right."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        count = int(rng.integers(3, 7))
        logits, right = rng.normal(size=count), np.arange(count) < count // 2
        mixed = np.concatenate([[0, count - 1], rng.integers(count, size=6)])
        silent = np.full(5, count - 1)
        kept = logits.copy()
        move = solution(logits, mixed, right, 1.0) - kept
        assert np.array_equal(logits, kept), "the logits that were passed in have changed: work on a copy"
        assert np.isfinite(solution(logits, silent, right, 1.0)).all(), \
            "a group with one outcome gives numbers that are not finite: its deviation is zero"
        assert np.allclose(solution(logits, silent, right, 1.0), logits), \
            "a group with one outcome moved the logits: all its advantages should be zero"
        assert abs(move.sum()) < 1e-9, "the logits' sum moved: the gradient of log pi(k) is e_k - p, and p sums to one"
        rise = move[mixed[right[mixed]]].mean() - move[mixed[~right[mixed]]].mean()
        assert rise > 0, "right answers that were drawn fall against wrong ones: is the sign that of ascent?"
        twice = solution(logits, np.concatenate([mixed, mixed]), right, 1.0) - logits
        assert np.allclose(twice, move), \
            "the same group twice makes another step: take the mean over the rollouts, and the deviation with N"
        half = solution(logits, mixed, right, 0.5) - logits
        assert np.allclose(2 * half, move), "half the step size does not make half the step"
        alpha = right[mixed].mean()
        length = np.abs(move).sum()
        # a completion is right or wrong, so pushes up and down never meet in one logit, and their sizes add up
        assert np.isclose(length, 2 * np.sqrt(alpha * (1 - alpha))), \
            "the step has the wrong size: divide by the deviation over the group (with N, not with N - 1)"
