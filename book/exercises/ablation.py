"""Solutions of the chapter on what each behaviour adds, run by the tests and shown folded in the book."""

from __future__ import annotations

import numpy as np


def any_false(m: int, level: float) -> float:
    """Chance of a false verdict among ``m`` independent comparisons of arms that do not differ."""
    return 1 - (1 - level) ** m


def any_false_after_holm(m: int, level: float) -> float:
    """The same after Holm's correction: one is rejected only if the smallest p-value is."""
    return 1 - (1 - level / m) ** m


def apparent_gain(alpha: np.ndarray, n: int) -> float:
    """Mean gain, without any training, of the problems that failed all ``n`` rollouts before.

    ``alpha``: how often each problem is solved, before and after.
    """
    fails = (1 - alpha) ** n
    return float(alpha @ fails / fails.sum())
