"""Solutions of the chapter on problems as graphs, run by the tests and shown folded in the book."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache


def orders_chain_star(n: int) -> tuple[int, int]:
    """Orders in which n quantities can be solved: (in the chain, in the star)."""
    return 1, math.factorial(n - 1)


def locked_chain_star(n: int, k: int) -> tuple[float, float]:
    """Chance that a jump after k of n steps lands on a locked quantity: (in the chain, in the star)."""
    return 1.0, 1 / (n - k - 1)


def count_orders(parents: Mapping[str, tuple[str, ...]]) -> int:
    """In how many orders can all quantities be solved, parents first?

    ``parents`` maps each quantity to those that its formula uses.
    """

    @cache
    def ways(solved: frozenset[str]) -> int:
        if len(solved) == len(parents):
            return 1
        unlocked = [
            name for name in parents if name not in solved and solved.issuperset(parents[name])
        ]
        return sum(ways(solved | {name}) for name in unlocked)

    return ways(frozenset())
