"""Solutions of the chapter on the way through training, run by the tests and shown folded in the book."""

from __future__ import annotations


def steps_needed(start: float, end: float, pull: float) -> float:
    """Steps from accuracy ``start`` to ``end`` at a speed of ``pull`` (alpha (1 - alpha))^(3/2)."""

    def way(alpha: float) -> float:
        return 2 * (2 * alpha - 1) / (alpha * (1 - alpha)) ** 0.5

    return (way(end) - way(start)) / pull


def gain_at_equal_tokens(first: list[tuple[int, float]], second: list[tuple[int, float]]) -> float:
    """Gain of ``first`` minus that of ``second``, each at its last kept policy within the budget.

    An arm is a list of (tokens so far, accuracy), from (0, accuracy before RL) to the end of its run.
    """
    budget = min(first[-1][0], second[-1][0])
    gains = []
    for run in (first, second):
        within = [accuracy for tokens, accuracy in run if tokens <= budget]
        gains.append(within[-1] - within[0])
    return gains[0] - gains[1]
