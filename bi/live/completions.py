"""Completions of one problem before and after RL, side by side, line by line, the first error marked.

The table comes from :mod:`bi.evaluation.before_after`. Without scripts every pair can be unfolded;
``book/_static/completions.js`` shows one at a time, by arm, problems and outcome.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import pandas as pd

from bi.augmentation.anatomy import Anatomy
from bi.augmentation.wording import Wording, get_wording
from bi.chapter import table_path
from bi.figure_style import SPLIT_LABELS
from bi.tasks.problem import Problem

TABLE = "completions"
WRONG = ' class="live-wrong"'
TOLD = {
    "arithmetic": "the arithmetic is wrong; {name} is {value}",
    "lookup": "a number in it is not the value that was found for its quantity",
    "formula": "this is not the definition that the question gives",
    "locked": "it uses {missing}, which has no value yet",
    "unknown": "the question has no such quantity",
    "reflection": "what it says is missing is not the first thing missing",
    "unreadable": "this is no line that can be read",
    "unfinished": "it ends before the quantity asked for has a value",
    "answer": "every line is right, and the answer behind them is not",
}
"""What a first error is, for a reader, by its name in :data:`bi.augmentation.verdict.ERRORS`."""


def completion_browser(results_dir: str | Path) -> str:
    """The part as HTML from ``completions.csv`` of a results folder, or a sentence where there is no such table."""
    path = table_path(results_dir, TABLE)
    if not path.is_file():
        return (f"<p>The profile <code>{escape(Path(results_dir).name)}</code> has no table of completions yet. "
                f"<code>make reproduce PROFILE={escape(Path(results_dir).name)}</code> writes one.</p>")
    table = pd.read_csv(path, dtype={"problem_id": str}, keep_default_na=False)
    return show_pairs(table)


def show_pairs(table: pd.DataFrame) -> str:
    """All pairs of a table of :func:`bi.evaluation.before_after.completion_pairs`."""
    pairs = [_pair(row, number == 0) for number, (_, row) in enumerate(table.iterrows())]
    return f'<div class="live completions">{"".join(pairs)}</div>'


def _pair(row: pd.Series, unfolded: bool) -> str:
    wording = get_wording(row["wording"])
    problem = wording.read_problem(row["prompt"])
    split = SPLIT_LABELS.get(row["split"], row["split"])
    title = f"{row['arm']}, {split}, {row['outcome']}: problem {row['problem_id'][:6]}"
    told = (f"{row['problems']} of {row['n']} test problems went from {row['outcome']} "
            f"in the arm {row['arm']}.")
    sides = "".join(_side(name, row[stage], wording, problem) for name, stage in (("Before RL", "before"),
                                                                                  ("After RL", "after")))
    return (
        f'<details class="live-pair" data-arm="{escape(row["arm"])}" data-split="{escape(split)}" '
        f'data-outcome="{escape(row["outcome"])}" data-told="{escape(told)}"{" open" if unfolded else ""}>'
        f'<summary>{escape(title)}</summary><p class="live-count">{escape(told)}</p>'
        f'<p class="live-question">{escape(row["prompt"])}</p><div class="live-columns">{sides}</div></details>'
    )


def _side(name: str, text: str, wording: Wording, problem: Problem) -> str:
    """One completion: a line each, the first wrong one with a word in front and an explanation behind."""
    reading, compared = wording.compared(text, problem)
    wrong = wording.anatomy(text, problem)
    items = []
    for number, line in enumerate(reading.lines, start=1):
        if wrong and number == wrong.line:
            items.append(f'<li class="live-wrong"><span class="live-mark">first error</span> {escape(line.claim)} '
                         f'<span class="live-why">{escape(explain(wrong, compared))}</span></li>')
        else:
            items.append(f"<li>{escape(line.claim)}</li>")
    stated = "no answer" if reading.answer is None else f"answer {reading.answer}"
    right = reading.answer == compared.answer
    end = f"{stated}, {'right' if right else f'wrong: it is {compared.answer}'}"
    if wrong and not wrong.line:
        end = f'<span class="live-mark">first error</span> {escape(end)}; {escape(explain(wrong, compared))}'
    elif wrong and right:
        end += ", over a wrong line"
    return (f'<div><p class="live-title">{name}: {"right" if right else "wrong"}</p>'
            f'<ol>{"".join(items)}</ol><p{WRONG if wrong and not wrong.line else ""}>{end}</p></div>')


def explain(wrong: Anatomy, problem: Problem) -> str:
    """A first error in words, with what would have been right where that is one number."""
    quantity = problem.by_name.get(wrong.name)
    return TOLD[wrong.error].format(name=_called(wrong.name), missing=_called(wrong.missing),
                                    value=quantity.value if quantity else "")


def _called(name: str) -> str:
    """A quantity in a sentence: names of the compact wording are numbers."""
    return f"N{name}" if name.isdigit() else f"the number of each {name}"
