"""What a floor is made of: the speed of a matrix product on this machine, and the parameters that enter products."""

from __future__ import annotations

import time

import torch
from torch import nn


def product_speed(width: int, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second of (1024, width) @ (width, 4 width) in processor time, the best of five."""
    a, b, best = torch.randn(1024, width, dtype=dtype), torch.randn(width, 4 * width, dtype=dtype), 0.0
    for _ in range(5):
        began = time.process_time()
        for _ in range(10):
            torch.mm(a, b)
        best = max(best, 10 * 2 * 1024 * width * 4 * width / (time.process_time() - began))
    return best


def matrix_parameters(model: nn.Module) -> int:
    """Numbers in the matrices that every token is multiplied with; embeddings are looked up."""
    return sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name)
