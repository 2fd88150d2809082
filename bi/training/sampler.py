"""Sampling completions: ``k`` rollouts for each prompt, exact log-probabilities, and noise that every row owns.

Row ``(i, j)`` draws its uniforms from a stream of its own, named by the caller, so what it samples does not depend on
which other rows share its batch (up to the last bits of the matrix products). Llama-type models go through
:class:`bi.training.decoder.GroupDecoder`; any other ``AutoModelForCausalLM`` through its own ``generate``, where a
logits processor makes the same draws. A vLLM backend would be a third function with the signature of ``_decode``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel

from bi.streams import stream_seed
from bi.training.decoder import GroupDecoder, why_unsupported
from bi.training.policy import context_length

CPU_ROWS, GPU_ROWS = (32, 256), (256, 1024)  # fewest and most rows decoded together
CPU_CACHE_BYTES, GPU_CACHE_SHARE = 24 << 20, 0.35  # on a CPU the key-value cache should stay in the last-level cache
COMPACT_BELOW = 0.85  # rows are moved together when fewer than this share of the slots would remain


@dataclass(frozen=True)
class Completions:
    """Sampled rows in prompt-major order: row ``i * k + j`` is sample ``j`` of prompt ``i``.

    ``ids`` end with the eos id where ``finished``. ``logprobs`` are the model's own (temperature 1), one per id;
    ``sampling_logprobs`` are under the tempered distribution that was sampled from, ``entropies`` are that
    distribution's, in nats.
    """

    ids: list[list[int]]
    logprobs: list[list[float]]
    sampling_logprobs: list[list[float]]
    entropies: list[list[float]]
    finished: list[bool]
    k: int


@dataclass(frozen=True)
class Sampling:
    """How to sample: at most ``max_new_tokens``; ``temperature`` 0 takes the most probable token."""

    max_new_tokens: int
    temperature: float
    eos_ids: tuple[int, ...]
    pad_id: int

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; at least one token must be sampled")
        if self.temperature < 0:
            raise ValueError(f"temperature is {self.temperature}; use 0 for greedy decoding or a positive number")
        if not self.eos_ids:
            raise ValueError("eos_ids is empty; name the ids that end a completion")


def row_keys(seed: Sequence[int | str], names: Sequence[int | str], k: int, first: int = 0) -> list[int]:
    """Stream keys of rows ``(name, first) .. (name, first + k - 1)`` for each name, prompt-major."""
    return [stream_seed(*seed, name, first + sample) for name in names for sample in range(k)]


def sample(
    model: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    k: int,
    *,
    max_new_tokens: int,
    temperature: float,
    eos_id: int | Sequence[int],
    pad_id: int,
    keys: Sequence[int] | None = None,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    batch_rows: int | None = None,
) -> Completions:
    """Sample ``k`` completions of each prompt.

    ``keys`` holds one stream key per row (see ``row_keys``); without it, rows are named by ``seed`` and their place.
    ``dtype`` is the number format of the decoder (default: the model's). At most ``batch_rows`` rows are decoded
    together, fewer if their cache would not fit. Prompts must be shorter than the model's context; a row
    that reaches it stops unfinished. Raises ``ValueError`` for empty or too long prompts, ``FloatingPointError`` for a
    model whose logits are not finite.
    """
    eos = (eos_id,) if isinstance(eos_id, int) else tuple(eos_id)
    how = Sampling(max_new_tokens, temperature, eos, pad_id)
    prompts = [list(ids) for ids in prompt_ids]
    _check_prompts(prompts, context_length(model.config))
    if keys is None:
        keys = row_keys((seed, "sample"), range(len(prompts)), k)
    if len(keys) != len(prompts) * k:
        raise ValueError(f"keys has {len(keys)} entries for {len(prompts)} prompts x {k} rows; give one per row")
    direct = why_unsupported(model) is None
    decoder = GroupDecoder(model, dtype) if direct else None
    fitting = default_rows(model, max(map(len, prompts)), max_new_tokens, k)
    rows = min(batch_rows or fitting, fitting)
    rows_out: list[_Row | None] = [None] * len(keys)
    with torch.inference_mode():
        for group in _batches(prompts, k, rows):
            uniforms = noise([keys[i * k + j] for i in group for j in range(k)], max_new_tokens)
            batch = [prompts[i] for i in group]
            found = _decode(decoder, model, batch, k, how, uniforms) if decoder else _generate(model, batch, k, how,
                                                                                               uniforms)
            for place, i in enumerate(group):
                rows_out[i * k:(i + 1) * k] = found[place * k:(place + 1) * k]
    done = [row for row in rows_out if row is not None]
    return Completions([row.ids for row in done], [row.logprobs for row in done], [row.tempered for row in done],
                       [row.entropies for row in done], [row.finished for row in done], k)


@dataclass(frozen=True)
class _Row:
    ids: list[int]
    logprobs: list[float]
    tempered: list[float]
    entropies: list[float]
    finished: bool


class Draw(NamedTuple):
    """Tokens drawn for some rows, ``(N,)`` each, with what is known of the distributions that they come from."""

    tokens: Tensor
    logprobs: Tensor
    tempered: Tensor
    entropies: Tensor


def noise(keys: Sequence[int], count: int) -> np.ndarray:
    """Uniforms in [0, 1) of shape ``(rows, count)``; row ``n`` depends on ``keys[n]`` alone."""
    return np.stack([np.random.Generator(np.random.Philox(key=key)).random(count) for key in keys])


def choose(logits: Tensor, temperature: float, uniforms: Tensor) -> Draw:
    """Next tokens from ``logits`` ``(N, V)``, with log-probabilities (own, tempered) and the tempered entropy.

    Inverse transform sampling in float64: the first token whose cumulative probability exceeds ``uniforms`` ``(N,)``.
    """
    logprobs = logits.log_softmax(-1)
    tempered = logprobs if temperature in (0, 1) else (logits / temperature).log_softmax(-1)
    probabilities = tempered.exp()
    if temperature == 0:
        tokens = logits.argmax(-1)
    else:
        cumulative = probabilities.cumsum(-1, dtype=torch.float64)
        target = (uniforms.to(cumulative.device) * cumulative[:, -1])[:, None]
        tokens = torch.searchsorted(cumulative, target, right=True)[:, 0].clamp_(max=logits.shape[1] - 1)
    own = logprobs.gather(1, tokens[:, None])[:, 0]
    sampled = own if tempered is logprobs else tempered.gather(1, tokens[:, None])[:, 0]
    return Draw(tokens, own, sampled, torch.special.entr(probabilities).sum(-1))


def default_rows(model: PreTrainedModel, prompt_tokens: int, new_tokens: int, k: int) -> int:
    """How many rows to decode together: as many as keep their key-value cache within its memory, and whole groups."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    a_token = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize
    a_row = a_token * (new_tokens + prompt_tokens / (k if why_unsupported(model) is None else 1))
    on_gpu = model.device.type == "cuda"
    budget = (GPU_CACHE_SHARE * torch.cuda.get_device_properties(model.device).total_memory if on_gpu
              else CPU_CACHE_BYTES)
    fewest, most = GPU_ROWS if on_gpu else CPU_ROWS
    return max(k, fewest, min(most, int(budget / a_row)))


def _check_prompts(prompts: list[list[int]], context: int) -> None:
    if not prompts:
        raise ValueError("prompt_ids is empty; nothing to sample")
    for index, prompt in enumerate(prompts):
        if not prompt:
            raise ValueError(f"prompt {index} has no tokens; a model needs at least one to start from")
        if len(prompt) >= context:
            raise ValueError(f"prompt {index} has {len(prompt)} tokens but the model reads {context} with its "
                             "completion; shorten the problem or take a model with a longer context")


def _batches(prompts: list[list[int]], k: int, rows: int) -> list[list[int]]:
    """Prompt indices in batches of at most ``rows`` rows, prompts of similar length together."""
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    size = max(1, rows // k)
    return [order[start:start + size] for start in range(0, len(order), size)]


class _Tape:
    """What was sampled so far, by original row: ids, log-probabilities, lengths and which rows have ended."""

    def __init__(self, limits: Tensor, how: Sampling) -> None:
        shape = (limits.shape[0], int(limits.max()))
        self.how, self.limits = how, limits
        self.ids = torch.zeros(shape, dtype=torch.long, device=limits.device)
        self.values = torch.zeros((3, *shape), device=limits.device)  # log-probabilities (own, tempered) and entropies
        self.lengths = torch.zeros_like(limits)
        self.finished = torch.zeros_like(limits, dtype=torch.bool)
        self.eos = torch.tensor(how.eos_ids, device=limits.device)

    def write(self, t: int, rows: Tensor, live: Tensor, drawn: Draw) -> Tensor:
        """Record tokens of ``rows`` that are ``live`` at time ``t``; returns which of them go on."""
        place, tokens = rows[live], drawn.tokens[live]
        self.ids[place, t] = tokens
        self.values[:, place, t] = torch.stack(drawn[1:])[:, live]
        ended = torch.isin(tokens, self.eos)
        self.lengths[place] = t + 1
        self.finished[place] = ended
        going = live.clone()
        going[live] = ~ended & (self.limits[place] > t + 1)
        return going

    def rows(self) -> list[_Row]:
        """What every row has sampled."""
        if not torch.isfinite(self.values).all():
            raise FloatingPointError("the model gives log-probabilities that are not finite; its weights are broken or "
                                     "training has diverged: go back to an earlier checkpoint")
        columns = [part.cpu().tolist() for part in (self.ids, *self.values, self.lengths, self.finished)]
        return [_Row(ids[:n], own[:n], tempered[:n], entropies[:n], bool(end))
                for ids, own, tempered, entropies, n, end in zip(*columns, strict=True)]


def _limits(prompts: list[list[int]], k: int, model: PreTrainedModel, how: Sampling) -> Tensor:
    """Largest number of new tokens of each row, ``(G * k,)``: the recipe's, or what the context leaves."""
    room = torch.tensor([context_length(model.config) - len(prompt) for prompt in prompts], device=model.device)
    return room.clamp(max=how.max_new_tokens).repeat_interleave(k)


def _decode(decoder: GroupDecoder, model: PreTrainedModel, prompts: list[list[int]], k: int, how: Sampling,
            uniforms: np.ndarray) -> list[_Row]:
    """Sample one batch with the hand-written decoder."""
    tape = _Tape(_limits(prompts, k, model, how), how)
    logits = decoder.prefill(prompts, k).repeat_interleave(k, 0)
    draws = torch.from_numpy(uniforms).to(logits.device)
    rows = torch.arange(len(prompts) * k, device=logits.device)
    live = torch.ones_like(rows, dtype=torch.bool)
    for t in range(tape.ids.shape[1]):
        drawn = choose(logits, how.temperature, draws[rows, t])
        live = tape.write(t, rows, live, drawn)
        if not live.any():
            break
        tokens, slots = drawn.tokens, _compaction(live.view(-1, decoder.rows))
        if slots is not None:
            groups, members = slots
            chosen = (groups[:, None] * decoder.rows + members[0]).flatten()
            decoder.keep(groups, members[0])
            rows, tokens, live = rows[chosen], tokens[chosen], members[1].flatten()
        logits = decoder.step(tokens)
    return tape.rows()


def _compaction(live: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]] | None:
    """Which groups ``(G',)`` and rows ``(G', k')`` to keep of ``live`` ``(G, k)``, or ``None`` while few have ended.

    The groups stay rectangular: a group with fewer live rows than the fullest one repeats a row, marked as not live.
    """
    counts = live.sum(1)
    groups = counts.nonzero()[:, 0]
    width = int(counts.max())
    if len(groups) * width > COMPACT_BELOW * live.numel():
        return None
    order = (~live[groups]).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]
    return groups, (order, live[groups].gather(1, order))


