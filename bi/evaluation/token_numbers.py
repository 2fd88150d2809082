"""How sure a policy is of each token of a completion: entropy before it, and the cost of what was sampled."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bi.influence.likelihood import double_kept, evaluated, padded, supported
from bi.progress import Progress
from bi.training.policy import Policy, decode_completion

ROWS = 64


@torch.no_grad()
def token_numbers(policy: Policy, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]],
                  rows: int = ROWS) -> tuple[list[list[float]], list[list[float]]]:
    """Entropy of the next token and minus the log-probability of the sampled one, in nats, token by token.

    One forward pass over rows of similar length, ``rows`` at a time, at temperature 1. ``prompts`` and ``completions``
    are token ids; a completion holds its end token where one was sampled.
    """
    order = sorted(range(len(completions)), key=lambda i: len(prompts[i]) + len(completions[i]))
    entropies: list[list[float]] = [[] for _ in order]
    costs: list[list[float]] = [[] for _ in order]
    line = Progress(len(order), "token numbers of completion")
    for begin in range(0, len(order), rows):
        chosen = order[begin : begin + rows]
        logits = _logits(policy, [[*prompts[i], *completions[i]] for i in chosen])
        for place, i in enumerate(chosen):
            start, count = len(prompts[i]), len(completions[i])
            logprobs = logits[place, start - 1 : start - 1 + count].float().log_softmax(-1)
            ids = torch.tensor(completions[i], device=logprobs.device)[:, None]
            entropies[i] = torch.special.entr(logprobs.exp()).sum(-1).tolist()
            costs[i] = (-logprobs.gather(1, ids)[:, 0]).tolist()
        line.update(begin + len(chosen))
    return entropies, costs


def _logits(policy: Policy, sequences: list[list[int]]) -> torch.Tensor:
    ids, mask = padded(sequences, policy.device)
    positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    options = supported(policy.model, position_ids=positions, use_cache=False)
    with evaluated(policy.model), double_kept(policy.model):
        return policy.model(input_ids=ids, attention_mask=mask, **options).logits


def token_ends(policy: Policy, ids: Sequence[int]) -> list[int]:
    """Where each token ends in the text of the completion; special tokens stand at its end."""
    text = decode_completion(policy.tokenizer, ids)
    words = text.split(" ")
    special = set(policy.tokenizer.all_special_ids)
    plain = [token for token in ids if token not in special]
    if len(plain) == len(words) and list(ids[: len(plain)]) == plain:  # one token a word
        ends, position = [], 0
        for word in words:
            position += len(word) + 1
            ends.append(min(position, len(text)))
        return ends + [len(text)] * (len(ids) - len(plain))
    return [len(decode_completion(policy.tokenizer, ids[: count + 1])) for count in range(len(ids))]
