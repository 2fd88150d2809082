"""Invented measurements through RL, whose means, differences and influences are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from bi.evaluation.equal_profile import profile_table
from bi.evaluation.equal_tokens import token_table
from bi.evaluation.pairs import Pairs
from bi.evaluation.tables import stack
from bi.evaluation.through import cell_rows, problem_table, steps_table

SEEDS = (0, 1, 2)
STEPS = (0, 25, 50)
SPLITS = ("id", "ood")


def count_rows(accuracy: Callable[[str, int], float], tokens: Mapping[str, Sequence[int]], *, problems: int = 40,
               n: int = 8, seeds: Sequence[int] = SEEDS, steps: Sequence[int] = STEPS) -> pd.DataFrame:
    """Right answers of problems whose accuracies lie evenly around ``accuracy(arm, step)``, the same for all seeds."""
    rows = []
    for arm, spent in tokens.items():
        for step, total in zip(steps, spent, strict=True):
            alpha = np.clip(accuracy(arm, step) + np.linspace(-0.1, 0.1, problems), 0, 1)
            for seed in seeds:
                for split in SPLITS:
                    rows.append(pd.DataFrame({
                        "arm": arm, "seed": seed, "step": step, "tokens": total, "split": split,
                        "problem_id": [f"{split}{i}" for i in range(problems)], "n": n,
                        "correct": np.rint(n * alpha).astype(int)}))
    return pd.concat(rows, ignore_index=True)


def invented_pairs(alpha: np.ndarray, rng: np.random.Generator, *, pull: float = 1.0, n: int = 16,
                   noise: float = 0.0, seed: int = 0, name: str = "id") -> Pairs:
    """Prompts solved with chances ``alpha`` whose co-influence K+ - K- is ``2 * pull`` sqrt(a'(1 - a')), plus noise.

    A step on a training prompt raises the right completions of every target prompt as much as it lowers the wrong ones.
    """
    size = len(alpha)
    correct, train_correct = rng.binomial(n, alpha), rng.binomial(n, alpha)

    def spread(right: np.ndarray) -> np.ndarray:
        return np.sqrt(right * (n - right)) / n

    kernel = pull * spread(train_correct)[None, :] + noise * rng.normal(size=(size, size))
    mixed = (correct > 0) & (correct < n)
    plus, minus = (np.where(mixed[:, None], sign * kernel, np.nan) for sign in (1, -1))
    products = np.where(mixed[:, None], 2 * spread(correct)[:, None] * kernel, 0.0)
    return Pairs(tuple(f"{name}{seed}-{i}" for i in range(size)), tuple(f"t{seed}-{i}" for i in range(size)), products,
                 plus, minus, spread(correct) * n / (n - 1), correct, np.full(size, n), train_correct,
                 np.full(size, n))


def through_tables(arms: Sequence[str] = ("vanilla", "bridge"), *, resamples: int = 50) -> dict[str, pd.DataFrame]:
    """Every table of the grid through, for arms whose influence falls while their accuracy rises."""
    rng = np.random.default_rng(7)
    levels = {arm: 0.3 + 0.1 * place for place, arm in enumerate(arms)}
    counts = count_rows(lambda arm, step: levels[arm] + step / 200,
                        {arm: (0, 1000 + 500 * place, 2000 + 1000 * place) for place, arm in enumerate(arms)})
    pairs = {(arm, seed, step): {name: _invented(levels[arm], step, seed, name, rng) for name in ("train", *SPLITS)}
             for arm in arms for seed in SEEDS for step in STEPS}
    rows = [cell_rows(counts[(counts["arm"] == arm) & (counts["seed"] == seed)],
                      {step: pairs[arm, seed, step] for step in STEPS}, 0.01) for arm in arms for seed in SEEDS]
    return {"through": stack(rows), "problems": problem_table(counts),
            "steps": steps_table(counts, pairs, 0.01, resamples=resamples),
            "tokens": token_table(counts, resamples=resamples),
            "profiles": profile_table(pairs, 0.01, resamples=resamples)}


def _invented(level: float, step: int, seed: int, name: str, rng: np.random.Generator) -> Pairs:
    alpha = np.clip(level + step / 200 + np.linspace(-0.3, 0.3, 16), 0.02, 0.98)
    held = invented_pairs(alpha, rng, seed=seed, name=name, pull=1 - step / 100, noise=0.05)
    return dataclasses.replace(held, target_ids=held.train_ids) if name == "train" else held
