"""`make course` and what a teacher does with it: notebooks from one source, a class checked whatever it hands in."""

from __future__ import annotations

import ast
import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from bi.course import EXERCISES, Exercise
from bi.course.grading import _wait, assignment, find_submissions, grade, main
from bi.course.submission import statements
from workflow.course import LAB, make_notebook, write_course
from workflow.exercises import Code, Pages
from workflow.stages import ROOT

PENCIL = "def mixed_chance(alpha, n):\n    return 1 - alpha**n - (1 - alpha) ** n\n"
RIGHT = PENCIL + "def best_accuracy(n):\n    return 1 - 0.5 ** (1 / n)\n"
ORDERS = "def count_orders(parents):\n    return 1\n"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_course(ROOT, tmp_path_factory.mktemp("course") / "course")


def sources(path: Path) -> str:
    return "\n".join(cell["source"] for cell in nbformat.read(path, as_version=4).cells)


def notebook(*cells: str) -> str:
    return nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]))


# the folder


def test_the_course_has_a_notebook_a_chapter_for_students_and_for_instructors(course: Path) -> None:
    names = {exercise.chapter.rpartition("/")[2].replace("-", "_") for exercise in EXERCISES}
    for part in ("student", "instructor"):
        assert {path.stem for path in (course / part).iterdir()} == names
    assert {path.name for path in course.iterdir()} == {"student", "instructor", "README.md", "check_submissions.py"}


def test_students_get_every_statement_and_no_solution(course: Path) -> None:
    pages = Pages(ROOT)
    for exercise in EXERCISES:
        module = exercise.chapter.rpartition("/")[2].replace("-", "_")
        code, told = Code(ROOT / "book" / "exercises" / f"{module}.py"), pages.told(exercise)
        student, instructor = (sources(course / part / f"{module}.ipynb") for part in ("student", "instructor"))
        for text in (student, instructor):
            assert told.statement in text and f'check("{exercise.label}"' in text
        assert told.solution not in student and told.solution in instructor
        for name in exercise.hands_in:
            assert code.solution([name], ()) not in student and code._source(code.places[name]) in instructor
            assert code.starter(name) in student
            ast.parse(code.starter(name))


def test_notebooks_hold_nothing_that_only_the_book_understands(course: Path) -> None:
    for path in course.rglob("*.ipynb"):
        text = sources(path)
        assert "{literalinclude}" not in text and not re.search(r"\{[\w:]+\}`", text), path.name
        assert "](/" not in text and "](../" not in text
        assert not any(cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells)


def test_the_same_sources_give_the_same_bytes(course: Path, tmp_path: Path) -> None:
    again = write_course(ROOT, tmp_path / "again")
    files = [path for path in sorted(course.rglob("*")) if path.is_file()]
    assert len(files) == 2 + 2 * len({exercise.chapter for exercise in EXERCISES})
    for path in files:
        assert path.read_bytes() == (again / path.relative_to(course)).read_bytes()


def test_a_role_that_cannot_be_written_out_is_named() -> None:
    pages = Pages(ROOT)
    assert pages.plain("As {cite:t}`cen2025bridge` say", "book/index") == "As Cen et al. (2025) say"
    assert pages.plain("so {cite}`liu2025drgrpo`.", "book/index") == "so (Liu et al., 2025)."
    assert "\\tag{group-gradient}" in pages.plain("See {eq}`group-gradient`.", "book/index")
    assert pages.plain("[](/notebooks/two_arms)", "book/index") == "*The two arms*"
    with pytest.raises(ValueError, match="glue:text"):
        pages.plain("It is {glue:text}`n:d`.", "book/index")
    with pytest.raises(ValueError, match="no statement of ex-orders"):
        Pages(ROOT).told(Exercise("ex-orders", "book/index", "code", (), lambda: None, ""))


