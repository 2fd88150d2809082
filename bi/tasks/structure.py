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

    Entities are counted through all layers. ``ends`` gives owner and item of each place, ``spans`` the first place and
    the number of places of each owner. ``totals`` are the category totals, owner by owner from the lowest layer up:
    the owner, the layer of the category, and how many layers further down than the owner's items that is; ``first``
    gives the first total of each owner, behind which come those further down.
    """

    ends: tuple[tuple[int, int], ...]
    spans: tuple[tuple[int, int], ...]
    totals: tuple[tuple[int, int, int], ...]
    first: tuple[int, ...]


@cache
def layout(sizes: tuple[int, ...], reach: int) -> Layout:
    """The layout of layers of these sizes, whose totals reach down ``reach`` layers at most."""
    layer_of = [layer for layer, size in enumerate(sizes) for _ in range(size)]
    owners = range(len(layer_of) - sizes[-1])
    ends, spans = [], []
    for owner in owners:
        items = [item for item, layer in enumerate(layer_of) if layer == layer_of[owner] + 1]
        spans.append((len(ends), len(items)))
        ends += [(owner, item) for item in items]
    totals, first = [], [0] * len(owners)
    for owner in reversed(owners):
        first[owner] = len(totals)
        lower = range(layer_of[owner] + 1, len(sizes))[:reach]
        totals += [(owner, layer, further) for further, layer in enumerate(lower)]
    return Layout(tuple(ends), tuple(spans), tuple(totals), tuple(first))


@dataclass(slots=True)
class Structure:
    """Quantities by number, so ordered that definitions may only look back, to lower numbers.

    Half of all structures are thrown away, and few category totals of the others are needed, so formulas and names are
    made for those that are asked for. Before they are put in order, quantities are known by the number under which they
    were *made*: first the stated ones, in the order of ``edges`` (places in ``layout``), then the totals of ``layout``.
    ``order`` leads from numbers to those, ``place`` back; ``abstract`` says what is no premise, as does the set
    ``totals``. Sets of numbers are the bits of a whole number.
    """

    layout: Layout
    entities: Sequence[str]
    categories: Sequence[str]
    edges: Sequence[int]
    order: Sequence[int]
    place: list[int] = field(init=False)
    abstract: list[bool] = field(init=False)
    totals: int = field(init=False)
    _closed: dict[int, int] = field(init=False)
    _totals: dict[int, Plan[int]] = field(init=False)

    def __post_init__(self) -> None:
        order, stated = self.order, len(self.edges)
        self.place = place = [0] * len(order)
        for number, made in enumerate(order):
            place[made] = number
        self.abstract = abstract = [False] * len(order)
        totals = 0
        for number in place[stated:]:
            abstract[number] = True
            totals |= 1 << number
        self.totals = totals
        self._closed, self._totals = {}, {}

    def total(self, number: int) -> Plan[int]:
        """The formula of an abstract quantity."""
        found = self._totals.get(number)
        if found is None:
            owner, _, further = self.layout.totals[self.order[number] - len(self.edges)]
            start, size = self.layout.spans[owner]
            first = bisect_left(self.edges, start)
            end = bisect_left(self.edges, start + size, first)
            own = self.place[first:end]
            if further:
                items = [self.layout.ends[place][1] for place in self.edges[first:end]]
                counts = len(self.edges) + further - 1  # of an item: its total one layer less far down
                found = sum_of_products(own, [self.place[self.layout.first[item] + counts] for item in items])
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
                    found |= self.closed(parent) if self.abstract[parent] else 1 << parent
            self._closed[number] = found
        return found

    def cost(self, numbers: int) -> int:
        """The fewest operations that a set takes: an abstract quantity its own, a stated one at least one."""
        cost = numbers.bit_count()
        numbers &= self.totals
        while numbers:
            number = numbers.bit_length() - 1
            numbers ^= 1 << number
            cost += operations(self.total(number)) - 1
        return cost

    def names(self, numbers: Iterable[int]) -> dict[int, str]:
        """The names of ``numbers``."""
        laid, order, edges, entities, named = self.layout, self.order, self.edges, self.entities, {}
        ends, stated = laid.ends, len(edges)
        for number in numbers:
            made = order[number]
            if made < stated:
                owner, item = ends[edges[made]]
                named[number] = instance(entities[owner], entities[item])
            else:
                owner, layer, _ = laid.totals[made - stated]
                named[number] = instance(entities[owner], self.categories[layer])
        return named


def draw_structure(config: IGSMConfig, n_ops: int, rng: random.Random) -> Structure:
    """Layers of one category each, and a random bipartite graph between neighbours, large enough for ``n_ops``."""
    world = _LAYERS[below(rng, len(_LAYERS))]
    wanted = n_ops + between(rng, 2, 4)
    depth = between(rng, *config.layers)
    first = between(rng, 0, 4 - depth)
    chosen = [layer[below(rng, len(layer))] for layer in world[first : first + depth]]
    fewest, most = config.entities
    sizes = [between(rng, fewest, most) for _ in chosen]
    while sum(map(mul, sizes, sizes[1:])) < wanted and (least := min(sizes)) < 5:
        sizes[sizes.index(least)] += 1
    entities = [names[index] for (_, names), size in zip(chosen, sizes, strict=True)
                for index in sorted(sample(rng, _NAMES, size))]
    laid = layout(tuple(sizes), config.abstract_depth)
    edges = _draw_edges(laid, wanted, rng)
    return _order_quantities(laid, entities, [category for category, _ in chosen], edges, rng)


def _draw_edges(laid: Layout, wanted: int, rng: random.Random) -> list[int]:
    """Places of the edges in order; every owner holds at least one item, about ``wanted`` edges in all."""
    drawn = [start + below(rng, size) for start, size in laid.spans]
    if wanted > len(drawn):
        rest = list(range(len(laid.ends)))
        for place in reversed(drawn):
            del rest[place]
        drawn += sample(rng, rest, min(wanted - len(drawn), len(rest)))
    return sorted(drawn)


def _order_quantities(
    laid: Layout, entities: Sequence[str], categories: Sequence[str], edges: Sequence[int], rng: random.Random
) -> Structure:
    """Stated quantities in a random order, totals right after the latest that they use, those of one place by name."""
    stated = len(edges)
    order = list(range(stated))
    shuffle(rng, order)
    position = [0] * stated  # four for each stated one, which leaves room for the totals
    for at, made in zip(range(0, 4 * stated, 4), order, strict=True):
        position[made] = at
    latest: list[int] = [0] * len(laid.spans)
    items: list[list[int]] = [[] for _ in laid.spans]
    for at, (owner, item) in zip(position, map(laid.ends.__getitem__, edges), strict=True):
        items[owner].append(item)
        if at > latest[owner]:  # max() takes longer
            latest[owner] = at
    after, first = [], laid.first  # positions of the totals
    for owner, _, further in laid.totals:
        last = latest[owner]
        if further:
            for item in items[owner]:
                count = after[first[item] + further - 1]
                if count > last:
                    last = count
        after.append(last + 1)
    position += after
    abstract: Sequence[int] = range(stated, len(position))
    if len(set(after)) < len(after):
        names = [instance(entities[owner], categories[layer]) for owner, layer, _ in laid.totals]
        abstract = sorted(abstract, key=dict(zip(abstract, names, strict=True)).__getitem__)
    ranked = sorted([*order, *abstract], key=position.__getitem__)
    return Structure(laid, entities, categories, edges, ranked)


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
