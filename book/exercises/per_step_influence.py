"""Solutions of the chapter on the per-step influence, run by the tests and shown folded in the book."""

from __future__ import annotations

import numpy as np


def group_gradient(logits: np.ndarray, outcomes: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Estimate of the group gradient of a softmax policy over (V,) completions from (N,) sampled ``outcomes``.

    ``correct`` (V,) says which completions are right. The zero vector where all rewards are equal.
    """
    rewards = correct[outcomes].astype(float)
    if rewards.std() == 0:
        return np.zeros_like(logits)
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    scores = np.eye(len(logits))[outcomes] - probabilities
    return (rewards - rewards.mean()) / rewards.std() @ scores / len(outcomes)


def self_influence(logits: np.ndarray, correct: np.ndarray, count: int, repeats: int,
                   rng: np.random.Generator) -> tuple[float, float]:
    """Mean of the naive and of the two-groups estimate of the squared group gradient, from groups of ``count``.

    Naive: one group multiplied by itself. Two groups: drawn independently, multiplied by each other.
    """
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    naive, independent = [], []
    for _ in range(repeats):
        first, second = (group_gradient(logits, rng.choice(len(logits), count, p=probabilities), correct)
                         for _ in range(2))
        naive.append(first @ first)
        independent.append(first @ second)
    return float(np.mean(naive)), float(np.mean(independent))
