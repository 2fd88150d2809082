"""Solutions of the chapter on measuring co-influence, run by the tests and shown folded in the book."""

from __future__ import annotations

import math

import numpy as np


def naive_factor(m: int, n: int, noise: float) -> float:
    """Factor by which the naive mean over all pairs of m prompts overstates the squared length.

    ``n`` rollouts a prompt; ``noise`` is v in units of the squared length of the common gradient.
    """
    return 1 + noise / (m * n)


def rollouts_needed(m: int, noise: float, excess: float) -> int:
    """The least number of rollouts for which the factor is at most 1 + ``excess``."""
    return math.ceil(noise / (m * excess))


def count_sketch(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Each column of (N, P) gets a random sign and one of ``size`` cells."""
    cells = rng.integers(size, size=rows.shape[1])
    signs = rng.choice([-1.0, 1.0], size=rows.shape[1])
    out = np.zeros((len(rows), size))
    for row, sketch in zip(rows, out, strict=True):
        np.add.at(sketch, cells, signs * row)
    return out


def cosine_errors(rows: np.ndarray, size: int, repeats: int, seed: int) -> float:
    """Root mean square error of the sketched cosine of two rows."""
    first, second = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    errors = []
    for repeat in range(repeats):
        rng = np.random.default_rng((seed, repeat))
        a, b = count_sketch(np.stack([first, second]), size, rng)
        errors.append(a @ b - first @ second)
    return float(np.sqrt(np.mean(np.square(errors))))
