"""Checkers on one step of GRPO by hand (chapter from fine-tuning to GRPO)."""

from __future__ import annotations

import math

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances


def inspect_lone_success(weights: Attempt) -> None:
    """Both weights against the definition of the advantage, one rollout at a time."""
    for n in (2, 3, 8, 50):
        right, wrong = weights.numbers(("right", "all wrong"), n)
        advantages = _advantages(n)
        where = f"N = {n}"
        agree(right, advantages[0] / n, f"{where}, the right rollout",
              (advantages[0], "this is the advantage; its weight in the step is the advantage over N"),
              (advantages[0] / n * math.sqrt((n - 1) / n), "you divided by the sample deviation, with N - 1"),
              (1 / n, "this is its share in the group; the advantage is missing"),
              ((n - 1) / n**2, "the deviation is missing: the reward minus the mean is divided by it"))
        agree(wrong, sum(advantages[1:]) / n, f"{where}, all wrong rollouts together",
              (advantages[1] / n, "this is the weight of one of them; there are N - 1"),
              (-sum(advantages[1:]) / n, "wrong rollouts have negative advantages"),
              (0, "they are not silent: their advantages are negative"))


def inspect_step(step: Attempt) -> None:
    """What must hold for every step on a group: nothing is compared with stored numbers."""
    rng = instances("ex-grpo-step")
    for _ in range(15):
        count = int(rng.integers(3, 7))
        logits, right = rng.normal(size=count), np.arange(count) < count // 2
        mixed = np.concatenate([[0, count - 1], rng.integers(count, size=6)])
        _inspect_silent(step, logits, right)
        move = step.array((count,), logits, mixed, right, 1.0) - logits
        expect(abs(move.sum()) < 1e-9, "the sum of the logits moved: the gradient of log pi(k) is e_k - p, and p sums "
               "to one")
        rise = move[mixed[right[mixed]]].mean() - move[mixed[~right[mixed]]].mean()
        expect(rise > 0, "right answers that were drawn fall against wrong ones: is the sign that of ascent?")
        twice = step.array((count,), logits, np.concatenate([mixed, mixed]), right, 1.0) - logits
        expect(np.allclose(twice, move), "the same group twice makes another step: take the mean over the rollouts, "
               "and the deviation with N")
        half = step.array((count,), logits, mixed, right, 0.5) - logits
        expect(np.allclose(2 * half, move), "half the step size does not make half the step")
        alpha = right[mixed].mean()
        # a completion is right or wrong, so pushes up and down never meet in one logit, and their sizes add up
        expect(bool(np.isclose(np.abs(move).sum(), 2 * np.sqrt(alpha * (1 - alpha)))), "the step has the wrong size: "
               "divide by the deviation over the group (with N, not with N - 1)")


def _inspect_silent(step: Attempt, logits: np.ndarray, right: np.ndarray) -> None:
    """A group with one outcome moves nothing, and the caller's logits are left alone."""
    silent = np.full(5, len(logits) - 1)
    after = step.array((len(logits),), logits, silent, right, 1.0)
    expect(np.allclose(after, logits), "a group with one outcome moved the logits: all its advantages should be zero")
    given, mixed = logits.copy(), np.array([0, len(logits) - 1])
    step.guard(lambda: step.function(given, mixed, right, 1.0), lambda: step.call_text(given, mixed, right, 1.0))
    expect(np.array_equal(given, logits), "the logits that were passed in have changed: work on a copy")


def _advantages(n: int) -> list[float]:
    """Advantages of a group with one right rollout, the first."""
    rewards = [1.0] + [0.0] * (n - 1)
    mean = sum(rewards) / n
    deviation = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / n)
    return [(reward - mean) / deviation for reward in rewards]


CHAPTER = "notebooks/fine_tuning_to_grpo"
EXERCISES = (
    Exercise("ex-lone-success", CHAPTER, "pencil", ("lone_success",), inspect_lone_success,
             "the advantages, taken one by one, give the same weights"),
    Exercise("ex-grpo-step", CHAPTER, "code", ("grpo_step",), inspect_step,
             "silent groups move nothing, and size, direction and sum of the step are right"),
)
