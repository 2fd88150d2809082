"""DyVal problems (Zhu et al., DyVal, as in PromptBench): trees of arithmetic, boolean or deductive operations.

Every branch of the tree is ``depth`` levels long, leaves included; extra links make it a proper graph. Values are
exact: fractions, and square roots only where they are fractions too (``exact_roots``), or radicals that are compared
exactly (:mod:`bi.tasks.radical`). Nothing is divided by zero and no root is taken of a negative number. The redundant
premises form small trees of their own, as in PromptBench; their number is exact and counts sentences.
"""

from __future__ import annotations

import itertools
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from bi.tasks.expression import Expr, Num, Op, Ref, evaluate
from bi.tasks.operators import ARITHMETIC, LOGIC, NA, UNARY, Value
from bi.tasks.problem import Problem, build_problem
from bi.tasks.radical import Radical

KINDS = ("arithmetic", "boolean", "deductive")
MAX_DEPTH = 7
_ATTEMPTS, _TRIES, _MAX_ROOTS = 2000, 4, 6
_WIDE = ("+", "*", "and", "or")
# three letters that are words of the sentences, and would be read as such
_RESERVED = {"and", "the", "has", "its", "for", "not", "sum", "you"}


@dataclass(frozen=True)
class DyvalConfig:
    """What to draw. Ranges are inclusive; ``ValueError`` names the field, the value and the remedy.

    ``min_depth``, ``max_depth``: levels of the tree. ``children``: operands of an operation that takes several.
    ``extra_links``: how many operands more, drawn among the quantities further down. ``redundant``: how many premises
    the answer does not need. ``operators``: which to draw from, each equally often (empty: all of the kind).
    ``leaves``: range of stated numbers. ``exact_roots``: square roots of squares of fractions only. ``value_bound``:
    no numerator or denominator is larger. ``modulus``: calculate modulo a prime. ``balanced``: in logic, draw the
    answer first, so that no constant guess pays. ``order``: of the premises. ``ordered_names``: names follow the order
    of computation, as PromptBench has it, which gives the order away; by default they are shuffled. ``compact``: names
    are numbers below ``names``, for the compact wording.
    """

    min_depth: int
    max_depth: int
    kind: Literal["arithmetic", "boolean", "deductive"] = "arithmetic"
    children: int = 2
    extra_links: tuple[int, int] = (0, 0)
    redundant: tuple[int, int] = (0, 8)
    operators: tuple[str, ...] = ()
    leaves: tuple[int, int] = (1, 10)
    exact_roots: bool = True
    value_bound: int = 10**6
    modulus: int | None = None
    balanced: bool = True
    order: Literal["random", "topological", "reversed"] = "random"
    ordered_names: bool = False
    compact: bool = False
    names: int = 64

    def __post_init__(self) -> None:
        if not 2 <= self.min_depth <= self.max_depth <= MAX_DEPTH:
            raise ValueError(f"min_depth={self.min_depth} and max_depth={self.max_depth}: give a range within "
                             f"2..{MAX_DEPTH}")
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r}: choose one of {', '.join(KINDS)}")
        if not 2 <= self.children <= 4:
            raise ValueError(f"children={self.children}: give 2 to 4")
        if not 0 <= self.extra_links[0] <= self.extra_links[1]:
            raise ValueError(f"extra_links={self.extra_links}: give a range of counts such as (0, 2)")
        if self.extra_links[1] and self.min_depth < 3:
            raise ValueError(f"min_depth={self.min_depth}: extra links need at least 3 levels; raise it, or set "
                             "extra_links to (0, 0)")
        if not 0 <= self.redundant[0] <= self.redundant[1]:
            raise ValueError(f"redundant={self.redundant}: give a range of counts such as (0, 8)")
        allowed = ARITHMETIC if self.kind == "arithmetic" else LOGIC
        if not set(self.operators) <= set(allowed):
            raise ValueError(f"operators={self.operators}: {self.kind} problems have {', '.join(allowed)}")
        if not 0 <= self.leaves[0] < self.leaves[1]:
            raise ValueError(f"leaves={self.leaves}: give a range of numbers from 0 on, such as (1, 10)")
        self._check_modulus()
        if self.order not in ("random", "topological", "reversed"):
            raise ValueError(f"order={self.order!r}: choose random, topological or reversed")
        most = self.most_quantities
        if self.compact and most > self.names:
            raise ValueError(f"names={self.names}: too few for {most} quantities; give at least {most}, or less depth, "
                             "children or redundant premises")

    def _check_modulus(self) -> None:
        if self.modulus is None:
            return
        if self.kind != "arithmetic":
            raise ValueError(f"modulus={self.modulus}: only arithmetic problems have one; leave it out")
        if self.modulus < 3 or any(self.modulus % divisor == 0 for divisor in range(2, int(self.modulus**0.5) + 1)):
            raise ValueError(f"modulus={self.modulus}: division needs a prime of 3 or more, such as 23")
        if self.leaves[1] >= self.modulus:
            raise ValueError(f"leaves={self.leaves}: must lie below the modulus {self.modulus}")

    @property
    def most_quantities(self) -> int:
        """The largest number of quantities that a problem can have."""
        return sum(self.children**level for level in range(self.max_depth)) + self.redundant[1]

    @property
    def choices(self) -> tuple[str, ...]:
        """The operators to draw from."""
        return self.operators or (ARITHMETIC if self.kind == "arithmetic" else LOGIC)


