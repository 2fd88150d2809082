"""The structure graph of an iGSM problem: which owner holds which items, and what follows from that alone.

Layers of one category each stand above one another; an edge says that an owner holds an item of the layer below. Every
edge is an instance quantity. The category totals of an owner, the abstract quantities, follow from the edges.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bi.tasks.expression import Expr, Op, Ref, operations
from bi.tasks.vocabulary import WORLDS


class StructureConfig(Protocol):
    """The fields of :class:`bi.tasks.igsm.IGSMConfig` that shape the graph."""

    @property
    def layers(self) -> tuple[int, int]:
        """Range of the number of layers."""
        ...

    @property
    def entities(self) -> tuple[int, int]:
        """Range of the number of names in a layer."""
        ...

    @property
    def abstract_depth(self) -> int:
        """Layers that a category total may reach down."""
        ...


@dataclass(frozen=True)
class Structure:
    """Quantities in an order in which definitions may only look back.

    ``implied`` holds the forced formulas of the abstract ones, ``parents`` the names in these formulas and ``cost``
    their operations; ``place`` is the index of a name in ``order``.
    """

    order: tuple[str, ...]
    implied: Mapping[str, Expr]
    parents: Mapping[str, tuple[str, ...]]
    cost: Mapping[str, int]
    place: Mapping[str, int]

    def closure(self, name: str, known: Mapping[str, object], more: Mapping[str, object]) -> list[str]:
        """``name`` and, if it is abstract, all that its formula drags in, without what ``known`` or ``more`` holds."""
        if name not in self.implied:
            return [] if name in known or name in more else [name]
        found: dict[str, None] = {}
        stack = [name]
        while stack:
            top = stack.pop()
            if top in found or top in known or top in more:
                continue
            found[top] = None
            stack.extend(self.parents.get(top, ()))
        return list(found)


def draw_structure(config: StructureConfig, n_ops: int, rng: random.Random) -> Structure:
    """Layers of one category each, and a random bipartite graph between neighbours, large enough for ``n_ops``."""
    world = rng.choice(WORLDS)
    wanted = n_ops + rng.randint(2, 4)
    depth = rng.randint(*config.layers)
    first = rng.randint(0, 4 - depth)
    categories = [rng.choice(list(layer)) for layer in world.layers[first : first + depth]]
    sizes = [rng.randint(*config.entities) for _ in categories]
    while _most_edges(sizes) < wanted and min(sizes) < 5:
        sizes[sizes.index(min(sizes))] += 1
    layers = [sorted(rng.sample(range(5), size)) for size in sizes]
    entities = [
        [world.layers[first + level][category][index] for index in layers[level]]
        for level, category in enumerate(categories)
    ]
    edges = _draw_edges(entities, wanted, rng)
    return _order_quantities(edges, categories, entities, config, rng)


def _most_edges(sizes: Sequence[int]) -> int:
    return sum(left * right for left, right in zip(sizes, sizes[1:], strict=False))


def _draw_edges(entities: list[list[str]], wanted: int, rng: random.Random) -> dict[str, list[str]]:
    """Items by owner, in vocabulary order; every owner holds at least one item, about ``wanted`` edges in all."""
    every = [
        (owner, item) for upper, lower in zip(entities, entities[1:], strict=False) for owner in upper for item in lower
    ]
    chosen = {
        owner: {rng.choice(lower)} for upper, lower in zip(entities, entities[1:], strict=False) for owner in upper
    }
    rest = [(owner, item) for owner, item in every if item not in chosen[owner]]
    missing = max(0, wanted - (len(every) - len(rest)))
    for owner, item in rng.sample(rest, min(missing, len(rest))):
        chosen[owner].add(item)
    rank = {name: index for layer in entities for index, name in enumerate(layer)}
    return {owner: sorted(items, key=rank.__getitem__) for owner, items in chosen.items()}


def instance(owner: str, item: str) -> str:
    """Name of the quantity 'the number of each OWNER's ITEM'; ITEM may be a category, then it is abstract."""
    return f"{owner}'s {item}"


def _order_quantities(
    edges: Mapping[str, list[str]],
    categories: Sequence[str],
    entities: Sequence[Sequence[str]],
    config: StructureConfig,
    rng: random.Random,
) -> Structure:
    order = [instance(owner, item) for owner, items in edges.items() for item in items]
    rng.shuffle(order)
    implied = category_totals(edges, categories, entities, config.abstract_depth)
    position = {name: float(index) for index, name in enumerate(order)}
    parents, cost = {}, {}
    for name, formula in implied.items():  # totals come after the totals that they use: see category_totals
        parents[name], cost[name] = total_references(formula), operations(formula)
        position[name] = max([position[parent] for parent in parents[name]]) + 1e-3
    ranked = [name for _, name in sorted([(place, name) for name, place in position.items()])]
    return Structure(tuple(ranked), implied, parents, cost, {name: index for index, name in enumerate(ranked)})


def category_totals(
    edges: Mapping[str, Sequence[str]],
    categories: Sequence[str],
    entities: Sequence[Sequence[str]],
    reach: int,
) -> dict[str, Expr]:
    """Formulas of the abstract quantities, the smallest owners first.

    One layer down a total is the sum over the owner's items; further down it is the sum of (items x their own count).
    Totals that rest on an owner without items are left out.
    """
    totals: dict[str, Expr] = {}
    refs = {(owner, item): Ref(instance(owner, item)) for owner, items in edges.items() for item in items}
    for level in range(len(categories) - 2, -1, -1):
        for owner in entities[level]:
            items = edges.get(owner, ())
            for lower in range(level + 1, min(level + reach, len(categories) - 1) + 1) if items else ():
                category = categories[lower]
                terms: list[Expr] = [refs[owner, item] for item in items]
                if lower > level + 1:
                    counts = [instance(item, category) for item in items]
                    if not all([count in totals for count in counts]):
                        continue
                    terms = [Op("*", (term, Ref(count))) for term, count in zip(terms, counts, strict=True)]
                totals[instance(owner, category)] = terms[0] if len(terms) == 1 else Op("+", tuple(terms))
    return totals


def total_references(total: Expr) -> tuple[str, ...]:
    """Names in a category total (which nests two deep), in written order; faster than the general search."""
    if isinstance(total, Ref):
        return (total.name,)
    assert isinstance(total, Op)
    names = []
    for arg in total.args:
        names += [arg.name] if isinstance(arg, Ref) else [leaf.name for leaf in arg.args]  # type: ignore[union-attr]
    return tuple(names)
