"""Exercise of the chapter on your own data: checker and solution, run by the tests, shown folded in the book."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bi.augmentation.formats import Request, inject_row
from bi.recipes import BehaviorRates
from bi.tasks.steps import read_steps

NOTES = """\
stalls = 4 * 6  # stalls in four rows of six
empty = stalls / 8  # every eighth stall is empty
open = stalls - empty  # the stalls that are open
money = open * 12 + 30  # twelve dollars a stall, thirty from the town"""
QUESTION = "A market has 4 rows of 6 stalls. Every 8th is empty. A stall pays $12, the town adds $30. How much is it?"


def steps_from_notes(question: str, notes: str) -> dict[str, Any]:
    """A row in the steps format from lines ``name = expression  # words``; names stand for earlier lines."""
    values: dict[str, float] = {}
    steps = []
    for line in notes.splitlines():
        name, expression, words = re.fullmatch(r"(\w+) = (.+?)  # (.+)", line).groups()
        parents = [other for other in values if re.search(rf"\b{other}\b", expression)]
        shown = expression
        for parent in parents:
            shown = re.sub(rf"\b{parent}\b", f"{values[parent]:g}", shown)
        values[name] = eval(expression, {}, values)
        steps.append({"id": name, "parents": parents, "expression": expression, "value": f"{values[name]:g}",
                      "statement": f"{words[0].upper()}{words[1:]}: {shown} = {values[name]:g}.", "about": words})
    return {"question": question, "steps": steps, "answer": steps[-1]["value"]}


def check(solution: Callable[[str, str], dict[str, Any]]) -> None:
    """Raise ``AssertionError`` that says what is wrong with a solution; silence means that it is right."""
    row = solution(QUESTION, NOTES)
    chain = read_steps(row)
    assert len(chain.passages) == 4, "every line of the notes becomes one step"
    parents = {quantity.name: set(quantity.parents) for quantity in chain.problem.quantities}
    expected = {"stalls": set(), "empty": {"stalls"}, "open": {"stalls", "empty"}, "money": {"open"}}
    assert parents == expected, f"the parents are {parents}, they should be {expected}"
    assert chain.problem.answer == 282, f"the answer is {chain.problem.answer}, it should be 282"
    everything = Request(BehaviorRates(reflection=1.0, analysis=(1.0,), subgoal=1.0))
    found = inject_row(row, "steps", everything)
    assert found["n_reflection"] >= 1, "no reflection was injected: is every parent named?"
    assert found["n_subgoal"] == 1, "the last line has two operations: show the computation in front of '= value'"
