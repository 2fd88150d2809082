"""GSM8K-style answers: prose with calculator annotations ``<<48/2=24>>24`` and a last line ``#### 72``, as a graph.

The graph comes from the annotations; units and words stay where they are. Where a text can be read in several ways
these rules decide, or the row is refused with its reason (``ValueError``):

1. *Operands.* A number in an annotation that equals an earlier result is that result, if it has not been used yet; of
   several it is the latest. If all of them have been used, it is a constant where the question states the number, and
   the latest result otherwise. A number that equals no result is a constant.
2. *Doubt.* Where there were several results of that value, or the question states it too, the link counts as doubtful,
   and no reflection is ever built on it.
3. *Percentages.* ``20%`` in an annotation is a fifth. A result that is written with a percent sign (``40%``) is met
   again as 40, as 40% and as .4.
4. *Decimals, currency, thousands.* ``$1,200.50`` is the number 1200.5; values are exact fractions. A result with
   decimals may be rounded to them (10/3=3.33), a whole number may not.
5. *Arithmetic.* An annotation that is wrong, that holds no or several equals signs or a unit, or that is followed by
   another number than its own, refuses the row.
6. *Lines.* A line with several annotations computes from left to right and is not torn apart. A line without any
   belongs to the next one with some; the last such lines to the last one.
7. *Unused results* stay. They are redundant steps of the graph, not mistakes.
8. *Answer.* The number behind ``####`` must be a result of the last line with annotations.
9. *Fractions.* A result, the number behind it and the answer may be written as a fraction of whole numbers (``1/3``) or
   a mixed number (``1 1/2``: a whole number, one space, a proper fraction); they are exact then. In a calculation a
   mixed number is one number. A quotient (``1/3*12``) is a calculation like any other, unless an earlier result of its
   value is written as a fraction: then it is that result, and the link counts as doubtful if one of the two numbers is
   a result as well. Behind a division (``6/1/3``) it never is. No numbers are a fraction with a percent sign, decimals
   or thousands separators, an improper one behind a whole number, and one with a 0 below. A whole number in front of a
   fraction makes a mixed number, so ``<<6/2=3>>3 1/2-cup jars`` is refused. A result that is written as a fraction gets
   no small steps: its last operation is still to be seen in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from bi.tasks.chain import BLANK, Chain, Claim, Passage, Slot, label_all
from bi.tasks.expression import Expr, Num, Op, Ref
from bi.tasks.operators import Value
from bi.tasks.problem import Problem
from bi.tasks.written import (
    FRACTION,
    Shown,
    check_value,
    constants_of,
    find_source,
    noun_phrase,
    numbers_in,
    parse_expression,
    read_number,
    shown_before,
    write_number,
)

ANNOTATION = re.compile(r"<<([^<>\n]*)>>")
_MARK = "\x00"
_SHOWN = re.compile(
    rf"\s?[$€£]?\s?(-?\s?(?:{FRACTION})|-?\s?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?|-?\.\d+)(%?)")


@dataclass
class _Reading:
    """What has been read so far; ``percent`` and ``fractions`` are results written as such."""

    question: frozenset[Fraction]
    claims: dict[str, Claim] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    percent: set[str] = field(default_factory=set)
    fractions: set[str] = field(default_factory=set)
    doubtful: set[tuple[str, str]] = field(default_factory=set)


def read_gsm8k(question: str, answer: str) -> Chain:
    """The chain that ``answer`` writes; ``chain.text == answer``.

    Raises ``ValueError`` with the line and the rule that refuses it.
    """
    body, ending = split_final(answer)
    if ending is None:
        raise ValueError("the answer does not end in a line '#### NUMBER'")
    stated = read_number(ending.strip().removeprefix("####"))
    if stated is None:
        raise ValueError(f"the final line {ending.strip()[:40]!r} holds no number")
    reading = _Reading(numbers_in(question))
    blocks = _blocks(body)
    passages, phrases, blanks = [], {}, {}
    for number, block in enumerate(blocks, start=1):
        passage = _read_block(block, number, reading, phrases, blanks)
        constants = [value for name in passage.names for value in constants_of(reading.claims[name].formula)]
        source = find_source(constants, block, question)
        passages.append(Passage(block, passage.slots, source))
    claims = tuple(reading.claims.values())
    target = _target(stated, passages[-1], reading)
    sourced = {name for passage in passages if passage.source for name in passage.names}
    quantities = tuple(Claim(c.name, c.formula, c.value, c.name in sourced, c.uses) for c in claims)
    problem = Problem("gsm8k", quantities, tuple(q.name for q in quantities if q.stated), target)
    return Chain(question, tuple(passages), ending, problem, label_all(phrases, blanks), frozenset(reading.doubtful))


def _blocks(body: str) -> list[str]:
    """Lines, each without annotations joined to the next one with some, the last ones to the last."""
    blocks: list[str] = []
    waiting: list[str] = []
    for line in body.split("\n"):
        waiting.append(line)
        if "<<" in line:
            blocks.append("\n".join(waiting))
            waiting = []
    if not blocks:
        raise ValueError("it has no calculator annotation <<...=...>>, so there is no graph to read")
    if waiting:
        blocks[-1] = "\n".join((blocks[-1], *waiting))
    return blocks


def split_final(answer: str) -> tuple[str, str | None]:
    """The chain of thought, and the end of the text from the line break before ``####`` on (``None`` without one)."""
    end = answer.rstrip()
    at = max(end.rfind("\n####"), 0)
    mark = end[at:].removeprefix("\n")
    return (answer[:at], answer[at:]) if mark.startswith("####") and "\n" not in mark else (answer, None)


