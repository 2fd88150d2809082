"""Log-probabilities of completions and their gradients for any causal language model.

Everything that touches a model lives here: which parameters count, how rollouts become a padded batch, and one
weighted backward pass. Works for any ``AutoModelForCausalLM`` (or a module with the same call), on CPU or GPU.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def model_of(policy: Any) -> nn.Module:
    """The module itself, or the ``model`` of a :class:`bi.training.policy.Policy`."""
    model = policy if isinstance(policy, nn.Module) else getattr(policy, "model", None)
    if not isinstance(model, nn.Module):
        raise ValueError(f"policy: expected a torch module or a Policy that holds one, got {type(policy).__name__}")
    return model


def named_subset(model: nn.Module, pattern: str | None = None) -> list[tuple[str, nn.Parameter]]:
    """Floating-point parameters whose name contains a match of the regular expression ``pattern`` (all for ``None``).

    Tied parameters appear once. Raises ``ValueError`` when nothing matches.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.is_floating_point()]
    chosen = named if pattern is None else [(name, p) for name, p in named if re.search(pattern, name)]
    if not chosen:
        examples = ", ".join(name for name, _ in named[:5])
        raise ValueError(f"parameters: no parameter matches {pattern!r}; names look like {examples}")
    return chosen


def parameter_count(policy: Any, pattern: str | None = None) -> int:
    """P, the length of a gradient row, to allocate an array or a memory map beforehand."""
    return sum(p.numel() for _, p in named_subset(model_of(policy), pattern))


@contextmanager
def differentiable(model: nn.Module, parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Evaluation mode (dropout off) with gradients for ``parameters`` only; the model is left as it was.

    A mixture of experts in float64 takes the plain implementation of its experts: the grouped one is float32 at most.
    """
    training = model.training
    experts = getattr(getattr(model, "config", None), "_experts_implementation", None)
    regroup = experts not in (None, "eager") and next(model.parameters()).dtype == torch.float64
    flags = [(p, p.requires_grad) for p in model.parameters()]
    chosen = {id(p) for p in parameters}
    try:
        model.eval()
        if regroup:
            model.set_experts_implementation("eager")
        for p, _ in flags:
            p.requires_grad_(id(p) in chosen)
        yield
    finally:
        model.train(training)
        if regroup:
            model.set_experts_implementation(experts)
        for p, flag in flags:
            p.requires_grad_(flag)


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


def completion_logprobs(model: nn.Module, prompt: Sequence[int], completions: Sequence[Sequence[int]], *,
                        temperature: float = 1.0) -> torch.Tensor:
    """log pi(o_i|q) for completions of one prompt, summed over their tokens: (B,), in nats, float32 or better.

    One forward pass over a right-padded (B, T) batch. ``completions`` hold the end-of-sequence token where one was
    sampled. Only the logits that predict a completion are computed where the architecture allows.
    """
    device = next(model.parameters()).device
    start, longest = len(prompt), max(len(c) for c in completions)
    ids, mask = padded([[*prompt, *completion] for completion in completions], device)
    positions = torch.arange(ids.shape[1], device=device).expand_as(ids)
    options = supported(model, position_ids=positions, use_cache=False, logits_to_keep=longest + 1)
    with double_kept(model):
        logits = model(input_ids=ids, attention_mask=mask, **options).logits[:, -(longest + 1) : -1]
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    targets = ids[:, start:]
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
    return -(losses * mask[:, start:]).sum(1)
