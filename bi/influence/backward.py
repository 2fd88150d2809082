"""One weighted backward pass over the rollouts of a prompt, a micro-batch at a time, into one flat gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from bi.influence.likelihood import recomputing, supported, token_logprobs
from bi.influence.packed import packable
from bi.influence.prefix import SharedPrefix

NEAR = {torch.float64: 1e-8, torch.float32: 1e-3}
"""How far log-probabilities of a completion may differ between two ways to compute them, absolute and relative: what
rounding adds up to over a few hundred tokens; half precision, which is not listed, loses some hundredths."""
PASS_TOKENS = {"cpu": 48, "cuda": 4096}
"""What a pass through the model costs beside its tokens, in tokens: a GPU wants few large passes, a CPU no padding."""


def pass_tokens(model: nn.Module) -> int:
    """:data:`PASS_TOKENS` where the model is."""
    return PASS_TOKENS.get(next(model.parameters()).device.type, PASS_TOKENS["cuda"])


def batch_sizes(lengths: Sequence[int], most: int, overhead: int) -> list[int]:
    """How to cut rows of ascending ``lengths`` into batches of at most ``most`` rows, at the least cost.

    A batch costs its rows times its longest length (all are padded to it) plus ``overhead``. Exact, by dynamic
    programming over where the last batch begins.
    """
    best, cut = [0.0], [0]
    for end in range(1, len(lengths) + 1):
        begins = range(max(0, end - most), end)
        costs = [best[begin] + (end - begin) * lengths[end - 1] + overhead for begin in begins]
        best.append(min(costs))
        cut.append(begins[int(np.argmin(costs))])
    sizes, end = [], len(lengths)
    while end:
        sizes.append(end - cut[end])
        end = cut[end]
    return sizes[::-1]


@contextmanager
def casts_kept() -> Iterator[None]:
    """Keep the parameters as autocast has cast them, from one pass to the next: they must not change inside."""
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()


class WeightedGradient:
    """Accumulates sum_i w_i grad log pi(o_i|q) in one flat (P,) buffer, a micro-batch of rollouts at a time.

    The model's ``.grad`` fields are not touched. Memory: one gradient, one buffer (float32, or float64 for a float64
    model) and the activations of ``micro_batch_size`` rollouts, whatever the number of rollouts. With ``share_prefix``
    the prompt is encoded once (:class:`bi.influence.prefix.SharedPrefix`), as long as the model allows it: attention
    with a plain cache of keys and values, no gradient checkpointing; on a CPU the completions then lie end to end where
    the model's attention can be replaced (:mod:`bi.influence.packed`). The first group is checked against the ordinary
    pass. ``autocast`` is the number format of the passes through the model (``torch.bfloat16``: some 1e-3 of error in
    the direction, for speed); log-probabilities, weights and the buffer stay in float32. ``reference`` is the policy
    that a KL term compares with, by ``kl_estimator`` (:class:`bi.influence.advantages.Weighting`).
    """

    def __init__(self, model: nn.Module, parameters: Sequence[nn.Parameter], *, micro_batch_size: int = 16,
                 temperature: float = 1.0, share_prefix: bool = True, autocast: torch.dtype | None = None,
                 reference: nn.Module | None = None, kl_estimator: str = "k3") -> None:
        """Allocate the buffer for ``parameters`` of ``model``."""
        if micro_batch_size < 1:
            raise ValueError(f"micro_batch_size {micro_batch_size} must be at least 1")
        self.model, self.parameters, self.reference = model, list(parameters), reference
        self.micro_batch_size, self.temperature, self.kl_estimator = micro_batch_size, temperature, kl_estimator
        first = self.parameters[0]
        size = sum(p.numel() for p in self.parameters)
        self.buffer = torch.zeros(size, dtype=torch.promote_types(first.dtype, torch.float32), device=first.device)
        cached = len(supported(model, use_cache=True, past_key_values=None)) == 2
        self.share_prefix = share_prefix and cached and not recomputing(model)
        self.packed = self.share_prefix and packable(model)
        self.autocast, self.checked = autocast, False

    def __call__(self, prompt: Sequence[int], completions: Sequence[Sequence[int]], weights: np.ndarray, name: str,
                 kl_weights: np.ndarray | None = None) -> torch.Tensor:
        """The (P,) weighted gradient; rollouts of weight 0 cost nothing. ``name`` stands in error messages.

        ``kl_weights`` (N,) are the weights of the KL terms. The tensor is the buffer itself: copy it before the next
        call.
        """
        self.buffer.zero_()
        used = weights != 0 if kl_weights is None else (weights != 0) | (kl_weights != 0)
        prefix = self._prefix(prompt, completions) if np.count_nonzero(used) > 1 else None
        for rows in self._micro_batches(completions, used):
            batch = [completions[i] for i in rows]
            with self._cast():
                logprobs = prefix.logprobs(batch) if prefix else self._plain(self.model, prompt, batch)
            if not torch.isfinite(logprobs).all():
                raise ValueError(f"{name}: the model gives a log-probability that is not finite (NaN or infinite "
                                 "logits); check that the checkpoint is sound, or use float32")
            share = torch.as_tensor(weights[rows], dtype=logprobs.dtype, device=logprobs.device)[:, None]
            if kl_weights is not None:
                share = share - self._penalty(prompt, batch, logprobs.detach(), kl_weights[rows])
            leaves = prefix.open_leaves() if prefix else []
            gradients = torch.autograd.grad((share * logprobs).sum(), [*self.parameters, *leaves], allow_unused=True)
            self._add(gradients[: len(self.parameters)])
            if prefix:
                prefix.collect(gradients[len(self.parameters) :])
        if prefix:
            self._add(prefix.pull_back(self.parameters))
        return self.buffer

    def _micro_batches(self, completions: Sequence[Sequence[int]], used: np.ndarray) -> Iterator[list[int]]:
        order = sorted(np.flatnonzero(used).tolist(), key=lambda i: len(completions[i]))
        if self.share_prefix and self.packed:
            yield from (order[begin : begin + self.micro_batch_size]
                        for begin in range(0, len(order), self.micro_batch_size))
            return
        sizes = batch_sizes([len(completions[i]) for i in order], self.micro_batch_size, pass_tokens(self.model))
        for begin, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
            yield order[begin : begin + size]

    def _plain(self, model: nn.Module, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> torch.Tensor:
        return token_logprobs(model, prompt, completions, temperature=self.temperature)

    def _penalty(self, prompt: Sequence[int], batch: Sequence[Sequence[int]], logprobs: torch.Tensor,
                 weights: np.ndarray) -> torch.Tensor:
        """Weights (B, T) of the tokens in the gradient of the KL term, without its sign."""
        if self.reference is None:
            raise ValueError("kl: a KL term needs the reference policy; give reference=")
        with torch.no_grad(), self._cast():
            gap = self._plain(self.reference, prompt, batch) - logprobs  # log rho
        slope = 1 - gap.exp() if self.kl_estimator == "k3" else -gap
        return torch.as_tensor(weights, dtype=logprobs.dtype, device=logprobs.device)[:, None] * slope

    def _prefix(self, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> SharedPrefix | None:
        if not self.share_prefix:
            return None
        longest = sorted(completions, key=len)[-2:]  # of a single token, a completion tells nothing about attention
        with self._cast():
            prefix = SharedPrefix(self.model, prompt, self.temperature, self.packed)
            alike = bool(prefix.outputs) and (self.checked or self._alike(prefix, prompt, longest))
            if prefix.outputs and prefix.packed and not alike:
                prefix.packed = False
                alike = self._alike(prefix, prompt, longest)
        self.share_prefix, self.packed = alike, alike and prefix.packed
        self.checked = alike and (self.checked or len(longest[-1]) > 1)
        return prefix if alike else None

    @torch.no_grad()
    def _alike(self, prefix: SharedPrefix, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> bool:
        """Whether the shared prompt gives the log-probabilities of the ordinary pass (or these are not finite)."""
        shared, plain = prefix.logprobs(completions).sum(1), self._plain(self.model, prompt, completions).sum(1)
        near = NEAR.get(self.autocast or next(self.model.parameters()).dtype, 3e-2)
        return torch.allclose(shared, plain, rtol=near, atol=near) or not bool(torch.isfinite(plain).all())

    def _cast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.buffer.device.type, self.autocast) if self.autocast else nullcontext()

    def _add(self, gradients: Sequence[torch.Tensor | None]) -> None:
        offset = 0
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is not None:
                self.buffer[offset : offset + parameter.numel()] += gradient.reshape(-1)
            offset += parameter.numel()
