"""All exercises of the book, in the order of its pages, and the one function that checks an answer."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from bi.course import (
    certainty,
    choosing,
    comparing,
    contrast,
    group_step,
    informative,
    injection,
    luck,
    many_arms,
    noise,
    notes,
    orders,
    outcomes,
    reweighting,
    saturation,
    sizes,
    trees,
)
from bi.course.exercise import Attempt, Exercise, Verdict, Wrong

SECONDS = 10.0
EXERCISES: tuple[Exercise, ...] = (
    *orders.EXERCISES,
    *luck.EXERCISES,
    *group_step.EXERCISES,
    *informative.EXERCISES,
    *contrast.EXERCISES,
    *noise.EXERCISES,
    *injection.EXERCISES,
    *choosing.EXERCISES,
    *outcomes.EXERCISES,
    *many_arms.EXERCISES,
    *sizes.EXERCISES,
    *trees.EXERCISES,
    *reweighting.EXERCISES,
    *saturation.EXERCISES,
    *certainty.EXERCISES,
    *comparing.EXERCISES,
    *notes.EXERCISES,
)
_BY_LABEL = {exercise.label: exercise for exercise in EXERCISES}


def find_exercise(label: str) -> Exercise:
    """The exercise with this label; ``ValueError`` that names near ones if there is none."""
    if label not in _BY_LABEL:
        near = get_close_matches(label, _BY_LABEL, n=3, cutoff=0.4) or list(_BY_LABEL)
        raise ValueError(f"there is no exercise {label!r}; did you mean {' or '.join(near)}?")
    return _BY_LABEL[label]


def check(label: str, *functions: Callable[..., Any], seconds: float = SECONDS) -> Verdict:
    """Try ``functions``, an answer to the exercise ``label``, against the properties of a right one.

    ``seconds`` limits one call of a function (main thread, Linux and macOS). Returns a :class:`Verdict`, also for
    functions that raise, return nonsense or never end. ``ValueError`` if there is no such exercise, or if the number of
    functions is not the one that it asks for.
    """
    exercise = find_exercise(label)
    if len(functions) != len(exercise.hands_in):
        raise ValueError(f"{label} asks for {len(exercise.hands_in)} of them: "
                         f'check("{label}", {", ".join(exercise.hands_in)})')
    try:
        exercise.inspect(*(Attempt(name, function, seconds) for name, function in
                           zip(exercise.hands_in, functions, strict=True)))
    except Wrong as wrong:
        return Verdict(label, False, str(wrong))
    return Verdict(label, True, f"It held up: {exercise.tested}.")
