"""Solutions of the chapter on bases and sizes, run by the tests and shown folded in the book."""

from __future__ import annotations

import math

import numpy as np


def gain_by_size(before: float, after: float, lines: float) -> float:
    """What a problem of so many lines gains when each line's chance to be right rises from ``before`` to ``after``."""
    return after**lines - before**lines


def best_size(before: float, after: float) -> float:
    """The number of lines at which that gain is largest, not rounded."""
    return math.log(math.log(before) / math.log(after)) / math.log(after / before)


def difference_at(first: list[tuple[float, float]], second: list[tuple[float, float]], at: float) -> float:
    """Gain of ``first`` minus that of ``second`` from the start ``at``; curves are lists of (start, gain) by size."""
    gains = [np.interp(at, *np.array(sorted(curve)).T) for curve in (first, second)]
    return float(gains[0] - gains[1])
