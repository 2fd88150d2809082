"""One weighted backward pass over the rollouts of a prompt, a micro-batch at a time, into one flat gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from bi.influence.likelihood import completion_logprobs, supported
from bi.influence.prefix import SharedPrefix


class WeightedGradient:
    """Accumulates sum_i w_i grad log pi(o_i|q) in one flat (P,) buffer, a micro-batch of rollouts at a time.

    The model's ``.grad`` fields are not touched. Memory: one gradient, one buffer (float32, or float64 for a float64
    model) and the activations of ``micro_batch_size`` rollouts, whatever the number of rollouts. With ``share_prefix``
    the prompt is encoded once (:class:`bi.influence.prefix.SharedPrefix`), as long as the model allows it: attention
    with a plain cache of keys and values. The first group is checked against the ordinary pass.
    """

    def __init__(self, model: nn.Module, parameters: Sequence[nn.Parameter], *, micro_batch_size: int = 16,
                 temperature: float = 1.0, share_prefix: bool = True) -> None:
        """Allocate the buffer for ``parameters`` of ``model``."""
        if micro_batch_size < 1:
            raise ValueError(f"micro_batch_size {micro_batch_size} must be at least 1")
        self.model, self.parameters = model, list(parameters)
        self.micro_batch_size, self.temperature = micro_batch_size, temperature
        first = self.parameters[0]
        size = sum(p.numel() for p in self.parameters)
        self.buffer = torch.zeros(size, dtype=torch.promote_types(first.dtype, torch.float32), device=first.device)
        self.share_prefix = share_prefix and len(supported(model, use_cache=True, past_key_values=None)) == 2
        self.checked = False

    def __call__(self, prompt: Sequence[int], completions: Sequence[Sequence[int]], weights: np.ndarray,
                 name: str) -> np.ndarray:
        """The (P,) weighted gradient; rollouts of weight 0 cost nothing. ``name`` stands in error messages.

        The array is a view of the buffer on a CPU: copy it before the next call.
        """
        self.buffer.zero_()
        prefix = self._prefix(prompt, completions) if np.count_nonzero(weights) > 1 else None
        for rows in self._micro_batches(completions, weights):
            batch = [completions[i] for i in rows]
            logprobs = prefix.logprobs(batch) if prefix else self._plain(prompt, batch)
            if not torch.isfinite(logprobs).all():
                raise ValueError(f"{name}: the model gives a log-probability that is not finite (NaN or infinite "
                                 "logits); check that the checkpoint is sound, or use float32")
            share = torch.as_tensor(weights[rows], dtype=logprobs.dtype, device=logprobs.device)
            leaves = prefix.open_leaves() if prefix else []
            gradients = torch.autograd.grad(share @ logprobs, [*self.parameters, *leaves], allow_unused=True)
            self._add(gradients[: len(self.parameters)])
            if prefix:
                prefix.collect(gradients[len(self.parameters) :])
        if prefix:
            self._add(prefix.pull_back(self.parameters))
        return self.buffer.cpu().numpy()

    def _micro_batches(self, completions: Sequence[Sequence[int]], weights: np.ndarray) -> Iterator[list[int]]:
        # equal lengths together: less padding
        order = sorted(np.flatnonzero(weights).tolist(), key=lambda i: len(completions[i]))
        for begin in range(0, len(order), self.micro_batch_size):
            yield order[begin : begin + self.micro_batch_size]

    def _plain(self, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> torch.Tensor:
        return completion_logprobs(self.model, prompt, completions, temperature=self.temperature)

    def _prefix(self, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> SharedPrefix | None:
        if not self.share_prefix:
            return None
        prefix = SharedPrefix(self.model, prompt, self.temperature)
        if prefix.outputs and not self.checked:
            few = completions[: self.micro_batch_size]
            with torch.no_grad():
                shared, plain = prefix.logprobs(few), self._plain(prompt, few)
            self.checked = bool(torch.allclose(shared, plain, rtol=1e-3, atol=1e-3) or not torch.isfinite(plain).all())
        self.share_prefix = bool(prefix.outputs) and self.checked
        return prefix if self.share_prefix else None

    def _add(self, gradients: Sequence[torch.Tensor | None]) -> None:
        offset = 0
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is not None:
                self.buffer[offset : offset + parameter.numel()] += gradient.reshape(-1)
            offset += parameter.numel()
