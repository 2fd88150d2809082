"""One student's submission, in a process of its own: ``python -m bi.course.submission REPORT LABELS SECONDS FILE...``.

:mod:`bi.course.grading` starts it and may kill it at any moment, so everything found is written to the report at once,
a line of JSON each: ``{"at": ...}`` before something runs, ``{"exercise", "passed", "message"}`` when it is known.
A file is run statement by statement, so that one broken cell does not take the others with it.
"""

from __future__ import annotations

import ast
import json
import os
import resource
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import bi.course
from bi.course.clock import TimeUp, time_limit
from bi.course.exercise import Verdict
from bi.course.registry import SECONDS, check, find_exercise
from bi.notebook import read_cells

MEMORY = 4 * 2**30
FILE_SIZE = 64 * 2**20
LARGEST = 20 * 2**20
STATEMENT_S = 20.0


def read_source(path: Path) -> list[tuple[str, str]]:
    """The code of a submission as (place, text): a script whole, a notebook cell by cell, without magic commands.

    Raises ``ValueError`` in words for the student if it cannot be read.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} has more than {LARGEST // 2**20} MB; clear the outputs of the notebook")
    try:
        if path.suffix == ".py":
            return [(path.name, path.read_text(encoding="utf-8-sig"))]
        cells = read_cells(path)
        texts = [(number, "".join(cell["source"])) for number, cell in enumerate(cells, start=1)
                 if cell["cell_type"] == "code"]
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is no text in UTF-8; save it as such") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path.name} is no Jupyter notebook of version 4; save it again with Jupyter") from None
    return [(f"cell {number}", _without_magic(text)) for number, text in texts]


def _without_magic(text: str) -> str:
    """A cell's code; where it is no Python, without lines that only a notebook knows (``%``, ``!``, ``name?``)."""
    if text.startswith("%%"):
        return ""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        lines = ["" if line.lstrip().startswith(("%", "!")) or line.rstrip().endswith("?") else line
                 for line in text.split("\n")]
        return "\n".join(lines)
    return text


def statements(paths: list[Path], faults: list[str]) -> Iterator[tuple[str, Any]]:
    """Every statement of the files, compiled, with its place; what cannot be read or parsed goes to ``faults``."""
    for path in paths:
        try:
            source = read_source(path)
        except (ValueError, OSError) as error:
            faults.append(str(error))
            continue
        for place, text in source:
            try:
                tree = ast.parse(text)
                parts = [(f"{place}, line {node.lineno}", compile(ast.Module([node], []), place, "exec"))
                         for node in tree.body if not _is_future(node)]
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                line = getattr(error, "lineno", None)
                faults.append(f"{place}{f', line {line}' if line else ''}: {getattr(error, 'msg', error)}")
                continue
            yield from parts


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


class Report:
    """The file that the grading process reads; each line is there as soon as it is written."""

    def __init__(self, path: Path) -> None:
        self._handle = open(path, "a", encoding="utf-8", buffering=1)

    def write(self, **record: Any) -> None:
        """One line."""
        self._handle.write(json.dumps(record) + "\n")


def run(paths: list[Path], report: Report, seconds: float) -> tuple[dict[str, Any], list[str]]:
    """What the files define when run, and what went wrong on the way, in words; ``seconds`` limits a statement."""
    module = sys.modules["submission"] = ModuleType("submission")  # a data class looks its module up by name
    namespace, faults = vars(module), []
    for place, code in statements(paths, faults):
        report.write(at=place)
        try:
            with time_limit(seconds):
                exec(code, namespace)
        except TimeUp:
            faults.append(f"{place}: not done after {seconds:g} s, so it was stopped")
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 (whatever a student's code raises)
            faults.append(f"{place}: {type(error).__name__}: {error}")
    return namespace, faults


def judge(label: str, namespace: dict[str, Any], faults: list[str], seconds: float) -> Verdict:
    """The verdict on one exercise; what is missing is named, with the first thing that went wrong."""
    names = find_exercise(label).hands_in
    missing = [name for name in names if name not in namespace]
    if missing:
        why = f" ({faults[0]})" if faults else ""
        return Verdict(label, False, f"not handed in: {', '.join(missing)}{why}")
    return check(label, *(namespace[name] for name in names), seconds=seconds)


def checked_later(label: str, *functions: Any, **settings: Any) -> Verdict:
    """What a ``check`` inside a submission gives: nothing is tried twice."""
    return Verdict(label, False, "checked later")


def main(arguments: list[str]) -> None:
    """Run the files, judge each exercise, report; ends the process at once, whatever threads are still there."""
    report, labels, seconds = Report(Path(arguments[0])), arguments[1].split(","), float(arguments[2])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bi.course.check = checked_later
    namespace, faults = run([Path(name) for name in arguments[3:]], report, min(seconds, STATEMENT_S))
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    np.seterr(all="warn")
    for label in labels:
        report.write(at=label)
        found = judge(label, namespace, faults, min(seconds, SECONDS))
        report.write(exercise=label, passed=found.passed, message=found.message)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
