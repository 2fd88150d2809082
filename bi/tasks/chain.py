"""Annotated chains of thought of any origin: passages of text, and the graph of what they calculate.

A :class:`Chain` keeps the text as it is, byte for byte, and knows for each calculation in it the formula over earlier
ones, so that behaviours can be injected (:mod:`bi.augmentation.prose`). Readers of formats make chains:
:mod:`bi.tasks.gsm8k` from calculator annotations, :mod:`bi.tasks.steps` from explicit steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from bi.tasks.expression import Expr, Num, Op, binary_operations, evaluate, subgoals
from bi.tasks.operators import Value
from bi.tasks.problem import Problem, Quantity
from bi.tasks.written import MOST_DECIMALS

BLANK = "___"
"""What stands for an open result in a label."""


@dataclass(frozen=True, slots=True)
class Claim(Quantity):
    """A quantity that may rest on others beyond those in its formula: ``uses``, which its ``parents`` end with."""

    uses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        Quantity.__post_init__(self)  # super() does not work in a class that slots=True has made anew
        object.__setattr__(self, "parents", tuple(dict.fromkeys((*self.parents, *self.uses))))


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the small steps of one calculation go.

    ``name`` is the quantity; ``at`` the place in the passage, just behind the equals sign in front of the result, or
    ``None`` where the passage shows no computation: then a sentence at its end has them. ``spaced`` says how the
    passage spaces operators and equals signs; ``free`` is false where the author has written small steps there already.
    """

    name: str
    at: int | None
    spaced: tuple[bool, bool] = (False, True)
    free: bool = True


@dataclass(frozen=True, slots=True)
class Passage:
    """One line of the chain of thought or several: text, its calculations in order, the sentence it rests on."""

    text: str
    slots: tuple[Slot, ...]
    source: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The quantities that the passage settles."""
        return tuple(slot.name for slot in self.slots)


@dataclass(frozen=True)
class Chain:
    """A question, the passages that answer it, and the text that ends them (``\\n#### 72``).

    ``problem`` holds the calculations as quantities in written order; ``labels`` a noun phrase for each, all different.
    ``doubtful`` are links (child, parent) that a rule has decided between several readings: nothing is built on them.
    """

    question: str
    passages: tuple[Passage, ...]
    ending: str
    problem: Problem
    labels: Mapping[str, str]
    doubtful: frozenset[tuple[str, str]] = frozenset()

    @property
    def text(self) -> str:
        """The chain of thought without behaviours."""
        return "\n".join(passage.text for passage in self.passages) + self.ending

    @cached_property
    def passage_of(self) -> Mapping[str, int]:
        """Index of the passage that settles each quantity."""
        return {name: index for index, passage in enumerate(self.passages) for name in passage.names}

    def small_steps(self, name: str) -> tuple[Expr, ...]:
        """The expressions between a calculation with its values put in and the result, the former first.

        Empty where there is nothing to expand: a single operation, a value that was rounded, an intermediate value or
        a result that is no decimal of six places at most, a result written as a fraction, or small steps by the author.
        """
        slot = next(slot for slot in self.passages[self.passage_of[name]].slots if slot.name == name)
        return self.expansion(name) if slot.free else ()

    def expansion(self, name: str) -> tuple[Expr, ...]:
        """:meth:`small_steps`, whether the author has written some or not."""
        quantity = self.problem.by_name[name]
        if binary_operations(quantity.formula) < 2:
            return ()
        known = _with_values(quantity.formula, {q.name: q.value for q in self.problem.quantities})
        if evaluate(known, {}, None) != quantity.value:
            return ()
        steps = (known, *subgoals(known, None))
        return steps if all(_writable(step) for step in (*steps, Num(abs(quantity.value)))) else ()


def _with_values(expr: Expr, values: Mapping[str, Value]) -> Expr:
    if isinstance(expr, Op):
        return Op(expr.symbol, tuple(_with_values(arg, values) for arg in expr.args))
    return expr if isinstance(expr, Num) else Num(values[expr.name])


def _writable(expr: Expr) -> bool:
    if isinstance(expr, Op):
        return all(_writable(arg) for arg in expr.args)
    return isinstance(expr, Num) and expr.value >= 0 and Fraction(10**MOST_DECIMALS * expr.value).denominator == 1


def label_all(phrases: Mapping[str, str | None], blanks: Mapping[str, str]) -> dict[str, str]:
    """One label for each quantity, all different: its noun phrase, else its sentence with the result left blank.

    Two equal labels become sentences, two equal sentences get numbers.
    """
    labels = {name: phrase or blanks[name] for name, phrase in phrases.items()}
    for attempt in (lambda name, _: blanks[name], lambda name, index: f"{blanks[name]} (step {index + 1})"):
        doubles = {label for label in labels.values() if list(labels.values()).count(label) > 1}
        labels = {name: attempt(name, index) if label in doubles else label
                  for index, (name, label) in enumerate(labels.items())}
    return labels
