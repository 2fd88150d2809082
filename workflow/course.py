"""``make course``: notebooks for students (no solutions) and instructors (with them), and a script to check a class.

``python -m workflow.course time`` measures what a class waits for: the checks of the solutions, the commands of the
lab, and this command itself. The instructor's page reads the table.

Everything is made from the pages of the book and from ``book/exercises``; the same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory

import nbformat
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from bi.course import EXERCISES, Exercise, check
from bi.files import atomic_folder
from bi.provenance import provenance, write_table
from bi.recipes import digest
from workflow.exercises import Code, Pages
from workflow.stages import ROOT

COURSE = Path("_build") / "course"
TIMES = Path("results") / "course.csv"
LAB = {
    "plain": "bi data --arm vanilla --rows 20 --min-ops 3 --max-ops 5 --wording english --out runs/lab/plain.jsonl",
    "bridge": "bi data --arm bridge --rows 20 --min-ops 3 --max-ops 5 --wording english --out runs/lab/bridge.jsonl",
    "own": "bi inject book/data/word_problems.jsonl --format gsm8k --behaviors reflection,analysis,subgoal "
           "--out runs/lab/own.jsonl",
    "prompts": "bi data --prompts-only --split rl --rows 32 --out runs/lab/prompts.jsonl",
    "rollouts": "bi rollouts --model models/tiny-base --data runs/lab/prompts.jsonl --samples 8 "
                "--out runs/lab/rollouts.parquet",
    "accuracy": "bi eval runs/lab/rollouts.parquet --out runs/lab/accuracy.csv",
    "influence": "bi influence models/tiny-base runs/lab/rollouts.parquet --out runs/lab/influence",
}
"""The commands of the 90-minute lab, as the instructor's page shows them."""
SCRIPT = '''"""Check a folder of submissions and write a CSV: python check_submissions.py FOLDER --out grades.csv"""

import sys

from bi.course.grading import main

if __name__ == "__main__":
    sys.exit(main())
'''
INTRODUCTION = """# Exercises: {title}

These exercises belong to the chapter *{title}* of *Behavior Injection, reproduced*. Write your functions where
`raise NotImplementedError` stands. The cell behind them tries what you wrote, on cases that you do not see, and says in
words what does not hold yet. Keep the names of the functions; then hand in this file."""
SOLVED = """# Exercises with solutions: {title}

For instructors. The exercises of the chapter *{title}* of *Behavior Injection, reproduced*, each with its solution in
words and code, and the check that students run."""
README = """# Course notebooks

| folder | for | solutions |
|---|---|---|
| `student` | hand these out, one notebook a chapter | no |
| `instructor` | the same with solutions in words and code | yes |

The notebooks need the package `bi`. `make venv` in the repository sets it up, with a kernel; open a notebook with any
Jupyter, or an editor that can, and choose `.venv/bin/python`.

Collect what comes back in one folder, a file named after each student (or a folder for each), and check the class with

    .venv/bin/python _build/course/check_submissions.py FOLDER --out grades.csv

Each submission runs in a process of its own with limits on time, memory and the size of files. That protects from
accidents, not from code that means harm: for that, run it in a container. `make course` writes this folder anew: keep
nothing of your own in it.
"""


def write_course(root: Path, out: Path) -> Path:
    """Write the course folder ``out``, replacing it, and return it."""
    pages = Pages(root)
    with atomic_folder(out) as folder:
        for solved in (False, True):
            place = folder / ("instructor" if solved else "student")
            place.mkdir()
            for chapter, exercises in groupby(EXERCISES, key=lambda exercise: exercise.chapter):
                notebook = make_notebook(root, pages, chapter, list(exercises), solved)
                nbformat.validate(notebook)
                text = nbformat.writes(notebook, version=4) + "\n"
                (place / f"{_module(chapter)}.ipynb").write_text(text, encoding="utf-8")
        (folder / "check_submissions.py").write_text(SCRIPT, encoding="utf-8")
        (folder / "README.md").write_text(README, encoding="utf-8")
    return out


