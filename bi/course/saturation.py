"""Checkers on the way through RL: how long saturation takes, and arms at equal tokens."""

from __future__ import annotations

import math

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, instances

SLICES = 20_000


def inspect_steps(needed: Attempt) -> None:
    """Stretches add up, a pull twice as strong needs half the steps, and small steps followed one by one agree."""
    agree(needed.number(0.4, 0.4, 0.1), 0, "from 0.4 to 0.4 no step is needed")
    for start, end, pull in ((0.3, 0.6, 0.02), (0.5, 0.9, 0.1), (0.05, 0.2, 0.02), (0.9, 0.99, 0.05)):
        found, where = needed.number(start, end, pull), f"from {start} to {end} with pull {pull}"
        log_odds = math.log(end / (1 - end)) - math.log(start / (1 - start))
        agree(found, _followed(start, end, pull), where,
              (log_odds / pull, "this is the answer if training prompts taught equally well at every accuracy; "
               "their gradients carry a factor too, the root of alpha (1 - alpha)"),
              ((end - start) / pull, "the speed changes on the way: it is not the pull but the pull times a power of "
               "alpha (1 - alpha)"),
              ((end - start) / (pull * (start * (1 - start)) ** 1.5), "this keeps the speed of the start all the way"),
              (2 * (math.asin(math.sqrt(end)) - math.asin(math.sqrt(start))) / pull, "only the training prompts' "
               "factor is there; the target's, alpha (1 - alpha), is missing"),
              (_followed(start, end, pull) * pull, "the pull is missing"),
              (_followed(start, end, pull) / 2, "check the derivative of your integral: it is too small by a factor "
               "of two"), rel=1e-4)
        half = needed.number(start, end, 2 * pull)
        agree(half, found / 2, f"{where}: a pull twice as strong must need half the steps")
        middle = (start + end) / 2
        agree(needed.number(start, middle, pull) + needed.number(middle, end, pull), found, f"{where}: the way to the "
              "middle and the way from there must add up to the whole")


def _followed(start: float, end: float, pull: float) -> float:
    """The time along the flow, summed over thin slices of accuracy, by Simpson's rule in the log-odds."""
    odds = np.linspace(math.log(start / (1 - start)), math.log(end / (1 - end)), 2 * SLICES + 1)
    alpha = 1 / (1 + np.exp(-odds))
    slowness = 1 / (pull * np.sqrt(alpha * (1 - alpha)))  # d alpha / d odds cancels one factor alpha (1 - alpha)
    weights = np.where(np.arange(len(odds)) % 2 == 0, 2.0, 4.0)
    weights[[0, -1]] = 1.0
    return float(weights @ slowness * (odds[1] - odds[0]) / 3)


def inspect_tokens(gain: Attempt) -> None:
    """Hand-made and invented runs: the budget is the cheaper run's, policies are not mixed, gains are compared."""
    cheap, dear = [(0, 0.2), (100, 0.3), (200, 0.35)], [(0, 0.3), (150, 0.5), (250, 0.62), (400, 0.7)]
    slips = ((0.4 - 0.15, "this compares the ends of both runs: equal steps, not equal tokens"),
             (0.32 - 0.15, "you take the first policy beyond the budget; the last one within it is asked for, so that "
              "nobody spends more than the budget"),
             (0.5 - 0.35, "these are accuracies; the arms start elsewhere, so compare gains"),
             (0.56 - 0.3 - 0.15, "you put a policy between two kept ones; nobody has measured it"),
             (0.15 - 0.2, "it is the first arm minus the second"))
    agree(gain.number(dear, cheap), 0.2 - 0.15, "a cheap run of 200 tokens and a dear one", *slips)
    agree(gain.number(cheap, dear), 0.15 - 0.2, "the same arms in the other order",
          (0.2 - 0.15, "it is the first arm minus the second"),
          (0.15 - 0.4, "this compares the ends of both runs; the second arm may be the costlier one too"))
    agree(gain.number(cheap, cheap), 0, "an arm against itself")
    late = [(0, 0.3), (500, 0.9)]
    agree(gain.number(late, cheap), -0.15, "where the budget pays for no kept policy, the arm stands at its start",
          (0.6 - 0.15, "you take the policy after 500 tokens, and the budget is 200"))
    rng = instances("ex-equal-tokens")
    for _ in range(20):
        runs = [_invented(rng) for _ in range(2)]
        budget = min(run[-1][0] for run in runs)
        gains = [[a for t, a in run if t <= budget][-1] - run[0][1] for run in runs]
        found, wanted = gain.number(*runs), gains[0] - gains[1]
        agree(found, wanted, f"runs of {runs[0][-1][0]} and {runs[1][-1][0]} tokens")


def _invented(rng: np.random.Generator) -> list[tuple[int, float]]:
    """A run with an uneven price a step; a policy may stand exactly at the end of its tokens."""
    tokens = np.concatenate([[0], rng.integers(20, 200, size=rng.integers(2, 7)).cumsum()])
    return [(int(t), float(a)) for t, a in zip(tokens, np.round(rng.random(len(tokens)), 3), strict=True)]


CHAPTER = "notebooks/through_training"
EXERCISES = (
    Exercise("ex-saturation", CHAPTER, "pencil", ("steps_needed",), inspect_steps,
             "small steps, followed one by one, need as many, and stretches add up"),
    Exercise("ex-equal-tokens", CHAPTER, "code", ("gain_at_equal_tokens",), inspect_tokens,
             "the budget is the cheaper run's, and the last policies within it are compared by their gains"),
)
