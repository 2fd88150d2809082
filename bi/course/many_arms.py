"""Checkers on comparing many arms: false verdicts, and problems that are sorted by their own luck."""

from __future__ import annotations

import math

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances

TRIALS = 40_000


def inspect_false_verdicts(plain: Attempt, corrected: Attempt) -> None:
    """Exact chances against each other and against invented families of p-values."""
    for m, level in ((1, 0.05), (2, 0.05), (13, 0.05), (4, 0.3)):
        where = f"{m} comparisons, level {level:g}"
        agree(plain.number(m, level), 1 - (1 - level) ** m, f"{where}, no correction",
              (m * level, "that is the bound by adding up; chances of independent verdicts do not add up exactly"),
              ((1 - level) ** m, "this is the chance of no false verdict"),
              (level**m, "this is the chance that all of them are false verdicts"),
              (level, "this is the chance for one comparison; there are m"))
        agree(corrected.number(m, level), 1 - (1 - level / m) ** m, f"{where}, Holm's correction",
              (1 - (1 - level) ** m, "no p-value is multiplied; the smallest is multiplied by m"),
              (level, "this is what the union bound promises at most; independent p-values give a little less"),
              (level / m, "this is the chance that a given one of them is rejected first"),
              ((1 - level / m) ** m, "this is the chance of no false verdict"))
        expect(corrected.number(m, level) <= level + 1e-9, f"{where}: the correction keeps the chance at or below the "
               "level")
    uniform = instances("ex-holm").uniform(size=(TRIALS, 6)).min(axis=1)
    seen, told = float(np.mean(6 * uniform < 0.1)), corrected.number(6, 0.1)
    expect(abs(seen - told) < 0.01, f"of {TRIALS} invented families of 6 true hypotheses, {seen:.3f} hold a false "
           f"verdict at level 0.1; you say {told:.3f}")


def inspect_apparent_gain(gain: Attempt) -> None:
    """Means over all outcomes of small sets of problems, and what is left when rollouts are many."""
    even = np.full(5, 0.3)
    agree(gain.number(even, 4), 0.3, "if all problems are solved with chance 0.3, those that failed are too",
          (0.0, "the policy has not changed, but the accuracy that was counted before, 0, was bad luck"),
          (0.3 * 0.7**4, "divide by the chance to fail all rollouts: only such problems are looked at"))
    rng = instances("ex-own-luck")
    for alpha, n in ((np.array([0.0, 0.5]), 1), (np.array([0.1, 0.5, 0.9]), 2), (rng.beta(1, 3, 8), 4),
                     (rng.uniform(0.1, 0.9, 12), 3)):
        fails = (1 - alpha) ** n
        where = f"alpha = {np.array2string(alpha, precision=2, separator=', ')}, n = {n}"
        agree(gain.number(alpha, n), float(alpha @ fails / fails.sum()), where,
              (float(alpha.mean()), "that is the mean of all problems; those that failed are mostly the hard ones"),
              (float(alpha @ (1 - alpha) / (1 - alpha).sum()), "the chance to fail all n rollouts is a power"),
              (float(alpha @ fails / len(alpha)), "divide by how many problems fail all rollouts, not by all of them"),
              (float(alpha @ fails), "take the mean over the problems that failed, not the sum"),
              (float(alpha @ (alpha**n) / (alpha**n).sum()), "these are the problems that were right every time"))
    found = gain.number(np.array([0.0, 0.2, 0.8]), 400)
    expect(found < 1e-3, "with 400 rollouts only a problem that is never solved fails all of them, so nothing is "
           f"gained by luck; you find {found:.4g}")
    expect(math.isfinite(gain.number(np.array([0.0, 0.0]), 3)), "problems that are never solved have a gain of 0")


CHAPTER = "notebooks/ablation"
EXERCISES = (
    Exercise("ex-holm", CHAPTER, "pencil", ("any_false", "any_false_after_holm"), inspect_false_verdicts,
             "invented families hold false verdicts as often, and the correction keeps to its level"),
    Exercise("ex-own-luck", CHAPTER, "code", ("apparent_gain",), inspect_apparent_gain,
             "all outcomes of small sets of problems give the same mean, and many rollouts leave nothing"),
)
