"""Group gradients: what one prompt asks of the parameters in one GRPO step, by one backward pass.

Notation (section "Theory" of the paper): query q, rollouts o ~ pi(.|q), reward r in {0, 1}, accuracy
alpha = E[r], g(o) = grad log pi(o|q), and g+, g- the means of g over correct and wrong rollouts.

What J is. J(q; theta) = E_{o ~ pi_theta}[A(o)] with the advantage A(o) = (r(o) - alpha_0) / s_0 *held fixed* at the
current policy theta_0 (alpha_0 its accuracy, s_0 = sqrt(alpha_0 (1 - alpha_0))): the surrogate that one on-policy GRPO
step climbs. Hence J(q; theta) = (alpha(q; theta) - alpha_0) / s_0: J is accuracy in units of its own standard
deviation at theta_0, and a change of J is a change of accuracy divided by s_0.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch

from bi.influence.advantages import Group, Weighting, group_weights, length_factors, normalised_probabilities
from bi.influence.backward import WeightedGradient, casts_kept
from bi.influence.groups import RolloutGroup, check_groups
from bi.influence.likelihood import differentiable, evaluated
from bi.influence.sketch import Sketch
from bi.influence.subsets import model_of, named_subset

logger = logging.getLogger(__name__)
Split = Literal["none", "halves", "outcomes"]
PARTS = {"none": 1, "halves": 2, "outcomes": 2}


@dataclass(frozen=True)
class GroupGradients:
    """Gradients of N prompts over P parameters, whole or in S parts.

    ``parts`` is (S, N, P) in units of reward (or of standard deviations of reward for ``grpo``) per unit of parameter.
    The group gradient of a row is sum_s ``shares[s, n]`` ``parts[s, n]`` (:meth:`full`). ``split`` says what the parts
    are: ``none`` the group gradient itself; ``halves`` the gradients of the even and the odd rollouts, each the mean of
    its own rollouts; ``outcomes`` g+ and g- (zero for prompts with one outcome). ``mean`` (N,) is the mean reward
    (alpha), ``to_accuracy`` (N,) turns a row into grad E[r] (:class:`bi.influence.advantages.Group`), ``counts`` (N,)
    are the rollouts, ``informative`` (N,) is false where all rewards are equal and the gradient is zero, ``binary``
    is false where some reward is outside {0, 1} and the general advantage form was used. With a ``sketch`` a row holds
    the sketch of its gradient, and all inner products below hold up to its error.
    """

    ids: tuple[str, ...]
    parts: np.ndarray
    shares: np.ndarray
    split: Split
    mean: np.ndarray
    to_accuracy: np.ndarray
    counts: np.ndarray
    informative: np.ndarray
    binary: bool
    weighting: Weighting
    sketch: Sketch | None = None

    def full(self) -> np.ndarray:
        """Equation ``group-gradient``: (N, P) group gradients, the parts put together."""
        if self.split == "none":
            return self.parts[0]
        return np.einsum("sn,snp->np", self.shares.astype(self.parts.dtype), self.parts)

    def accuracy_gradients(self) -> np.ndarray:
        """Equation ``accuracy-gradient``: grad alpha(q) = alpha(1-alpha) (g+ - g-) = sqrt(alpha(1-alpha)) grad J.

        (N, P), in probability per unit of parameter. Unbiased from sampled rollouts for every scheme (the factor is
        sqrt(alpha(1-alpha)) N/(N-1) with the sampled alpha); the gradient of the expected reward where rewards are not
        in {0, 1}. Needs ``length_norm="none"`` and no KL term.
        """
        require_plain(self.weighting)
        return self.to_accuracy.astype(self.parts.dtype)[:, None] * self.full()

    def describe(self) -> str:
        """One sentence: how many prompts carry signal, and which form of the advantage was used."""
        form = "rewards in {0, 1}" if self.binary else "rewards outside {0, 1}: general advantage form"
        silent = int((~self.informative).sum())
        zero = "is zero" if self.weighting.kl == 0 else "is that of the KL term alone"
        sketch = f"; {self.sketch.describe()}" if self.sketch else ""
        return (f"{len(self.ids)} prompts, {silent} with one outcome only (their group gradient {zero}); {form}; "
                f"{self.weighting.describe()}{sketch}")


def require_plain(weighting: Weighting) -> None:
    """Raise ``ValueError`` where gradients are no multiples of grad alpha, so that accuracy units have no meaning."""
    if not weighting.plain:
        raise ValueError(f"length_norm {weighting.length_norm!r}, kl {weighting.kl:g}: accuracy units need target "
                         "gradients with length_norm='none' and kl=0; compute the target's gradients again without")


def group_gradients(policy: Any, rollouts: pd.DataFrame, *, split: Split = "none", weighting: Weighting | None = None,
                    parameters: str | None = None, reference: Any = None, sketch: Sketch | None = None,
                    micro_batch_size: int = 16, autocast: torch.dtype | None = None, out: np.ndarray | None = None,
                    progress: Callable[[int, int], None] | None = None) -> GroupGradients:
    """Equation ``group-gradient``: grad J(q) = sqrt(alpha(1-alpha)) (g+ - g-) for every prompt of ``rollouts``.

    The right-hand side equals (1/N) sum_i A_i grad log pi(o_i|q), so one backward pass through the contrast
    sum_i w_i log pi(o_i|q), with the weights of ``weighting``, gives it without any gradient of a single rollout.
    ``split="halves"`` or ``"outcomes"`` keeps two parts at nearly the same cost (a rollout is passed once, the prompt
    once a part).
    Prompts whose rewards are all equal get the zero gradient without a backward pass (unless there is a KL term) and
    are counted.

    ``policy``: a Policy or any causal language model. ``rollouts``: see :func:`bi.influence.groups.iterate_groups`.
    ``parameters``: which ones (:func:`bi.influence.subsets.named_subset`). ``reference``: the policy that a KL term of
    the weighting compares with. ``sketch`` keeps k numbers of each row in place of P. ``autocast``: see
    :class:`bi.influence.backward.WeightedGradient`. ``out``: a preallocated (S, N, P or k) array or memory map (S = 1,
    or 2 for a split; P from :func:`bi.influence.subsets.parameter_count`), float32 by default, float64 for a float64
    model. Memory does not grow with the number of rollouts. Raises ``ValueError`` for rollouts that the model cannot
    have made, empty completions, and log-probabilities that are not finite.
    Source: Cen et al. (2025), section on the per-step influence; the identity is tested by enumeration.
    """
    if split not in get_args(Split):
        raise ValueError(f"split {split!r} is unknown; choose one of {', '.join(get_args(Split))}")
    model, weighting = model_of(policy), weighting or Weighting()
    if weighting.kl and (reference is None or split == "outcomes"):
        raise ValueError(f"kl {weighting.kl:g}: a KL term needs the reference policy (reference=) and gradients that "
                         "are not split by outcome; give them, or set kl to 0")
    groups = check_groups(rollouts, model)
    binary = bool(np.isin(rollouts["reward"].to_numpy(dtype=np.float64), (0.0, 1.0)).all())
    if split == "outcomes" and not binary:
        raise ValueError("reward: g+ and g- need rewards in {0, 1}; use split='none' or 'halves' for other rewards")
    chosen = [p for _, p in named_subset(model, parameters)]
    weights = [group_weights(g.rewards, g.lengths, weighting, g.probabilities) for g in groups]
    width = sketch.size if sketch else sum(p.numel() for p in chosen)
    parts = _allocate(out, (PARTS[split], len(groups), width), chosen[0].dtype)
    shares = np.ones((PARTS[split], len(groups)))
    other = model_of(reference) if weighting.kl else None
    with differentiable(model, chosen), evaluated(other), casts_kept():
        backward = WeightedGradient(
            model, chosen, micro_batch_size=micro_batch_size, temperature=weighting.temperature, autocast=autocast,
            reference=other, kl_estimator=weighting.kl_estimator)
        for row, (group, weight) in enumerate(zip(groups, weights, strict=True)):
            part_weights, shares[:, row] = split_weights(group, weight, split, weighting)
            kl_weights = _split_kl(group, weight, split, weighting)
            for part, values in enumerate(part_weights):
                parts[part, row] = _keep(backward(
                    group.prompt, group.completions, values, f"problem {group.problem_id!r}",
                    None if kl_weights is None else kl_weights[part]), sketch
                ) if weight.informative or weighting.kl else 0.0
            if progress is not None:
                progress(row + 1, len(groups))
    result = GroupGradients(
        ids=tuple(g.problem_id for g in groups), parts=parts, shares=shares, split=split, binary=binary,
        mean=np.array([w.mean for w in weights]), to_accuracy=np.array([w.to_accuracy for w in weights]),
        counts=np.array([len(g.rewards) for g in groups]), informative=np.array([w.informative for w in weights]),
        weighting=weighting, sketch=sketch)
    logger.log(logging.INFO if binary else logging.WARNING, "group gradients: %s", result.describe())
    return result


def _keep(gradient: torch.Tensor, sketch: Sketch | None) -> np.ndarray:
    return gradient.cpu().numpy() if sketch is None else sketch(gradient)


def split_weights(group: RolloutGroup, weight: Group, split: Split,
                  weighting: Weighting) -> tuple[np.ndarray, np.ndarray]:
    """Weights (S, N) of the parts and their shares (S,) in the whole: sum_s shares_s part_s = group gradient.

    Halves are the even and the odd rollouts. They share the group's mean and standard deviation, so that the whole is
    exactly their mean; the price is a known excess: for ``dr_grpo`` and ``rloo`` the expected product of the halves is
    (1 + 1/(N-1)^2) times the squared expected gradient (1.02 for N = 8). Halves of their own baseline and deviation
    would be independent but shrink, and vanish where a half has one outcome.
    """
    if split == "none":
        return weight.weights[None], np.ones(1)
    share = normalised_probabilities(len(group.rewards), group.probabilities)
    if split == "halves":
        members, sizes = _halves(group, share)
        return members * weight.weights / sizes[:, None], sizes
    correct = group.rewards == 1
    members = np.stack([correct, ~correct])
    if not weight.informative:
        return np.zeros(members.shape), np.zeros(2)
    means = members * share / (members * share).sum(1, keepdims=True)
    factors = length_factors(group.lengths, weighting, share)
    contrast = float(weight.weights @ (group.rewards / factors))  # w_i = p_i A_i l_i, so this is E[A r]
    return means * factors, np.array([contrast, -contrast])


def _halves(group: RolloutGroup, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rollouts are in each half, (2, N), and the probability of the halves, (2,)."""
    if len(share) < 2:
        raise ValueError(f"rollouts: problem {group.problem_id!r} has one rollout and cannot be halved; sample at "
                         "least 2 (better 8) rollouts a prompt")
    members = np.arange(len(share)) % 2 == np.arange(2)[:, None]
    sizes = (members * share).sum(1)
    if (sizes <= 0).any():
        raise ValueError(f"weight: a half of problem {group.problem_id!r} has no probability")
    return members, sizes


