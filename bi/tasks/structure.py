"""The structure graph of an iGSM problem: which owner holds which items, and what follows from that alone.

Layers of one category each stand above one another; an edge says that an owner holds an item of the layer below. Every
edge is an instance quantity. The category totals of an owner, the abstract quantities, follow from the edges.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from operator import mul

from bi.streams import below, between, sample, shuffle
from bi.tasks.expression import Expr, Ref
from bi.tasks.igsm_config import IGSMConfig
from bi.tasks.plans import SUM, SUM_OF_PRODUCTS, Plan, operations, write
from bi.tasks.problem import Key
from bi.tasks.vocabulary import WORLDS

_LAYERS = [[list(layer.items()) for layer in world.layers] for world in WORLDS]
_NAMES = list(range(5))


@dataclass(frozen=True, slots=True)
class Layout:
    """All edges that layers of given sizes may have, each at a *place*: owner by owner from the top layer down.

    Entities are counted through all layers. ``owner`` and ``item`` give those of each place, ``spans`` the first place
    and the number of places of each owner, ``depth`` the layers below it.
    """

    owner: tuple[int, ...]
    item: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    depth: tuple[int, ...]


@cache
def layout(sizes: tuple[int, ...]) -> Layout:
    """The layout of layers of these sizes."""
    owners, items, spans, depth, first = [], [], [], [], 0
    for layer, size in enumerate(sizes[:-1]):
        lower = range(first + size, first + size + sizes[layer + 1])
        for owner in range(first, first + size):
            spans.append((len(owners), len(lower)))
            depth.append(len(sizes) - 1 - layer)
            owners += [owner] * len(lower)
            items += lower
        first += size
    return Layout(tuple(owners), tuple(items), tuple(spans), tuple(depth))


@dataclass(slots=True)
class Structure:
    """Quantities by number, so ordered that definitions may only look back, to lower numbers.

    Half of all structures are thrown away, and few category totals of the others are needed, so formulas and names are
    made for those that are asked for. Before they are put in order, quantities are known by the number under which they
    were *made*: first the stated ones, in the order of ``edges`` (places in ``layout``), then the abstract ones
    (``kin``: the owner, and how many layers further down than its items the category is; ``counts``: by owner, the
    first of its own). ``order`` leads from numbers to those, ``place`` back; ``abstract`` says what is no premise.
    Sets of numbers are the bits of a whole number.
    """

    layout: Layout
    entities: Sequence[str]
    categories: Sequence[str]
    edges: Sequence[int]
    kin: Sequence[tuple[int, int]]
    counts: Sequence[int]
    order: Sequence[int]
    place: list[int] = field(init=False)
    abstract: list[bool] = field(init=False)
    _closed: dict[int, int] = field(init=False)
    _totals: dict[int, Plan[int]] = field(init=False)

    def __post_init__(self) -> None:
        order, stated = self.order, len(self.edges)
        self.place = place = [0] * len(order)
        for number, made in enumerate(order):
            place[made] = number
        self.abstract = [made >= stated for made in order]
        self._closed, self._totals = {}, {}

    def total(self, number: int) -> Plan[int]:
        """The formula of an abstract quantity."""
        found = self._totals.get(number)
        if found is None:
            owner, further = self.kin[self.order[number] - len(self.edges)]
            start, size = self.layout.spans[owner]
            first = bisect_left(self.edges, start)
            end = bisect_left(self.edges, start + size, first)
            own = self.place[first:end]
            if further:
                items = [self.layout.item[place] for place in self.edges[first:end]]
                found = sum_of_products(own, [self.place[self.counts[item] + further - 1] for item in items])
            else:
                found = tuple(own), SUM
            self._totals[number] = found
        return found

    def closed(self, number: int) -> int:
        """A quantity and, if it is abstract, all that its formula drags in: a set."""
        found = self._closed.get(number)
        if found is None:
            found = 1 << number
            if self.abstract[number]:
                for parent in self.total(number)[0]:
                    found |= self.closed(parent)
            self._closed[number] = found
        return found

    def cost(self, numbers: int) -> int:
        """The fewest operations that a set takes: an abstract quantity its own, a stated one at least one."""
        cost, abstract = numbers.bit_count(), self.abstract
        while numbers:
            number = numbers.bit_length() - 1
            numbers ^= 1 << number
            if abstract[number]:
                cost += operations(self.total(number)) - 1
        return cost

    def names(self, numbers: Iterable[int]) -> dict[int, str]:
        """The names of ``numbers``."""
        laid, entities, stated, named = self.layout, self.entities, len(self.edges), {}
        for number in numbers:
            made = self.order[number]
            if made < stated:
                place = self.edges[made]
                named[number] = instance(entities[laid.owner[place]], entities[laid.item[place]])
            else:
                named[number] = _total_name(laid, entities, self.categories, self.kin[made - stated])
        return named


def draw_structure(config: IGSMConfig, n_ops: int, rng: random.Random) -> Structure:
    """Layers of one category each, and a random bipartite graph between neighbours, large enough for ``n_ops``."""
    world = _LAYERS[below(rng, len(_LAYERS))]
    wanted = n_ops + between(rng, 2, 4)
    depth = between(rng, *config.layers)
    first = between(rng, 0, 4 - depth)
    chosen = [layer[below(rng, len(layer))] for layer in world[first : first + depth]]
    sizes = [between(rng, *config.entities) for _ in chosen]
    while sum(map(mul, sizes, sizes[1:])) < wanted and (least := min(sizes)) < 5:
        sizes[sizes.index(least)] += 1
    entities = [names[index] for (_, names), size in zip(chosen, sizes, strict=True)
                for index in sorted(sample(rng, _NAMES, size))]
    laid = layout(tuple(sizes))
    edges = _draw_edges(laid, wanted, rng)
    return _order_quantities(laid, entities, [category for category, _ in chosen], edges, config.abstract_depth, rng)


def _draw_edges(laid: Layout, wanted: int, rng: random.Random) -> list[int]:
    """Places of the edges in order; every owner holds at least one item, about ``wanted`` edges in all."""
    drawn = {start + below(rng, size) for start, size in laid.spans}
    if wanted > len(drawn):
        rest = [place for place in range(len(laid.owner)) if place not in drawn]
        drawn.update(sample(rng, rest, min(wanted - len(drawn), len(rest))))
    return sorted(drawn)


def _order_quantities(
    laid: Layout,
    entities: Sequence[str],
    categories: Sequence[str],
    edges: Sequence[int],
    reach: int,
    rng: random.Random,
) -> Structure:
    """Stated quantities in a random order, totals right after the latest that they use, those of one place by name."""
    stated = len(edges)
    order = list(range(stated))
    shuffle(rng, order)
    position = [0] * stated  # four for each stated one, which leaves room for the totals
    for index, made in enumerate(order):
        position[made] = 4 * index
    latest: list[int] = [0] * len(laid.spans)
    items: list[list[int]] = [[] for _ in laid.spans]
    owner_at, item_at = laid.owner, laid.item
    for made, place in enumerate(edges):
        owner = owner_at[place]
        items[owner].append(item_at[place])
        if position[made] > latest[owner]:  # max() takes longer
            latest[owner] = position[made]
    kin: list[tuple[int, int]] = []
    counts = [0] * len(latest)
    for owner in range(len(latest) - 1, -1, -1) if reach else ():  # from the lowest layer up
        counts[owner] = len(position)
        position.append(latest[owner] + 1)
        kin.append((owner, 0))
        for further in range(1, min(reach, laid.depth[owner])):
            last = latest[owner]
            for item in items[owner]:
                count = position[counts[item] + further - 1]
                if count > last:
                    last = count
            position.append(last + 1)
            kin.append((owner, further))
    abstract: Sequence[int] = range(stated, len(position))
    if len(set(position[stated:])) < len(kin):
        names = [_total_name(laid, entities, categories, each) for each in kin]
        abstract = sorted(abstract, key=lambda made: names[made - stated])
    ranked = sorted([*order, *abstract], key=position.__getitem__)
    return Structure(laid, entities, categories, edges, kin, counts, ranked)


def _total_name(laid: Layout, entities: Sequence[str], categories: Sequence[str], kin: tuple[int, int]) -> str:
    owner, further = kin
    return instance(entities[owner], categories[len(categories) - laid.depth[owner] + further])


def sum_of_products(own: Sequence[Key], counts: Sequence[Key]) -> Plan[Key]:
    """Each of ``own`` times its own count, added."""
    return tuple(chain.from_iterable(zip(own, counts, strict=True))), SUM_OF_PRODUCTS


def instance(owner: str, item: str) -> str:
    """Name of the quantity 'the number of each OWNER's ITEM'; ITEM may be a category, then it is abstract."""
    return f"{owner}'s {item}"


