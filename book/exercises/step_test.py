"""Solutions of the chapter on the step test, run by the tests and shown folded in the book."""

from __future__ import annotations

import numpy as np


def best_baseline(probabilities: np.ndarray, scores: np.ndarray, rewards: np.ndarray) -> float:
    """The constant baseline with the least variance for a small step.

    All are (V,), one entry a completion: its probability, how far the step moves its
    log-probability (on average not at all), its reward.
    """
    weights = probabilities * scores**2
    return float(weights @ rewards / weights.sum())


def importance_change(
    before: np.ndarray, after: np.ndarray, rewards: np.ndarray, rng: np.random.Generator, n: int
) -> float:
    """Change of accuracy from n draws of ``before`` (V,), a policy over V answers.

    ``after`` (V,) are the probabilities after the step, ``rewards`` (V,) say what is right.
    """
    drawn = rng.choice(len(before), size=n, p=before)
    weights = after[drawn] / before[drawn]
    reward = rewards[drawn]
    others = (reward.sum() - reward) / (n - 1)
    return float(np.mean((weights - 1) * (reward - others)))
