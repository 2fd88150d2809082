"""Checkers on how many prompts carry a gradient (chapter on rollout accuracy)."""

from __future__ import annotations

import math
from math import comb

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances

BOUNDS = ("least", "most")


def inspect_jensen(bounds: Attempt) -> None:
    """No set of accuracies may leave the bounds, and sets that reach them are known."""
    for mean in (0.0, 1.0):
        least, most = bounds.numbers(BOUNDS, mean)
        expect(abs(least) < 1e-9 and abs(most) < 1e-9, f"if the mean accuracy is {mean:g}, every prompt has it, and "
               f"every coefficient is 0; you give {least:.4g} and {most:.4g}")
    rng = instances("ex-jensen")
    for _ in range(12):
        accuracies = rng.beta(*rng.uniform(0.2, 3, size=2), size=30)
        mean = float(accuracies.mean())
        least, most = bounds.numbers(BOUNDS, mean)
        where = f"mean accuracy {mean:.3f}"
        agree(most, math.sqrt(mean * (1 - mean)), f"{where}: the largest mean coefficient, reached if all prompts are "
              "alike", (mean * (1 - mean), "the coefficient is the root of alpha (1 - alpha)"), (0.5, "one half is "
              "reached by a prompt at even odds; the mean accuracy is another here"))
        agree(least, 0, f"{where}: the smallest, reached if this share of the prompts is always solved and the rest "
              "never")
        realised = float(np.sqrt(accuracies * (1 - accuracies)).mean())
        expect(least - 1e-9 <= realised <= most + 1e-9, f"{where}: a set of thirty prompts has {realised:.4f}, outside "
               "your bounds")


def inspect_mixed_share(share: Attempt) -> None:
    """The average over all outcomes of ``n`` rollouts must be the chance of a mixed group, for every accuracy."""
    for n, c in ((8, 0), (8, 8)):
        expect(share.number(n, c, 4) == 0, "rollouts with one outcome only hold no mixed group: c = 0 and c = n give 0")
    expect(share.number(2, 1, 2) == 1, "one right and one wrong rollout: the only pair is mixed")
    agree(share.number(9, 2, 3), share.number(9, 7, 3), "right and wrong should play the same part, c and n - c")
    for n, group in ((4, 2), (6, 4), (9, 5), (7, 7)):
        found = [share.number(n, c, group) for c in range(n + 1)]
        for alpha in (0.05, 0.3, 0.5, 0.9):
            mean = sum(comb(n, c) * alpha**c * (1 - alpha) ** (n - c) * value for c, value in enumerate(found))
            truth = 1 - alpha**group - (1 - alpha) ** group
            where = f"on average: {mean:.3f} for {truth:.3f} (n = {n}, group = {group})"
            expect(mean < truth + 1e-9, f"too large {where}: is a mixed table taken for a mixed group?")
            expect(mean > truth - 1e-9, f"too small {where}: is c / n put in the place of alpha?")


CHAPTER = "notebooks/rollout_accuracy"
EXERCISES = (
    Exercise("ex-jensen", CHAPTER, "pencil", ("coefficient_bounds",), inspect_jensen,
             "random sets of prompts stay within the bounds, and known sets reach them"),
    Exercise("ex-mixed-share", CHAPTER, "code", ("mixed_share",), inspect_mixed_share,
             "its average over all outcomes is the chance of a mixed group"),
)