def _split_kl(group: RolloutGroup, weight: Group, split: Split, weighting: Weighting) -> np.ndarray | None:
    """Weights (S, N) of the KL term in the parts, or ``None`` without one."""
    if not weighting.kl:
        return None
    if split == "none":
        return weight.kl_weights[None]
    members, sizes = _halves(group, normalised_probabilities(len(group.rewards), group.probabilities))
    return members * weight.kl_weights / sizes[:, None]


def rollout_gradients(policy: Any, rollouts: pd.DataFrame, *, parameters: str | None = None,
                      temperature: float = 1.0) -> np.ndarray:
    """grad log pi(o|q) of every rollout, (rollouts, P), in the order of the table: the plain loop.

    One backward pass per rollout and memory for all of them. It is the reference that the one-pass gradient is tested
    against and the input of :func:`bi.influence.kernel.co_influence`; do not use it on large tables.
    """
    model = model_of(policy)
    chosen = [p for _, p in named_subset(model, parameters)]
    check_groups(rollouts, model)
    one = np.ones(1)
    with differentiable(model, chosen):
        backward = WeightedGradient(model, chosen, micro_batch_size=1, temperature=temperature)
        rows = [_keep(backward(list(row.prompt_ids), [list(row.completion_ids)], one, f"problem {row.problem_id!r}"),
                      None).copy() for row in rollouts.itertuples()]
    return np.stack(rows)


def _allocate(out: np.ndarray | None, shape: tuple[int, int, int], dtype: torch.dtype) -> np.ndarray:
    if out is not None:
        if out.shape != shape or out.dtype not in (np.float32, np.float64):
            raise ValueError(f"out: expected a float32 or float64 array of shape {shape}, got {out.dtype} {out.shape}")
        return out
    size, kind = (8, np.float64) if dtype == torch.float64 else (4, np.float32)
    needed, memory = size * math.prod(shape), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise ValueError(f"the gradients of {shape[1]} prompts over {shape[2]:,} parameters take "
                         f"{needed / 1e9:.0f} GB, the machine has {memory / 1e9:.0f} GB; choose fewer parameters (a "
                         "pattern such as the last blocks), fewer prompts, or give a memory map as out")
    return np.zeros(shape, dtype=kind)
