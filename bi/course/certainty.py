"""Checkers on entropy: what perplexity measures on a model's own text, and why a mean over tokens changes."""

from __future__ import annotations

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances, same

DRAWS = 200_000
Kinds = dict[str, tuple[float, float]]


def inspect_cost(cost: Attempt) -> None:
    """Even odds, draws at other temperatures, and both limits."""
    for size in (2, 5):
        agree(cost.number(np.full(size, 1 / size), 0.7), np.log(size), f"{size} equally likely tokens",
              (np.log2(size), "in nats, take the natural logarithm"), (-np.log(size), "a cost is positive"))
    rng = instances("ex-same-number")
    for temperature in (1.0, 0.5, 2.0):
        p = rng.dirichlet(np.full(6, 0.8)) * 0.98 + 0.02 / 6
        q = p ** (1 / temperature) / (p ** (1 / temperature)).sum()
        found, where = cost.number(p, temperature), f"temperature {temperature:g}"
        wanted, entropy = float(-(q @ np.log(p))), float(-(p @ np.log(p)))
        agree(found, wanted, where,
              (entropy, "this is the entropy; at another temperature other tokens are drawn"),
              (float(-(q @ np.log(q))), "this is the entropy of what is drawn; the cost is that under p"),
              (float(-(p @ np.log(q))), "tokens are drawn from the changed chances, and cost what they cost under p; "
               "you have it the other way round"),
              (float(-(p ** (1 / temperature) @ np.log(p))), "the chances at that temperature must add up to 1"))
        drawn = -np.log(p)[rng.choice(len(p), DRAWS, p=q)]
        expect(abs(found - drawn.mean()) < 5 * drawn.std() / DRAWS**0.5 + 1e-9, f"{where}: {DRAWS} draws cost "
               f"{drawn.mean():.4f} on average; you say {found:.4f}")
    p = np.array([0.6, 0.3, 0.1])
    agree(cost.number(p, 0.01), -np.log(0.6), "near temperature 0 the likeliest token is drawn", rel=1e-4)
    agree(cost.number(p, 1e6), float(-np.log(p).mean()), "at a very high temperature all tokens are equally likely",
          rel=1e-4)


def inspect_composition(split: Attempt) -> None:
    """Changes of one sort, the sum of both parts, time turned around, and kinds that come and go."""
    names = ("between", "within")
    still: Kinds = {"plain": (30, 0.1), "reflection": (10, 0.9)}
    agree(sum(split.numbers(names, still, {"plain": (300, 0.1), "reflection": (100, 0.9)})), 0, "ten times as many "
          "tokens of every kind change nothing; shares count, not numbers")
    surer: Kinds = {"plain": (30, 0.05), "reflection": (10, 0.5)}
    between, within = split.numbers(names, still, surer)
    expect(not same(within, 0) or same(between, 0), "no share has changed, only entropies, and you call it a change "
           "between kinds; are the parts in the wrong order?")
    agree(between, 0, "no share has changed")
    moved: Kinds = {"plain": (10, 0.1), "reflection": (30, 0.9)}
    agree(split.numbers(names, still, moved)[1], 0, "no entropy has changed, so nothing is within kinds")
    rng = instances("ex-composition")
    for _ in range(20):
        ends = [_invented(rng) for _ in range(2)]
        change = _mean(ends[1]) - _mean(ends[0])
        parts, back = split.numbers(names, *ends), split.numbers(names, *reversed(ends))
        agree(sum(parts), change, "the two parts must add up to the change of the mean",
              (-change, "after minus before: the sign is reversed"))
        agree(parts[0], -back[0], "with time turned around every part must change its sign, and no more; use the "
              "mean of both ends")
    new: Kinds = {"plain": (20, 0.1), "recall": (20, 0.7)}
    gone: Kinds = {"plain": (40, 0.1)}
    for ends in ((gone, new), (new, gone)):
        agree(split.numbers(names, *ends)[1], 0, "a kind that one end lacks has its entropy from the other, so it "
              "adds nothing within kinds")


def _invented(rng: np.random.Generator) -> Kinds:
    return {kind: (int(rng.integers(1, 50)), float(rng.random())) for kind in ("plain", "subgoal", "reflection")}


def _mean(kinds: Kinds) -> float:
    return sum(n * value for n, value in kinds.values()) / sum(n for n, _ in kinds.values())


CHAPTER = "notebooks/behaviours_measured"
EXERCISES = (
    Exercise("ex-same-number", CHAPTER, "pencil", ("expected_cost",), inspect_cost,
             "draws at several temperatures cost as much, and both limits are right"),
    Exercise("ex-composition", CHAPTER, "code", ("split_entropy",), inspect_composition,
             "the parts add up, belong to what changed, and turn with time"),
)
