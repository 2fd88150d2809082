"""Solutions of the chapter on the per-step influence, run by the tests and shown folded in the book."""

from __future__ import annotations

import math

import numpy as np


def objective(alpha: float) -> float:
    """Function of the rollout accuracy whose gradient is the group gradient."""
    return 2 * math.asin(math.sqrt(alpha))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (V,) of (V,) logits."""
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def group_gradient(logits: np.ndarray, drawn: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Group gradient estimated from the (N,) completions drawn.

    ``correct`` (V,) says which completions are right.
    """
    rewards = correct[drawn].astype(float)
    if rewards.std() == 0:  # one outcome only: a silent group
        return np.zeros_like(logits)
    advantages = (rewards - rewards.mean()) / rewards.std()
    scores = np.eye(len(logits))[drawn] - softmax(logits)  # grad log pi
    return advantages @ scores / len(drawn)


def self_influence(
    logits: np.ndarray, correct: np.ndarray, n: int, repeats: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Mean squared length from one group, and from two independent groups of n."""
    naive, independent = [], []
    for _ in range(repeats):
        first, second = (
            group_gradient(logits, rng.choice(len(logits), n, p=softmax(logits)), correct)
            for _ in range(2)
        )
        naive.append(first @ first)
        independent.append(first @ second)
    return float(np.mean(naive)), float(np.mean(independent))
