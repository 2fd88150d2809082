"""The exercises: every solution holds up, every plausible slip is named, and no answer can break the checker."""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest
from book_cases import pages
from course_cases import SLIPS, Slip
from wrong_answers import never_ends, simulated, solution, solutions

from bi.course import EXERCISES, Exercise, check, find_exercise

PAGES = {page.name: page.text for page in pages()}
NO_CHAPTERS = ("book/index", "notebooks/measured", "book/glossary", "book/bibliography", "book/teaching/instructor",
               "book/use/your-checkpoint", "notebooks/your_gpu", "book/use/your-cluster", "book/related",
               "book/changelog")
CHAPTERS = [name for name in PAGES if name not in NO_CHAPTERS]


def verdict(label: str, seconds: float = 30.0, **changed: Any) -> Any:
    answers = solutions(find_exercise(label)) | changed
    return check(label, *answers.values(), seconds=seconds)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.label)
def test_the_solution_holds_up(exercise: Exercise) -> None:
    found = check(exercise.label, *solutions(exercise).values())
    assert found, found.message


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.exercise}:{slip.name}")
def test_a_slip_is_named(slip: Slip) -> None:
    found = verdict(slip.exercise, slip.seconds, **slip.changed)
    assert not found
    assert re.search(slip.said, found.message), found.message


def test_every_exercise_has_several_slips() -> None:
    counts = Counter(slip.exercise for slip in SLIPS)
    assert {exercise.label for exercise in EXERCISES} == set(counts) and min(counts.values()) >= 4


def test_a_right_answer_may_go_another_way() -> None:
    assert verdict("ex-best-of", flattery=simulated)
    assert verdict("ex-objective", objective=lambda alpha: np.arcsin(2 * alpha - 1) + 5)
    assert verdict("ex-signal", best_accuracy=lambda n: np.log(2) / n)


# answers that are none


@pytest.mark.parametrize(("answer", "said"), [
    (3.0, "hand in the function itself"),
    (lambda n: None, "returned nothing; is a `return` missing"),
    (lambda n: 1 / 0, r"best_accuracy\(4\) raised ZeroDivisionError"),
    (lambda: 1, "raised TypeError"),
    (lambda n: "half", "should return a number"),
    (lambda n: np.nan, "is nan"),
    (lambda n: exit(), "raised SystemExit"),
    (never_ends, "had not ended after 0.3 s"),
])
def test_what_is_no_answer_is_told_in_words(answer: Any, said: str) -> None:
    found = verdict("ex-signal", 0.3 if answer is never_ends else 30.0, best_accuracy=answer)
    assert not found and re.search(said, found.message), found.message


def test_an_unwritten_function_is_said_to_be_unwritten() -> None:
    def best_accuracy(n: int) -> float:
        raise NotImplementedError

    assert "is not written yet" in verdict("ex-signal", best_accuracy=best_accuracy).message


def test_an_answer_cannot_spoil_what_it_is_given() -> None:
    def spoils(logits: Any, drawn: Any, correct: Any) -> Any:
        found = solutions(find_exercise("ex-naive"))["group_gradient"](logits, drawn, correct)
        logits[:], drawn[:], correct[:] = 0, 0, False
        return found

    assert verdict("ex-naive", group_gradient=spoils)


def test_a_verdict_is_the_same_each_time_and_in_a_thread_too() -> None:
    first, found = repr(verdict("ex-sketch")), []
    thread = threading.Thread(target=lambda: found.append(repr(verdict("ex-sketch"))))
    thread.start()
    thread.join()
    assert found == [first] and first.startswith("ex-sketch: right.")


def test_a_misspelt_label_and_a_missing_function_are_named() -> None:
    with pytest.raises(ValueError, match="did you mean ex-orders"):
        check("ex-order", len)
    with pytest.raises(ValueError, match=r'check\("ex-none", expected_reflections, chance_of_none\)'):
        check("ex-none", len)


# the book and its exercises


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_has_a_pencil_and_a_code_exercise_with_checkers(chapter: str) -> None:
    kinds = Counter(exercise.kind for exercise in EXERCISES if exercise.chapter == chapter)
    assert kinds["pencil"] >= 1 and kinds["code"] >= 1
    on_page = re.findall(r"\{exercise-start\}\n:label: (\S+)\n", PAGES[chapter])
    assert on_page == [exercise.label for exercise in EXERCISES if exercise.chapter == chapter]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.label)
def test_the_page_says_what_to_hand_in_and_shows_it_in_the_solution(exercise: Exercise) -> None:
    body = PAGES[exercise.chapter].partition(f":label: {exercise.label}\n")[2]
    statement, _, rest = body.partition("{exercise-end}")
    shown = rest.partition("{solution-end}")[0]
    kind = exercise.kind.capitalize()
    assert f"**{kind}.**" in statement
    assert f'check("{exercise.label}", {", ".join(exercise.hands_in)})' in " ".join(statement.split())
    module = solution(exercise).__name__
    for name in exercise.hands_in:
        assert f"{{literalinclude}} /book/exercises/{module}.py\n:pyobject: {name}\n" in shown


def test_names_to_hand_in_are_used_once() -> None:
    names = [name for exercise in EXERCISES for name in exercise.hands_in]
    assert len(names) == len(set(names))
    assert all(hasattr(solution(exercise), name) for exercise in EXERCISES for name in exercise.given)