def name_instances(edges: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Names of the instance quantities by owner, for owners that hold any item."""
    return {owner: tuple([instance(owner, item) for item in items]) for owner, items in edges.items() if items}


def find_totals(
    edges: Mapping[str, Sequence[str]],
    stated: Mapping[str, tuple[str, ...]],
    categories: Sequence[str],
    entities: Sequence[Sequence[str]],
    reach: int,
) -> dict[str, Plan[str]]:
    """The abstract quantities by name, the smallest owners first; ``stated`` are :func:`name_instances` of ``edges``.

    One layer down a total is the sum over the owner's items; further down it is the sum of (items x their own count).
    Totals that rest on an owner without items are left out.
    """
    totals: dict[str, Plan[str]] = {}
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
                own = [count for item in edges[owner] if (count := counts[category].get(item)) is not None]
                if len(own) == len(edges[owner]):
                    counts[category][owner] = name = instance(owner, category)
                    totals[name] = sum_of_products(stated[owner], own)
    return totals


def category_totals(
    edges: Mapping[str, Sequence[str]], categories: Sequence[str], entities: Sequence[Sequence[str]], reach: int
) -> dict[str, Expr]:
    """Formulas of :func:`find_totals`."""
    totals = find_totals(edges, name_instances(edges), categories, entities, reach)
    refs = {name: Ref(name) for name in chain(totals, *(parents for parents, _ in totals.values()))}
    return {name: write(plan, refs) for name, plan in totals.items()}
