"""Solutions of the chapter on behaviours in trained models, run by the tests and shown folded in the book."""

from __future__ import annotations

import numpy as np


def expected_cost(p: np.ndarray, temperature: float) -> float:
    """Expected minus log-probability under ``p`` of a token that is drawn at ``temperature``."""
    costs = -np.log(p)
    weights = np.exp((costs.min() - costs) / temperature)
    return float(weights @ costs / weights.sum())


def split_entropy(
    before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> tuple[float, float]:
    """Change of the mean entropy (between kinds, within kinds)."""
    n_before = sum(tokens for tokens, _ in before.values())
    n_after = sum(tokens for tokens, _ in after.values())
    between = within = 0.0
    for kind in before.keys() | after.keys():
        tokens_0, value_0 = before.get(kind, (0, after.get(kind, (0, 0))[1]))
        tokens_1, value_1 = after.get(kind, (0, value_0))
        share_0, share_1 = tokens_0 / n_before, tokens_1 / n_after
        between += (share_1 - share_0) * (value_0 + value_1) / 2
        within += (value_1 - value_0) * (share_0 + share_1) / 2
    return between, within
