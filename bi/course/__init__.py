"""Exercises of the book and their checkers: ``from bi.course import check``.

``check("ex-orders", count_orders)`` tries a function of yours against properties that hold for every right answer and
says in words which one does not hold. The statements are in the book, the solutions in ``book/exercises``.
"""

from bi.course.exercise import Exercise, Verdict
from bi.course.registry import EXERCISES, check, find_exercise

__all__ = ["EXERCISES", "Exercise", "Verdict", "check", "find_exercise"]
