"""Checkers on graphs behind other people's answers (chapter on your own data)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from bi.augmentation.formats import Request, inject_row
from bi.course.exercise import Attempt, Exercise, agree, expect, instances
from bi.recipes import BehaviorRates
from bi.tasks.steps import read_steps

Steps = list[tuple[tuple[int, ...], int]]
EXAMPLE: Steps = [((6, 2), 12), ((9, 3), 12), ((12, 12), 24), ((24, 12), 12)]
STALLS = """\
stalls = 4 * 6  # stalls in four rows of six
empty = stalls / 8  # every eighth stall is empty
open = stalls - empty  # the stalls that are open
money = open * 12 + 30  # twelve dollars a stall, thirty from the town"""
SHELVES = """\
box = 3 + 5  # the apples in a box
boxes = box - 2  # the boxes on a shelf
room = boxes * 9  # the boxes on nine shelves"""
WHERE = {"the stalls": STALLS, "the shelves": SHELVES}
GRAPHS: dict[str, tuple[dict[str, tuple[str, ...]], int]] = {
    "the stalls": ({"stalls": (), "empty": ("stalls",), "open": ("stalls", "empty"), "money": ("open",)}, 282),
    "the shelves": ({"box": (), "boxes": ("box",), "room": ("boxes",)}, 54),
}
QUESTIONS = {
    "the stalls": "A market has 4 rows of 6 stalls. Every 8th is empty. A stall pays $12, the town adds $30. How much?",
    "the shelves": "A box has 3 red and 5 green apples, a shelf 2 boxes fewer. How many boxes are on 9 shelves?",
}


def inspect_two_graphs(count: Attempt) -> None:
    """The number of graphs against writing all of them down, on the example and on random answers."""
    agree(count.number([((6, 2), 12)], {6, 2}), 1, "one step over two stated numbers has one graph")
    agree(count.number([((6, 2), 12), ((12, 2), 24)], {6, 2}), 1, "a result that the question does not state can only "
          "be the earlier step")
    agree(count.number([((6, 2), 12), ((12, 2), 24)], {6, 2, 12}), 2, "a result of 12 where the question states 12 too",
          (1, "an operand that the question states may be that number too"))
    _compare_count(count, EXAMPLE[:3], {6, 2, 9, 3}, "the first three steps, if the question does not state 12")
    _compare_count(count, EXAMPLE, {6, 2, 9, 3, 12}, "the answer of the exercise")
    rng = instances("ex-two-graphs")
    for number in range(12):
        steps = _random_steps(rng, 3 + number % 3)
        stated = {operand for operands, _ in steps[:2] for operand in operands}
        stated |= {result for _, result in steps if rng.random() < 0.5}
        _compare_count(count, steps, stated, f"steps {steps}, stated {sorted(stated)}")


def _compare_count(count: Attempt, steps: Steps, stated: set[int], where: str) -> None:
    ways = [[_readings(steps, at, operand, stated) for operand in operands] for at, (operands, _) in enumerate(steps)]
    flat = [each for row in ways for each in row]
    without = [[r for r in each if r != "constant"] or ["constant"] for each in flat]
    latest = [sorted({"step" if r != "constant" else r for r in each}) for each in flat]
    agree(count.number(steps, stated), _product(flat), where,
          (_product(without), "an operand that the question states may be that number too"),
          (_product(latest), "two steps with the same result are two different parents"),
          (sum(len(each) for each in flat), "choices for different operands multiply; you add them"),
          (sum(len(each) - 1 for each in flat), "you count links; the graphs are all combinations of them"))


def _readings(steps: Steps, at: int, operand: int, stated: set[int]) -> list[Any]:
    """What an operand of step ``at`` may be: an earlier step of that value, or a constant where nothing forbids it."""
    found: list[Any] = [earlier for earlier in range(at) if steps[earlier][1] == operand]
    return [*found, "constant"] if operand in stated or not found else found