def make_notebook(root: Path, pages: Pages, chapter: str, exercises: list[Exercise],
                  solved: bool) -> nbformat.NotebookNode:
    """The notebook of a chapter's exercises, with solutions if ``solved``."""
    code = Code(root / "book" / "exercises" / f"{_module(chapter)}.py")
    begin = (SOLVED if solved else INTRODUCTION).format(title=pages.title(chapter))
    cells = [new_markdown_cell(begin, id="introduction"),
             new_code_cell(f"{code.imports()}\n\nfrom bi.course import check", id="imports")]
    known: list[str] = []
    for number, exercise in enumerate(exercises, start=1):
        cells.append(new_markdown_cell(f"## Exercise {number}", id=f"{exercise.label}-heading"))
        cells += exercise_cells(exercise, pages, code, known, solved)
        known += [*exercise.given, *(exercise.hands_in if solved else ())]
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"},
                "bi_course": {"chapter": chapter, "exercises": [exercise.label for exercise in exercises]}}
    return new_notebook(cells=cells, metadata=metadata)


def exercise_cells(exercise: Exercise, pages: Pages, code: Code, known: Iterable[str],
                   solved: bool) -> list[nbformat.NotebookNode]:
    """Statement, what is given, what is to be written (or the solution), and the check."""
    told, label = pages.told(exercise), exercise.label
    cells = [new_markdown_cell(told.statement, id=f"{label}-statement")]
    if exercise.given:
        cells.append(new_code_cell(code.solution(exercise.given, ()), id=f"{label}-given"))
    if solved:
        cells += [new_markdown_cell(f"**Solution.** {told.solution}", id=f"{label}-solution"),
                  new_code_cell(code.solution(exercise.hands_in, (*known, *exercise.given)), id=f"{label}-code")]
    else:
        if exercise.kind == "pencil":
            cells.append(new_markdown_cell("*Your derivation goes here.*", id=f"{label}-derivation"))
        cells.append(new_code_cell("\n\n\n".join(map(code.starter, exercise.hands_in)), id=f"{label}-code"))
    call = f'check("{label}", {", ".join(exercise.hands_in)})'
    return [*cells, new_code_cell(call, id=f"{label}-check")]


def measure(root: Path) -> pd.DataFrame:
    """Time of everything that a class waits for, each once: ``kind, item, cpu_s, wall_s``.

    ``kind`` is pencil or code (``item``: an exercise, its solution checked), lab (a command of :data:`LAB`) or make.
    All of it runs on one thread, so ``cpu_s`` is what it takes on a quiet machine, and ``wall_s`` what it took here.
    """
    rows = [(exercise.kind, exercise.label, *_time_check(root, exercise)) for exercise in EXERCISES]
    with TemporaryDirectory() as place:
        rows += [("lab", name, *_time_command(root, words.replace("runs/lab", place))) for name, words in LAB.items()]
        with _Stopwatch() as watch:
            write_course(root, Path(place) / "course")
        rows.append(("make", "course", *watch.seconds))
    return pd.DataFrame(rows, columns=["kind", "item", "cpu_s", "wall_s"]).round({"cpu_s": 2, "wall_s": 2})


class _Stopwatch:
    """Processor time, that of children included, and wall time of a block."""

    seconds: tuple[float, float]

    def __enter__(self) -> _Stopwatch:
        self._begin = self._now()
        return self

    def __exit__(self, *error: object) -> None:
        cpu, wall = self._now()
        self.seconds = cpu - self._begin[0], wall - self._begin[1]

    @staticmethod
    def _now() -> tuple[float, float]:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system, time.perf_counter()


def _time_check(root: Path, exercise: Exercise) -> tuple[float, float]:
    solutions = run_path(str(root / "book" / "exercises" / f"{_module(exercise.chapter)}.py"))
    with _Stopwatch() as watch:
        verdict = check(exercise.label, *(solutions[name] for name in exercise.hands_in))
    if not verdict:
        raise ValueError(f"the book's own solution fails: {verdict}")
    return watch.seconds


def _time_command(root: Path, command: str) -> tuple[float, float]:
    with _Stopwatch() as watch:
        done = subprocess.run([sys.executable, "-m", *command.split()], cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{command} failed:\n{done.stderr}")
    return watch.seconds


def _module(chapter: str) -> str:
    return chapter.rpartition("/")[2].replace("-", "_")


def main(argv: list[str] | None = None) -> int:
    """``write`` the course folder (the default), or ``time`` the checks of the solutions: ``results/course.csv``."""
    parser = argparse.ArgumentParser(prog="python -m workflow.course", description="Course notebooks and their timing.")
    parser.add_argument("command", nargs="?", choices=("write", "time"), default="write")
    options = parser.parse_args(argv)
    if options.command == "time":
        begin = time.perf_counter()
        table = measure(ROOT)
        write_table(ROOT / TIMES, table, provenance("any", [], digest(LAB), time.perf_counter() - begin))
        print(f"times are in {TIMES}")
    else:
        print(f"the course is in {write_course(ROOT, ROOT / COURSE).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
