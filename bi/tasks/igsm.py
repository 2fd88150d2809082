"""iGSM problems (Ye et al., Physics of Language Models 2.1, in the variant that the paper trains on).

A structure graph of two to four layers says which owner holds which items. The number of one owner's items of one kind
is an *instance* quantity with a drawn formula; the number of an owner's items of a whole category is an *abstract*
quantity that follows from the structure. Difficulty is the number of operations that the answer needs.

The generator is our own. Unlike the released one it draws every operator and constant before anything is worded, gives
exactly the operation count asked for, and states a quantity in one way only.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from bi.tasks.expression import Expr, Num, Op, Ref, operations, references
from bi.tasks.problem import Problem, build_problem, rename
from bi.tasks.vocabulary import WORLDS

MAX_OPS = 30
_ATTEMPTS = 200


@dataclass(frozen=True)
class IGSMConfig:
    """What to draw. Ranges are inclusive; ``ValueError`` names the field, the value and the remedy.

    ``min_ops``, ``max_ops``: operations of the needed part, drawn uniformly between them (``skewed``: the minimum of
    two draws, as in the released data). ``modulus``: reduce every value (iGSM's own is 23); ``None`` keeps integers
    with \\|value of the target\\| < ``answer_bound``. ``constants``: range of stated numbers; ``live`` excludes
    factors of 0, which make operations that do not influence the answer. ``operands``: weights of 0, 1, 2, ...
    quantities in one stated formula, so that its length bounds a sum.
    ``reuse``: probability that an operand is a quantity that the answer needs already; shared operands cost no
    operations of their own, so the same budget buys wider formulas and a denser graph.
    ``redundant``: how many premises the answer does not need. ``abstract_depth``: layers that a category total may
    reach down (1: plain sums; more: sums of products; 0: no category totals). ``compact``: name quantities by index out
    of ``names`` and state every definition, for the compact wording, in which a name cannot imply a structure.
    """

    min_ops: int
    max_ops: int
    modulus: int | None = None
    compact: bool = False
    names: int = 24
    layers: tuple[int, int] = (2, 4)
    entities: tuple[int, int] = (2, 4)
    constants: tuple[int, int] = (0, 9)
    operands: tuple[float, ...] = (2, 4, 4, 3, 1)
    reuse: float = 0.0
    redundant: tuple[int, int] = (1, 5)
    abstract_depth: int = 3
    answer_bound: int = 1000
    live: bool = True
    skewed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.min_ops <= self.max_ops:
            raise ValueError(f"min_ops={self.min_ops} and max_ops={self.max_ops}: give 1 <= min_ops <= max_ops")
        if self.max_ops > MAX_OPS:
            raise ValueError(f"max_ops={self.max_ops}: the generator reaches {MAX_OPS} operations; ask for fewer")
        if self.modulus is not None and self.modulus < 2:
            raise ValueError(f"modulus={self.modulus}: use 2 or more, or leave it out")
        if not 2 <= self.layers[0] <= self.layers[1] <= 4:
            raise ValueError(f"layers={self.layers}: give a range within 2..4")
        if not 2 <= self.entities[0] <= self.entities[1] <= 5:
            raise ValueError(f"entities={self.entities}: give a range within 2..5 (names of one category)")
        if not 0 <= self.constants[0] < self.constants[1]:
            raise ValueError(f"constants={self.constants}: give a range of numbers from 0 on, such as (0, 9)")
        if self.modulus is not None and self.constants[1] >= self.modulus:
            raise ValueError(f"constants={self.constants}: must lie below the modulus {self.modulus}")
        if not 3 <= len(self.operands) <= 7 or min(self.operands) < 0 or sum(self.operands[1:]) <= 0:
            raise ValueError(f"operands={self.operands}: give 3 to 7 weights >= 0, not all of them 0 behind the first")
        if not 0 <= self.reuse <= 1:
            raise ValueError(f"reuse={self.reuse}: give a probability between 0 and 1")
        if not 0 <= self.redundant[0] <= self.redundant[1]:
            raise ValueError(f"redundant={self.redundant}: give a range of counts such as (1, 5)")
        if not 0 <= self.abstract_depth <= 3:
            raise ValueError(f"abstract_depth={self.abstract_depth}: give 0 to 3")
        if self.compact and self.max_ops + self.redundant[1] > self.names:
            raise ValueError(
                f"names={self.names}: too few for max_ops={self.max_ops} with {self.redundant[1]} redundant premises; "
                f"give at least {self.max_ops + self.redundant[1]}, or fewer operations"
            )


def generate(config: IGSMConfig, rng: random.Random) -> Problem:
    """One problem with exactly the drawn number of operations; a function of ``config`` and the state of ``rng``."""
    n_ops = rng.randint(config.min_ops, config.max_ops)
    if config.skewed:
        n_ops = min(n_ops, rng.randint(config.min_ops, config.max_ops))
    for _ in range(_ATTEMPTS):
        structure = _draw_structure(config, n_ops, rng)
        formulas = _draw_needed(structure, config, n_ops, rng)
        if formulas is None:
            continue
        problem = _complete(structure, formulas, config, rng)
        if config.modulus is None and abs(problem.answer) >= config.answer_bound:
            continue
        return compact(problem, config.names, rng) if config.compact else problem
    raise ValueError(
        f"no problem with {n_ops} operations found for {config} in {_ATTEMPTS} attempts; "
        "ask for fewer operations, or allow more layers, entities or a larger answer_bound"
    )


def compact(problem: Problem, names: int, rng: random.Random) -> Problem:
    """The problem with quantities named ``0 .. names - 1`` (drawn at random) and every definition stated, shuffled."""
    drawn = rng.sample(range(names), len(problem.quantities))
    mapping = {quantity.name: str(index) for quantity, index in zip(problem.quantities, drawn, strict=True)}
    premises = list(mapping.values())
    rng.shuffle(premises)
    return rename(problem, mapping, premises)


# --- the structure graph ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Structure:
    """Quantities in an order in which definitions may only look back; abstract ones with their forced formula."""

    order: tuple[str, ...]
    implied: Mapping[str, Expr]
    place: Mapping[str, int]


def _draw_structure(config: IGSMConfig, n_ops: int, rng: random.Random) -> _Structure:
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
    config: IGSMConfig,
    rng: random.Random,
) -> _Structure:
    order = [instance(owner, item) for owner, items in edges.items() for item in items]
    rng.shuffle(order)
    implied = category_totals(edges, categories, entities, config.abstract_depth)
    position = {name: float(index) for index, name in enumerate(order)}
    for name, formula in implied.items():  # totals come after the totals that they use: see category_totals
        position[name] = max(position[parent] for parent in references(formula)) + 1e-3
    ranked = sorted(position, key=lambda name: (position[name], name))
    return _Structure(tuple(ranked), implied, {name: index for index, name in enumerate(ranked)})


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
    for level in range(len(categories) - 2, -1, -1):
        for owner in entities[level]:
            for lower in range(level + 1, min(level + reach, len(categories) - 1) + 1):
                items, direct = edges.get(owner, ()), lower == level + 1
                terms = _total_terms(owner, items, categories[lower], direct)
                if terms and (direct or all(instance(item, categories[lower]) in totals for item in items)):
                    totals[instance(owner, categories[lower])] = terms[0] if len(terms) == 1 else Op("+", tuple(terms))
    return totals


def _total_terms(owner: str, items: Sequence[str], category: str, direct: bool) -> list[Expr]:
    if direct:
        return [Ref(instance(owner, item)) for item in items]
    return [Op("*", (Ref(instance(owner, item)), Ref(instance(item, category)))) for item in items]


# --- formulas --------------------------------------------------------------------------------------------------------


def _draw_needed(structure: _Structure, config: IGSMConfig, n_ops: int, rng: random.Random) -> dict[str, Expr] | None:
    """Formulas of a target (the first key) and all its ancestors with exactly ``n_ops`` operations, or ``None``.

    Works backwards from the target: the pending quantity that stands last gets its formula next. What the pending ones
    cost at least is reserved, so the budget is met exactly; ``None`` when the earlier quantities run out.
    """
    cost = {name: operations(structure.implied[name]) if name in structure.implied else 1 for name in structure.order}
    target = _draw_target(structure, cost, n_ops, rng)
    pending = _closure(target, structure, {})
    slack = n_ops - sum(cost[name] for name in pending)
    if slack < 0:
        return None
    known = dict.fromkeys(pending)
    queue = [-structure.place[name] for name in pending]
    heapq.heapify(queue)
    formulas: dict[str, Expr] = {target: Num(0)}
    while queue:
        name = structure.order[-heapq.heappop(queue)]
        if name in structure.implied:
            formulas[name] = structure.implied[name]
            continue
        formula, added = _draw_formula(name, structure, config, known, cost, slack, not queue, rng)
        if formula is None:
            return None
        formulas[name] = formula
        slack -= operations(formula) - 1 + sum(cost[new] for new in added)
        for new in added:
            known[new] = None
            heapq.heappush(queue, -structure.place[new])
    return formulas if slack == 0 else None


def _draw_target(structure: _Structure, cost: Mapping[str, int], n_ops: int, rng: random.Random) -> str:
    """A quantity late enough in the order to have ``n_ops`` operations before it."""
    late = structure.order[min(len(structure.order) - 1, max(n_ops, len(structure.order) // 2)) :]
    return rng.choice(late)


def _closure(name: str, structure: _Structure, known: Mapping[str, object]) -> list[str]:
    """``name`` and, if it is abstract, all that its forced formula drags in, without what is known already."""
    found: dict[str, None] = {}
    stack = [name]
    while stack:
        top = stack.pop()
        if top in found or top in known:
            continue
        found[top] = None
        if top in structure.implied:
            stack.extend(references(structure.implied[top]))
    return list(found)


def _draw_formula(
    name: str,
    structure: _Structure,
    config: IGSMConfig,
    known: Mapping[str, object],
    cost: Mapping[str, int],
    slack: int,
    last: bool,
    rng: random.Random,
) -> tuple[Expr | None, list[str]]:
    """A formula for ``name`` that fits into ``slack``, and the quantities that it makes needed.

    The last pending quantity may not end the chain while budget is left; ``(None, [])`` when it has to.
    """
    earlier = structure.order[: structure.place[name]]
    for _ in range(12):
        parents = _draw_parents(earlier, known, config, slack, last, rng)
        formula = _shape(parents, config, rng)
        added: dict[str, None] = {}
        for parent in parents:
            for new in _closure(parent, structure, {**known, **added}):
                added[new] = None
        left = slack - (operations(formula) - 1) - sum(cost[new] for new in added)
        if left < 0 or (last and left > 0 and not _can_go_on(added, structure)):
            continue
        return formula, list(added)
    return (None, []) if last and slack > 0 else (_shape([], config, rng), [])


def _can_go_on(added: Mapping[str, None], structure: _Structure) -> bool:
    """Whether a newly needed instance has quantities before it, on which the rest of the budget can be spent."""
    return any(name not in structure.implied and structure.place[name] > 0 for name in added)


def _draw_parents(
    earlier: Sequence[str], known: Container[str], config: IGSMConfig, slack: int, last: bool, rng: random.Random
) -> list[str]:
    """Earlier quantities, recent ones more often; none ends a branch, which the ``last`` one may not do."""
    if not earlier or (slack == 0 and rng.random() < 0.5):
        return []
    weights = (0, *config.operands[1:]) if last else config.operands
    count = rng.choices(range(len(weights)), weights)[0]
    parents: dict[str, None] = {}
    for _ in range(min(count, len(earlier))):
        pool = earlier
        if config.reuse and rng.random() < config.reuse:
            pool = [name for name in earlier if name in known] or earlier
        back = int(len(pool) * rng.random() ** 2)
        parents[pool[len(pool) - 1 - back]] = None
    return list(parents)


def _shape(parents: Sequence[str], config: IGSMConfig, rng: random.Random) -> Expr:
    """A formula over ``parents``: alone, their sum or difference; more often `K times` or `K more than` that."""
    low, high = config.constants
    if not parents:
        return Num(rng.randint(low, high))
    core: Expr = Ref(parents[0])
    if len(parents) > 1:
        symbol = "-" if len(parents) == 2 and rng.random() < 0.5 else "+"
        core = Op(symbol, tuple(Ref(parent) for parent in parents))
    draw = rng.random()
    if draw < 0.3:
        return Op("*", (Num(rng.randint(max(low, 1) if config.live else low, high)), core))
    if draw < 0.6:
        return Op("+", (Num(rng.randint(low, high)), core))
    return core


# --- redundant premises, order of the question ------------------------------------------------------------------------


def _complete(structure: _Structure, formulas: dict[str, Expr], config: IGSMConfig, rng: random.Random) -> Problem:
    """Add redundant instance premises, shuffle the question, and freeze the problem."""
    target = next(iter(formulas))
    spare = [name for name in structure.order if name not in formulas and name not in structure.implied]
    wanted = rng.randint(*config.redundant)
    chosen = sorted(rng.sample(spare, min(wanted, len(spare))), key=structure.place.__getitem__)
    for name in chosen:
        earlier = [other for other in formulas if structure.place[other] < structure.place[name]]
        formulas[name] = _shape(_draw_parents(earlier, (), config, 1, False, rng), config, rng)
    premises = [name for name in formulas if name not in structure.implied]
    rng.shuffle(premises)
    return build_problem("igsm", formulas, premises, target, config.modulus)
