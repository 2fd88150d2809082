"""Muon in float32, for processors that do not multiply bfloat16."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def orthogonalized(matrix: Tensor, *, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """``matrix`` with its singular values moved near 1, by Newton-Schulz iterations in the matrix's own format.

    An iteration replaces each singular value s of the matrix, scaled to Frobenius norm 1, by a s + b s^3 + c s^5.
    """
    a, b, c = coefficients
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=eps)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * (gram @ gram)) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class Float32Muon(torch.optim.Muon):
    """``torch.optim.Muon`` with updates rescaled to AdamW's root mean square, its iterations in float32.

    torch's own iterate in bfloat16. Where that is emulated, a step of the book-size base spends ten times as long in
    them as in the model. The results differ by the rounding of bfloat16.
    """

    def __init__(self, *args: Any, adjust_lr_fn: str, **options: Any) -> None:
        if adjust_lr_fn != "match_rms_adamw":
            raise ValueError(f"adjust_lr_fn is {adjust_lr_fn!r}; only 'match_rms_adamw' exists in float32")
        super().__init__(*args, adjust_lr_fn=adjust_lr_fn, **options)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                momentum = state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
                update = matrix.grad.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
                update = orthogonalized(update, coefficients=group["ns_coefficients"], steps=group["ns_steps"],
                                        eps=group["eps"])
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-0.2 * math.sqrt(max(matrix.shape)) * group["lr"])