def generate(config: DyvalConfig, rng: random.Random) -> Problem:
    """One problem; a function of ``config`` and the state of ``rng``.

    ``ValueError`` if the config leaves nothing to draw, for example a bound that no tree of that depth meets.
    """
    depth = rng.randint(config.min_depth, config.max_depth)
    wanted = _draw_answer(config, rng)
    links, redundant = rng.randint(*config.extra_links), rng.randint(*config.redundant)
    for _ in range(_ATTEMPTS):
        tree = _Tree(config, rng, links)
        target = tree.grow(depth)
        if target is None or tree.links or (wanted is not None and tree.values[target] is not wanted):
            continue
        if tree.grow_redundant(redundant):
            return _named(tree, target, config, rng)
    raise ValueError(f"no problem of depth {depth} with {links} extra links found for {config} in {_ATTEMPTS} "
                     "attempts; ask for less depth, fewer links, more operators or a larger value_bound")


def _draw_answer(config: DyvalConfig, rng: random.Random) -> Value | None:
    if config.kind == "arithmetic" or not config.balanced:
        return None
    possible = {"boolean": (True, False), "deductive": (True, NA)}[config.kind]
    forced = set(config.choices) == {"not"} and config.kind == "deductive" and config.min_depth > 2
    return NA if forced else rng.choice(possible)


class _Tree:
    """A tree that grows from its leaves: formulas and values by number, children before parents."""

    def __init__(self, config: DyvalConfig, rng: random.Random, links: int) -> None:
        self.config, self.rng, self.links = config, rng, links
        self.formulas: list[Expr] = []
        self.values: list[Value] = []
        self.levels: list[int] = []

    def grow(self, level: int) -> int | None:
        """Add a subtree of ``level`` levels and return its root, or ``None`` if none was found."""
        if level == 1:
            return self._add(Num(self._leaf()), 1)
        for _ in range(len(self.config.choices)):
            symbol = self.rng.choice(self.config.choices)
            for _ in range(_TRIES):
                size, links = len(self.formulas), self.links
                root = self._grow_operation(symbol, level)
                if root is not None:
                    return root
                self._cut(size, links)
        return None

    def grow_redundant(self, count: int) -> bool:
        """Add ``count`` quantities in small trees; whether that was possible."""
        arity = {symbol: 1 if symbol in UNARY else self.config.children for symbol in self.config.choices}
        while count:
            fitting = [symbol for symbol in self.config.choices if arity[symbol] + 1 <= count]
            if not fitting:
                self._add(Num(self._leaf()), 1)
                count -= 1
                continue
            size, symbol = len(self.formulas), self.rng.choice(fitting)
            if self._grow_operation(symbol, 2) is None:
                self._cut(size, self.links)
                if symbol == "sqrt" and not self._has_squares():
                    return False
                continue
            count -= len(self.formulas) - size
        return True

    def _has_squares(self) -> bool:
        return any(_is_square(value, self.config) for value in range(self.config.leaves[0], self.config.leaves[1] + 1))

    def _grow_operation(self, symbol: str, level: int) -> int | None:
        children: list[int] = []
        for _ in range(1 if symbol in UNARY else self.config.children):
            child = self.grow(level - 1)
            if child is None:
                return None
            children.append(child)
        if symbol in _WIDE and self.links and self.rng.random() < 0.6:
            lower = [index for index, own in enumerate(self.levels) if own < level and index not in children]
            if lower:
                children.append(self.rng.choice(lower))
                self.links -= 1
        return self._add(_formula(symbol, children, self.config.kind), level)

    def _add(self, formula: Expr, level: int) -> int | None:
        try:
            value = evaluate(formula, _ByName(self.values), self.config.modulus)
        except ValueError:  # a division by zero or a root that does not exist: no such node
            return None
        if not _admissible(value, self.config):
            return None
        self.formulas.append(formula)
        self.values.append(value)
        self.levels.append(level)
        return len(self.formulas) - 1

    def _cut(self, size: int, links: int) -> None:
        del self.formulas[size:], self.values[size:], self.levels[size:]
        self.links = links

    def _leaf(self) -> Value:
        if self.config.kind == "arithmetic":
            return self.rng.randint(*self.config.leaves)
        return self.rng.random() < 0.5


