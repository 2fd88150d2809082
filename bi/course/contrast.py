"""Checkers on the group gradient (chapter on what one step does): policies small enough to list all completions."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances, same


def inspect_objective(objective: Attempt) -> None:
    """Along random directions the objective must rise as fast as the group gradient says; any constant may be added."""
    rng, step = instances("ex-objective"), 1e-5
    for _ in range(12):
        logits, direction = rng.normal(size=(2, 6))
        correct = np.arange(6) < rng.integers(1, 6)
        alpha = float(_softmax(logits) @ correct)
        ends = [float(_softmax(logits + sign * step * direction) @ correct) for sign in (1, -1)]
        rise = (objective.number(ends[0]) - objective.number(ends[1])) / (2 * step)
        wanted = float(_exact_gradient(logits, correct) @ direction)
        root = math.sqrt(alpha * (1 - alpha))
        agree(rise, wanted, f"a policy with accuracy {alpha:.3f}, moved along a random direction",
              (-wanted, "your objective falls where the group gradient says that it rises: its sign is reversed"),
              (wanted / 2, "your slope is half of the group gradient's; the derivative of the root brings a factor of "
               "one half"),
              (wanted * root, "your objective rises like the accuracy; the group gradient is steeper, because its "
               "advantages are divided by the standard deviation"),
              (wanted / root, "your objective rises like the log-odds, whose slope is 1 over alpha (1 - alpha); the "
               "group gradient has the root of that"),
              rel=1e-4)
    span = objective.number(1.0) - objective.number(0.0)
    agree(span, math.pi, "from accuracy 0 to accuracy 1 the objective rises by a finite amount")


def inspect_naive(gradient: Attempt, self_influence: Attempt) -> None:
    """The gradient of a group against its definition; both estimates against listing all groups of three."""
    _inspect_group_gradient(gradient)
    logits, correct, n, repeats = np.array([1.2, -0.6, 0.4]), np.array([True, False, False]), 3, 1500
    rng = instances("ex-naive", "draws")
    naive, independent = self_influence.numbers(("naive", "independent"), logits, correct, n, repeats, rng)
    exact = _listed_estimates(logits, correct, n)
    uniform = _listed_estimates(logits, correct, n, np.full(3, 1 / 3))
    expect(not same(naive, independent), "self_influence: the two numbers are the same; the second group has to be "
           "drawn anew")
    where = f"self_influence with three completions and groups of {n}, over {repeats} repeats"
    expect(not (_near(naive, exact[1], repeats) and _near(independent, exact[0], repeats)),
           f"{where}: the numbers stand in the wrong order; the naive one comes first")
    mixed = 1 - sum(chance**n for chance in (_softmax(logits) @ correct, _softmax(logits) @ ~correct))
    expect(not _near(naive, (exact[0][0] / mixed, exact[0][1] / mixed), repeats) or _near(naive, exact[0], repeats),
           f"{where}: groups with one outcome are left out of the mean; they count as 0")
    for name, found, wanted, flat in zip(("naive", "independent"), (naive, independent), exact, uniform, strict=True):
        expect(not _near(found, flat, repeats) or _near(found, wanted, repeats),
               f"{where}: you draw every completion equally often, not with the policy's probabilities")
        expect(_near(found, (wanted[0] * repeats, wanted[1] * repeats), repeats) is False,
               f"{where}: the {name} estimate is a sum over the repeats; take their mean")
        expect(_near(found, wanted, repeats), f"{where}: the {name} estimate is {found:.4f}; listing all groups gives "
               f"{wanted[0]:.4f}")


def _inspect_group_gradient(gradient: Attempt) -> None:
    rng = instances("ex-naive")
    for outcome in (True, False):
        correct = np.array([outcome, outcome, not outcome])
        silent = gradient.array((3,), rng.normal(size=3), np.array([0, 1, 1, 0]), correct)
        expect(not silent.any(), f"a group whose completions are all {'right' if outcome else 'wrong'} contributes "
               f"nothing; your gradient is {np.round(silent, 4)}")
    for _ in range(10):
        logits, correct = rng.normal(size=5), np.array([True, False, True, False, False])
        drawn = np.concatenate([[0, 1], rng.integers(5, size=rng.integers(2, 6))])
        found, rewards = gradient.array((5,), logits, drawn, correct), correct[drawn].astype(float)
        wanted, n, deviation = _group_gradient(logits, drawn, correct), len(drawn), rewards.std()
        ratio = float(found @ wanted / (wanted @ wanted))
        if np.allclose(found, ratio * wanted, rtol=1e-6, atol=1e-9):
            expect(not 1e-6 < 1 - ratio < 5e-3, "a small number was added to the standard deviation; leave it out, and "
                   "treat groups with one outcome apart")
            agree(ratio, 1.0, f"a group of {n} with {rewards.sum():.0f} right",
                  (n, "you add the completions up; the group gradient is their mean, so divide by the group's size"),
                  (math.sqrt((n - 1) / n), "you divided by the sample deviation, with N - 1; the advantage divides by "
                   "the deviation with N"),
                  (deviation, "the advantages are not divided by the standard deviation of the rewards"),
                  (1 / deviation, "you divided by the variance of the rewards; the advantage divides by its root"),
                  (-1.0, "the sign is reversed: right completions must become more likely"))
        scores = np.eye(5)[drawn] - _softmax(logits)
        expect(not np.allclose(found, rewards / deviation @ scores / n), "the mean reward is not subtracted: wrong "
               "completions must count against")
        expect(np.allclose(found, wanted), f"a group of {n} with {rewards.sum():.0f} right: you get "
               f"{np.round(found, 4)}, it should be {np.round(wanted, 4)}")


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def _exact_gradient(logits: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """The group gradient (V,) of the policy itself: expectation of advantage times score."""
    chances = _softmax(logits)
    alpha = chances @ correct
    advantages = (correct - alpha) / math.sqrt(alpha * (1 - alpha))
    return (chances * advantages) @ (np.eye(len(logits)) - chances)


def _group_gradient(logits: np.ndarray, drawn: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """The group gradient (V,) of the (N,) completions drawn, one completion at a time."""
    rewards = [float(correct[i]) for i in drawn]
    mean = sum(rewards) / len(rewards)
    deviation = math.sqrt(sum((r - mean) ** 2 for r in rewards) / len(rewards))
    total = np.zeros(len(logits))
    for i, reward in zip(drawn, rewards, strict=True):
        score = -_softmax(logits)
        score[i] += 1
        total += (reward - mean) / deviation * score if deviation else 0
    return total / len(rewards)


def _listed_estimates(logits: np.ndarray, correct: np.ndarray, n: int,
                      chances: np.ndarray | None = None) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and deviation of the naive and of the independent estimate, over all groups of ``n``."""
    groups = [np.array(group) for group in product(range(len(logits)), repeat=n)]
    each = _softmax(logits) if chances is None else chances
    weights = np.array([each[group].prod() for group in groups])
    rows = np.stack([_group_gradient(logits, group, correct) for group in groups])
    products = rows @ rows.T
    naive, both = products.diagonal(), np.outer(weights, weights)
    moments = ((weights @ naive, weights @ naive**2), ((both * products).sum(), (both * products**2).sum()))
    first, second = ((float(mean), math.sqrt(square - mean**2)) for mean, square in moments)
    return first, second


def _near(found: float, wanted: tuple[float, float], repeats: int) -> bool:
    """Whether a mean over ``repeats`` lies within five standard errors of its expectation."""
    return abs(found - wanted[0]) <= 5 * wanted[1] / math.sqrt(repeats)


CHAPTER = "book/theory/per-step-influence"
EXERCISES = (
    Exercise("ex-objective", CHAPTER, "pencil", ("objective",), inspect_objective,
             "on random policies it rises along every direction as the group gradient says"),
    Exercise("ex-naive", CHAPTER, "code", ("group_gradient", "self_influence"), inspect_naive,
             "the gradient follows its definition, and both estimates agree with listing all groups", ("softmax",)),
)
