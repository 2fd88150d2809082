"""``steps``: an open format for annotated chains of thought, one JSON object a row.

======================  ==============================================================================================
``question``            text
``answer``              text or number; it becomes the last line, ``#### ANSWER``
``steps``               list, in the order in which they are written; each is an object with
``steps[].id``          text, different from all others
``steps[].parents``     ids of *earlier* steps that this one rests on; may be empty
``steps[].statement``   the text of the step, kept word for word
``steps[].expression``  optional: the calculation, over numbers and the ids of parents: ``48 + may``; ids that are not
                        plain words stand in braces: ``48 + {sold in May}``
``steps[].value``       needed with an expression: its result. Without one it is optional, and may be text
``steps[].about``       optional: a noun phrase for what the step settles: ``the clips sold in May``
``steps[].source``      optional: the sentence of the question that the step rests on, word for word
======================  ==============================================================================================

Without ``about`` the words behind the result, or the statement with a blank, take its place; without ``source`` the
sentence of the question that states the numbers of the expression. Other columns, and other fields of a step, are
left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from bi.tasks.chain import BLANK, Chain, Claim, Passage, Slot, label_all
from bi.tasks.expression import Expr, Num, Ref, parents_and_operations
from bi.tasks.operators import Value
from bi.tasks.problem import Problem
from bi.tasks.written import (
    FRACTION,
    check_value,
    constants_of,
    find_source,
    noun_phrase,
    parse_expression,
    read_number,
    shown_before,
    write_number,
)

_FIELDS = {"id": str, "statement": str, "expression": str, "about": str, "source": str}


def read_steps(row: Mapping[str, Any]) -> Chain:
    """The chain that ``row`` describes; ``ValueError`` names the step and the field that is wrong, and why."""
    question, steps, answer = row.get("question"), row.get("steps"), row.get("answer")
    if not isinstance(question, str):
        raise ValueError("the column 'question' is no text")
    if not isinstance(steps, list) or not steps:
        raise ValueError("the column 'steps' is no list with at least one step")
    if isinstance(answer, bool) or not isinstance(answer, (str, int, float)):
        raise ValueError("the column 'answer' is neither text nor a number")
    claims: dict[str, Claim] = {}
    passages, phrases, blanks = [], {}, {}
    for number, step in enumerate(steps, start=1):
        where = f"step {number}"
        _check_fields(step, where)
        where = f"step {number} ({step['id']!r})"
        claim, written = _read_step(step, claims, where)
        source = step.get("source") or find_source(constants_of(claim.formula) if written else [], step["statement"],
                                                   question)
        if step.get("source") and step["source"] not in question:
            raise ValueError(f"{where}: its source is no part of the question: {step['source'][:60]!r}")
        claims[claim.name] = Claim(claim.name, claim.formula, claim.value, source is not None, claim.uses)
        slot, blanks[claim.name], words = _place(step["statement"], claim.name, written)
        phrases[claim.name] = step.get("about") or words
        passages.append(Passage(step["statement"], (slot,), source))
    _check_answer(answer, claims[steps[-1]["id"]])
    quantities = tuple(claims.values())
    problem = Problem("steps", quantities, tuple(q.name for q in quantities if q.stated), quantities[-1].name)
    return Chain(question, tuple(passages), f"\n#### {answer}", problem, label_all(phrases, blanks))


def _check_fields(step: Any, where: str) -> None:
    if not isinstance(step, dict):
        raise ValueError(f"{where} is no object with id, parents and statement")
    for name in ("id", "parents", "statement"):
        if step.get(name) is None:
            raise ValueError(f"{where} lacks the field {name!r}")
    for name, kind in _FIELDS.items():
        value = step.get(name)
        if value is not None and (not isinstance(value, kind) or not value.strip()):
            raise ValueError(f"{where}: the field {name!r} is no text, or empty")
    parents = step["parents"]
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise ValueError(f"{where}: the field 'parents' is no list of ids")
    if re.search(r"^####", step["statement"], re.MULTILINE):
        raise ValueError(f"{where}: a line of its statement starts with '####', which marks the answer")


def _read_step(step: Mapping[str, Any], claims: Mapping[str, Claim], where: str) -> tuple[Claim, str | None]:
    """The claim of a step, and its value as it is written if it has an expression."""
    name, parents = step["id"], tuple(step["parents"])
    if name in claims:
        raise ValueError(f"{where}: the id was used before; make each id different")
    for parent in parents:
        if parent not in claims:
            raise ValueError(f"{where}: its parent {parent!r} is no earlier step")
    value = step.get("value")
    if isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))):
        raise ValueError(f"{where}: the field 'value' is neither text nor a number")
    if step.get("expression") is None:
        return Claim(name, Num(_plain_value(value)), _plain_value(value), uses=parents), None
    if value is None:
        raise ValueError(f"{where}: it has an expression but no value")
    formula = _read_expression(step["expression"], parents, claims, where)
    written = value if isinstance(value, str) else write_number(Fraction(str(value)))
    fault = check_value(formula, {other: claim.value for other, claim in claims.items()}, written)
    if fault:
        raise ValueError(f"{where}: the expression {step['expression']!r} is wrong, {fault}")
    return Claim(name, formula, read_number(written), uses=parents), written


def _plain_value(value: Any) -> Value:
    number = read_number(str(value)) if value is not None else None
    return value if number is None else number


def _read_expression(text: str, parents: tuple[str, ...], claims: Mapping[str, Claim], where: str) -> Expr:
    def leaf(token: str) -> Num | Ref | None:
        number = read_number(token)
        if number is not None:
            return Num(number)
        name = token[1:-1] if token.startswith("{") else token
        return Ref(name) if name in claims else None

    formula = parse_expression(text, leaf)
    if formula is None:
        raise ValueError(f"{where}: cannot read the expression {text[:60]!r}; it may hold numbers, + - * / ( ) and ids "
                         "of parents")
    for name in parents_and_operations(formula)[0]:
        if name not in parents:
            raise ValueError(f"{where}: its expression uses {name!r}, which is not among its parents")
        if not isinstance(claims[name].value, (int, Fraction)):
            raise ValueError(f"{where}: its expression uses {name!r}, which has no number as its value")
    return formula


def _place(statement: str, name: str, written: str | None) -> tuple[Slot, str, str | None]:
    """Where small steps go, the statement with its value blank, and the words behind the value."""
    if written is None:
        return Slot(name, None), f'the conclusion "{statement.strip().removesuffix(".")}"', None
    value = read_number(written)
    number = rf"-?(?:{FRACTION}|(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?)"
    found = [match for match in re.finditer(number, statement) if read_number(match[0]) == value]
    if not found:
        return Slot(name, None), f'the number for "{statement.strip().removesuffix(".")}"', None
    match = found[-1]
    shown, after = shown_before(statement, match.start()), statement[match.end() :]
    blank = f"{statement[: shown.start]}{shown.money}{BLANK}{after}".strip().removesuffix(".")
    phrase = None if shown.money else noun_phrase(after[:120])
    free = shown.free and "/" not in written  # a fraction still shows its last operation
    return Slot(name, shown.at, shown.spaced, free), f'the blank in "{blank}"', phrase


def _check_answer(answer: Any, last: Claim) -> None:
    stated = read_number(str(answer))
    if stated is not None and isinstance(last.value, (int, Fraction)) and stated != last.value:
        raise ValueError(f"the answer is {answer}, but the last step ends with {write_number(last.value)}")
