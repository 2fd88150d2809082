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
from bisect import bisect
from collections.abc import Container, Mapping, Sequence

from bi.streams import below, between, sample, shuffle
from bi.tasks.expression import Ref
from bi.tasks.facts import dead_operations
from bi.tasks.igsm_config import IGSMConfig
from bi.tasks.plans import Plan, Shape, operations, value, write
from bi.tasks.problem import Problem, depth_first, made_quantity, rename
from bi.tasks.structure import Structure, draw_structure

_ATTEMPTS = 2000


def generate(config: IGSMConfig, rng: random.Random) -> Problem:
    """One problem with exactly the drawn number of operations; a function of ``config`` and the state of ``rng``."""
    n_ops = _draw_ops(config, rng)
    for _ in range(_ATTEMPTS):
        structure = draw_structure(config, n_ops, rng)
        plans = _draw_needed(structure, config, n_ops, rng)
        if plans is None:
            continue
        problem = _complete(structure, plans, config, rng)
        if problem is None:
            n_ops = _draw_ops(config, rng) if config.redraw_ops else n_ops
            continue
        return compact(problem, config.names, rng) if config.compact else problem
    raise ValueError(
        f"no problem with {n_ops} operations found for {config} in {_ATTEMPTS} attempts; "
        "ask for fewer operations, or allow more layers, entities or a larger answer_bound"
    )


def _draw_ops(config: IGSMConfig, rng: random.Random) -> int:
    n_ops = between(rng, config.min_ops, config.max_ops)
    return min(n_ops, between(rng, config.min_ops, config.max_ops)) if config.skewed else n_ops


def compact(problem: Problem, names: int, rng: random.Random) -> Problem:
    """The problem with quantities named ``0 .. names - 1`` (drawn at random) and every definition stated, shuffled."""
    drawn = sample(rng, range(names), len(problem.quantities))
    mapping = {quantity.name: str(index) for quantity, index in zip(problem.quantities, drawn, strict=True)}
    premises = list(mapping.values())
    shuffle(rng, premises)
    return rename(problem, mapping, premises)


# --- formulas --------------------------------------------------------------------------------------------------------


def _draw_needed(structure: Structure, config: IGSMConfig, n_ops: int, rng: random.Random) -> dict[str, Plan] | None:
    """Formulas of a target (the first key) and all its ancestors with exactly ``n_ops`` operations, or ``None``.

    Works backwards from the target: the pending quantity that stands last gets its formula next. What the pending ones
    cost at least is reserved, so the budget is met exactly; ``None`` when the earlier quantities run out.
    """
    target = _draw_target(structure, config, n_ops, rng)
    known, cost = structure.closure(target, (), ())
    slack = n_ops - cost
    if slack < 0:
        return None
    queue = [-structure.place[name] for name in known]
    heapq.heapify(queue)
    drawn: dict[str, Plan] = {}
    while queue:
        name = structure.order[-heapq.heappop(queue)]
        if name in structure.totals:
            drawn[name] = structure.totals[name]
            continue
        found = _draw_formula(name, structure, config, known, slack, not queue, rng)
        if found is None:
            return None
        drawn[name], added, slack = found
        for new in added:
            known[new] = None
            heapq.heappush(queue, -structure.place[new])
    return None if slack else drawn


