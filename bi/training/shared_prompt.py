"""Log-probabilities of a group's completions with their prompt encoded once, differentiable, through the model itself.

Rollouts of one prompt share it. The prompt's keys and values are computed once, copied to the rows of its group, and
the completions go through the model behind them, rows of similar length together. The sums are those of a plain forward
in another order; gradients flow through the copied keys and values.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

PIECE_ROWS = 32  # most completions that go through the model together
PIECE_COST = {"cpu": 64, "cuda": 16384}  # what another piece costs, in tokens of padding


def shared_logprobs(
    model: PreTrainedModel, input_ids: Tensor, attention_mask: Tensor, n_completion: int
) -> tuple[Tensor, Tensor | None]:
    """Log-probability and entropy of each completion token, ``(B, n_completion)`` each.

    ``input_ids`` and ``attention_mask`` ``(B, P + n_completion)`` hold prompts padded on the left, completions on the
    right. ``model`` carries TRL's fused output layer (``add_fused_lm_head``), which knows the temperature; the entropy
    is ``None`` if that layer does not compute it. Values at padded places are zero.
    """
    width = input_ids.shape[1] - n_completion
    prompts, group = _unique_rows(torch.cat((input_ids[:, :width], attention_mask[:, :width]), 1))
    prompt_ids, prompt_mask = prompts[:, :width - 1], prompts[:, width:-1]
    cache = model.base_model(input_ids=prompt_ids, attention_mask=prompt_mask, position_ids=_positions(prompt_mask),
                             use_cache=True).past_key_values
    past = [(layer.keys, layer.values) for layer in cache.layers]
    lengths = attention_mask[:, width:].sum(1)
    order = lengths.argsort(stable=True)
    sizes = piece_sizes(lengths[order].tolist(), PIECE_COST.get(input_ids.device.type, PIECE_COST["cuda"]))
    parts = [_piece(model, past, input_ids[rows, width - 1:], attention_mask[rows], group[rows], int(lengths[rows[-1]]))
             for rows in order.split(sizes)]
    back = order.argsort()
    logprobs = torch.cat([_widen(part[0], n_completion) for part in parts])[back]
    entropies = [_widen(part[1], n_completion) for part in parts if part[1] is not None]
    return logprobs, torch.cat(entropies)[back] if entropies else None


def can_share(model: nn.Module) -> bool:
    """Whether ``shared_logprobs`` computes this model: a plain growing cache in every layer."""
    if not isinstance(model, PreTrainedModel):
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def piece_sizes(lengths: list[int], cost: int) -> list[int]:
    """How many rows of ascending ``lengths`` to compute together: least padding, a further piece costing ``cost``.

    Dynamic programming over the last piece; no piece has more than ``PIECE_ROWS`` rows.
    """
    best, last = [0], [0]
    for end in range(1, len(lengths) + 1):
        totals = [(best[start] + (end - start) * lengths[end - 1] + cost, start)
                  for start in range(max(0, end - PIECE_ROWS), end)]
        total, start = min(totals)
        best.append(total)
        last.append(start)
    sizes, end = [], len(lengths)
    while end:
        sizes.append(end - last[end])
        end = last[end]
    return sizes[::-1]


def _unique_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct rows in order of first appearance, and for each row the place of its like."""
    fresh = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    fresh[1:] = (rows[1:] != rows[:-1]).any(1)
    return rows[fresh], fresh.cumsum(0) - 1


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(1) - 1).clamp(min=0)


def _piece(model: PreTrainedModel, past: list[tuple[Tensor, Tensor]], ids: Tensor, mask: Tensor,
           group: Tensor, longest: int) -> tuple[Tensor, Tensor | None]:
    """One batch of completions; ``ids`` start with the last token of the prompt, whose output predicts the first."""
    width = mask.shape[1] - ids.shape[1] + 1
    longest = max(1, longest)
    ids, mask = ids[:, :longest + 1], mask[:, :width + longest]
    copied = DynamicCache(ddp_cache_data=[(keys[group], values[group]) for keys, values in past])
    labels = ids.masked_fill(mask[:, width - 1:] == 0, -100)
    out = model(input_ids=ids, attention_mask=mask, position_ids=_positions(mask)[:, width - 1:],
                past_key_values=copied, labels=labels, fused_lm_head=True)
    return out.log_probs, out.entropy


def _widen(values: Tensor, width: int) -> Tensor:
    return nn.functional.pad(values, (0, width - values.shape[1]))
