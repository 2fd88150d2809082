"""Checkers on bases and sizes: where an equal repair shows most, and gains from the same start."""

from __future__ import annotations

import math

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances

Curve = list[tuple[float, float]]


def inspect_size(gain: Attempt, best: Attempt) -> None:
    """Enumerated right and wrong lines, limits, and a search over sizes beside the formula."""
    for before, after, lines in ((0.9, 0.95, 5), (0.5, 0.75, 2), (0.99, 0.999, 40)):
        where = f"lines right with chance {before}, then {after}, and {lines} lines"
        agree(gain.number(before, after, lines), after**lines - before**lines, where,
              (after - before, "this is the gain of one line"),
              (lines * (after - before), "chances of lines do not add up: all of them have to be right"),
              ((after - before) ** lines, "take the powers first, then the difference"),
              (before**lines - after**lines, "after minus before"))
    agree(gain.number(0.8, 0.8, 7), 0, "nothing is repaired, so nothing is gained")
    for before, after in ((0.9, 0.95), (0.6, 0.9), (0.95, 0.99)):
        found, where = best.number(before, after), f"lines right with chance {before}, then {after}"
        wanted = math.log(math.log(before) / math.log(after)) / math.log(after / before)
        agree(found, wanted, where,
              (round(wanted), "give the number before it is rounded to a whole one"),
              (1 / -math.log(before), "this is where n times before to the power of n is largest, the gain for a tiny "
               "repair; this one is not tiny"),
              (-wanted, "a size is positive; look at the signs of the logarithms"),
              (math.log(2) / -math.log(before), "there the start is one half; the largest gain needs the whole way"),
              rel=1e-6)
        sizes = np.linspace(0.01, 4 * wanted, 4001)
        peak = float(sizes[(after**sizes - before**sizes).argmax()])
        expect(abs(found - peak) < 0.01 * wanted, f"{where}: among many sizes the largest gain is near {peak:.2f}")


def inspect_start(difference: Attempt) -> None:
    """Hand-made curves, their order turned around, and invented ones beside an interpolation written out."""
    first, second = [(0.2, 0.1), (0.4, 0.3), (0.8, 0.1)], [(0.1, 0.0), (0.5, 0.2), (0.9, 0.06)]
    at = 0.5
    agree(difference.number(first, second, at), 0.25 - 0.2, "two curves of three sizes, from a start of one half",
          (0.3 - 0.2, "you take the nearest size of the first curve; put a line between its neighbours"),
          (0.2 - 0.25, "it is the first minus the second"),
          (float(np.mean([0.1, 0.3, 0.1]) - np.mean([0.0, 0.2, 0.06])), "you compare size by size; the sizes of the "
           "two start elsewhere"))
    agree(difference.number(first[::-1], second, at), 0.05, "the sizes come in any order; sort them by their starts")
    agree(difference.number(first, first, 0.3), 0, "a curve against itself")
    agree(difference.number(first, second, 0.8), 0.1 - 0.095, "a start that one curve has been measured at")
    rng = instances("ex-same-start")
    for _ in range(20):
        one, other = _invented(rng), _invented(rng)
        low, high = max(min(one)[0], min(other)[0]), min(max(one)[0], max(other)[0])
        at = float(rng.uniform(low, high))
        agree(difference.number(one, other, at), _between(one, at) - _between(other, at), f"from a start of {at:.3f}")


def _invented(rng: np.random.Generator) -> Curve:
    """Sizes in any order; all curves share the starts around one half."""
    starts = np.concatenate([rng.uniform(0.05, 0.4, 2), rng.uniform(0.6, 0.95, 2), rng.uniform(0.1, 0.9, 2)])
    return [(float(start), float(rng.uniform(-0.1, 0.4))) for start in rng.permutation(starts)]


def _between(curve: Curve, at: float) -> float:
    for (left, below), (right, above) in zip(sorted(curve), sorted(curve)[1:], strict=False):
        if left <= at <= right:
            return below + (above - below) * (at - left) / (right - left)
    raise AssertionError("outside the curve")


CHAPTER = "notebooks/bases"
EXERCISES = (
    Exercise("ex-best-size", CHAPTER, "pencil", ("gain_by_size", "best_size"), inspect_size,
             "all lines have to be right, and no other size gains more"),
    Exercise("ex-same-start", CHAPTER, "code", ("difference_at",), inspect_start,
             "gains are compared from the same start, whatever the sizes"),
)
