"""Sketches: gradients of P numbers kept as k, such that inner products survive up to a known error.

Two linear maps R: R^P -> R^k with E <Rx, Ry> = <x, y>. Both place every coordinate, with a random sign, into one of k
cells and add up what meets there, and in both two coordinates meet with probability at most 1/k:

- ``count`` (CountSketch, Charikar et al. 2002): each coordinate draws its cell by itself.
- ``fold`` (a structured random projection): the vector is cut into blocks of k, each block is shifted round by a random
  amount, and the blocks are added. No table of cells, no scattered memory access: a few times cheaper.

Error. For both, Var <Rx, Ry> <= (|x|^2 |y|^2 + <x, y>^2) / k, so a cosine c is off by at most sqrt((1 + c^2) / k) in
standard deviation (:meth:`Sketch.standard_error`), and by Chebyshev by more than t times that with probability below
1/t^2. It does not depend on P: k = 2^20 gives 1e-3. Cosines between prompts can be as small as .01, and a sketch with a
few thousand cells drowns them.

A sketch is named by (kind, k, seed) and depends on nothing else, so rows of different checkpoints of one architecture,
sketched apart, can be multiplied with each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import torch

from bi.streams import stream_seed

Kind = Literal["count", "fold"]


@dataclass(frozen=True)
class Sketch:
    """A linear map from rows of any length P to rows of ``size`` = k numbers.

    The random tables of the last P are kept: 5 P bytes for ``count`` (a cell and a sign each), P for ``fold``.
    """

    kind: Kind = "fold"
    size: int = 2**20
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no sketch."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"sketch kind {self.kind!r} is unknown; choose one of {', '.join(get_args(Kind))}")
        if not 1 <= self.size < 2**31:
            raise ValueError(f"sketch size {self.size} must be between 1 and 2^31 - 1")

    def __call__(self, rows: np.ndarray | torch.Tensor) -> np.ndarray:
        """(N, P) -> (N, k), or (P,) -> (k,), in the number format of ``rows`` (float32 or float64)."""
        values = torch.as_tensor(rows)
        if values.dtype not in (torch.float32, torch.float64) or values.ndim not in (1, 2):
            raise ValueError(f"sketch: rows of float32 or float64 are needed, got {values.dtype} of shape "
                             f"{tuple(values.shape)}")
        table = _fold_table if self.kind == "fold" else _count_table
        tables = table(values.shape[-1], self.size, self.seed, str(values.device))
        apply = _fold if self.kind == "fold" else _count
        matrix = values.reshape(-1, values.shape[-1])
        out = torch.stack([apply(row, *tables, self.size) for row in matrix])
        return out.reshape(*values.shape[:-1], self.size).cpu().numpy()

    def standard_error(self, cosine: float = 0.0) -> float:
        """Upper bound of the standard deviation of a sketched ``cosine``: sqrt((1 + cosine^2) / k)."""
        return float(np.sqrt((1 + cosine**2) / self.size))

    def describe(self) -> str:
        """Kind, k, seed and error in a few words."""
        error = f"error of a small cosine {self.standard_error():.1e}"
        return f"sketch {self.kind}, k {self.size}, seed {self.seed}, {error}"


def _generator(*names: int | str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=stream_seed(*names)))


def _signs(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) of -1 and 1, int8, one random bit each."""
    bits = np.unpackbits(np.frombuffer(rng.bytes(-(-count // 8)), dtype=np.uint8))[:count]
    return 2 * bits.view(np.int8) - 1


@lru_cache(maxsize=2)
def _count_table(length: int, size: int, seed: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells (P,) int32 and signs (P,) int8."""
    cells = _generator(seed, "count sketch", "cells").integers(size, size=length, dtype=np.int32)
    signs = _signs(length, _generator(seed, "count sketch", "signs"))
    return torch.from_numpy(cells).to(device), torch.from_numpy(signs).to(device)


def _count(row: torch.Tensor, cells: torch.Tensor, signs: torch.Tensor, size: int) -> torch.Tensor:
    return row.new_zeros(size).index_add_(0, cells, row * signs)


@lru_cache(maxsize=2)
def _fold_table(length: int, size: int, seed: int, device: str) -> tuple[list[int], torch.Tensor]:
    """A shift for each block and signs (P,) int8."""
    blocks = -(-length // size)
    shifts = _generator(seed, "fold sketch", "shifts").integers(size, size=blocks).tolist()
    return shifts, torch.from_numpy(_signs(length, _generator(seed, "fold sketch", "signs"))).to(device)


def _fold(row: torch.Tensor, shifts: list[int], signs: torch.Tensor, size: int) -> torch.Tensor:
    total = row.new_zeros(size)
    for number, shift in enumerate(shifts):
        block = slice(number * size, (number + 1) * size)
        values = row[block] * signs[block]
        before_the_end = min(len(values), size - shift)
        total[shift : shift + before_the_end] += values[:before_the_end]
        total[: len(values) - before_the_end] += values[before_the_end:]
    return total
