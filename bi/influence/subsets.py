"""Which parameters an influence is measured over: all, the last blocks, LoRA adapters, or names that match a pattern.

Co-influence is an inner product over parameters, so a subset is another quantity, not an approximation of the whole:
say which one a number belongs to. Two layer blocks of a large model can be worked out exactly where all of it would
need a sketch (:mod:`bi.influence.sketch`).
"""

from __future__ import annotations

import re
from typing import Any

from torch import nn

LAST = re.compile(r"last:(\d+)")
ADAPTERS = r"(^|\.)lora_"
"""Names of the matrices that LoRA adds to a module (as in the library peft)."""


def model_of(policy: Any) -> nn.Module:
    """The module itself, or the ``model`` of a :class:`bi.training.policy.Policy`.

    A model in an adapter wrapper (peft) is unwrapped: its adapters act inside it.
    """
    model = policy if isinstance(policy, nn.Module) else getattr(policy, "model", None)
    if not isinstance(model, nn.Module):
        raise ValueError(f"policy: expected a torch module or a Policy that holds one, got {type(policy).__name__}")
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def named_subset(model: nn.Module, parameters: str | None = None) -> list[tuple[str, nn.Parameter]]:
    """Floating-point parameters by name, in the model's order; tied ones appear once.

    ``parameters``: ``None`` for all; ``"last:K"`` for the last K blocks (what follows the blocks is not in it);
    ``"lora"`` for the matrices of LoRA adapters; any other text is a regular expression, and a parameter belongs to the
    subset when its name contains a match. Raises ``ValueError`` when nothing matches.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.is_floating_point()]
    pattern = subset_pattern(model, parameters)
    chosen = [(name, p) for name, p in named if re.search(pattern, name)]
    if not chosen:
        examples = ", ".join(name for name, _ in named[:5])
        raise ValueError(f"parameters: no parameter matches {parameters!r}; names look like {examples}")
    return chosen


def parameter_count(policy: Any, parameters: str | None = None) -> int:
    """P, the length of a gradient row, to allocate an array or a memory map beforehand."""
    return sum(p.numel() for _, p in named_subset(model_of(policy), parameters))


def subset_pattern(model: nn.Module, parameters: str | None) -> str:
    """The regular expression on names that ``parameters`` stands for (see :func:`named_subset`)."""
    if parameters is None:
        return ""
    if parameters == "lora":
        return ADAPTERS
    if found := LAST.fullmatch(parameters):
        return _last_blocks(model, int(found[1]))
    try:
        re.compile(parameters)
    except re.error as error:
        raise ValueError(f"parameters: {parameters!r} is no regular expression ({error}); give one, or 'last:K', or "
                         "'lora'") from None
    return parameters


def _last_blocks(model: nn.Module, count: int) -> str:
    """Names of the last ``count`` blocks: the longest list of modules in the model is its stack of blocks."""
    stacks = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    name, stack = max(stacks, key=lambda entry: (len(entry[1]), -entry[0].count(".")), default=("", nn.ModuleList()))
    if not 1 <= count <= len(stack):
        raise ValueError(f"parameters: 'last:{count}' asks for {count} blocks, the model has {len(stack)}")
    wanted = "|".join(map(str, range(len(stack) - count, len(stack))))
    return rf"^{re.escape(name)}\.({wanted})\."