def _target(stated: Value, last: Passage, reading: _Reading) -> str:
    for name in reversed(last.names):
        if reading.claims[name].value == stated:
            return name
    where = [name for name, claim in reading.claims.items() if claim.value == stated]
    said = f"is the result of step {where[-1]}, and the text goes on computing" if where else "is no result of the text"
    raise ValueError(f"the final answer {write_number(stated)} {said} (rule 8)")


def _read_block(block: str, number: int, reading: _Reading, phrases: dict, blanks: dict) -> Passage:
    matches = list(ANNOTATION.finditer(block))
    if block.count("<<") != len(matches) or block.count(">>") != len(matches):
        raise ValueError(f"step {number}: a calculator annotation is not closed on its line")
    shown = [shown_before(block, match.start()) for match in matches]
    slots = []
    for index, match in enumerate(matches):
        name = str(number) if len(matches) == 1 else f"{number}.{index + 1}"
        _read_annotation(match, name, block, reading)
        free = shown[index].free and name not in reading.fractions
        slots.append(Slot(name, shown[index].at, shown[index].spaced, free))
        blanks[name] = f'the blank in "{_with_blank(block, matches, shown, index)}"'
        after = block[_end_of(match, block) :].split("\n", 1)[0][:120]
        ends = re.search(r"[.!?](?:\s|\Z)", after)
        phrases[name] = None if shown[index].money else noun_phrase(after[: ends.end()] if ends else after)
    return Passage(block, tuple(slots))


def _end_of(match: re.Match[str], block: str) -> int:
    """Where the number behind an annotation ends."""
    number = _SHOWN.match(block, match.end())
    return number.end(1) if number else match.end()


def _read_annotation(match: re.Match[str], name: str, block: str, reading: _Reading) -> None:
    said = match[0]
    left, equals, right = match[1].partition("=")
    if not equals or "=" in right:
        raise ValueError(f"step {name}: {said} does not have exactly one equals sign (rule 5)")
    fresh: list[str] = []
    formula = parse_expression(left, lambda token: _operand(token, name, reading, fresh),
                               lambda token: _is_result(token, reading))
    if formula is None:
        raise ValueError(f"step {name}: cannot read the calculation in {said} (rule 5)")
    values = {other: claim.value for other, claim in reading.claims.items()}
    fault = check_value(formula, values, right.strip())
    if fault:
        raise ValueError(f"step {name}: {said} is wrong, {fault} (rule 5)")
    value = read_number(right)
    shown = _SHOWN.match(block, match.end())
    if shown and read_number(shown[1]) != value:
        raise ValueError(f"step {name}: {said} is followed by {shown[1]} (rule 5)")
    if shown and shown[2]:
        reading.percent.add(name)
    if "/" in right and isinstance(value, Fraction):
        reading.fractions.add(name)
    reading.used.update(fresh)
    reading.claims[name] = Claim(name, formula, value)


def _is_result(quotient: str, reading: _Reading) -> bool:
    """Whether ``1/3`` in a calculation is an earlier result that is written as a fraction (rule 9)."""
    value = read_number(quotient)
    return any(reading.claims[name].value == value for name in reading.fractions)


def _operand(token: str, name: str, reading: _Reading, fresh: list[str]) -> Expr | None:
    """Rules 1 to 3 and 9 for one written number; ``fresh`` collects the results that this annotation uses."""
    value = read_number(token)
    if value is None:
        return None
    percent = token.endswith("%")
    links: dict[str, Expr] = {}
    for other, claim in reading.claims.items():
        if claim.value == value and not percent:
            links[other] = Ref(other)
        elif other in reading.percent and claim.value == 100 * value:
            links[other] = Op("/", (Ref(other), Num(100)))
    unused = [other for other in links if other not in reading.used and other not in fresh]
    stated = value in reading.question
    if not links or (not unused and stated):
        return Num(value)
    chosen = (unused or list(links))[-1]
    fresh.append(chosen)
    parts = [read_number(part) for part in token.split("/")] if "/" in token and " " not in token else []
    if stated or len(links) > 1 or any(claim.value in parts for claim in reading.claims.values()):
        reading.doubtful.add((name, chosen))
    return links[chosen]


def _with_blank(block: str, matches: list[re.Match[str]], shown: list[Shown], index: int) -> str:
    """The sentence around annotation ``index`` without computations: its own result blank, others as dots."""
    parts, at = [], 0
    for number, match in enumerate(matches):
        parts.append(block[at : max(at, shown[number].start)])
        parts.append(f"{shown[number].money}{_MARK if number == index else '...'}")
        at = _end_of(match, block)
    line = next(line for line in "".join((*parts, block[at:])).split("\n") if _MARK in line)
    sentence = next(part for part in re.split(r"(?<=[.!?])\s+", line) if _MARK in part)
    return sentence.strip().removesuffix(".").replace(_MARK, BLANK)
