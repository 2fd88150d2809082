"""The structure graph of an iGSM problem: which owner holds which items, and what follows from that alone.

Layers of one category each stand above one another; an edge says that an owner holds an item of the layer below. Every
edge is an instance quantity. The category totals of an owner, the abstract quantities, follow from the edges.
"""

from __future__ import annotations

import random
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import mul

from bi.streams import below, between, sample, shuffle
from bi.tasks.expression import Expr, Ref
from bi.tasks.igsm_config import IGSMConfig
from bi.tasks.plans import SUM, SUM_OF_PRODUCTS, Plan, operations, write
from bi.tasks.vocabulary import WORLDS


@dataclass(frozen=True)
class Structure:
    """Quantities in an order in which definitions may only look back.

    ``totals`` are the abstract ones, whose formula follows from the edges; ``place`` is the index of a name in
    ``order``.
    """

    order: tuple[str, ...]
    totals: Mapping[str, Plan]
    place: Mapping[str, int]

    def closure(self, name: str, known: Container[str], more: Container[str]) -> tuple[dict[str, None], int]:
        """``name`` and, if it is abstract, all that its formula drags in, without what ``known`` or ``more`` holds;
        and the fewest operations that these take: an abstract quantity its own, a stated one at least one."""
        found: dict[str, None] = {}
        cost, stack = 0, [name]
        while stack:
            top = stack.pop()
            if top in found or top in known or top in more:
                continue
            found[top] = None
            total = self.totals.get(top)
            if total is None:
                cost += 1
            else:
                cost += operations(total)
                stack += total[0]
        return found, cost


def draw_structure(config: IGSMConfig, n_ops: int, rng: random.Random) -> Structure:
    """Layers of one category each, and a random bipartite graph between neighbours, large enough for ``n_ops``."""
    world = WORLDS[below(rng, len(WORLDS))]
    wanted = n_ops + between(rng, 2, 4)
    depth = between(rng, *config.layers)
    first = between(rng, 0, 4 - depth)
    categories = [list(layer)[below(rng, len(layer))] for layer in world.layers[first : first + depth]]
    sizes = [between(rng, *config.entities) for _ in categories]
    while _most_edges(sizes) < wanted and min(sizes) < 5:
        sizes[sizes.index(min(sizes))] += 1
    layers = [sorted(sample(rng, range(5), size)) for size in sizes]
    entities = [
        [world.layers[first + level][category][index] for index in layers[level]]
        for level, category in enumerate(categories)
    ]
    edges = _draw_edges(entities, wanted, rng)
    return _order_quantities(edges, categories, entities, config, rng)


def _most_edges(sizes: Sequence[int]) -> int:
    return sum(map(mul, sizes, sizes[1:]))


def _draw_edges(entities: list[list[str]], wanted: int, rng: random.Random) -> dict[str, list[str]]:
    """Items by owner, in vocabulary order; every owner holds at least one item, about ``wanted`` edges in all."""
    layers = list(zip(entities, entities[1:], strict=False))
    possible = [(owner, item) for upper, lower in layers for owner in upper for item in lower]
    drawn: set[int] = set()  # places in `possible`
    start = 0
    for upper, lower in layers:
        for _ in upper:
            drawn.add(start + below(rng, len(lower)))
            start += len(lower)
    rest = [place for place in range(len(possible)) if place not in drawn]
    if wanted > len(drawn):
        drawn.update(sample(rng, rest, min(wanted - len(drawn), len(rest))))
    edges: dict[str, list[str]] = {}
    for place in sorted(drawn):
        owner, item = possible[place]
        edges.setdefault(owner, []).append(item)
    return edges


def instance(owner: str, item: str) -> str:
    """Name of the quantity 'the number of each OWNER's ITEM'; ITEM may be a category, then it is abstract."""
    return f"{owner}'s {item}"


def _order_quantities(
    edges: Mapping[str, list[str]],
    categories: Sequence[str],
    entities: Sequence[Sequence[str]],
    config: IGSMConfig,
    rng: random.Random,
) -> Structure:
    stated = name_instances(edges)
    order = [name for names in stated.values() for name in names]
    shuffle(rng, order)
    totals = find_totals(edges, stated, categories, entities, config.abstract_depth)
    position = {name: float(index) for index, name in enumerate(order)}
    for name, (parents, _) in totals.items():  # totals come after the totals that they use: see find_totals
        latest = 0.0  # max() takes longer than this loop
        for parent in parents:
            if position[parent] > latest:
                latest = position[parent]
        position[name] = latest + 1e-3
    ranked = tuple(sorted([*order, *sorted(totals)], key=position.__getitem__))  # totals of one position by name
    return Structure(ranked, totals, {name: index for index, name in enumerate(ranked)})


def name_instances(edges: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Names of the instance quantities by owner, for owners that hold any item."""
    return {owner: tuple([instance(owner, item) for item in items]) for owner, items in edges.items() if items}


def find_totals(
    edges: Mapping[str, Sequence[str]],
    stated: Mapping[str, tuple[str, ...]],
    categories: Sequence[str],
    entities: Sequence[Sequence[str]],
    reach: int,
) -> dict[str, Plan]:
    """The abstract quantities by name, the smallest owners first; ``stated`` are :func:`name_instances` of ``edges``.

    One layer down a total is the sum over the owner's items; further down it is the sum of (items x their own count).
    Totals that rest on an owner without items are left out.
    """
    totals: dict[str, Plan] = {}
    counts: dict[str, dict[str, str]] = {category: {} for category in categories}  # names of totals, by owner
    if not reach:
        return totals
    for level in range(len(categories) - 2, -1, -1):
        direct, *further = categories[level + 1 : level + reach + 1]
        for owner in entities[level]:
            if owner not in stated:
                continue
            counts[direct][owner] = name = instance(owner, direct)
            totals[name] = stated[owner], SUM
            for category in further:
                own = [counts[category].get(item) for item in edges[owner]]
                if None not in own:
                    counts[category][owner] = name = instance(owner, category)
                    totals[name] = tuple(chain.from_iterable(zip(stated[owner], own, strict=True))), SUM_OF_PRODUCTS
    return totals


def category_totals(
    edges: Mapping[str, Sequence[str]], categories: Sequence[str], entities: Sequence[Sequence[str]], reach: int
) -> dict[str, Expr]:
    """Formulas of :func:`find_totals`."""
    totals = find_totals(edges, name_instances(edges), categories, entities, reach)
    refs = {name: Ref(name) for name in chain(totals, *(parents for parents, _ in totals.values()))}
    return {name: write(plan, refs) for name, plan in totals.items()}
