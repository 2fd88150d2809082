"""Solutions of the chapter on arithmetic trees, run by the tests and shown folded in the book."""

from __future__ import annotations

from collections.abc import Mapping


def expected_lines(pairs: int, singles: int, levels: int) -> float:
    """Mean number of lines of a tree: ``pairs`` operators have two operands, ``singles`` one, all equally likely."""
    branch = (2 * pairs + singles) / (pairs + singles)
    return sum(branch**level for level in range(levels))


def all_right(right: float, pairs: int, singles: int, levels: int) -> float:
    """Chance that every line of such a tree is right, each on its own with chance ``right``."""
    double, whole = pairs / (pairs + singles), right
    for _ in range(levels - 1):
        whole = right * ((1 - double) * whole + double * whole**2)
    return whole


def needed(parents: Mapping[str, tuple[str, ...]], target: str) -> set[str]:
    """The quantities that ``target`` depends on, itself included; ``parents`` says what each formula uses."""
    found, waiting = {target}, [target]
    while waiting:
        fresh = set(parents[waiting.pop()]) - found
        found |= fresh
        waiting += fresh
    return found
