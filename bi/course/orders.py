"""Checkers on the orders in which a graph can be solved (chapter on problems as graphs)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import permutations

import numpy as np

from bi.course.exercise import Attempt, Exercise, Wrong, agree, expect, instances

Parents = dict[str, tuple[str, ...]]
BOTH = ("chain", "star")


def inspect_chain_star(count: Attempt, locked: Attempt) -> None:
    """Orders and chances of chain and star, against listing all orders of up to six quantities."""
    for n in range(3, 7):
        chain, star = count.numbers(BOTH, n)
        agree(chain, len(_orders(_chain(n))), f"chain of n = {n}", (
            math.factorial(n), "each formula needs the quantity before it, so most of these orders are not allowed"))
        agree(star, len(_orders(_star(n))), f"star of n = {n}",
              (math.factorial(n), "the quantity asked for uses all the others, so it cannot come anywhere but last"),
              (1, "the stated numbers need nothing, so they can come in any order"))
    for n in range(3, 7):
        for k in range(1, n - 1):
            chain, star = locked.numbers(BOTH, n, k)
            where = f"n = {n}, after k = {k} steps"
            expect(0 <= chain <= 1 and 0 <= star <= 1, f"{where}: a probability lies between 0 and 1; you give "
                   f"{chain:.4g} and {star:.4g}")
            agree(chain, _locked_share(_chain(n), k), f"chain of {where}: whatever is skipped to still lacks the "
                  "quantity before it")
            agree(star, _locked_share(_star(n), k), f"star of {where}",
                  (1 / (n - k), "you count the quantity that is due among those skipped to; n - k - 1 others are left"),
                  (0, "the quantity asked for is among those skipped to, and it is locked"))


def inspect_count_orders(count: Attempt) -> None:
    """Orders of random graphs against trying all permutations; then graphs for which that takes too long."""
    agree(count.number({"a": ()}), 1, "a single quantity")
    agree(count.number(_chain(4)), 1, "a chain of 4, each quantity using the one before it",
          (24, "you count orders in which a quantity comes before its parents"))
    agree(count.number({name: () for name in "abcde"}), 120, "5 quantities without parents, which may come in any "
          "order", (1, "you count one order; all of them count"))
    rng = instances("ex-orders")
    for number in range(25):
        parents = _random_graph(rng, 4 + number % 3)
        agree(count.number(parents), len(_orders(parents)), f"the graph {parents}",
              (math.factorial(len(parents)), "you count orders in which a quantity comes before its parents"),
              (_by_levels(parents), "you solve level by level; a quantity may also come before one of a lower level "
               "that it does not need"))
    lanes = {f"{lane}{i}": (f"{lane}{i - 1}",) if i else () for i in range(6) for lane in "abc"}
    try:
        found = count.number(lanes)
    except Wrong as wrong:
        raise Wrong(f"for 18 quantities: {wrong} Look at each set of solved quantities once") from None
    agree(found, math.factorial(18) / math.factorial(6) ** 3, "three chains of 6 side by side")


def _chain(n: int) -> Parents:
    return {str(i): (str(i - 1),) if i else () for i in range(n)}


def _star(n: int) -> Parents:
    return {str(i): () if i < n - 1 else tuple(map(str, range(n - 1))) for i in range(n)}


def _random_graph(rng: np.random.Generator, n: int) -> Parents:
    """Parents among earlier letters, listed in shuffled order; never without a link and never a chain."""
    names = "abcdefgh"[:n]
    drawn = [tuple(names[j] for j in range(i) if rng.random() < 0.4) for i in range(n)]
    drawn[-1], drawn[1] = drawn[-1] or (names[0],), ()
    return {names[i]: drawn[i] for i in rng.permutation(n)}


def _orders(parents: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """All orders with parents first, by trying every permutation."""
    return [order for order in permutations(parents)
            if all(order.index(parent) < at for at, name in enumerate(order) for parent in parents[name])]


def _locked_share(parents: Parents, k: int) -> float:
    """How often a jump away from the quantity due after ``k`` steps lands on a locked one, over all orders."""
    cases = [not set(parents[name]) <= set(order[:k]) for order in _orders(parents) for name in order[k + 1:]]
    return sum(cases) / len(cases)


def _by_levels(parents: Parents) -> int:
    """The number of orders that finish each level before the next."""
    levels: dict[str, int] = {}
    while len(levels) < len(parents):
        levels |= {name: 1 + max((levels[p] for p in parents[name]), default=0) for name in parents
                   if name not in levels and all(p in levels for p in parents[name])}
    counts = np.bincount(list(levels.values()))
    return math.prod(math.factorial(int(count)) for count in counts)


CHAPTER = "notebooks/problems_as_graphs"
EXERCISES = (
    Exercise("ex-chain-star", CHAPTER, "pencil", ("orders_chain_star", "locked_chain_star"), inspect_chain_star,
             "listing all orders of up to six quantities gives the same counts and chances"),
    Exercise("ex-orders", CHAPTER, "code", ("count_orders",), inspect_count_orders,
             "random graphs agree with trying all permutations, and 18 quantities are counted in time"),
)
