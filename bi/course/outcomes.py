"""Checkers on outcomes of rollouts (chapter on the two arms)."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from bi.course.exercise import Attempt, Exercise, agree, expect, instances, same

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("arm", "stage", "split")


def inspect_signal(mixed: Attempt, best: Attempt) -> None:
    """The chance against listing all outcomes of a group; the best accuracy against all others."""
    agree(mixed.number(0.0, 8), 0, "for alpha = 0 every rollout is wrong, so the group is never mixed; yours is not 0")
    agree(mixed.number(1.0, 8), 0, "for alpha = 1 every rollout is right, so the group is never mixed; yours is not 0",
          (1, "this is the chance of at least one right rollout; a group that is all right is silent too"))
    agree(mixed.number(0.3, 1), 0, "a group of one rollout is never mixed")
    for alpha in (0.1, 0.35, 0.8):
        for n in (2, 3, 6):
            agree(mixed.number(alpha, n), _listed_chance(alpha, n), f"alpha = {alpha}, N = {n}",
                  (1 - (1 - alpha) ** n, "this is the chance of at least one right rollout; a group that is all right "
                   "is silent too"),
                  (1 - alpha**n, "this is the chance of at least one wrong rollout; a group that is all wrong is "
                   "silent too"),
                  (alpha**n + (1 - alpha) ** n, "this is the chance that all outcomes are the same"))
    for n in (4, 16, 64):
        alpha = best.number(n)
        expect(0 < alpha < 1, f"N = {n}: an accuracy lies between 0 and 1; you give {alpha:.4g}")
        help_here, most = _doubling(alpha, n), _doubling(np.linspace(0.0005, 0.5, 4000), n).max()
        expect(not same(alpha, 0.5) or help_here > 0.98 * most, f"N = {n}: at even odds a group is nearly always mixed "
               "already, so doubling it adds next to nothing; it helps prompts that are seldom solved")
        expect(help_here > 0.98 * most, f"N = {n}: at {alpha:.4f} doubling adds {help_here:.4f} to the chance; "
               f"elsewhere it adds up to {most:.4f}")


def inspect_strict(share: Attempt) -> None:
    """On invented tables: the mean difference over seeds for every arm, stage and split, and nothing else."""
    import pandas as pd  # here, since it takes longer to load than all other checkers together

    rng = instances("ex-strict")
    for seeds in (1, 3):
        main = _invent_main(rng, seeds)
        wide = main.pivot(index=[*KEYS, "seed"], columns="metric", values="value")
        by_seed = (wide["accuracy"] - wide["strict"]).groupby(list(KEYS))
        wanted = by_seed.mean()
        found = share(main.sample(frac=1, random_state=seeds))
        expect(isinstance(found, pd.Series), f"a Series is asked for; you return {type(found).__name__}")
        expect(set(found.index.names) == set(KEYS), f"the index should have the levels {', '.join(KEYS)}; yours has "
               f"{', '.join(map(str, found.index.names))}")
        found = found.reorder_levels(list(KEYS))
        expect(len(found) == len(wanted) and set(found.index) == set(wanted.index),
               f"one number for each of {len(wanted)} combinations of arm, stage and split; you give {len(found)}")
        for key, value in wanted.items():
            where = " ".join(map(str, key))
            agree(float(found[key]), float(value), f"{where}, {seeds} seed{'s' * (seeds > 1)}",
                  (-value, "the sign is reversed: right answers over a wrong step are accuracy minus strict"),
                  (by_seed.sum()[key], "you add the seeds up; take their mean"),
                  (value / wide["accuracy"].groupby(list(KEYS)).mean()[key], "this is a share of the right answers; "
                   "a share of all completions is asked for"))


def _listed_chance(alpha: float, n: int) -> float:
    """Chance that outcomes differ, over all ``2**n`` of them."""
    return sum(alpha ** sum(group) * (1 - alpha) ** (n - sum(group)) for group in product((0, 1), repeat=n)
               if 0 < sum(group) < n)


def _doubling(alpha: float | np.ndarray, n: int) -> np.ndarray:
    """What a group of ``2 n`` adds to the chance of mixed outcomes of a group of ``n``."""
    alpha = np.asarray(alpha)
    return alpha**n + (1 - alpha) ** n - alpha ** (2 * n) - (1 - alpha) ** (2 * n)


def _invent_main(rng: np.random.Generator, seeds: int) -> pd.DataFrame:
    """A table in the form of ``main.csv``, with a metric that nobody asks for."""
    import pandas as pd

    rows = []
    for arm, stage, split, seed in product(("vanilla", "bridge"), ("sft", "rl"), ("id", "ood"), range(seeds)):
        accuracy = rng.uniform(0.4, 0.9)
        values = {"accuracy": accuracy, "strict": accuracy - rng.uniform(0.02, 0.3), "n_subgoal": rng.uniform(1, 3)}
        rows += [("igsm", arm, seed, stage, split, metric, value, 300) for metric, value in values.items()]
    return pd.DataFrame(rows, columns=["task", "arm", "seed", "stage", "split", "metric", "value", "n"])


CHAPTER = "notebooks/two_arms"
EXERCISES = (
    Exercise("ex-signal", CHAPTER, "pencil", ("mixed_chance", "best_accuracy"), inspect_signal,
             "listing all outcomes gives the same chance, and no other accuracy gains more from doubling"),
    Exercise("ex-strict", CHAPTER, "code", ("lucky_share",), inspect_strict,
             "on invented tables every arm, stage and split has its mean over seeds"),
)
