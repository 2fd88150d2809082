"""A reasoning problem: a graph of quantities, what the question states of it, and what it asks for.

A problem is complete before it is spoken: quantities, formulas, values, the order of the premises and the answer are
fixed here, and wording a problem (``bi.augmentation.wording``) draws nothing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TypeVar

from bi.tasks.expression import Expr, Num, Op, Ref, evaluate, parents_and_operations
from bi.tasks.operators import Value

Key = TypeVar("Key", int, str)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One node: its name, its formula over its parents, its value, and whether the question states the formula.

    A quantity that is not stated follows from the structure that the question describes (a category total in iGSM).
    Two facts follow from the formula: ``parents``, the names in it, each once, in the order in which they are written,
    and ``operations``, their number by iGSM's count.
    """

    name: str
    formula: Expr
    value: Value
    stated: bool = True
    parents: tuple[str, ...] = field(init=False, repr=False, compare=False)
    operations: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # At once: every problem asks for them, and functools.cached_property takes a lock each time (Python 3.11).
        parents, count = parents_and_operations(self.formula)
        object.__setattr__(self, "parents", parents)
        object.__setattr__(self, "operations", count)


_put_name, _put_formula, _put_value, _put_stated, _put_parents, _put_operations = (
    vars(Quantity)[name].__set__ for name in ("name", "formula", "value", "stated", "parents", "operations"))


@dataclass(frozen=True)
class Problem:
    """A graph of quantities in topological order, the premises in stated order, and the target.

    Build one with :func:`build_problem`, which sorts and evaluates; the fields are then consistent by construction.
    ``modulus`` is ``None`` for ordinary numbers.
    """

    task: str
    quantities: tuple[Quantity, ...]
    premises: tuple[str, ...]
    target: str
    modulus: int | None = None

    @cached_property
    def by_name(self) -> Mapping[str, Quantity]:
        """Quantities by name."""
        return {quantity.name: quantity for quantity in self.quantities}

    @property
    def answer(self) -> Value:
        """Value of the target."""
        return self.by_name[self.target].value

    @cached_property
    def needed(self) -> frozenset[str]:
        """The target and its ancestors: what a solution must compute. All other quantities are redundant."""
        found = {self.target}
        for quantity in reversed(self.quantities):
            if quantity.name in found:
                found.update(quantity.parents)
        return frozenset(found)

    @cached_property
    def n_ops(self) -> int:
        """Operations needed for the answer by iGSM's count (an assignment counts as one)."""
        needed = self.needed
        return sum([quantity.operations for quantity in self.quantities if quantity.name in needed])

    @property
    def redundant(self) -> tuple[str, ...]:
        """Names of the quantities that the answer does not need, in topological order."""
        return tuple(quantity.name for quantity in self.quantities if quantity.name not in self.needed)

    def key(self) -> str:
        """Canonical key, 16 hex digits: equal for problems that differ only in names, in the order of the premises,
        in the order of the operands of a sum or product, or in redundant quantities."""
        return self._key

    @cached_property
    def _key(self) -> str:
        codes: dict[str, str] = {}
        needed = self.needed
        for quantity in self.quantities:
            if quantity.name in needed:  # whose parents are needed too
                codes[quantity.name] = _digest(_canonical(quantity.formula, codes))
        shared = sorted(codes.values())
        return _digest("|".join((self.task, str(self.modulus), codes[self.target], *shared)))


def in_corpus_half(key: str) -> bool:
    """Whether problems with this canonical key may stand in the corpus of a base model.

    Half of all keys, by their last digit. Splits of a task that starts from such a base draw from the other half
    (``TaskRecipe.apart``), so that corpus and splits are disjoint for every seed, without a list of either.
    """
    return int(key[-1], 16) % 2 == 0


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _canonical(expr: Expr, codes: Mapping[str, str]) -> str:
    if isinstance(expr, Num):
        return str(expr.value)
    if isinstance(expr, Ref):
        return codes[expr.name]
    parts = [codes[arg.name] if isinstance(arg, Ref) else _canonical(arg, codes) for arg in expr.args]
    return f"({expr.symbol} {' '.join(parts if expr.symbol in '-/' else sorted(parts))})"


def build_problem(
    task: str,
    formulas: Mapping[str, Expr],
    premises: Sequence[str],
    target: str,
    modulus: int | None = None,
) -> Problem:
    """Sort, evaluate and freeze: a problem whose ``premises`` are stated in that order.

    ``formulas`` maps names to formulas; names absent from ``premises`` are quantities that the question implies. The
    topological order is a function of the content alone (depth first, in the order of the premises), so that reading
    a worded problem gives the same object back. Raises ``ValueError`` for a cycle, an unknown name, a target without a
    formula, or a formula without a value (a division by zero, the square root of a negative number).
    """
    stated = frozenset(premises)
    values: dict[str, Value] = {}
    quantities = []
    facts = {name: parents_and_operations(formula) for name, formula in formulas.items()}
    for name in depth_first({name: parents for name, (parents, _) in facts.items()}, (*premises, target)):
        try:
            values[name] = evaluate(formulas[name], values, modulus)
        except ValueError as error:
            raise ValueError(f"the quantity {name!r} has no value: {error}") from None
        quantities.append(made_quantity(name, formulas[name], values[name], name in stated, *facts[name]))
    return Problem(task, tuple(quantities), tuple(premises), target, modulus)


def made_quantity(
    name: str, formula: Expr, value: Value, stated: bool, parents: tuple[str, ...], operations: int
) -> Quantity:
    """``Quantity(name, formula, value, stated)`` where what follows from the formula is known already."""
    made = object.__new__(Quantity)
    _put_name(made, name)
    _put_formula(made, formula)
    _put_value(made, value)
    _put_stated(made, stated)
    _put_parents(made, parents)
    _put_operations(made, operations)
    return made


def depth_first(parents: Mapping[Key, Sequence[Key]], roots: Iterable[Key]) -> list[Key]:
    """``roots`` and all that they rest on, in an order in which ``parents`` precede children.

    Raises ``ValueError`` for a cycle or a name without parents, not even none.
    """
    order: dict[Key, None] = {}
    opened: set[Key] = set()  # names that wait for parents
    stack = list(roots)[::-1]
    while stack:
        name = stack[-1]
        if name in order:
            stack.pop()
            continue
        if name not in parents:
            raise ValueError(f"the quantity {name!r} has no formula; state it or define it by the structure")
        height = len(stack)
        for parent in reversed(parents[name]):
            if parent not in order:
                stack.append(parent)
        if len(stack) == height:
            order[stack.pop()] = None
        elif name in opened:
            raise ValueError(f"the quantity {name!r} depends on itself; a problem must be acyclic")
        else:
            opened.add(name)
    return list(order)


def rename(problem: Problem, names: Mapping[str, str], premises: Sequence[str]) -> Problem:
    """The same graph under other names, stating ``premises`` (new names) in that order.

    Naming an implied quantity among the premises states its definition too.
    """
    formulas = {names[quantity.name]: _rename_expr(quantity.formula, names) for quantity in problem.quantities}
    return build_problem(problem.task, formulas, premises, names[problem.target], problem.modulus)


def _rename_expr(expr: Expr, names: Mapping[str, str]) -> Expr:
    if isinstance(expr, Ref):
        return Ref(names[expr.name])
    if isinstance(expr, Op):
        return Op(expr.symbol, tuple(_rename_expr(arg, names) for arg in expr.args))
    return expr
