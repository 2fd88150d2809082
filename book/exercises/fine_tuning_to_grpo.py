"""Solutions of the chapter from fine-tuning to GRPO, run by the tests and shown folded in the book."""

from __future__ import annotations

import math

import numpy as np


def lone_success(n: int) -> tuple[float, float]:
    """Weights in the step of a group of n with one right rollout: (of the right one, of all wrong ones together)."""
    weight = math.sqrt(n - 1) / n
    return weight, -weight


def grpo_step(logits: np.ndarray, drawn: np.ndarray, right: np.ndarray, lr: float) -> np.ndarray:
    """Logits (K,) after one step on the group ``drawn`` (N,); ``right`` (K,) says which are right."""
    rewards = right[drawn].astype(float)
    if rewards.std() == 0:
        return logits.copy()
    advantages = (rewards - rewards.mean()) / rewards.std()
    chances = np.exp(logits - logits.max())
    chances /= chances.sum()
    scores = np.eye(len(logits))[drawn] - chances  # grad log pi, one row a rollout
    return logits + lr * advantages @ scores / len(drawn)