class _Choose(LogitsProcessor):
    """Makes ``generate`` take the token that ``choose`` draws, and records it."""

    def __init__(self, tape: _Tape, uniforms: Tensor, start: int) -> None:
        self.tape, self.uniforms, self.start = tape, uniforms, start
        self.rows = torch.arange(uniforms.shape[0], device=tape.ids.device)
        self.live = torch.ones_like(self.rows, dtype=torch.bool)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        t = input_ids.shape[1] - self.start
        if t < self.tape.ids.shape[1]:
            drawn = choose(scores.float(), self.tape.how.temperature, self.uniforms[:, t])
            if self.live.any():
                self.live = self.tape.write(t, self.rows, self.live, drawn)
            scores = torch.full_like(scores, float("-inf")).scatter(1, drawn.tokens[:, None], 0.0)
        return scores


def _generate(model: PreTrainedModel, prompts: list[list[int]], k: int, how: Sampling,
              uniforms: np.ndarray) -> list[_Row]:
    """Sample one batch with the model's own ``generate``."""
    tape = _Tape(_limits(prompts, k, model, how), how)
    width = max(map(len, prompts))
    pads = [width - len(prompt) for prompt in prompts]
    ids = torch.tensor([[how.pad_id] * pad + prompt for pad, prompt in zip(pads, prompts, strict=True)],
                       device=model.device).repeat_interleave(k, 0)
    mask = torch.tensor([[0] * pad + [1] * (width - pad) for pad in pads], device=model.device).repeat_interleave(k, 0)
    draw = _Choose(tape, torch.from_numpy(uniforms).to(model.device), width)
    model.generate(ids, attention_mask=mask, do_sample=False, num_beams=1, use_cache=True,
                   max_new_tokens=tape.ids.shape[1], eos_token_id=list(how.eos_ids), pad_token_id=how.pad_id,
                   logits_processor=LogitsProcessorList([draw]))
    return tape.rows()
