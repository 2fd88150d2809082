"""A behaviour of your own, worked out: verification of the final answer by substitution.

When the target has been solved, its value is put back beside its definition, with the values found for the operands,
to see that both sides agree: ``V12 4 = 3 * ( 7 + 2 )`` in the compact wording (without any new word, so that a model's
vocabulary can stay), a sentence in the English one. The paper has no such behaviour and no arm of the book injects it.
It shows all that a new one takes: where it goes, how it is written, how it is read, and when it is wrong::

    check = Verification(rate=0.5)
    trace = inject_all((*at_rates(rates), check), plain, problem, rng)
    text = extend(get_wording("english"), check).completion(trace, problem)
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from bi.augmentation.behavior import AddedBehavior
from bi.augmentation.english import FORMS, loose, tight
from bi.augmentation.reading import Line
from bi.augmentation.template import Form, Template
from bi.augmentation.trace import Step, Trace, first_unsolved
from bi.augmentation.verdict import chain_error
from bi.tasks.expression import Num, Op, Ref, parse, render, substitute
from bi.tasks.problem import Problem

PHRASES = (
    "To check, put the values found into the definition of {quantity}: {sides}, as it should be.",
    "Let us verify {quantity}: by its definition {sides}, so both sides agree.",
    "A check by substitution for {quantity}: {sides}. It holds.",
    "Does the answer fit {quantity}? With the values above, {sides}, which fits.",
    "Before we answer, we insert everything into the definition of {quantity} and see {sides}. Good.",
    "Substituting back confirms {quantity}, since {sides}.",
)
_SIDES = Form(re.compile(r"(?P<left>[^=\n]+) = (?P<right>-?\d{1,12})"))
_TEMPLATES = tuple(Template(phrase, {**FORMS, "sides": _SIDES}) for phrase in PHRASES)
_COMPACT = re.compile(r"V(\d{1,3}) (-?\d{1,6}) = ([^=\n]+)")


@dataclass(frozen=True)
class Verification(AddedBehavior):
    """With probability ``rate``, close a trace by putting the answer back into the definition of the target.

    Only where that definition computes something: a stated number has nothing to check.
    """

    rate: float = 1.0
    name: ClassVar[str] = "verification"
    kind: ClassVar[str] = "verify"

    def inject(self, trace: Trace, problem: Problem, rng: random.Random) -> Trace:
        """``trace`` with a check behind its last step, or as it is."""
        draw = rng.random()
        if draw >= self.rate or not isinstance(problem.by_name[problem.target].formula, Op):
            return trace
        return Trace((*trace.steps, Step(problem.target, self.kind)))

    def claim(self, step: Step, problem: Problem, values: Mapping[str, int], wording: str) -> str:
        """Both sides of the definition, with the values of its operands."""
        quantity = problem.by_name[step.name]
        side = render(substitute(quantity.formula, lambda name: Num(values[name])), _write)
        if wording == "compact":
            return f"V{step.name} {values[step.name]} = {side}"
        sides = f"{tight(side)} = {values[step.name]}"
        return PHRASES[step.phrase].format(quantity=f"the number of each {step.name}", sides=sides)

    def read(self, claim: str, wording: str) -> Line | None:
        """The check that ``claim`` makes, or ``None``."""
        if wording == "compact":
            found = _COMPACT.fullmatch(claim)
            return self._line(claim, found[1], found[3].split(), int(found[2]), 0) if found else None
        for phrase, template in enumerate(_TEMPLATES):
            fields = template.match(claim)
            if fields is not None:
                left, _, right = fields["sides"].rpartition(" = ")
                return self._line(claim, fields["quantity"], loose(left), int(right), phrase)
        return None

    def _line(self, claim: str, name: str, tokens: list[str], result: int, phrase: int) -> Line | None:
        side = parse(tokens, _number)
        return Line(self.kind, claim, name, written=(side,), result=result, phrase=phrase) if side else None

    def error(self, line: Line, problem: Problem, solved: Mapping[str, int]) -> str | None:
        """A check is right if it speaks of a solved quantity, uses its definition and values, and adds up."""
        quantity = problem.by_name.get(line.name)
        if quantity is None:
            return "unknown"
        if line.name not in solved or first_unsolved(quantity, solved) is not None:
            return "locked"
        return chain_error(line, quantity, problem, solved)


def _write(expr: Num | Ref) -> str:
    return str(expr.value) if isinstance(expr, Num) else expr.name


def _number(token: str) -> Num | None:
    return Num(int(token)) if re.fullmatch(r"-?\d{1,12}", token) else None
