"""Influences of pairs of prompts under one policy, and draws of prompts that all arms and steps share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bi.evaluation.intervals import numpy_stream
from bi.evaluation.metrics import accuracy_variance
from bi.influence.summary import pair_means

TRAIN = "train"


@dataclass(frozen=True)
class Pairs:
    """What a step on M training prompts does to N target prompts (:func:`bi.influence.through.pair_influence`).

    ``products`` (N, M): change of the objective of the row's prompt, for a step of unit size; ``plus``, ``minus`` the
    same for the log-probabilities of its right and of its wrong completions (``nan`` for prompts with one outcome, and
    throughout where the targets are the training prompts). ``correct`` of ``counts`` rollouts of each target prompt,
    and of each training prompt, are right.
    """

    target_ids: tuple[str, ...]
    train_ids: tuple[str, ...]
    products: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    to_accuracy: np.ndarray
    correct: np.ndarray
    counts: np.ndarray
    train_correct: np.ndarray
    train_counts: np.ndarray

    @property
    def paired(self) -> bool:
        """Whether the targets are the training prompts themselves."""
        return self.target_ids == self.train_ids

    @property
    def informative(self) -> np.ndarray:
        """(N,) whether a target prompt has right and wrong rollouts."""
        return (self.correct > 0) & (self.correct < self.counts)


def pairs_file(folder: Path, step: int) -> Path:
    """Where a cell keeps the pairs of the policy after ``step``."""
    return folder / f"pairs_step-{step:05d}.npz"


def load_pairs(path: Path) -> dict[str, Pairs]:
    """The pairs of every target in a file that :func:`bi.influence.through.save_pairs` wrote."""
    with np.load(path) as held:
        arrays = dict(held)
    names = [name.removesuffix("_products") for name in arrays if name.endswith("_products")]
    return {name: _one(arrays, name) for name in names}


def _one(arrays: Mapping[str, np.ndarray], name: str) -> Pairs:
    products = arrays[f"{name}_products"]
    unknown = np.full_like(products, np.nan)
    return Pairs(tuple(map(str, arrays[f"{name}_ids"])), tuple(map(str, arrays[f"{TRAIN}_ids"])), products,
                 arrays.get(f"{name}_plus", unknown), arrays.get(f"{name}_minus", unknown),
                 arrays[f"{name}_to_accuracy"], arrays[f"{name}_correct"], arrays[f"{name}_counts"],
                 arrays[f"{TRAIN}_correct"], arrays[f"{TRAIN}_counts"])


@dataclass(frozen=True)
class PromptDraws:
    """How often each target (B + 1, N) and each training prompt (B + 1, M) of a seed is drawn; row 0 is the sample."""

    target: np.ndarray
    train: np.ndarray


def prompt_draws(pairs: Pairs, resamples: int, *names: str | int) -> PromptDraws:
    """``resamples`` draws with replacement of both kinds of prompts; one draw for both where they are the same."""
    rng = numpy_stream("pairs", *names)
    drawn = []
    for count in pairs.products.shape:
        drawn.append(np.vstack([np.ones(count), rng.multinomial(count, np.full(count, 1 / count), size=resamples)]))
    return PromptDraws(drawn[0], drawn[0] if pairs.paired else drawn[1])


def over_pairs(matrix: np.ndarray, pairs: Pairs, draws: PromptDraws) -> np.ndarray:
    """Means of ``matrix`` (N, M) over pairs in every draw, (B + 1,); what is not a number is left out."""
    return pair_means(matrix, draws.target, draws.train, paired=pairs.paired)


def over_targets(values: np.ndarray, pairs: Pairs, draws: PromptDraws) -> np.ndarray:
    """Means of ``values`` (N,) over target prompts in every draw, (B + 1,)."""
    return draws.target @ values / draws.target.sum(axis=1)


Quantity = Callable[[Pairs, PromptDraws, float], np.ndarray]
INFLUENCE: dict[str, Quantity] = {
    "influence": lambda p, d, lr: lr * over_pairs(p.to_accuracy[:, None] * p.products, p, d),
    "objective": lambda p, d, lr: lr * over_pairs(p.products, p, d),
    "plus": lambda p, d, lr: lr * over_pairs(p.plus, p, d),
    "minus": lambda p, d, lr: lr * over_pairs(p.minus, p, d),
    "contrast": lambda p, d, lr: lr * over_pairs(p.plus - p.minus, p, d),
    "room": lambda p, d, lr: over_targets(accuracy_variance(p.counts, p.correct), p, d),
    "informative": lambda p, d, lr: over_targets(p.informative.astype(float), p, d),
    "rollout_accuracy": lambda p, d, lr: over_targets(p.correct / p.counts, p, d),
}
"""What is said about the pairs of one policy and step size, in every draw.

``influence``: accuracy that a step of plain gradient ascent on all training prompts adds to a target prompt;
``objective``: the same in standard deviations of the reward. ``plus``, ``minus``: nats that it adds to the
log-probability of the right and of the wrong completions, over target prompts with mixed outcomes; ``contrast``: their
difference. ``room``: alpha (1 - alpha), the other factor of the influence. ``informative``: share of prompts with mixed
outcomes. ``rollout_accuracy``: alpha.
"""
