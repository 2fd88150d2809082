"""Solutions of the chapter on rollout accuracy, run by the tests and shown folded in the book."""

from __future__ import annotations

from math import comb, sqrt


def coefficient_bounds(mean: float) -> tuple[float, float]:
    """The (least, most) that the mean coefficient of prompts with this mean accuracy can be."""
    return 0.0, sqrt(mean * (1 - mean))


def mixed_share(n: int, c: int, group: int) -> float:
    """Chance that ``group`` rollouts have mixed outcomes, without bias, from ``c`` right of ``n``."""
    groups = comb(n, group)
    return 1.0 - comb(c, group) / groups - comb(n - c, group) / groups
