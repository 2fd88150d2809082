"""The strict verdict on prose: what can be checked in a worked answer whose words are free.

The annotations are checked one by one: can it be read, is every number in it known by then (a result, a number of the
question, or a common constant), is the arithmetic right? A reflection must name a step of the reference chain and a
result that this step needs and that is not there yet; an analysis must quote the question. What a line *means* is out
of reach: an annotation that computes something true and useless is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from bi.augmentation.prose import find_behaviors, quoted_fact, reflection_readings
from bi.augmentation.verdict import Verdict
from bi.tasks.chain import Chain
from bi.tasks.expression import Num, binary_operations
from bi.tasks.gsm8k import ANNOTATION, split_final
from bi.tasks.written import FRACTION, check_value, constants_of, numbers_in, parse_expression, read_number

SMALL = frozenset(map(Fraction, (0, 1, 2, 3, 4, 5, 10, 100))) | {Fraction(1, 2), Fraction(1, 100)}
"""Numbers that never need a source: factors, shares and per cent."""

UNITS = frozenset(map(Fraction, (7, 12, 24, 30, 31, 52, 60, 365, 1000, 3600)))
"""Numbers of units, which need no source unless the reference computes the same value."""

_SHOWN = re.compile(
    rf"\s?[$€£]?\s?(-?(?:{FRACTION})|-?(?:\d{{1,3}}(?:,\d{{3}}){{1,4}}|\d{{1,40}})(?:\.\d{{1,20}})?|-?\.\d{{1,20}})")
_LONGEST = 4000


def judge_prose(completion: str, chain: Chain) -> Verdict:
    """The verdict on any text as an answer to the question of ``chain``; never raises, linear in the length.

    ``first_error`` is ``arithmetic``, ``locked`` (a number that the reference computes, but not yet here), ``unknown``
    (a number from nowhere, a step that does not exist), ``reflection``, ``formula`` (a quotation that is not in the
    question), ``unreadable``, ``unfinished`` (the answer was never computed) or ``answer``.
    """
    body, ending = split_final(completion)
    stated = read_number(ending.strip().removeprefix("####")[:40]) if ending else None
    answer = stated is not None and stated == chain.problem.answer
    if not isinstance(chain.problem.answer, (int, Fraction)):
        answer = ending is not None and ending.strip() == chain.ending.strip()
    proper = ending is not None and body.count("####") == 0 and (stated is not None or answer)
    state = _State(chain)
    error, width = next((found for line in body.split("\n") for found in state.read(line)), (None, 0))
    if error is None and chain.problem.answer in state.later - state.results:
        error = "unfinished"
    if error is None and not (answer and proper):
        error = "answer"
    counts = {f"n_{name}": number for name, number in find_behaviors(body).items()}
    return Verdict(answer, proper, error is None, error, width, **counts)


def judge_lines(completion: str, chain: Chain) -> Iterator[tuple[str, str | None]]:
    """Every line of the chain of thought with its own first error, ``None`` for a right one; blank lines are left out.

    A result counts as known from the line on that states it, right or wrong, so that one slip does not condemn all
    that builds on it. Never raises.
    """
    state = _State(chain)
    for line in split_final(completion)[0].split("\n"):
        if line.strip():
            yield line, next((error for error, _ in state.read(line)), None)


class _State:
    """What is known while a text is read from top to bottom."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.given = numbers_in(chain.question) | SMALL
        self.given |= {value for q in chain.problem.quantities for value in constants_of(q.formula)
                       if isinstance(value, (int, Fraction))}
        self.later = {q.value for q in chain.problem.quantities if isinstance(q.value, (int, Fraction))}
        self.names = {label: name for name, label in chain.labels.items()}
        self.results: set[int | Fraction] = set()

    def read(self, line: str) -> list[tuple[str, int]]:
        """The first error of ``line`` with the operations of its formula, in a list that is empty without one.

        The results that the line states are known afterwards.
        """
        if not line.strip():
            return []
        if len(line) > _LONGEST:
            return [("unreadable", 0)]
        targets = [(self.names.get(target), self.names.get(missing))
                   for _, target, missing in reflection_readings(line)]
        if targets:
            return self._reflection(targets)
        quoted = quoted_fact(line)
        if quoted is not None:
            return [] if quoted in self.chain.question else [("formula", 0)]
        if line.count("<<") != len(ANNOTATION.findall(line)):
            return [("unreadable", 0)]
        errors = [self._annotation(match, line) for match in ANNOTATION.finditer(line)]
        return [error for error in errors if error is not None][:1]

    def _reflection(self, targets: list[tuple[str | None, str | None]]) -> list[tuple[str, int]]:
        known = [(target, missing) for target, missing in targets if target is not None and missing is not None]
        if not known:
            return [("unknown", 0)]
        by_name = self.chain.problem.by_name
        sound = any(missing in by_name[target].parents and by_name[missing].value not in self.results
                    for target, missing in known)
        return [] if sound else [("reflection", 0)]

    def _annotation(self, match: re.Match[str], line: str) -> tuple[str, int] | None:
        left, _, right = match[1].partition("=")
        operands: list[int | Fraction] = []

        def leaf(token: str) -> Num | None:
            value = read_number(token)
            if value is None:
                return None
            operands.append(100 * value if token.endswith("%") else value)
            return Num(value)

        formula, value = parse_expression(left, leaf, self._is_result), read_number(right)
        if formula is None or value is None:
            return "unreadable", 0
        width = binary_operations(formula)
        known = [self._known(operand) for operand in operands]
        self.results.add(value)
        for operand, fine in zip(operands, known, strict=True):
            if not fine and (operand in self.later or operand not in UNITS):
                return ("locked" if operand in self.later else "unknown"), width
        shown = _SHOWN.match(line, match.end())
        if check_value(formula, {}, right.strip()) or (shown and read_number(shown[1]) != value):
            return "arithmetic", width
        return None

    def _is_result(self, quotient: str) -> bool:
        value = read_number(quotient)
        return isinstance(value, Fraction) and value in self.results

    def _known(self, value: int | Fraction) -> bool:
        return not {value, abs(value), 100 * value}.isdisjoint(self.given | self.results)
