"""The prompt of a group encoded once: its rollouts attend to one shared set of keys and values.

The pass over the prompt is kept apart from the passes over completions. Each micro-batch of completions leaves its
gradient in the shared keys and values, and one last backward pass carries the sum through the prompt. The result is the
same as with the prompt repeated in every row, for the price of one prompt per group. Where the model allows it, the
completions of a micro-batch lie end to end in one row (:mod:`bi.influence.packed`) and nothing is padded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from bi.influence.likelihood import chosen_logprobs, double_kept, padded, supported
from bi.influence.packed import Layout, Unpackable, filling, packed_attention


class SharedPrefix:
    """One prompt's keys, values and next-token logits, with gradients that are collected and pulled back once."""

    def __init__(self, model: nn.Module, prompt: Sequence[int], temperature: float, packed: bool = False) -> None:
        """Encode ``prompt``; :attr:`outputs` is empty where the model's cache is not plain keys and values."""
        self.model, self.length, self.temperature, self.packed = model, len(prompt), temperature, packed
        ids = torch.tensor([list(prompt)], device=next(model.parameters()).device)
        with double_kept(model):
            result = model(input_ids=ids, **supported(model, use_cache=True, logits_to_keep=1))
        cache = getattr(result, "past_key_values", None)
        layers = getattr(cache, "layers", []) if isinstance(cache, DynamicCache) else []
        plain = bool(layers) and all(type(layer) is DynamicLayer for layer in layers)
        self.outputs = [result.logits[:, -1], *(t for e in layers for t in (e.keys, e.values))] if plain else []
        self.leaves = [t.detach().requires_grad_(t.requires_grad) for t in self.outputs]
        self.pulls: list[torch.Tensor | None] = [None] * len(self.leaves)

    def logprobs(self, completions: Sequence[Sequence[int]]) -> torch.Tensor:
        """Log-probabilities of the tokens of completions, (B, T), in nats: a function of parameters and leaves.

        The same as :func:`bi.influence.likelihood.token_logprobs`.
        """
        ids, mask = padded(completions, self.leaves[0].device)
        if self.packed:
            try:
                return self._end_to_end(ids, mask)
            except Unpackable:
                self.packed = False
        logits = self.leaves[0].expand(len(ids), -1)[:, None]
        if ids.shape[1] > 1:
            logits = torch.cat([logits, self._continue(ids[:, :-1], mask[:, :-1])], dim=1)
        return chosen_logprobs(logits, ids, mask, self.temperature)

    def _end_to_end(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The same from one row of all completions, each without its last token, which predicts nothing."""
        lengths = (mask.sum(1) - 1).tolist()
        kept = [length for length in lengths if length]
        logits = self.leaves[0].to(torch.promote_types(self.leaves[0].dtype, torch.float32)) / self.temperature
        found = [logits.log_softmax(-1)[0, ids[:, 0]]]
        inside = mask[:, 1:].bool()
        if kept:
            read = sum(kept)
            kept += [fill] if (fill := filling(read, ids.device)) else []
            row = functional.pad(ids[:, :-1][inside], (0, fill))[None]
            positions = torch.cat([torch.arange(self.length, self.length + length) for length in kept])[None]
            cache = DynamicCache()
            for layer, start in enumerate(range(1, len(self.leaves), 2)):
                cache.update(*self.leaves[start : start + 2], layer)
            options = supported(self.model, position_ids=positions, use_cache=True)
            with double_kept(self.model), packed_attention(self.model, Layout(self.length, tuple(kept))):
                result = self.model(input_ids=row, past_key_values=cache, **options)
            targets, logits = ids[:, 1:][inside][None], result.logits[:, :read]
            found.append(chosen_logprobs(logits, targets, torch.ones_like(targets), self.temperature)[0])
        rows, columns = torch.nonzero(inside, as_tuple=True)
        everyone = torch.arange(len(ids))
        places = torch.cat([everyone, rows]), torch.cat([torch.zeros_like(everyone), columns + 1])
        return found[0].new_zeros(ids.shape).index_put(places, torch.cat(found))

    def _continue(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        cache = DynamicCache()
        for layer, start in enumerate(range(1, len(self.leaves), 2)):
            keys, values = (leaf.expand(len(ids), -1, -1, -1) for leaf in self.leaves[start : start + 2])
            cache.update(keys, values, layer)
        positions = torch.arange(self.length, self.length + ids.shape[1], device=ids.device).expand_as(ids)
        mask = torch.cat([mask.new_ones(len(ids), self.length), mask], dim=1)
        with double_kept(self.model):
            options = supported(self.model, position_ids=positions, use_cache=True)
            return self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, **options).logits

    def collect(self, gradients: Sequence[torch.Tensor | None]) -> None:
        """Add gradients of the leaves, in the order of :meth:`open_leaves`."""
        remaining = iter(gradients)
        for index, leaf in enumerate(self.leaves):
            if leaf.requires_grad and (gradient := next(remaining)) is not None:
                before = self.pulls[index]
                self.pulls[index] = gradient if before is None else before + gradient

    def open_leaves(self) -> list[torch.Tensor]:
        """The leaves that depend on the chosen parameters."""
        return [leaf for leaf in self.leaves if leaf.requires_grad]

    def pull_back(self, parameters: Sequence[nn.Parameter]) -> Sequence[torch.Tensor | None]:
        """Gradients of ``parameters`` through the prompt, of everything collected."""
        pairs = [(o, g) for o, g in zip(self.outputs, self.pulls, strict=True) if g is not None]
        if not pairs:
            return [None] * len(parameters)
        outputs, gradients = zip(*pairs, strict=True)
        return torch.autograd.grad(outputs, parameters, gradients, allow_unused=True)
