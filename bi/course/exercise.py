"""What an exercise is, and how a checker tries a student's function.

A checker knows properties, not a stored answer: limits, invariants, enumeration of small cases, random instances. It
raises :class:`Wrong` at the first property that does not hold, with words for the student. Whatever the function does
on the way (raise, return nothing, never end) becomes such words too.
"""

from __future__ import annotations

import copy
import math
import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bi.course.clock import TimeUp, time_limit
from bi.streams import stream_seed

Kind = Literal["pencil", "code"]
_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = 8
_SHORT.maxdict = 3
_SHORT.maxstring = _SHORT.maxother = 120


class Wrong(Exception):
    """A property that does not hold; the message is for the student."""


@dataclass(frozen=True)
class Verdict:
    """What a checker found: ``passed``, and in ``message`` what is wrong, in words. True if passed."""

    exercise: str
    passed: bool
    message: str

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"{self.exercise}: {'right' if self.passed else 'not yet'}. {self.message}"


@dataclass(frozen=True)
class Exercise:
    """One exercise of the book.

    ``label`` is its label on the page ``chapter`` (as the table of contents names it), ``hands_in`` the names of what
    the student writes, in the order in which ``inspect`` takes them (each as an :class:`Attempt`), ``given`` the names
    that the student notebook defines already, ``tested`` says in a few words what a passed check means.
    """

    label: str
    chapter: str
    kind: Kind
    hands_in: tuple[str, ...]
    inspect: Callable[..., None]
    tested: str
    given: tuple[str, ...] = ()


class Attempt:
    """A student's function, or class, with a time limit a call; failures become :class:`Wrong`."""

    def __init__(self, name: str, function: Any, seconds: float) -> None:
        self.name, self.function, self.seconds = name, function, seconds
        if not callable(function):
            raise Wrong(f"`{name}` is {_SHORT.repr(function)}; hand in the function itself, without calling it")

    def __call__(self, *given: Any) -> Any:
        """What the function returns; arguments are copies, so that it cannot spoil them for the next property."""
        result = self.guard(lambda: self.function(*map(_own, given)), lambda: self.call_text(*given))
        if result is None:
            raise Wrong(f"{self.call_text(*given)} returned nothing; is a `return` missing?")
        return result

    def guard(self, action: Callable[[], Any], what: Callable[[], str]) -> Any:
        """The result of ``action``, which runs code of the student; ``what`` names it if it fails."""
        try:
            with time_limit(self.seconds):
                return action()
        except TimeUp:
            raise Wrong(f"{what()} had not ended after {self.seconds:g} s; is there a way with fewer steps, or a loop "
                        "that never ends?") from None
        except NotImplementedError as error:
            raise Wrong(f"`{self.name}` is not written yet") from error
        except (Exception, SystemExit) as error:
            raise Wrong(f"{what()} raised {type(error).__name__}: {_SHORT.repr(str(error))}") from error

    def number(self, *given: Any) -> float:
        """The function's result as a finite number."""
        return _number(self(*given), lambda: self.call_text(*given))

    def numbers(self, names: tuple[str, ...], *given: Any) -> tuple[float, ...]:
        """The function's result as one finite number for each of ``names``."""
        result = self(*given)
        if not isinstance(result, Iterable) or isinstance(result, (str, dict)) or len(tuple(result)) != len(names):
            raise Wrong(f"{self.call_text(*given)} should return ({', '.join(names)}); it returned "
                        f"{_SHORT.repr(result)}")
        return tuple(_number(value, lambda: self.call_text(*given)) for value in result)

    def array(self, shape: tuple[int, ...], *given: Any) -> np.ndarray:
        """The function's result as an array of floats of ``shape``, all finite."""
        result = self(*given)
        try:
            found = np.asarray(result, dtype=float)
        except (TypeError, ValueError):
            raise Wrong(f"{self.call_text(*given)} should return an array of numbers; it returned "
                        f"{_SHORT.repr(result)}") from None
        if found.shape != shape:
            raise Wrong(f"{self.call_text(*given)} should return an array of shape {shape}; its shape is "
                        f"{found.shape}")
        if not np.isfinite(found).all():
            raise Wrong(f"{self.call_text(*given)} holds {'nan' if np.isnan(found).any() else 'infinity'}; was "
                        "something divided by 0?")
        return found

    def call_text(self, *given: Any) -> str:
        """The call as it would be written, long arguments cut short."""
        return f"{self.name}({', '.join(map(_short, given))})"


def expect(holds: bool, message: str) -> None:
    """Raise :class:`Wrong` with ``message`` unless ``holds``."""
    if not holds:
        raise Wrong(message)


def agree(found: float, wanted: float, where: str, *slips: tuple[float, str], rel: float = 1e-6) -> None:
    """Raise :class:`Wrong` unless ``found`` is ``wanted``, up to ``rel`` of it.

    A slip is a number that a known mistake gives, with words for who made it; without one the two numbers are told.
    """
    if same(found, wanted, rel):
        return
    for value, words in slips:
        if same(found, value, rel):
            raise Wrong(f"{where}: {words}")
    raise Wrong(f"{where}: you get {found:.6g}, it should be {wanted:.6g}")


def same(found: float, wanted: float, rel: float = 1e-6) -> bool:
    """Whether two numbers agree up to ``rel`` of the larger, or to 1e-12."""
    return math.isclose(found, wanted, rel_tol=rel, abs_tol=1e-12)


def instances(label: str, purpose: str = "instances") -> np.random.Generator:
    """The generator of the hidden instances of an exercise: the same in every check, so a verdict can be repeated."""
    return np.random.default_rng(stream_seed("course", label, purpose))


def _own(value: Any) -> Any:
    """A copy that the student may change; a generator is handed over itself, since its draws must go on."""
    return value if isinstance(value, np.random.Generator) else copy.deepcopy(value)


def _number(value: Any, what: Callable[[], str]) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise Wrong(f"{what()} should return a number; it returned {_SHORT.repr(value)}") from None
    if not math.isfinite(found):
        raise Wrong(f"{what()} is {found}; was something divided by 0, or the logarithm of 0 taken?")
    return found


def _short(value: Any) -> str:
    if isinstance(value, np.random.Generator):
        return "rng"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=3, separator=", ") if value.size <= 8 else f"array {value.shape}"
    text = _SHORT.repr(value)
    return text if "\n" not in text else type(value).__name__
