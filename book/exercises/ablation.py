"""Exercise of the chapter on ablation: solution and checker, run by the tests, shown folded in the book."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def crossed_interval(
    table: np.ndarray, rng: np.random.Generator, resamples: int
) -> tuple[float, float]:
    """95 % percentile interval of the mean of a (seeds, problems) table of differences."""
    seeds, problems = table.shape
    means = np.empty(resamples)
    for draw in range(resamples):
        rows = rng.integers(seeds, size=seeds)
        columns = rng.integers(problems, size=problems)  # the same for all seeds
        means[draw] = table[np.ix_(rows, columns)].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def check(solution: Callable[[np.ndarray, np.random.Generator, int], tuple[float, float]]) -> None:
    """Raise ``AssertionError`` that says what is wrong with a solution; silence means that it is right."""
    rng = np.random.default_rng(0)
    same = solution(np.full((3, 20), 0.3), rng, 200)
    assert np.allclose(same, 0.3), "a table without any spread has an interval without width"
    column = np.tile(np.linspace(-1, 1, 40), (25, 1))  # only problems differ
    width = np.ptp(solution(column, rng, 1500))
    expected = 2 * 1.96 * column[0].std() / np.sqrt(40)
    assert width > 0.7 * expected, "too narrow: are problems drawn anew for each seed?"
    row = column[:, :1] + np.linspace(-1, 1, 25)[:, None] * np.ones(30)  # only seeds differ
    width = np.ptp(solution(row, rng, 1500))
    expected = 2 * 1.96 * row[:, 0].std() / np.sqrt(25)
    assert 0.7 * expected < width < 1.3 * expected, "seeds must be drawn too, whole rows at a time"
