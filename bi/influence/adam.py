"""Adam in the inner product: what one optimiser step with momentum and preconditioning does, to first order.

AdamW moves the parameters by theta' - theta = eta u with, for the ascent gradient G (the mean of the training prompts'
grad J), m and v its moment estimates before the step, t the number of the step, and all operations by coordinate,

    m' = b1 m + (1 - b1) G,    v' = b2 v + (1 - b2) G^2,
    u  = m' / (1 - b1^t) / (sqrt(v' / (1 - b2^t)) + eps) - wd theta  =  D G + drift,
    D  = (1 - b1) / (1 - b1^t) / (sqrt(v' / (1 - b2^t)) + eps),   drift = b1 / (1 - b1) D m - wd theta.

Given v', u is linear in G: the pair influence is eta < grad J(q), D grad J(q') > (the *preconditioned* inner product),
its mean over q' plus eta < grad J(q), drift > is the first-order change by the step. The drift belongs to earlier
steps, not to any prompt of this one. v' contains G itself, which matters on the first steps (there u is close to the
sign of G) and not later, when D is nearly what it was before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.trainer_pt_utils import get_parameter_names

from bi.influence.subsets import model_of, named_subset

FILE = "optimizer.pt"
# Trainer keeps parameters with these names, and all of nn.LayerNorm, in a second group without weight decay.
NO_DECAY = (r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)")


@dataclass(frozen=True)
class AdamState:
    """Moments of P parameters before a step, of the *ascent* gradient (the optimiser's own, with the sign turned).

    ``first`` (m) and ``second`` (v) are (P,); ``steps`` is the number of steps taken so far. ``weight_decay`` (P,) or a
    number.
    """

    first: np.ndarray
    second: np.ndarray
    steps: int
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: np.ndarray | float = 0.0

    @staticmethod
    def fresh(size: int, *, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8) -> AdamState:
        """The state before the first step of ``size`` parameters: no moments."""
        return AdamState(np.zeros(size), np.zeros(size), 0, betas, epsilon)


@dataclass(frozen=True)
class AdamStep:
    """One step, theta' - theta = eta (``metric`` * G + ``drift``): D and drift of the module, (P,) float64 each."""

    metric: np.ndarray
    drift: np.ndarray

    def direction(self, gradient: np.ndarray) -> np.ndarray:
        """u (P,) for the ascent gradient G (P,)."""
        return self.metric * gradient + self.drift


def adam_step(state: AdamState, gradient: np.ndarray, parameters: np.ndarray | float = 0.0) -> AdamStep:
    """The step that Adam takes from ``state`` on the ascent gradient G (P,) (equations of the module).

    ``parameters``: theta (P,), needed where there is weight decay. Source: Kingma and Ba (2015); decoupled decay:
    Loshchilov and Hutter (2019), as in ``torch.optim.AdamW``.
    """
    gradient = np.asarray(gradient, dtype=np.float64)
    if gradient.shape != state.second.shape:
        raise ValueError(f"optimiser state of {state.second.size} parameters for a gradient of {gradient.size}; choose "
                         "the same parameters for both")
    (decay1, decay2), t = state.betas, state.steps + 1
    second = decay2 * state.second + (1 - decay2) * gradient**2
    scale = 1 / (np.sqrt(second / (1 - decay2**t)) + state.epsilon) / (1 - decay1**t)
    return AdamStep((1 - decay1) * scale, decay1 * scale * state.first - state.weight_decay * parameters)


def flat_parameters(policy: Any, parameters: str | None = None) -> np.ndarray:
    """theta (P,), float64, of the parameters chosen (:func:`bi.influence.subsets.named_subset`)."""
    chosen = [p.detach().double().flatten() for _, p in named_subset(model_of(policy), parameters)]
    return torch.cat(chosen).cpu().numpy()


def load_adam_state(folder: str | Path, policy: Any, parameters: str | None = None) -> AdamState:
    """The state of a Trainer's AdamW for the parameters chosen, from ``optimizer.pt`` in a checkpoint ``folder``.

    Raises ``ValueError`` where there is none, or where it is not that of this model.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise ValueError(f"{folder} holds no {FILE}: Adam's inner product needs the optimiser state; give a training "
                         "checkpoint (a folder checkpoint-N of a running job), or take the state before the first step")
    saved = torch.load(path, map_location="cpu", weights_only=True)
    model = model_of(policy)
    states = dict(zip(_saved_order(model, saved), _states(saved), strict=False))
    chosen = named_subset(model, parameters)
    for name, p in chosen:
        found = states.get(name)
        if found is None or found["exp_avg"].shape != p.shape:
            shape = None if found is None else tuple(found["exp_avg"].shape)
            raise ValueError(f"{path}: the state of {name} has shape {shape}, the model's parameter {tuple(p.shape)}; "
                             "it is not the optimiser state of this model")
    groups = {i: group for group in saved["param_groups"] for i in group["params"]}
    places = {name: i for i, name in enumerate(states)}
    first = groups[places[chosen[0][0]]]
    decay = np.concatenate([np.full(p.numel(), groups[places[name]]["weight_decay"]) for name, p in chosen])
    return AdamState(
        first=-_flat(states, chosen, "exp_avg"), second=_flat(states, chosen, "exp_avg_sq"),
        steps=int(states[chosen[0][0]]["step"]), betas=tuple(first["betas"]), epsilon=first["eps"], weight_decay=decay)


def _states(saved: dict[str, Any]) -> list[dict[str, torch.Tensor]]:
    """State of each parameter by its number; one that never had a gradient has none, hence the empty tensor."""
    count = sum(len(group["params"]) for group in saved["param_groups"])
    return [saved["state"].get(i, {"exp_avg": torch.empty(0)}) for i in range(count)]


def _saved_order(model: nn.Module, saved: dict[str, Any]) -> list[str]:
    """Names of the parameters in the order of the optimiser: the model's, or Trainer's (with weight decay first)."""
    names = [name for name, p in model.named_parameters() if p.is_floating_point()]
    if len(saved["param_groups"]) == 1:
        return names
    decayed = set(get_parameter_names(model, [nn.LayerNorm], list(NO_DECAY)))
    return [name for name in names if name in decayed] + [name for name in names if name not in decayed]


def _flat(states: dict[str, dict[str, torch.Tensor]], chosen: Sequence[tuple[str, nn.Parameter]],
          moment: str) -> np.ndarray:
    return torch.cat([states[name][moment].double().flatten() for name, _ in chosen]).numpy()