def _product(readings: list[list[Any]]) -> int:
    """Graphs listed one by one, each a choice for every operand."""
    graphs: list[tuple[Any, ...]] = [()]
    for choices in readings:
        graphs = [(*graph, choice) for graph in graphs for choice in choices]
    return len(graphs)


def _random_steps(rng: np.random.Generator, n: int) -> Steps:
    """Steps over few values, so that results recur; the first two calculate with numbers of the question."""
    steps: Steps = [((5, 3), 8), ((10, 2), 8)]
    while len(steps) < n:
        operands = (steps[int(rng.integers(len(steps)))][1], int(rng.choice([8, 16, 24])))
        steps.append((operands, int(rng.choice([8, 16, 24]))))
    return steps


def inspect_notes(row_of: Attempt) -> None:
    """Two sets of notes: the row can be read, its graph and answer are right, and every behaviour finds its place."""
    for where, (graph, answer) in GRAPHS.items():
        row = row_of(QUESTIONS[where], WHERE[where])
        expect(isinstance(row, dict) and {"question", "steps", "answer"} <= set(row),
               "a row is a dictionary with question, steps and answer")
        chain = row_of.guard(lambda row=row: read_steps(row),
                             lambda where=where: f"the row of {where} cannot be read back: `read_steps`")
        expect(len(chain.passages) == len(graph), f"{where}: every line of the notes becomes one step; "
               f"{len(graph)} lines gave {len(chain.passages)}")
        found = {quantity.name: quantity.parents for quantity in chain.problem.quantities}
        expect(set(found) == set(graph), f"{where}: the ids are {sorted(found)}; take the names of the notes")
        for name, parents in graph.items():
            expect(set(found[name]) == set(parents), f"{where}: the parents of {name} are {_names(found[name])}; they "
                   f"should be {_names(parents)}")
        expect(chain.problem.answer == answer, f"{where}: the answer is {chain.problem.answer}; it should be {answer}")
        everything = Request(BehaviorRates(reflection=1.0, analysis=(1.0,), subgoal=1.0))
        told = inject_row(row, "steps", everything)
        expect(told["n_reflection"] >= 1, f"{where}: no reflection could be injected; is every parent named?")
        _inspect_statements(row, {quantity.name: quantity.value for quantity in chain.problem.quantities}, where)
        expect(where != "the stalls" or told["n_subgoal"] == 1, f"{where}: the last line has two operations, and no "
               "subgoal found its place: write the computation in front of '= value'")
        expect(all(step.get("about") for step in row["steps"]), f"{where}: `about` is missing; take the words behind "
               "the hash, so that a reflection can name the step")


def _inspect_statements(row: dict[str, Any], values: dict[str, Any], where: str) -> None:
    """Each statement shows the numbers that are calculated with, and the result."""
    for step, line in zip(row["steps"], WHERE[where].splitlines(), strict=True):
        calculation = line.partition("#")[0].partition("=")[2]
        needed = {f"{float(values.get(token, token)):g}"
                  for token in re.findall(r"\w+", calculation)} | {f"{float(values[step['id']]):g}"}
        missing = needed - set(re.findall(r"\d+", str(step["statement"])))
        expect(not missing, f"{where}: the statement {step['statement']!r} does not show {', '.join(sorted(missing))}; "
               "show the computation, with numbers")


def _names(parents: tuple[str, ...]) -> str:
    return ", ".join(sorted(parents)) or "none"


CHAPTER = "notebooks/own_data"
EXERCISES = (
    Exercise("ex-two-graphs", CHAPTER, "pencil", ("graphs_that_fit",), inspect_two_graphs,
             "writing down every graph of random answers gives the same number"),
    Exercise("ex-notes", CHAPTER, "code", ("steps_from_notes",), inspect_notes,
             "two sets of notes are read back, with the right graph, answer, reflections and subgoals"),
)