def test_instructor_notebooks_run_and_pass_every_check() -> None:
    for chapter in dict.fromkeys(exercise.chapter for exercise in EXERCISES):
        made = make_notebook(ROOT, Pages(ROOT), chapter, [e for e in EXERCISES if e.chapter == chapter], solved=True)
        text = [cell.source for cell in made.cells if cell.cell_type == "code"]
        module = type(sys)("instructor")
        sys.modules["instructor"] = module
        for cell in text:
            if cell.startswith("check("):
                assert eval(cell, vars(module)), cell
            else:
                exec(compile(cell, "cell", "exec", dont_inherit=True), vars(module))
        assert sum(cell.startswith("check(") for cell in text) >= 2


def test_every_check_of_a_solution_is_timed_and_far_below_two_minutes() -> None:
    table = pd.read_csv(ROOT / "results" / "course.csv")
    timed = table[table["kind"].isin(("pencil", "code"))]
    assert timed["item"].tolist() == [exercise.label for exercise in EXERCISES]
    assert timed["kind"].tolist() == [exercise.kind for exercise in EXERCISES]
    assert table.loc[table["kind"] == "lab", "item"].tolist() == list(LAB)
    assert timed["cpu_s"].max() < 60


# the instructor's page


def test_the_instructors_page_shows_every_exercise_and_the_commands_that_were_timed() -> None:
    text = (ROOT / "book" / "teaching" / "instructor.md").read_text(encoding="utf-8")
    for exercise in EXERCISES:
        assert re.search(rf"^\| `{exercise.label}` \| \[.+?\]\(/{exercise.chapter}\) \| {exercise.kind} \|.*"
                         rf"::check_{exercise.label.replace('-', '_')}:s`", text, flags=re.M)
    for number, (name, command) in enumerate(LAB.items(), start=1):
        assert f"| {number} | `{command}` | {{glue:text}}`/notebooks/measured.ipynb::lab_{name}:s` |" in text


def test_no_measured_time_is_typed_on_the_instructors_page() -> None:
    text = (ROOT / "book" / "teaching" / "instructor.md").read_text(encoding="utf-8")
    assert re.findall(r"\d+(?:\.\d+)? ?(?:s|ms|seconds)\b", text) == []


def test_what_the_page_says_that_a_checker_says_is_what_it_says() -> None:
    text = (ROOT / "book" / "teaching" / "instructor.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(from bi\.course.*?)# (ex-.*?) \.\.\.\n```", text, flags=re.S)
    setup, _, call = code[1].strip().rpartition("\n")
    names: dict[str, object] = {}
    exec(setup, names)
    assert repr(eval(call, names)).startswith(code[2])


# a class


