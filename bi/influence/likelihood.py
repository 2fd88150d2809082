"""Log-probabilities of completions under any causal language model, as functions that can be differentiated.

What touches a model lives here: the state it is measured in, how rollouts become a padded batch, and what its logits
say about them. Works for any ``AutoModelForCausalLM`` (or a module with the same call), on CPU or GPU.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from transformers.modeling_layers import GradientCheckpointingLayer


@contextmanager
def differentiable(model: nn.Module, parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Evaluation mode (dropout off) with gradients for ``parameters`` only; the model is left as it was.

    A model with gradient checkpointing keeps it: its blocks recompute their activations, which needs their own training
    flag, while all that is inside them (dropout) stays in evaluation mode. A mixture of experts in float64 takes the
    plain implementation of its experts: the grouped one is float32 at most.
    """
    experts = getattr(getattr(model, "config", None), "_experts_implementation", None)
    regroup = experts not in (None, "eager") and next(model.parameters()).dtype == torch.float64
    flags = [(p, p.requires_grad) for p in model.parameters()]
    chosen = {id(p) for p in parameters}
    with evaluated(model):
        try:
            _recompute(model)
            if regroup:
                model.set_experts_implementation("eager")
            for p, _ in flags:
                p.requires_grad_(id(p) in chosen)
            yield
        finally:
            if regroup:
                model.set_experts_implementation(experts)
            for p, flag in flags:
                p.requires_grad_(flag)


@contextmanager
def evaluated(model: nn.Module | None) -> Iterator[None]:
    """Evaluation mode for a model (or for none); every module is left as it was."""
    modes = [] if model is None else [(module, module.training) for module in model.modules()]
    functions = [] if model is None else [(b, b._gradient_checkpointing_func) for b in recomputing(model)]
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for block, function in functions:
            block._gradient_checkpointing_func = function


def recomputing(model: nn.Module) -> list[nn.Module]:
    """Blocks whose activations are recomputed in the backward pass (gradient checkpointing is on)."""
    return [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer) and m.gradient_checkpointing]


def _recompute(model: nn.Module) -> None:
    """Let blocks with gradient checkpointing recompute in evaluation mode, in float64 where the model is."""
    for block in recomputing(model):
        block.training = True
        if next(model.parameters()).dtype == torch.float64:  # the second pass runs outside of double_kept
            block._gradient_checkpointing_func = partial(block._gradient_checkpointing_func,
                                                         context_fn=lambda: (nullcontext(), KeepDouble()))


def supported(model: nn.Module, **options: Any) -> dict[str, Any]:
    """Those of ``options`` that the model's ``forward`` names: architectures differ in what they accept."""
    names = inspect.signature(model.forward).parameters
    return {name: value for name, value in options.items() if name in names}


class KeepDouble(TorchFunctionMode):
    """Float64 stays float64: casts of float64 tensors to float32 inside a model are passed over.

    Most architectures compute norms, rotary angles, router weights or attention weights in float32 whatever the dtype
    of the model, which leaves a float64 model with errors of 1e-7. Used for float64 models only.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` without the cast."""
        kwargs = dict(kwargs or {})
        double = bool(args) and isinstance(args[0], torch.Tensor) and args[0].dtype == torch.float64
        if double and func is torch.Tensor.float:
            return args[0]
        if double and torch.float32 in (*args[1:], kwargs.get("dtype")):
            args = tuple(torch.float64 if a is torch.float32 else a for a in args)
            kwargs = {k: torch.float64 if v is torch.float32 else v for k, v in kwargs.items()}
        return func(*args, **kwargs)


def double_kept(model: nn.Module) -> AbstractContextManager[Any]:
    """:class:`KeepDouble` for a float64 model, nothing for any other."""
    return KeepDouble() if next(model.parameters()).dtype == torch.float64 else nullcontext()


def padded(sequences: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both (B, T), of ``sequences`` padded on the right."""
    ids = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return ids.to(device), mask.to(device)


def token_logprobs(model: nn.Module, prompt: Sequence[int], completions: Sequence[Sequence[int]], *,
                   temperature: float = 1.0) -> torch.Tensor:
    """log pi(o_it | q, o_i1 .. o_i,t-1) of each token of completions of one prompt: (B, T), in nats, float32 or better.

    Zero behind the end of a completion. One forward pass over a right-padded batch. ``completions`` hold the
    end-of-sequence token where one was sampled. Only the logits that predict a completion are computed where the
    architecture allows.
    """
    device = next(model.parameters()).device
    start, longest = len(prompt), max(len(c) for c in completions)
    ids, mask = padded([[*prompt, *completion] for completion in completions], device)
    positions = torch.arange(ids.shape[1], device=device).expand_as(ids)
    options = supported(model, position_ids=positions, use_cache=False, logits_to_keep=longest + 1)
    with double_kept(model):
        logits = model(input_ids=ids, attention_mask=mask, **options).logits[:, -(longest + 1) : -1]
    return chosen_logprobs(logits, ids[:, start:], mask[:, start:], temperature)


def chosen_logprobs(logits: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, temperature: float) -> torch.Tensor:
    """Log-probabilities (B, T) of ``ids`` under the softmax of ``logits`` (B, T, V) / temperature; 0 where masked.

    In float32 or better whatever the logits are: a bfloat16 logarithm would keep two digits.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    losses = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none").view_as(ids)
    return -losses * mask


def completion_logprobs(model: nn.Module, prompt: Sequence[int], completions: Sequence[Sequence[int]], *,
                        temperature: float = 1.0) -> torch.Tensor:
    """log pi(o_i|q) of completions of one prompt, summed over their tokens: (B,), in nats (:func:`token_logprobs`)."""
    return token_logprobs(model, prompt, completions, temperature=temperature).sum(1)
