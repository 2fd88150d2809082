"""Check a class: a folder of submissions in, a CSV (student, exercise, passed, message) out.

    python check_submissions.py FOLDER --out grades.csv

A submission is a notebook or a script named after the student, or a folder of them. Each runs in a process of its own,
in an empty folder, with limits on time, memory and the size of files; one that hangs, dies or prints for ever costs its
own points and nobody else's. This protects from accidents. It is no cage for code that means harm: for that, run it in
a container, or under an account that can do nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bi.course.exercise import Verdict
from bi.course.registry import EXERCISES, find_exercise
from bi.files import atomic_write

SECONDS = 120.0
STARTING_S = 60.0
"""How long the process of a submission may take to come up."""
KINDS = (".ipynb", ".py")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Submission:
    """The files of one student; ``refused`` says what was handed in if it is nothing that can be run."""

    student: str
    files: tuple[Path, ...]
    refused: str = ""


def find_submissions(folder: Path) -> list[Submission]:
    """All submissions of a folder, by student; ``ValueError`` if it is none or holds none."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; give the one that holds the submissions")
    found = []
    for student in sorted({_student(path, folder) for path in _visible(folder)}):
        files = [path for path in _visible(folder) if _student(path, folder) == student]
        runnable = tuple(path for path in files if path.suffix in KINDS)
        refused = "" if runnable else f"{files[0].name} cannot be checked; hand in a notebook or a script ({KINDS[1]})"
        found.append(Submission(student, runnable, refused))
    if not any(each.files for each in found):
        raise ValueError(f"{folder} holds no submission; one {' or '.join(KINDS)} a student is expected")
    return found


def _visible(folder: Path) -> list[Path]:
    """Files that nobody has hidden, sorted; Jupyter's checkpoints are hidden."""
    return sorted(path for path in folder.rglob("*") if path.is_file()
                  and not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts))


def _student(path: Path, folder: Path) -> str:
    inside = path.relative_to(folder)
    return inside.parts[0] if len(inside.parts) > 1 else path.stem


def assignment(submissions: Iterable[Submission]) -> tuple[str, ...]:
    """The exercises of all chapters from which anybody has handed something in."""
    texts = [path.read_text(encoding="utf-8", errors="replace") for each in submissions for path in each.files]
    defined = {name for text in texts for name in re.findall(r"\b(?:def|class) +(\w+)", text)}
    chapters = {exercise.chapter for exercise in EXERCISES if defined & set(exercise.hands_in)}
    if not chapters:
        raise ValueError("no submission defines any function that an exercise asks for; say what was set with "
                         "--exercises, for example --exercises ex-orders")
    return tuple(exercise.label for exercise in EXERCISES if exercise.chapter in chapters)


def grade(submission: Submission, labels: Sequence[str], seconds: float = SECONDS) -> list[Verdict]:
    """A verdict for each of ``labels``; ``seconds`` is the limit for one exercise, and for one statement outside."""
    if submission.refused:
        return [Verdict(label, False, submission.refused) for label in labels]
    found: dict[str, Verdict] = {}
    while remaining := [label for label in labels if label not in found]:
        records, how = _run(submission.files, remaining, seconds)
        new = {record["exercise"]: Verdict(record["exercise"], record["passed"], record["message"])
               for record in records if "exercise" in record}
        last = records[-1].get("at") if records else None
        if last in remaining:  # it died in the middle of this exercise: go on behind it
            new[last] = Verdict(last, False, how)
        found |= new
        if not new:
            why = f"{how} while running {last}" if last else f"{how} before anything ran"
            found |= {label: Verdict(label, False, why) for label in remaining}
    return [found[label] for label in labels]


def _run(files: Sequence[Path], labels: Sequence[str], seconds: float) -> tuple[list[dict], str]:
    """The report of one process on ``labels``, and in words how it ended; it has ``seconds`` for each next line."""
    with tempfile.TemporaryDirectory(prefix="bi-course-") as place:
        report, work = Path(place, "report.jsonl"), Path(place, "work")
        work.mkdir()
        command = [sys.executable, "-P", "-m", "bi.course.submission", str(report), ",".join(labels), str(seconds),
                   *(str(path.resolve()) for path in files)]
        process = subprocess.Popen(command, cwd=work, env=_environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            ended = _wait(process, report, seconds)
        finally:
            _kill(process)
        how = _how(process.returncode) if ended else f"stopped after {seconds:g} s; is there a loop that never ends?"
        return _read(report), how


def _wait(process: subprocess.Popen[bytes], report: Path, seconds: float) -> bool:
    """Wait for the end, as long as the report grows at least every ``seconds``; False if it did not.

    The report appears when the process is up, before it runs anything of the student's; that may take
    :data:`STARTING_S`, which on a busy machine is nobody's fault.
    """
    size, since = -1, time.monotonic()
    while process.poll() is None:
        grown = report.stat().st_size if report.is_file() else -1
        if grown != size:
            size, since = grown, time.monotonic()
        elif time.monotonic() - since > (seconds if size >= 0 else max(seconds, STARTING_S)):
            return False
        time.sleep(0.05)
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _how(code: int) -> str:
    if code >= 0:
        return f"it ended the process by itself (exit code {code})"
    return f"the process died ({signal.Signals(-code).name}); is something too large, or a recursion without end?"


def _read(report: Path) -> list[dict]:
    """Whole lines of the report; one that was being written is left out."""
    lines = report.read_text(encoding="utf-8").split("\n")[:-1] if report.is_file() else []
    return [json.loads(line) for line in lines]


def _environment() -> dict[str, str]:
    """One thread, no screen, no network of ours, and this package wherever the process starts."""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1",
                         "PYTHONDONTWRITEBYTECODE": "1"}


def write_grades(path: Path, rows: Iterable[tuple[str, Verdict]]) -> None:
    """The CSV; every message is one line, and the file is whole or absent."""
    with atomic_write(path) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("student", "exercise", "passed", "message"))
        for student, verdict in rows:
            writer.writerow((student, verdict.exercise, verdict.passed, " ".join(verdict.message.split())))


def main(argv: list[str] | None = None) -> int:
    """Check a folder; exit code 0 when the CSV is written, 2 for bad input."""
    parser = argparse.ArgumentParser(description="Check a folder of submissions; writes student, exercise, passed, "
                                                 "message as CSV.")
    parser.add_argument("folder", type=Path, help="one notebook or script a student, or one folder a student")
    parser.add_argument("--out", type=Path, default=Path("grades.csv"), help="the CSV (default: grades.csv)")
    parser.add_argument("--exercises", help="labels with commas between (default: those of all chapters from which "
                                            "anybody has handed something in)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time limit of an exercise (default: 120)")
    options = parser.parse_args(argv)
    try:
        submissions = find_submissions(options.folder)
        given = [find_exercise(label.strip()).label for label in (options.exercises or "").split(",") if label.strip()]
        labels = given or assignment(submissions)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = []
    for number, submission in enumerate(submissions, start=1):
        verdicts = grade(submission, labels, options.seconds)
        rows += [(submission.student, verdict) for verdict in verdicts]
        print(f"{number}/{len(submissions)} {submission.student}: {sum(map(bool, verdicts))} of {len(labels)} right",
              flush=True)
    write_grades(options.out, rows)
    print(f"{len(rows)} verdicts are in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