def _draw_target(structure: Structure, config: IGSMConfig, n_ops: int, rng: random.Random) -> str:
    """A quantity late enough in the order to have ``n_ops`` operations before it."""
    late = structure.order[min(len(structure.order) - 1, max(n_ops, len(structure.order) // 2)) :]
    if config.abstract_target is not None:
        abstract = rng.random() < config.abstract_target
        late = [name for name in late if (name in structure.totals) == abstract] or late
    return late[below(rng, len(late))]


def _draw_formula(
    name: str,
    structure: Structure,
    config: IGSMConfig,
    known: Mapping[str, object],
    slack: int,
    last: bool,
    rng: random.Random,
) -> tuple[Plan, Mapping[str, None], int] | None:
    """A formula for ``name`` that fits into ``slack``, the quantities that it makes needed, and the slack left.

    The last pending quantity may not end the chain while budget is left; ``None`` when it has to.
    """
    earlier, totals = structure.order[: structure.place[name]], structure.totals
    for _ in range(12):
        parents = _draw_parents(earlier, known, structure, config, slack, last, rng)
        shape = _draw_shape(len(parents), config, rng)
        added: dict[str, None] = {}
        beyond = len(parents) - 2 + bool(shape[0])  # one operation is reserved already
        left = slack - beyond if beyond > 0 else slack
        for parent in parents:
            if parent in totals:
                new, cost = structure.closure(parent, known, added)
                left -= cost
                added |= new
            elif parent not in known and parent not in added:  # the same for a stated one, without a call
                left -= 1
                added[parent] = None
        if left < 0 or (last and left > 0 and not _can_go_on(added, structure)):
            continue
        return (tuple(parents), shape), added, left
    return None if last and slack > 0 else (((), _draw_shape(0, config, rng)), {}, slack)


def _can_go_on(added: Mapping[str, None], structure: Structure) -> bool:
    """Whether a newly needed instance has quantities before it, on which the rest of the budget can be spent."""
    return any(name not in structure.totals and structure.place[name] > 0 for name in added)


def _draw_parents(
    earlier: Sequence[str],
    known: Container[str],
    structure: Structure,
    config: IGSMConfig,
    slack: int,
    last: bool,
    rng: random.Random,
) -> dict[str, None]:
    """Earlier quantities, recent ones more often; none ends a branch, which the ``last`` one may not do."""
    parents: dict[str, None] = {}
    if not earlier or (slack == 0 and rng.random() < config.leaf):
        return parents
    steps = config.operand_steps[last]
    count = bisect(steps, rng.random() * steps[-1], 0, len(steps) - 1)  # the draw of rng.choices, without its checks
    for _ in range(count if count < len(earlier) else len(earlier)):  # min() takes longer than a draw
        pool = earlier
        if config.reuse and rng.random() < config.reuse:
            pool = [name for name in earlier if name in known] or earlier
        if config.abstract_operands and rng.random() < config.abstract_operands:
            pool = [name for name in pool if name in structure.totals] or pool
        back = int(len(pool) * rng.random() ** 2)
        parents[pool[-1 - back]] = None
    return parents


def _draw_shape(operands: int, config: IGSMConfig, rng: random.Random) -> Shape:
    """The shape of a formula: a number, or a sum or difference of the operands, alone or behind `K times` or `K more
    than`."""
    low, high = config.constants
    if not operands:
        return "", "", low + below(rng, high - low + 1)
    inner = "-" if operands == 2 and rng.random() < 0.5 else "+"
    draw = rng.random()
    if draw < config.factor:
        least = max(low, 1) if config.live else low
        return "*", inner, least + below(rng, high - least + 1)
    if draw < config.factor + config.addend:
        return "+", inner, low + below(rng, high - low + 1)
    return "", inner, 0


# --- redundant premises, order of the question ------------------------------------------------------------------------


def _complete(structure: Structure, plans: dict[str, Plan], config: IGSMConfig, rng: random.Random) -> Problem | None:
    """Add redundant instance premises, shuffle the question, and freeze the problem; ``None`` if it is refused."""
    target = next(iter(plans))
    spare = [name for name in structure.order if name not in plans and name not in structure.totals]
    wanted = between(rng, *config.redundant)
    if config.redundant_share < 1 and rng.random() >= config.redundant_share:
        wanted = 0
    chosen = sorted(sample(rng, spare, min(wanted, len(spare))), key=structure.place.__getitem__)
    for name in chosen:
        place = structure.place[name]
        earlier = [other for other in plans if structure.place[other] < place]
        parents = _draw_parents(earlier, (), structure, config, 1, False, rng)
        plans[name] = tuple(parents), _draw_shape(len(parents), config, rng)
    premises = [name for name in plans if name not in structure.totals]
    shuffle(rng, premises)
    return _freeze(plans, premises, target, config, rng)


def _freeze(
    plans: Mapping[str, Plan], premises: Sequence[str], target: str, config: IGSMConfig, rng: random.Random
) -> Problem | None:
    """What :func:`bi.tasks.problem.build_problem` makes of the expressions, which are only written if the problem need
    not be drawn again: ``None`` if its answer is too large, zero and unlucky, or the problem partly dead."""
    values: dict[str, int] = {}
    for name in depth_first({name: parents for name, (parents, _) in plans.items()}, (*premises, target)):
        values[name] = value(plans[name], values, config.modulus)
    if config.modulus is None and abs(values[target]) >= config.answer_bound:
        return None
    if config.drop_zero and values[target] == 0 and rng.random() < config.drop_zero:
        return None
    refs, stated = {name: Ref(name) for name in values}, frozenset(premises)
    quantities = [
        made_quantity(name, write(plans[name], refs), values[name], name in stated, plans[name][0],
                      operations(plans[name]))
        for name in values
    ]
    problem = Problem("igsm", tuple(quantities), tuple(premises), target, config.modulus)
    return None if config.no_dead_operations and dead_operations(problem) > 0 else problem