class _ByName(dict):
    """Values by the number that is a quantity's provisional name."""

    def __init__(self, values: list[Value]) -> None:
        self.list = values

    def __getitem__(self, name: str) -> Value:
        return self.list[int(name)]


def _formula(symbol: str, children: list[int], kind: str) -> Expr:
    """The operation on ``children``; what is taken from, or divides, the first of several is their sum or product."""
    first, *rest = (Ref(str(child)) for child in children)
    if symbol in "-/" and len(rest) > 1:
        return Op(symbol, (first, Op("+" if symbol == "-" else "*", tuple(rest))))
    operation = Op(symbol, (first, *rest))
    return Op("then", (operation,)) if kind == "deductive" else operation


def _admissible(value: Value, config: DyvalConfig) -> bool:
    if config.kind != "arithmetic" or config.modulus is not None:
        return True
    if isinstance(value, Radical):
        return not config.exact_roots and value.n_roots <= _MAX_ROOTS and abs(float(value)) <= config.value_bound
    return max(abs(value.numerator), value.denominator) <= config.value_bound


def _is_square(value: int, config: DyvalConfig) -> bool:
    try:
        return _admissible(evaluate(Op("sqrt", (Num(value),)), {}, config.modulus), config)
    except ValueError:
        return False


def _named(tree: _Tree, target: int, config: DyvalConfig, rng: random.Random) -> Problem:
    """The problem with its final names, its premises in the order asked for."""
    count = len(tree.formulas)
    if config.compact:
        names = [str(index) for index in rng.sample(range(config.names), count)]
    else:
        names = list(itertools.islice(letter_codes(), count))
        if not config.ordered_names:
            rng.shuffle(names)
    formulas = {name: _renamed(formula, names) for name, formula in zip(names, tree.formulas, strict=True)}
    premises = list(formulas)
    if config.order == "random":
        rng.shuffle(premises)
    elif config.order == "reversed":
        premises.reverse()
    return build_problem(f"dyval_{config.kind}", formulas, premises, names[target], config.modulus)


def _renamed(expr: Expr, names: list[str]) -> Expr:
    if isinstance(expr, Op):
        return Op(expr.symbol, tuple(_renamed(arg, names) for arg in expr.args))
    return Ref(names[int(expr.name)]) if isinstance(expr, Ref) else expr


def letter_codes() -> Iterator[str]:
    """``aaa``, ``aab``, ..., ``zzz`` without the words that the sentences use."""
    for letters in itertools.product(string.ascii_lowercase, repeat=3):
        code = "".join(letters)
        if code not in _RESERVED:
            yield code


def decimal(value: Value, places: int = 8) -> Fraction:
    """``value`` as the public text writes it: the nearest decimal of ``places`` places, half to even."""
    return value.round(places) if isinstance(value, Radical) else round(Fraction(value), places)
