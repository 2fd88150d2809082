"""Checkers on comparisons of arms (chapter on what did not reproduce)."""

from __future__ import annotations

import math

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances, same

RESAMPLES = 1000


def inspect_head_start(gain: Attempt, best: Attempt) -> None:
    """A push adds to the log-odds, so pushes compose and can be undone; no other start may gain more."""
    agree(gain.number(0.4, 0.0), 0, "a push of 0 gains nothing", (0.4, "this is where the arm ends; its gain is the "
          "end minus the start"), (0.5, "this is where an arm at even odds ends"))
    for start in (0.02, 0.3, 0.7, 0.98):
        for push in (0.2, 1.5, -1.0):
            found, wanted = gain.number(start, push), _moved(start, push) - start
            agree(found, wanted, f"start {start}, push {push}",
                  (wanted + start, "this is where the arm ends; its gain is the end minus the start"),
                  (push * start * (1 - start), "this is the slope times the push, right for tiny pushes only; a large "
                   "one must not lead above 1"),
                  (_moved(start, push / 2) - start, "the odds are multiplied by e to the push, not by its root"),
                  (start * math.exp(push) - start, "it is the odds that the push multiplies, not the accuracy"))
            if 0 < start + found < 1:
                agree(gain.number(start + found, -push), -found, "a push back must undo the push")
    for push in (0.5, 2.0, 4.0):
        start = best.number(push)
        expect(0 < start < 1, f"push {push}: an accuracy lies between 0 and 1; you give {start:.4g}")
        most = max(_moved(a, push) - a for a in np.linspace(0.002, 0.998, 2001).tolist())
        here = _moved(start, push) - start
        expect(not same(start, 0.5), f"push {push}: at one half the slope is steepest, but a push leads away from "
               "there; the best start lies as far below one half as the end lies above")
        expect(here > most - 1e-5, f"push {push}: from {start:.4f} the gain is {here:.4f}; another start gains "
               f"{most:.4f}")


def inspect_interval(interval: Attempt) -> None:
    """Invented differences with spread between seeds only, problems only, or both, against the width that they need."""
    rng = instances("ex-interval")

    def ends(values: np.ndarray) -> tuple[float, float]:
        low, high = interval.numbers(("low", "high"), values, RESAMPLES, np.random.default_rng(3))
        expect(low <= high, f"the lower end {low:.4f} is larger than the upper end {high:.4f}")
        return low, high

    same_everywhere = ends(np.full((3, 20), 0.25))
    expect(np.allclose(same_everywhere, 0.25), f"if all differences are .25, both ends are .25; yours are "
           f"{same_everywhere[0]:.4f} and {same_everywhere[1]:.4f}")
    seeds, problems = np.repeat(rng.normal(size=(30, 1)), 40, axis=1), np.repeat(rng.normal(size=(1, 400)), 6, axis=0)
    expect(np.ptp(ends(seeds)) > 1e-9, "where only the seeds differ, your interval has no width: resample the seeds")
    expect(np.ptp(ends(problems)) > 1e-9, "where only the problems differ, your interval has no width: resample the "
           "problems")
    _compare_width(np.ptp(ends(seeds)), seeds[:, 0], "seeds", 1)
    _compare_width(np.ptp(ends(problems)), problems[0], "problems", len(problems))
    values = rng.normal(size=(5, 30))
    low, high = ends(values)
    shifted = ends(values + 1.0)
    expect(np.allclose(shifted, (low + 1, high + 1)), "adding 1 to every difference must move both ends "
           "by 1 (draw from `rng`, so that the same generator gives the same draws)")
    expect(low < values.mean() < high, "the interval does not hold the mean difference itself")


def _compare_width(found: float, units: np.ndarray, name: str, shared_by: int) -> None:
    """Width of an interval whose only spread is between ``units``, each of them shared by ``shared_by`` rows."""
    wanted = 2 * 1.96 * units.std() / math.sqrt(len(units))
    slips = ((1.645 / 1.96, "that is a 90% interval; cut off 2.5% on each side"),
             (2.576 / 1.96, "that is a 99% interval; cut off 2.5% on each side"),
             (math.sqrt(len(units)), "that is the spread of single values, not of their mean"),
             (1 / math.sqrt(shared_by), "every seed draws problems of its own, though all seeds answered the same; one "
              "draw of problems serves all seeds"))
    ratio = found / wanted
    if abs(ratio - 1) < 0.12:
        return
    where = f"where only the {name} differ"
    for factor, words in slips:
        expect(abs(ratio / factor - 1) > 0.1 or factor == 1, f"{where}: {words}")
    expect(False, f"{where}, the interval should be about {wanted:.3f} wide; yours is {found:.3f}")


def _moved(start: float, push: float) -> float:
    """Accuracy after ``push`` was added to the log-odds of ``start``."""
    return 1 / (1 + math.exp(-math.log(start / (1 - start)) - push))


CHAPTER = "book/evidence/did-not-reproduce"
EXERCISES = (
    Exercise("ex-head-start", CHAPTER, "pencil", ("gain_of_push", "best_start"), inspect_head_start,
             "pushes can be undone, and no other start gains more"),
    Exercise("ex-interval", CHAPTER, "code", ("crossed_interval",), inspect_interval,
             "seeds and problems are both resampled, problems together, and the width is that of 95%"),
)
