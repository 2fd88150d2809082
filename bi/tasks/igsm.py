"""iGSM problems (Ye et al., Physics of Language Models 2.1, in the variant that the paper trains on).

A structure graph of two to four layers says which owner holds which items. The number of one owner's items of one kind
is an *instance* quantity with a drawn formula; the number of an owner's items of a whole category is an *abstract*
quantity that follows from the structure. Difficulty is the number of operations that the answer needs.

The generator is our own. Unlike the released one it draws every operator and constant before anything is worded, gives
exactly the operation count asked for, and states a quantity in one way only.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Mapping, Sequence

from bi.streams import below, between, sample, shuffle
from bi.tasks.expression import Ref
from bi.tasks.facts import dead_operations
from bi.tasks.igsm_config import IGSMConfig
from bi.tasks.plans import Plan, Shape, operations, value, write
from bi.tasks.problem import Problem, made_quantity, rename
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


def _draw_needed(
    structure: Structure, config: IGSMConfig, n_ops: int, rng: random.Random
) -> dict[int, Plan[int]] | None:
    """Formulas of a target (the first key) and all its ancestors with exactly ``n_ops`` operations, or ``None``.

    Works backwards from the target: the pending quantity that stands last gets its formula next. What the pending ones
    cost at least is reserved, so the budget is met exactly; ``None`` when the earlier quantities run out.
    """
    known = pending = structure.closed(_draw_target(structure, config, n_ops, rng))
    slack = n_ops - structure.cost(known)
    if slack < 0:
        return None
    drawn: dict[int, Plan[int]] = {}
    while pending:
        number = pending.bit_length() - 1
        pending ^= 1 << number
        if structure.abstract[number]:
            drawn[number] = structure.total(number)
            continue
        found = _draw_formula(number, structure, config, known, slack, not pending, rng)
        if found is None:
            return None
        drawn[number], added, slack = found
        known |= added
        pending |= added
    return None if slack else drawn


def _draw_target(structure: Structure, config: IGSMConfig, n_ops: int, rng: random.Random) -> int:
    """A quantity late enough in the order to have ``n_ops`` operations before it."""
    count = len(structure.order)
    late: Sequence[int] = range(min(count - 1, max(n_ops, count // 2)), count)
    if config.abstract_target is not None:
        abstract = rng.random() < config.abstract_target
        late = [number for number in late if structure.abstract[number] == abstract] or late
    return late[below(rng, len(late))]


def _draw_formula(
    number: int, structure: Structure, config: IGSMConfig, known: int, slack: int, last: bool, rng: random.Random
) -> tuple[Plan[int], int, int] | None:
    """A formula for ``number`` that fits into ``slack``, the set of quantities that it makes needed, the slack left.

    The last pending quantity may not end the chain while budget is left; ``None`` when it has to.
    """
    draw, (steps, total) = rng.random, config.operand_steps[last]
    anywhere = not (config.reuse or config.abstract_operands)
    for _ in range(12):
        parents, added = [], 0
        if not anywhere:
            for parent in _draw_parents(range(number), known, structure, config, slack, last, rng):
                parents.append(parent)
                added |= 1 << parent
        elif number and (slack or draw() >= config.leaf):  # the same, written out: most tries end up here
            count = bisect(steps, draw() * total)
            for _ in range(count if count < number else number):
                back = draw()
                parent = number - 1 - int(number * (back * back))
                if not added >> parent & 1:
                    parents.append(parent)
                    added |= 1 << parent
        shape = _draw_shape(len(parents), config, rng)
        beyond = len(parents) - (1 if shape[0] else 2)  # one operation is reserved already
        left = slack - beyond if beyond > 0 else slack
        if left < 0:
            continue
        if added & structure.totals:
            for parent in parents:
                if structure.abstract[parent]:
                    added |= structure.closed(parent)
            added &= ~known
            left -= structure.cost(added)
        else:
            added &= ~known
            left -= added.bit_count()
        if left < 0 or (last and left > 0 and not _can_go_on(added, structure)):
            continue
        return (tuple(parents), shape), added, left
    return None if last and slack > 0 else (((), _draw_shape(0, config, rng)), 0, slack)


def _can_go_on(numbers: int, structure: Structure) -> bool:
    """Whether the set holds a stated quantity with others before it, on which the rest of the budget can be spent."""
    while numbers > 1:  # beside the one that stands first
        number = numbers.bit_length() - 1
        if not structure.abstract[number]:
            return True
        numbers ^= 1 << number
    return False


def _draw_parents(
    earlier: Sequence[int],
    known: int,
    structure: Structure,
    config: IGSMConfig,
    slack: int,
    last: bool,
    rng: random.Random,
) -> dict[int, None]:
    """Earlier quantities, recent ones more often; none ends a branch, which the ``last`` one may not do."""
    parents: dict[int, None] = {}
    if not earlier or (slack == 0 and rng.random() < config.leaf):
        return parents
    steps, total = config.operand_steps[last]
    for _ in range(min(bisect(steps, rng.random() * total), len(earlier))):
        pool = earlier
        if config.reuse and rng.random() < config.reuse:
            pool = [number for number in earlier if known >> number & 1] or earlier
        if config.abstract_operands and rng.random() < config.abstract_operands:
            pool = [number for number in pool if structure.abstract[number]] or pool
        back = rng.random()
        parents[pool[-1 - int(len(pool) * (back * back))]] = None
    return parents


def _draw_shape(operands: int, config: IGSMConfig, rng: random.Random) -> Shape:
    """The shape of a formula: a number, or a sum or difference of the operands, alone or behind `K times` or `K more
    than`."""
    low, high = config.constants
    if not operands:
        return "", "", between(rng, low, high)
    inner = "-" if operands == 2 and rng.random() < 0.5 else "+"
    draw = rng.random()
    if draw < config.factor:
        return "*", inner, between(rng, low or int(config.live), high)
    if draw < config.factor + config.addend:
        return "+", inner, between(rng, low, high)
    return "", inner, 0


# --- redundant premises, order of the question ------------------------------------------------------------------------


def _complete(
    structure: Structure, plans: dict[int, Plan[int]], config: IGSMConfig, rng: random.Random
) -> Problem | None:
    """Add redundant instance premises, shuffle the question, and freeze the problem; ``None`` if it is refused."""
    target, abstract = next(iter(plans)), structure.abstract
    spare = [number for number, total in enumerate(abstract) if not total and number not in plans]
    wanted = between(rng, *config.redundant)
    if config.redundant_share < 1 and rng.random() >= config.redundant_share:
        wanted = 0
    for number in sorted(sample(rng, spare, min(wanted, len(spare)))):
        earlier = [other for other in plans if other < number]
        parents = _draw_parents(earlier, 0, structure, config, 1, False, rng)
        plans[number] = tuple(parents), _draw_shape(len(parents), config, rng)
    premises = [number for number in plans if not abstract[number]]
    shuffle(rng, premises)
    return _freeze(structure, plans, premises, target, config, rng)


def _settle(number: int, plans: Mapping[int, Plan[int]], values: dict[int, int], modulus: int | None) -> None:
    """Put the value of ``number`` into ``values``, behind those of all that it rests on."""
    plan = plans[number]
    for parent in plan[0]:
        if parent not in values:
            _settle(parent, plans, values, modulus)
    values[number] = value(plan, values, modulus)


def _freeze(
    structure: Structure,
    plans: Mapping[int, Plan[int]],
    premises: Sequence[int],
    target: int,
    config: IGSMConfig,
    rng: random.Random,
) -> Problem | None:
    """What :func:`bi.tasks.problem.build_problem` makes of the expressions, which are only written if the problem need
    not be drawn again: ``None`` if its answer is too large, zero and unlucky, or the problem partly dead."""
    values: dict[int, int] = {}  # in the order of depth_first, which need not look for cycles here
    for number in (*premises, target):
        if number not in values:
            _settle(number, plans, values, config.modulus)
    if config.modulus is None and abs(values[target]) >= config.answer_bound:
        return None
    if config.drop_zero and values[target] == 0 and rng.random() < config.drop_zero:
        return None
    names, abstract = structure.names(values), structure.abstract
    refs = {number: Ref(name) for number, name in names.items()}
    quantities = []
    for number, worth in values.items():
        plan = plans[number]
        parents = tuple(map(names.__getitem__, plan[0]))
        quantities.append(
            made_quantity(names[number], write(plan, refs), worth, not abstract[number], parents, operations(plan)))
    stated = tuple([names[number] for number in premises])
    problem = Problem("igsm", tuple(quantities), stated, names[target], config.modulus)
    return None if config.no_dead_operations and dead_operations(problem) > 0 else problem
