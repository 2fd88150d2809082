"""Solutions of the chapter on your own data, run by the tests and shown folded in the book."""

from __future__ import annotations

import re
from typing import Any


def graphs_that_fit(steps: list[tuple[tuple[int, ...], int]], stated: set[int]) -> int:
    """How many graphs fit the numbers of a worked answer.

    A step is (operands, result); ``stated`` holds the numbers of the question. An operand is an earlier
    step of that value, or a constant if the question states it, or if no earlier step has the value.
    """
    graphs, results = 1, []
    for operands, result in steps:
        for operand in operands:
            graphs *= results.count(operand) + (operand in stated) or 1
        results.append(result)
    return graphs


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
