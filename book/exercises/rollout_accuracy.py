"""Exercise of the chapter on rollout accuracy: solution and checker, run by the tests, shown folded in the book."""

from __future__ import annotations

from collections.abc import Callable
from math import comb


def mixed_share(n: int, c: int, group: int) -> float:
    """Chance that ``group`` rollouts have mixed outcomes, without bias, from ``c`` right of ``n``."""
    groups = comb(n, group)
    return 1.0 - comb(c, group) / groups - comb(n - c, group) / groups


def check(solution: Callable[[int, int, int], float]) -> None:
    """Raise ``AssertionError`` that says what is wrong with a solution; silence means that it is right."""
    assert solution(8, 0, 4) == solution(8, 8, 4) == 0, \
        "rollouts with one outcome only hold no mixed group: c = 0 and c = n give 0"
    assert solution(2, 1, 2) == 1, "one right and one wrong rollout: the only pair is mixed"
    assert abs(solution(9, 2, 3) - solution(9, 7, 3)) < 1e-9, "right and wrong should play the same part: c, n - c"
    for n, group in ((4, 2), (6, 4), (9, 5), (7, 7)):
        for alpha in (0.05, 0.3, 0.5, 0.9):
            chances = [comb(n, c) * alpha**c * (1 - alpha) ** (n - c) for c in range(n + 1)]
            mean = sum(chance * solution(n, c, group) for c, chance in enumerate(chances))
            truth = 1 - alpha**group - (1 - alpha) ** group
            where = f"on average: {mean:.3f} for {truth:.3f} (n = {n}, group = {group})"
            assert mean < truth + 1e-9, f"too large {where}: is a mixed table taken for a mixed group?"
            assert mean > truth - 1e-9, f"too small {where}: is c / n put in the place of alpha?"
