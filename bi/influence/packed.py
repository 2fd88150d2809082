"""Attention over completions that lie end to end in one row and share the keys and values of their prompt.

Rows of a batch are padded to the longest, and what is padded costs as much as what is read. Here the completions of a
prompt are one row: every token attends to the prompt and to the earlier tokens of its own completion. A layer of the
model sees nothing of it but the positions; only the attention has to know where completions begin, and any model that
calls its attention through transformers' interface can be given this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

NAME = "bi_packed"
KEPT = 2**22
"""Attention weights that a layer keeps for its backward pass, in numbers; more than that are worked out again."""
FILL = 64
"""Under autocast a row is filled up to a multiple of this many tokens, and attention stays in float32: products of half
precision are compiled for each new shape, and rows of all lengths would compile more than they compute."""


@dataclass(frozen=True)
class Layout:
    """Where completions begin: tokens of the shared prompt, and of each completion."""

    start: int
    lengths: tuple[int, ...]


_LAYOUT: ContextVar[Layout] = ContextVar("layout of packed completions")


class Unpackable(Exception):
    """This attention is of a kind that packed completions have no implementation of."""


def filling(tokens: int, device: torch.device) -> int:
    """How many tokens of no meaning to put behind a row of ``tokens``, as one more completion."""
    return -tokens % FILL if torch.is_autocast_enabled(device.type) else 0


def packable(model: nn.Module) -> bool:
    """Whether ``model`` calls its attention through the interface, and is where packing pays: not on a GPU."""
    backend = getattr(model, "_supports_attention_backend", False) and hasattr(model, "config")
    return bool(backend) and next(model.parameters()).device.type == "cpu"


@contextmanager
def packed_attention(model: Any, layout: Layout) -> Iterator[None]:
    """Let the attention of ``model`` follow ``layout``; its configuration is left as it was."""
    before, token = model.config._attn_implementation, _LAYOUT.set(layout)
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before
        _LAYOUT.reset(token)


def _attend(module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any, *,
            scaling: float | None = None, sliding_window: int | None = None, softcap: float | None = None,
            s_aux: Any = None, **_: Any) -> tuple[torch.Tensor, None]:
    """The attention of one layer: ``query`` (1, H, S, D), ``key`` and ``value`` (1, K, start + S, D), K a part of H."""
    layout = _LAYOUT.get()
    longest = layout.start + max(layout.lengths)
    if softcap is not None or s_aux is not None or attention_mask is not None or (sliding_window or longest) < longest:
        raise Unpackable
    if torch.is_autocast_enabled(query.device.type):  # products of every completion's own shape: see FILL
        query, key, value = query.float(), key.float(), value.float()
    heads, keys = query.shape[1], key.shape[1]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    with torch.autocast(query.device.type, enabled=False):
        found = _Packed.apply(query[0].unflatten(0, (keys, heads // keys)), key[0], value[0], scale, layout.start,
                              layout.lengths)
    return found.flatten(0, 1).transpose(0, 1)[None], None


AttentionInterface.register(NAME, _attend)


class _Packed(torch.autograd.Function):
    """Softmax attention of each completion over the prompt and itself, with its gradient."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, start: int,
                lengths: Sequence[int]) -> torch.Tensor:
        """(K, G, S, D) from queries of that shape and keys and values (K, start + S, D); G heads share a key."""
        out, kept = torch.empty_like(query), []
        keep = query.shape[0] * query.shape[1] * sum(size * (start + size) for size in lengths) <= KEPT
        for rows, size in _spans(lengths):
            shares = _shares(_query(query, rows, scale), _reach(key, rows, start), size)
            out[:, :, rows] = torch.bmm(shares, _reach(value, rows, start)).unflatten(1, (-1, size))
            kept += [shares] if keep else []
        ctx.save_for_backward(query, key, value, out, *kept)
        ctx.scale, ctx.start, ctx.lengths = scale, start, lengths
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of queries, keys and values."""
        query, key, value, out, *kept = ctx.saved_tensors
        (gradient,) = gradients
        to_query, to_key, to_value = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value)
        mean = (gradient * out).sum(-1, keepdim=True)
        for number, (rows, size) in enumerate(_spans(ctx.lengths)):
            q, k, v = _query(query, rows, ctx.scale), _reach(key, rows, ctx.start), _reach(value, rows, ctx.start)
            shares = kept[number] if kept else _shares(q, k, size)
            g = gradient[:, :, rows].flatten(1, 2)
            _spread(to_value, torch.bmm(shares.transpose(1, 2), g), rows, ctx.start)
            slope = torch.bmm(g, v.transpose(1, 2)).sub_(mean[:, :, rows].flatten(1, 2)).mul_(shares)
            to_query[:, :, rows] = torch.bmm(slope, k).mul_(ctx.scale).unflatten(1, (-1, size))
            _spread(to_key, torch.bmm(slope.transpose(1, 2), q), rows, ctx.start)
        return to_query, to_key, to_value, None, None, None


def _shares(q: torch.Tensor, k: torch.Tensor, size: int) -> torch.Tensor:
    """What each query (K, G size, D) of a completion gives to what it can see: (K, G size, start + size)."""
    scores = torch.bmm(q, k.transpose(1, 2))
    own = scores.unflatten(1, (-1, size))[..., -size:]
    own += torch.full((size, size), -torch.inf, dtype=q.dtype, device=q.device).triu(1)
    return torch.softmax(scores, -1, dtype=torch.promote_types(q.dtype, torch.float32)).to(q.dtype)


def _spans(lengths: Sequence[int]) -> Iterator[tuple[slice, int]]:
    begin = 0
    for size in lengths:
        yield slice(begin, begin + size), size
        begin += size


def _query(query: torch.Tensor, rows: slice, scale: float) -> torch.Tensor:
    return (query[:, :, rows] * scale).flatten(1, 2)


def _reach(table: torch.Tensor, rows: slice, start: int) -> torch.Tensor:
    """What a completion can see of keys or values (K, start + S, D): the prompt's and its own."""
    return torch.cat([table[:, :start], table[:, start + rows.start : start + rows.stop]], 1)


def _spread(table: torch.Tensor, found: torch.Tensor, rows: slice, start: int) -> None:
    """Add the gradient of what :func:`_reach` gave."""
    table[:, :start] += found[:, :start]
    table[:, start + rows.start : start + rows.stop] += found[:, start:]
