"""Solution of the chapter on the step test, run by the tests and shown folded in the book."""

from __future__ import annotations

import numpy as np


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
