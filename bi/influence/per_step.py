"""Per-step influence: what one policy-gradient step on some prompts does to others, and to itself, without bias.

One step of plain gradient ascent on M training prompts moves the parameters by
theta' - theta = eta (1/M) sum_q' grad J(q'). To first order a target prompt q then changes by the *mean over q'* of the
pair influences dJ(q'->q) below, so the mean of a matrix of pair influences is the expected change of one target prompt
by one step on the whole batch. Clipping is not part of it; length normalisation and a KL term only if the gradients
were made with them.

The trap. A prompt's gradient is estimated from its rollouts, and the rollout noise of a gradient multiplied by
*itself* is its variance: using the same rollouts for the step and for its predicted effect overstates the gain. Only
the pairs of a prompt with itself are concerned; three estimators treat them differently (:func:`influence_matrix`).

With ``metric`` = D of :func:`bi.influence.adam.adam_step` the same numbers describe a step of Adam: all inner products
become < x, D y >, and what Adam's momentum adds to every target prompt is :func:`drift_changes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from bi.evaluation.intervals import Interval
from bi.influence.gradients import GroupGradients, require_plain
from bi.influence.kernel import gram
from bi.influence.summary import PairTable, summarise

Estimator = Literal["halves", "distinct", "naive"]
NOTES = {"halves": "split halves for a prompt with itself", "distinct": "distinct prompts only (U-statistic)",
         "naive": "BIASED: the same rollouts on both sides"}


@dataclass(frozen=True)
class PerStepInfluence:
    """Pair influences and their summary.

    ``objective`` and ``accuracy`` are (N_target, M_train): the change of J (in standard deviations of the reward) and
    of accuracy (a probability; ``nan`` where target gradients are length-normalised or hold a KL term) of the row's
    prompt by a step of size ``lr`` on the column's prompt alone. A prompt paired with itself is ``nan`` under
    ``distinct``.
    ``summary``: see :func:`bi.influence.summary.summarise`.
    """

    target_ids: tuple[str, ...]
    train_ids: tuple[str, ...]
    objective: np.ndarray
    accuracy: np.ndarray
    lr: float
    estimator: Estimator
    summary: dict[str, Interval]

    def table(self) -> pd.DataFrame:
        """Tidy rows ``metric, value, low, high, n, unit, level, method, estimator, lr``."""
        rows = [{"metric": metric, "value": i.value, "low": i.low, "high": i.high, "n": i.n, "unit": i.unit,
                 "level": i.level, "method": i.method, "estimator": self.estimator, "lr": self.lr}
                for metric, i in self.summary.items()]
        return pd.DataFrame(rows)


def influence_matrix(target: GroupGradients, train: GroupGradients, lr: float, estimator: Estimator = "halves", *,
                     metric: np.ndarray | None = None) -> np.ndarray:
    """Equation ``per-step-influence``: dJ(q'->q) = eta < grad J(q), grad J(q') >, (N_target, M_train), float64.

    The change of J(q) (:mod:`bi.influence.gradients` says what J holds fixed) by one gradient step of size ``lr`` on
    prompt q' alone, to first order in ``lr``; unit: standard deviations of the reward at q. Equals the paper's form
    eta sqrt(alpha(1-alpha)) E_o'[A(q',o') (K+ - K-)] (:func:`bi.influence.kernel.outcome_kernels`).

    Pairs of different prompts use all rollouts of both: independent, hence unbiased for the product of the expected
    gradients with groups of this size. A prompt paired with itself: ``halves`` < half, other half >; ``distinct`` nan;
    ``naive`` the squared norm, which contains the rollout noise. Source: Cen et al. (2025).
    """
    return lr * pair_products(target, train, estimator, metric).products


def accuracy_matrix(target: GroupGradients, train: GroupGradients, lr: float, estimator: Estimator = "halves", *,
                    metric: np.ndarray | None = None) -> np.ndarray:
    """Equation ``accuracy-influence``: dAcc(q'->q) = eta sqrt(alpha(1-alpha)) < grad J(q), grad J(q') >.

    (N_target, M_train), float64: the change of the accuracy of q, a probability, by one gradient step of size ``lr`` on
    q' alone, to first order. It holds because grad alpha = sqrt(alpha(1-alpha)) grad J. From N sampled rollouts the
    factor is sqrt(alpha(1-alpha)) N/(N-1) with the sampled alpha, which makes the target's part unbiased for
    grad alpha. ``ValueError`` when the target's gradients are length-normalised or hold a KL term. Source: Cen et al.
    (2025).
    """
    require_plain(target.weighting)
    return target.to_accuracy[:, None] * influence_matrix(target, train, lr, estimator, metric=metric)


def drift_changes(target: GroupGradients, drift: np.ndarray, lr: float) -> np.ndarray:
    """eta < grad J(q), drift >, (N_target,): what Adam's momentum and weight decay add to J of each target prompt.

    ``drift`` (P,) comes from :func:`bi.influence.adam.adam_step`. Multiply by ``target.to_accuracy`` for accuracy.
    """
    return lr * gram(target.full(), drift[None].astype(target.parts.dtype))[:, 0]


def pair_products(target: GroupGradients, train: GroupGradients, estimator: Estimator,
                  metric: np.ndarray | None = None) -> PairTable:
    """Estimated < grad J(q), D grad J(q') > of every pair, with what the summary needs beside it.

    ``metric``: D (P,), the identity by default. Needs whole gradients: a sketch has lost the coordinates.
    """
    if target.sketch != train.sketch:
        raise ValueError(f"sketch: target has {target.sketch}, train {train.sketch}; use the same for both")
    if metric is not None and train.sketch is not None:
        raise ValueError("metric: Adam's inner product needs whole gradients; compute them without a sketch")
    if estimator not in get_args(Estimator):
        raise ValueError(f"estimator {estimator!r} is unknown; choose one of {', '.join(get_args(Estimator))}")
    width = target.parts.shape[2]
    blocks = gram(target.parts.reshape(-1, width), train.parts.reshape(-1, train.parts.shape[2]), metric=metric)
    blocks = blocks.reshape(*target.parts.shape[:2], *train.parts.shape[:2])  # (S, N, S', M)
    by_part = np.einsum("sn,snrm->rnm", target.shares, blocks)
    products = np.einsum("rm,rnm->nm", train.shares, by_part)
    naive = products.copy()
    same = np.array(target.ids)[:, None] == np.array(train.ids)[None, :]
    if estimator == "halves" and same.any():
        if (target.split, train.split) != ("halves", "halves"):
            raise ValueError("estimator 'halves' needs gradients with split='halves' where a prompt is both trained on "
                             "and a target; compute them so, or use estimator='distinct'")
        products[same] = ((blocks[0, :, 1] + blocks[1, :, 0]) / 2)[same]
    if estimator == "distinct":
        products[same] = np.nan
    informative = target.informative[:, None] & train.informative[None, :]
    by_half = by_part if train.split == "halves" else naive[None]
    return PairTable(products, naive, by_half, same, informative, paired=target.ids == train.ids)


def per_step_influence(train: GroupGradients, target: GroupGradients, lr: float, *, rng: np.random.Generator,
                       estimator: Estimator = "halves", metric: np.ndarray | None = None, resamples: int = 2000,
                       level: float = 0.95) -> PerStepInfluence:
    """Influence of one step on ``train`` upon ``target``: all pairs, and a summary with bootstrap intervals.

    ``lr`` is the step size eta of plain gradient ascent on the mean of the training prompts' J. Accuracies come with
    the gradients. With ``train is target`` the pairs of a prompt with itself follow ``estimator``; for disjoint sets of
    prompts all three agree on the mean, and the choice matters for alignment and signal-to-noise only, which compare
    each set with itself. ``metric``: D (P,) of Adam; then alignment and signal-to-noise are in that inner product too.
    """
    if not (np.isfinite(lr) and lr > 0):
        raise ValueError(f"lr {lr!r} must be a positive number: the step size of one gradient step")
    across = pair_products(target, train, estimator, metric)
    within_train = across if train is target else pair_products(train, train, estimator, metric)
    within_target = across if train is target else pair_products(target, target, estimator, metric)
    to_accuracy = target.to_accuracy if target.weighting.plain else np.full(len(target.ids), np.nan)
    summary = summarise(across, within_train, within_target, to_accuracy=to_accuracy, lr=lr, rng=rng,
                        resamples=resamples, level=level)
    objective = lr * across.products
    return PerStepInfluence(target.ids, train.ids, objective, to_accuracy[:, None] * objective, lr, estimator, summary)
