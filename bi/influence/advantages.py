"""Advantages of one group of rollouts: from rewards to the weight of each rollout in the group gradient.

A *group* is the rollouts o_1..o_N of one prompt with rewards r_1..r_N. Its gradient is a weighted sum of the gradients
of the rollouts' log-probabilities, sum_i w_i grad log pi(o_i|q), and this module is the home of the w_i. They are
multiples of advantages, which are zero where all rewards are equal: such a group carries no gradient of reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Scheme = Literal["grpo", "dr_grpo", "rloo"]
Std = Literal["population", "sample"]
LengthNorm = Literal["none", "sequence", "token", "constant"]
KLEstimator = Literal["k3", "k2"]


@dataclass(frozen=True)
class Weighting:
    """How rewards become weights; the defaults are the paper's form.

    With the group's mean reward m and standard deviation s, the gradient is (1/N) sum_i A_i l_i grad log pi(o_i|q):

    - ``scheme="grpo"``: A_i = (r_i - m) / (s + ``epsilon``). With rewards in {0, 1}, s = sqrt(alpha (1 - alpha)) and
      the gradient is sqrt(alpha (1 - alpha)) (g+ - g-).
    - ``scheme="dr_grpo"``: A_i = r_i - m (Dr. GRPO). The gradient is alpha (1 - alpha) (g+ - g-).
    - ``scheme="rloo"``: A_i = r_i - mean of the other rewards = N/(N-1) (r_i - m). Unbiased for grad alpha.
    - ``std``: s = sqrt(sum_i (r_i - m)^2 / N) (``"population"``), or with N-1 for N (``"sample"``), as TRL and verl do:
      the gradient shrinks by sqrt((N-1)/N).
    - ``length_norm``: l_i = 1 (``"none"``), 1/|o_i| (``"sequence"``: TRL's ``grpo`` loss), 1/mean_j |o_j| of the group
      (``"token"``: TRL's ``bnpo`` and ``dapo``, within one group), 1/L with L = ``length_constant`` (``"constant"``:
      TRL's ``dr_grpo``).

    With ``kl`` = beta above 0 the gradient of the penalty is added, with rho_it = pi_ref / pi of token t of rollout i:

    - ``kl_estimator="k3"``: - beta (1/N) sum_i l_i sum_t (1 - rho_it) grad log pi(o_it), the gradient of
      - beta (rho - log rho - 1). In expectation it lowers KL(pi_ref || pi) at the states that pi visits.
    - ``kl_estimator="k2"``: - beta (1/N) sum_i l_i sum_t (- log rho_it) grad log pi(o_it), the gradient of
      - beta (log rho)^2 / 2. In expectation it lowers KL(pi || pi_ref) there.

    ``temperature`` is that of the sampler: pi is the softmax of logits / temperature. Adam and clipping are not part of
    any of these (:mod:`bi.influence.adam`).
    """

    scheme: Scheme = "grpo"
    std: Std = "population"
    length_norm: LengthNorm = "none"
    epsilon: float = 0.0
    temperature: float = 1.0
    length_constant: float | None = None
    kl: float = 0.0
    kl_estimator: KLEstimator = "k3"

    def __post_init__(self) -> None:
        """Refuse unknown choices."""
        for field, choices in (("scheme", get_args(Scheme)), ("std", get_args(Std)),
                               ("length_norm", get_args(LengthNorm)), ("kl_estimator", get_args(KLEstimator))):
            if getattr(self, field) not in choices:
                raise ValueError(f"{field} {getattr(self, field)!r} is unknown; choose one of {', '.join(choices)}")
        if not self.temperature > 0:
            raise ValueError(f"temperature {self.temperature!r} must be above 0 (the sampler's temperature)")
        for field in ("epsilon", "kl"):
            if not getattr(self, field) >= 0:
                raise ValueError(f"{field} {getattr(self, field)!r} must not be negative")
        if (self.length_norm == "constant") != (self.length_constant is not None):
            raise ValueError(f"length_constant {self.length_constant!r} with length_norm {self.length_norm!r}: give a "
                             "number of tokens exactly where length_norm is 'constant'")
        if self.length_constant is not None and not self.length_constant > 0:
            raise ValueError(f"length_constant {self.length_constant!r} must be above 0 (tokens)")

    @property
    def plain(self) -> bool:
        """Whether the gradient is a multiple of grad alpha, prompt by prompt: no length factor and no KL term."""
        return self.length_norm == "none" and self.kl == 0

    def describe(self) -> str:
        """The choices in a few words."""
        constant = f" {self.length_constant:g}" if self.length_constant else ""
        kl = f", kl {self.kl:g} ({self.kl_estimator})" if self.kl else ""
        return f"scheme {self.scheme}, std {self.std}, length_norm {self.length_norm}{constant}{kl}"


@dataclass(frozen=True)
class Group:
    """Rewards of one prompt reduced to what the gradient needs.

    ``weights`` (N,): w_i, with the length factor. ``kl_weights`` (N,): beta p_i l_i, what the KL term of a rollout
    weighs (zeros without one). ``mean``: probability-weighted mean reward (alpha for rewards in
    {0, 1}). ``to_accuracy``: the factor that turns the group gradient into an unbiased estimate of grad E[r], namely
    s N/(N-1) for ``grpo``, N/(N-1) for ``dr_grpo``, 1 for ``rloo``; without the N/(N-1) where ``exact``.
    """

    weights: np.ndarray
    kl_weights: np.ndarray
    mean: float
    to_accuracy: float
    informative: bool


def normalised_probabilities(count: int, probabilities: np.ndarray | None) -> np.ndarray:
    """(N,) weights that sum to 1: 1/N each, or ``probabilities`` scaled (an enumerated group)."""
    if probabilities is None:
        return np.full(count, 1.0 / count)
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (count,) or not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise ValueError(f"weight: {count} finite numbers >= 0 with a positive sum are needed for a group")
    return values / values.sum()


def length_factors(lengths: np.ndarray, weighting: Weighting, probabilities: np.ndarray) -> np.ndarray:
    """(N,) factors l_i of :class:`Weighting` for completions of ``lengths`` tokens."""
    lengths = np.asarray(lengths, dtype=np.float64)
    if weighting.length_norm == "none":
        return np.ones_like(lengths)
    if weighting.length_norm == "sequence":
        return 1.0 / lengths
    tokens = weighting.length_constant or float(probabilities @ lengths)
    return np.full_like(lengths, 1.0 / tokens)


def group_weights(rewards: np.ndarray, lengths: np.ndarray, weighting: Weighting,
                  probabilities: np.ndarray | None = None) -> Group:
    """Weights w_i of one group, such that its gradient is sum_i w_i grad log pi(o_i|q).

    ``rewards`` and ``lengths`` are (N,). ``probabilities`` (N,) replaces the empirical 1/N by known probabilities of
    the rollouts: then the result is the exact expectation over an enumerated group, and the corrections for a finite
    sample (``std="sample"``, ``scheme="rloo"``) have no meaning and raise ``ValueError``.
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    count = len(rewards)
    exact = probabilities is not None
    if exact and (weighting.scheme == "rloo" or (weighting.scheme == "grpo" and weighting.std == "sample")):
        raise ValueError("weight: an enumerated group has no sample size; use std='population' and scheme 'grpo' or "
                         "'dr_grpo'")
    share = normalised_probabilities(count, probabilities)
    mean = float(share @ rewards)
    centred = rewards - mean
    informative = bool(np.ptp(rewards[share > 0]) > 0)
    factors = length_factors(lengths, weighting, share)
    kl_weights = weighting.kl * share * factors
    if not informative:
        return Group(np.zeros(count), kl_weights, mean, 0.0, False)
    correction = 1.0 if exact else count / (count - 1)
    variance = float(share @ centred**2)
    if weighting.scheme == "grpo":
        spread = np.sqrt(variance * (correction if weighting.std == "sample" else 1.0)) + weighting.epsilon
        advantages, to_accuracy = centred / spread, spread * correction
    elif weighting.scheme == "dr_grpo":
        advantages, to_accuracy = centred, correction
    else:
        advantages, to_accuracy = centred * correction, 1.0
    return Group(share * advantages * factors, kl_weights, mean, float(to_accuracy), True)
