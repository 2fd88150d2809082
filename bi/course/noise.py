"""Checkers on the noise of estimated influences (chapter on measuring co-influence)."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances, same


def inspect_excess(factor: Attempt, needed: Attempt) -> None:
    """The factor against listing all signs of a noise of known length; the number of rollouts against trying them."""
    agree(factor.number(5, 8, 0.0), 1, "without noise (noise = 0) nothing is overstated",
          (0, "this is the excess; the factor is 1 plus the excess"))
    for m, n, noise in ((1, 3, 2.0), (2, 4, 3.0), (3, 5, 7.0), (4, 8, 30.0)):
        agree(factor.number(m, n, noise), _listed_factor(m, noise / n), f"{m} prompts, {n} rollouts, v = {noise:g} "
              "times the squared length", (1 + noise / n, "you give every pair the noise of a prompt with itself; only "
              "M of the M^2 pairs are such"), (1 + noise / (m * m * n), "you count one pair of a prompt with itself; "
              "there are M of them among M^2"), (1 + noise / m, "the noise falls with the number of rollouts N"),
              (noise / (m * n), "this is the excess; the factor is 1 plus the excess"))
    for m, noise, excess in ((64, 100.0, 0.1), (1, 7.3, 0.25), (10, 333.0, 0.01), (10_000, 100.0, 0.1)):
        wanted = next(n for n in range(1, 100_000) if noise / (m * n) <= excess)
        agree(needed.number(m, noise, excess), wanted, f"{m} prompts, v = {noise:g} times the squared length, excess "
              f"at most {excess:g}", (wanted - 1, "with one rollout less than needed the excess is still larger: round "
              "up"), (noise / (m * excess), "rollouts come in whole numbers: round up"), (_needed(noise, excess), "you "
              "forget that a mean over M^2 pairs has only M pairs with noise"))


def inspect_sketch(sketch: Attempt, errors: Attempt) -> None:
    """CountSketch by what it does to single numbers and to sums; its errors by their size on two kinds of rows."""
    rng = instances("ex-sketch")
    units = sketch.array((40, 16), np.eye(40), 16, np.random.default_rng(1))
    lost = "what meets in a cell must be added up (`out[cells] += values` keeps only one value of each cell)"
    expect(bool(units.any(axis=1).all()), f"the sketch of a row with a single number is empty: {lost}")
    expect(bool((np.count_nonzero(units, axis=1) == 1).all()), "a row with a single number must end in exactly one "
           "cell, whatever the other rows are")
    expect(bool(np.isclose(np.abs(units).sum(axis=1), 1).all()), "a single number must keep its size: only its sign "
           "and its place are drawn")
    expect(bool((units < 0).any()), "no number changes its sign; without random signs the products of numbers that "
           "meet in a cell do not cancel")
    expect(bool((units > 0).any()), "every number changes its sign; draw one of two signs for each column")
    expect(len(set(np.nonzero(units)[1])) > 8, "only few of the cells are used; each column draws one of all cells")
    rows = rng.normal(size=(3, 40))
    found = sketch.array((3, 16), rows, 16, np.random.default_rng(1))
    single = np.concatenate([sketch.array((1, 16), row[None], 16, np.random.default_rng(1)) for row in rows])
    expect(np.allclose(found, single), "a row is sketched differently when other rows stand beside it; all rows must "
           "share their cells and signs, or inner products are lost")
    expect(np.allclose(found, rows @ units), f"a row's sketch is not the sum of the sketches of its numbers: {lost}")
    other = sketch.array((40, 16), np.eye(40), 16, np.random.default_rng(2))
    expect(not np.array_equal(units, other), "another generator gives the same cells; draw them from `rng`")
    _inspect_errors(errors)


def _inspect_errors(errors: Attempt) -> None:
    """Root mean square error: about one over the root of the size, and of the same size for rows of any length."""
    rows = instances("ex-sketch", "rows").normal(size=(2, 300))
    found = {size: errors.number(rows, size, 200, 5) for size in (16, 64)}
    wanted = {size: _expected_error(rows, size) for size in found}
    for size, value in found.items():
        where = f"cosine_errors with {size} cells"
        expect(value > 0, f"{where}: you get {value:.4f}; errors of both signs cancel in a mean, so square them first")
        expect(not _close(value, wanted[size] ** 2), f"{where}: this is the mean square; take its root")
        expect(value > wanted[size] / 3, f"{where}: you get {value:.4f}, much less than the {wanted[size]:.4f} that "
               "theory expects; errors of both signs cancel in a mean, so square them first")
        expect(_close(value, wanted[size]), f"{where}: you get {value:.4f}, theory expects about {wanted[size]:.4f}")
    longer = errors.number(rows * np.array([[3.0], [0.5]]), 16, 200, 5)
    expect(same(longer, found[16]), "longer rows give other errors; a cosine does not depend on the length of the rows")
    once = {errors.number(rows, 16, 1, seed) for seed in range(4)}
    expect(len(once) > 1, "another seed gives the same error; seed the generator of each repeat with it")


def _listed_factor(m: int, variance: float) -> float:
    """Mean over all sign patterns of the mean over all pairs of ``1 +- sqrt(variance)``."""
    totals = [(m + math.sqrt(variance) * sum(signs)) ** 2 / m**2 for signs in product((1, -1), repeat=m)]
    return sum(totals) / len(totals)


def _needed(noise: float, excess: float) -> int:
    return math.ceil(noise / excess)


def _expected_error(rows: np.ndarray, size: int) -> float:
    """Standard deviation of a sketched cosine: only different columns that meet contribute."""
    first, second = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return math.sqrt((1 + (first @ second) ** 2 - 2 * (first**2 @ second**2)) / size)


def _close(found: float, wanted: float) -> bool:
    """Within a fifth: a root mean square over 200 repeats has a standard error of some five per cent."""
    return abs(found / wanted - 1) < 0.2


CHAPTER = "notebooks/measuring_influence"
EXERCISES = (
    Exercise("ex-excess", CHAPTER, "pencil", ("naive_factor", "rollouts_needed"), inspect_excess,
             "listing every sign of the noise gives the same factor, and one rollout less is too few"),
    Exercise("ex-sketch", CHAPTER, "code", ("count_sketch", "cosine_errors"), inspect_sketch,
             "it is linear, keeps single numbers, shares its cells, and errs as much as theory says"),
)
