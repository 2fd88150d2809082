"""Solutions of the chapter on what did not reproduce, run by the tests and shown folded in the book."""

from __future__ import annotations

import math

import numpy as np


def gain_of_push(start: float, push: float) -> float:
    """What an arm gains in accuracy from ``start`` when its log-odds rise by ``push``."""
    log_odds = math.log(start / (1 - start)) + push
    return 1 / (1 + math.exp(-log_odds)) - start


def best_start(push: float) -> float:
    """The accuracy from which ``push`` gains the most."""
    return 1 / (1 + math.exp(push / 2))


def crossed_interval(
    values: np.ndarray, resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    """95% percentile interval (low, high) of the mean of ``values`` (seeds, problems).

    All seeds answered the same problems.
    """
    seeds, problems = values.shape
    means = []
    for _ in range(resamples):
        rows = rng.integers(seeds, size=seeds)
        columns = rng.integers(problems, size=problems)
        means.append(values[np.ix_(rows, columns)].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
