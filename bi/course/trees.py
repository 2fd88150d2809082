"""Checkers on trees: how often every line of a random tree is right, and which premises an answer needs."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances

Parents = dict[str, tuple[str, ...]]


def inspect_tree(lines: Attempt, right: Attempt) -> None:
    """Trees listed one by one, limits, and the two ways to forget that the number of lines varies."""
    for pairs, singles, levels in ((4, 2, 1), (1, 0, 3), (0, 1, 4), (4, 2, 2), (4, 2, 3), (1, 1, 4)):
        where = f"{pairs} operators with two operands, {singles} with one, {levels} levels"
        mean = sum(chance * size for size, chance in _sizes(pairs, singles, levels))
        branch = (2 * pairs + singles) / (pairs + singles)
        agree(lines.number(pairs, singles, levels), mean, where,
              (branch**levels, "that is one level below the last; a tree of one level is a single stated number"),
              (branch ** (levels - 1), "those are the lines of the last level; all levels are written"),
              (mean - 1, "the line of the answer is missing"),
              (2**levels - 1, "operators with one operand have one child"))
        for q in (0.5, 0.9, 1.0, 0.0):
            wanted = sum(chance * q**size for size, chance in _sizes(pairs, singles, levels))
            agree(right.number(q, pairs, singles, levels), wanted, f"{where}, lines right with chance {q}",
                  (q**mean, "the mean of a power is not the power of the mean: trees differ in size"),
                  (q ** (2**levels - 1), "this is the largest tree"),
                  (q, "this is one line; all of them have to be right"))
    expect(right.number(0.9, 4, 2, 6) > 0.9 ** lines.number(4, 2, 6),
           "small trees lift the mean above that of a tree of mean size (six levels, lines right with chance .9)")


def _sizes(pairs: int, singles: int, levels: int) -> list[tuple[int, float]]:
    """(lines, chance) of every tree of so many levels, trees of one size together."""
    if levels == 1:
        return [(1, 1.0)]
    below = _sizes(pairs, singles, levels - 1)
    double, found = pairs / (pairs + singles), dict[int, float]()
    for size, chance in below:
        found[1 + size] = found.get(1 + size, 0.0) + (1 - double) * chance
    for (first, one), (second, other) in product(below, below):
        size = 1 + first + second
        found[size] = found.get(size, 0.0) + double * one * other
    return [(size, chance) for size, chance in found.items() if chance]


def inspect_needed(needed: Attempt) -> None:
    """Hand-made graphs with chains, shared quantities and idle ones, invented ones, and one that is deep and narrow."""
    tree = {"a": ("b", "c"), "b": ("d",), "c": (), "d": (), "x": ("a",), "y": (), "z": ("y", "d")}
    found = _told(needed, tree, "a")
    expect(found != {"b", "c"}, "what the formula of a mentions has formulas of its own; follow them too")
    expect(found != {"b", "c", "d"}, "the quantity asked for has to be computed as well")
    expect("x" not in found, "x uses a, and a does not use x: arrows lead from what is used to what uses it")
    expect(not found & {"y", "z"}, "y and z are stated, but no formula on the way to a mentions them")
    expect(found == {"a", "b", "c", "d"}, f"for a, with {tree}, the answer needs a, b, c and d; you gave "
           f"{', '.join(sorted(found)) or 'nothing'}")
    expect(_told(needed, tree, "y") == {"y"}, "a stated number needs itself and nothing else")
    rng = instances("ex-needed")
    for _ in range(30):
        parents = _invented(rng)
        target = str(rng.choice(list(parents)))
        expect(_told(needed, parents, target) == _ancestors(parents, target),
               f"for {target} in {parents} the answer needs {', '.join(sorted(_ancestors(parents, target)))}")
    ladder: Parents = {"0a": (), "0b": ()}
    for rung in range(1, 200):
        ladder |= {f"{rung}{side}": (f"{rung - 1}a", f"{rung - 1}b") for side in "ab"}
    expect(len(_told(needed, ladder, "199a")) == 399, "in a ladder of 200 rungs, each quantity made of both below, an "
           "answer at the top needs all others but the one beside it")


def _told(needed: Attempt, parents: Parents, target: str) -> set[str]:
    found = needed(dict(parents), target)
    expect(isinstance(found, (set, frozenset)) and all(isinstance(name, str) for name in found),
           f"return a set of names; this is a {type(found).__name__}")
    return set(found)


def _invented(rng: np.random.Generator) -> Parents:
    names = [chr(ord("a") + place) for place in range(int(rng.integers(3, 9)))]
    parents = {name: tuple(rng.choice(names[:place], size=min(place, int(rng.integers(0, 3))), replace=False).tolist())
               for place, name in enumerate(names)}
    return {str(name): parents[name] for name in rng.permutation(names)}


def _ancestors(parents: Parents, target: str) -> set[str]:
    @cache
    def above(name: str) -> frozenset[str]:
        return frozenset({name}).union(*(above(parent) for parent in parents[name]))

    return set(above(target))


CHAPTER = "notebooks/dyval"
EXERCISES = (
    Exercise("ex-tree-lines", CHAPTER, "pencil", ("expected_lines", "all_right"), inspect_tree,
             "lines and chances are those of all trees, small and large"),
    Exercise("ex-needed", CHAPTER, "code", ("needed",), inspect_needed,
             "what the answer needs is found, each quantity once, and nothing else"),
)
