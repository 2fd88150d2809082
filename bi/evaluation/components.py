"""Where the spread of a difference comes from, seeds or problems, and what more of either would buy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


@dataclass(frozen=True)
class Components:
    """Variances of a value of one seed and one problem: by seed, by problem, and what is left between the two.

    Rollouts of a problem are averaged in the value, so that their noise is part of ``rest``.
    """

    seeds: float
    problems: float
    rest: float

    def error(self, seeds: float, problems: float) -> float:
        """Standard error of the mean over so many seeds and problems; either may be infinite."""
        return float(np.sqrt(self.seeds / seeds + self.problems / problems + self.rest / (seeds * problems)))

    def half_width(self, seeds: float, problems: float, level: float = 0.95) -> float:
        """Half of a normal interval of that mean."""
        return float(stats.norm.ppf((1 + level) / 2)) * self.error(seeds, problems)


def variance_components(table: ArrayLike) -> Components:
    """The components of a (seeds x problems) table, by the mean squares of the crossed design of random effects.

    A component that comes out below zero is set to zero. Raises ``ValueError`` unless there are two of each and all
    values are finite. Source: Searle, Casella and McCulloch (1992), chapter 4, the two-way crossed classification with
    one value a cell.
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise ValueError(f"variance components need a finite table of at least 2 seeds x 2 problems, got "
                         f"{values.shape}")
    seeds, problems = values.shape
    by_seed, by_problem, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    left = values - by_seed[:, None] - by_problem[None, :] + mean
    rest = float((left**2).sum()) / ((seeds - 1) * (problems - 1))
    squares = problems * by_seed.var(ddof=1), seeds * by_problem.var(ddof=1)
    return Components(max(0.0, float(squares[0] - rest) / problems), max(0.0, float(squares[1] - rest) / seeds), rest)
