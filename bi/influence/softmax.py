"""The smallest policy there is: one prompt, a handful of completions, a logit for each.

Whatever a group of rollouts does to a language model it does to this one too, and here every number can be worked out
by hand: the gradient of log pi(k) by the logits is e_k - p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bi.influence.advantages import Weighting, group_weights

SHORTEST = Weighting()
"""The paper's form: population deviation, no length factor, no KL term."""


def softmax(logits: ArrayLike) -> np.ndarray:
    """Probabilities (K,) of (K,) logits."""
    values = np.asarray(logits, dtype=np.float64)
    weights = np.exp(values - values.max())
    return weights / weights.sum()


def score_vectors(logits: ArrayLike) -> np.ndarray:
    """Equation ``softmax-score``: row k is grad log pi(k) = e_k - p, (K, K)."""
    chances = softmax(logits)
    return np.eye(len(chances)) - chances


def reward_gradient(logits: ArrayLike, rewards: ArrayLike) -> np.ndarray:
    """Equation ``score-function``: grad E[r] = E[r grad log pi], by summing over all completions, (K,)."""
    return (softmax(logits) * np.asarray(rewards, dtype=np.float64)) @ score_vectors(logits)


def influence_coefficient(accuracy: ArrayLike) -> np.ndarray:
    """sqrt(alpha (1 - alpha)), how much a prompt of rollout accuracy alpha counts in one GRPO step; ``ValueError`` for
    numbers outside [0, 1]."""
    alpha = np.asarray(accuracy, dtype=np.float64)
    if ((alpha < 0) | (alpha > 1)).any():
        raise ValueError(f"accuracy: {alpha.min():g} to {alpha.max():g}; an accuracy lies between 0 and 1")
    return np.sqrt(alpha * (1.0 - alpha))


def mixed_chance(accuracy: ArrayLike, group: int) -> np.ndarray:
    """Equation ``mixed-chance``: 1 - alpha^N - (1 - alpha)^N, the chance that N rollouts do not all end alike."""
    alpha = np.asarray(accuracy, dtype=np.float64)
    return 1.0 - alpha**group - (1.0 - alpha) ** group


@dataclass(frozen=True)
class GroupStep:
    """One step on one group.

    ``advantages`` (N,) of the members, ``gradient`` (K,) by the logits, ``after`` (K,) the probabilities behind the
    step, ``accuracy`` and ``accuracy_after`` the exact probabilities of a right completion.
    """

    advantages: np.ndarray
    gradient: np.ndarray
    after: np.ndarray
    accuracy: float
    accuracy_after: float


def sampled_step(logits: ArrayLike, drawn: ArrayLike, right: ArrayLike, lr: float,
                 weighting: Weighting = SHORTEST) -> GroupStep:
    """One step of size ``lr`` on the group of completions ``drawn`` (N,); ``right`` (K,) says which are right.

    Gradient: sum_i w_i (e_{o_i} - p), with the weights of :func:`bi.influence.advantages.group_weights`.
    """
    places = np.asarray(drawn)
    rewards = np.asarray(right, dtype=np.float64)[places]
    weights = group_weights(rewards, np.ones(len(places)), weighting).weights
    return _step(logits, weights @ score_vectors(logits)[places], weights * len(places), right, lr)


def exact_step(logits: ArrayLike, right: ArrayLike, lr: float) -> GroupStep:
    """The same with every completion in the group at its probability: equation ``group-gradient``, without noise."""
    chances, rewards = softmax(logits), np.asarray(right, dtype=np.float64)
    weights = group_weights(rewards, np.ones(len(chances)), SHORTEST, chances).weights
    return _step(logits, weights @ score_vectors(logits), weights / chances, right, lr)


def _step(logits: ArrayLike, gradient: np.ndarray, advantages: np.ndarray, right: ArrayLike, lr: float) -> GroupStep:
    rewards = np.asarray(right, dtype=np.float64)
    after = softmax(np.asarray(logits, dtype=np.float64) + lr * gradient)
    return GroupStep(advantages, gradient, after, float(softmax(logits) @ rewards), float(after @ rewards))