def write_class(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def verdicts(folder: Path, student: str, labels: tuple[str, ...], seconds: float = 30.0) -> dict[str, str]:
    submission = next(each for each in find_submissions(folder) if each.student == student)
    return {v.exercise: ("right: " if v else "") + v.message for v in grade(submission, labels, seconds)}


def test_a_class_is_found_by_student_and_by_what_was_set(tmp_path: Path) -> None:
    folder = write_class(tmp_path, ada_DOT_py=RIGHT, bo__a_DOT_ipynb=notebook(ORDERS), bo__b_DOT_py="x = 1",
                         cy_DOT_docx="", _DOT_hidden_DOT_py="", di___DOT_ipynb_checkpoints__x_DOT_py="")
    found = find_submissions(folder)
    assert [(each.student, len(each.files), bool(each.refused)) for each in found] == [
        ("ada", 1, False), ("bo", 2, False), ("cy", 0, True)]
    assert assignment(found) == ("ex-chain-star", "ex-orders", "ex-signal", "ex-strict")
    with pytest.raises(ValueError, match="holds no submission"):
        find_submissions(write_class(tmp_path / "none", a_DOT_txt=""))
    with pytest.raises(ValueError, match="is no folder"):
        find_submissions(tmp_path / "gone")
    with pytest.raises(ValueError, match="--exercises"):
        assignment(find_submissions(write_class(tmp_path / "odd", a_DOT_py="x = 1")))


def test_one_broken_cell_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    cells = ("%matplotlib inline\nimport numpy as np", "def broken(:", "1 / 0", "from bi.course import check\ninput()",
             PENCIL, "!ls\nlist = 3\nexit()", 'check("ex-signal", mixed_chance, len)',
             "def best_accuracy(n):\n    return 1 - 0.5 ** (1 / n)", ORDERS, "while True:\n    pass")
    folder = write_class(tmp_path, ada_DOT_ipynb=notebook(*cells))
    found = verdicts(folder, "ada", ("ex-signal", "ex-orders", "ex-notes"), seconds=2.5)
    assert found["ex-signal"].startswith("right: ")
    assert "you count one order" in found["ex-orders"]
    assert found["ex-notes"] == "not handed in: steps_from_notes (cell 2, line 1: invalid syntax)"


@pytest.mark.slow
def test_what_hangs_dies_or_writes_for_ever_costs_its_own_exercise_only(tmp_path: Path) -> None:
    script = RIGHT + (
        "import os, sys\n"
        "def count_orders(parents):\n"
        "    while True:\n"
        "        try:\n"
        "            while True: print('x' * 1000)\n"
        "        except BaseException:\n"
        "            continue\n"
        "def lucky_share(main):\n    os._exit(0)\n"
        "def best_baseline(p, s, r):\n    return bytearray(10**13)\n"
        "def objective(alpha):\n    open('big', 'w').write('x' * 10**8)\n"
        "def graphs_that_fit(steps, stated):\n    import ctypes; ctypes.string_at(0)\n")
    folder = write_class(tmp_path, ada_DOT_py=script)
    labels = ("ex-orders", "ex-strict", "ex-baseline", "ex-objective", "ex-two-graphs", "ex-signal")
    found = verdicts(folder, "ada", labels, seconds=2.0)
    assert tuple(found) == labels
    assert "2 s; is there a loop that never ends" in found["ex-orders"] or "had not ended after" in found["ex-orders"]
    assert "ended the process by itself" in found["ex-strict"]
    assert "raised MemoryError" in found["ex-baseline"]
    assert "File too large" in found["ex-objective"] or "SIGXFSZ" in found["ex-objective"]
    assert "died (SIGSEGV)" in found["ex-two-graphs"]
    assert found["ex-signal"].startswith("right: ")


def test_what_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    write_class(tmp_path, a_DOT_ipynb="{}", b_DOT_py="def mixed_chance(a, n) return a")
    (tmp_path / "c.py").write_bytes("# \xe4".encode("latin-1"))
    faults: list[str] = []
    assert not list(statements(sorted(tmp_path.iterdir()), faults))
    for fault, said in zip(faults, ("no Jupyter notebook", "line 1: expected ':'", "no text in UTF-8"), strict=True):
        assert said in fault


def test_the_script_writes_a_csv_that_a_spreadsheet_reads(course: Path, tmp_path: Path) -> None:
    folder = write_class(tmp_path / "class", ada_DOT_py=RIGHT, bo_DOT_txt="")
    options = [str(folder), "--out", str(tmp_path / "grades.csv"), "--exercises"]
    assert main([*options, "ex-signal,ex-strict"]) == 0
    rows = list(csv.reader((tmp_path / "grades.csv").open(newline="", encoding="utf-8")))
    assert rows[0] == ["student", "exercise", "passed", "message"]
    assert [row[:3] for row in rows[1:]] == [["ada", "ex-signal", "True"], ["ada", "ex-strict", "False"],
                                             ["bo", "ex-signal", "False"], ["bo", "ex-strict", "False"]]
    assert "cannot be checked" in rows[3][3]
    script = [sys.executable, str(course / "check_submissions.py"), *options, "ex-signals"]
    wrong = subprocess.run(script, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert wrong.returncode == 2 and "did you mean ex-signal" in wrong.stderr


def test_the_clock_starts_when_the_process_is_up(tmp_path: Path) -> None:
    late = ("import os, sys, time; time.sleep(2.0); open(sys.argv[1], 'a'); time.sleep(float(sys.argv[2])); "
            "os._exit(0)")  # up only after twice the limit; the second one then never ends
    for rest, ended in (("0", True), ("60", False)):
        report = tmp_path / f"{rest}.jsonl"
        process = subprocess.Popen([sys.executable, "-c", late, str(report), rest])
        assert _wait(process, report, 1.0) is ended
        process.kill()
        process.wait()
