"""Actual steps: the parameters really moved, and what that did to accuracy, measured on rollouts.

Three ways to the change of a prompt's accuracy alpha between theta_0 and theta_1 = theta_0 + shift:

- *predicted*: < grad alpha(q), shift >, the first-order change, from rollouts of theta_0;
- *importance*: mean_i (w_i - 1) (r_i - b_i) with w_i = pi_1(o_i|q) / pi_0(o_i|q) on stored rollouts of theta_0 and
  b_i the mean reward of the *other* rollouts of the prompt. Unbiased: E w_i = 1, E w_i r_i = alpha_1, and b_i is
  independent of rollout i. Its variance falls with the square of the step, and explodes when w does (see
  ``effective``). To first order it is the prediction again, made from these rollouts: take others than those of the
  prediction;
- *fresh*: rollouts of theta_1 minus rollouts of theta_0 with the same noise (common random numbers: pairs whose text
  does not change cancel). Unbiased for any step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from bi.influence.backward import batch_sizes, pass_tokens
from bi.influence.gradients import GroupGradients
from bi.influence.groups import RolloutGroup, check_groups
from bi.influence.kernel import gram
from bi.influence.likelihood import evaluated, supported, token_logprobs
from bi.influence.prefix import SharedPrefix
from bi.influence.subsets import model_of, named_subset


@contextmanager
def moved(policy: Any, shift: np.ndarray, parameters: str | None = None) -> Iterator[None]:
    """The policy at theta + ``shift`` (P,), for the parameters chosen; put back bit by bit afterwards."""
    chosen = [p for _, p in named_subset(model_of(policy), parameters)]
    if shift.shape != (size := sum(p.numel() for p in chosen),):
        raise ValueError(f"shift: {size} numbers are needed, got shape {shift.shape}; choose the same parameters")
    before = [p.detach().clone() for p in chosen]
    pieces = np.split(shift, np.cumsum([p.numel() for p in chosen])[:-1])
    try:
        with torch.no_grad():
            for p, piece in zip(chosen, pieces, strict=True):
                moved_to = p.double() + torch.from_numpy(np.asarray(piece, np.float64)).view_as(p).to(p.device)
                p.copy_(moved_to)
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(chosen, before, strict=True):
                p.copy_(old)


def predicted_changes(target: GroupGradients, shift: np.ndarray) -> np.ndarray:
    """Equation ``predicted-change``: < grad alpha(q), shift > of each target prompt, (N,), in probability."""
    return gram(target.accuracy_gradients(), shift[None].astype(target.parts.dtype))[:, 0]


def sequence_logprobs(policy: Any, rollouts: pd.DataFrame, *, temperature: float = 1.0, micro_batch_size: int = 64,
                      share_prefix: bool = True) -> list[tuple[RolloutGroup, np.ndarray]]:
    """Each group of ``rollouts`` with log pi(o_i|q) of its rollouts, (N,) float64, under the policy as it is now.

    The prompt of a group is encoded once where the model allows it; ``share_prefix=False`` never does.
    """
    model = model_of(policy)
    share = share_prefix and len(supported(model, use_cache=True, past_key_values=None)) == 2
    result = []
    with evaluated(model), torch.no_grad():
        for group in check_groups(rollouts, model):
            prefix = SharedPrefix(model, group.prompt, temperature) if share else None
            order = np.argsort(group.lengths, kind="stable")
            values = np.empty(len(order))
            sizes = batch_sizes(group.lengths[order].tolist(), micro_batch_size, pass_tokens(model))
            for rows in np.split(order, np.cumsum(sizes)[:-1]):
                batch = [group.completions[i] for i in rows]
                values[rows] = _sums(model, prefix, group.prompt, batch, temperature)
            result.append((group, values))
    return result


def _sums(model: nn.Module, prefix: SharedPrefix | None, prompt: list[int], batch: list[list[int]],
          temperature: float) -> np.ndarray:
    found = prefix.logprobs(batch) if prefix and prefix.outputs else token_logprobs(model, prompt, batch,
                                                                                    temperature=temperature)
    return found.double().sum(1).cpu().numpy()


def importance_changes(policy: Any, stored: list[tuple[RolloutGroup, np.ndarray]],
                       rollouts: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """Equation ``importance-change``: the change of each prompt's mean reward since ``stored``, from its rollouts.

    ``stored``: :func:`sequence_logprobs` of ``rollouts`` before the policy moved; ``options`` go to that function.
    Columns ``problem_id``, ``change`` (a probability for rewards in {0, 1}), ``variance`` (of ``change``, over the draw
    of the rollouts), ``effective`` (effective number of rollouts, (sum w)^2 / sum w^2). Needs at least 2 rollouts of a
    prompt.
    """
    rows = []
    for (group, before), (_, after) in zip(stored, sequence_logprobs(policy, rollouts, **options), strict=True):
        count = len(before)
        if count < 2:
            raise ValueError(f"rollouts: problem {group.problem_id!r} has one rollout; the baseline needs at least 2")
        weights = np.exp(after - before)
        baseline = (group.rewards.sum() - group.rewards) / (count - 1)
        terms = (weights - 1) * (group.rewards - baseline)
        rows.append({"problem_id": group.problem_id, "change": terms.mean(), "variance": terms.var(ddof=1) / count,
                     "effective": weights.sum() ** 2 / (weights**2).sum()})
    return pd.DataFrame(rows)


def fresh_changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Change of each prompt's mean reward from rollouts ``before`` to rollouts ``after`` made with the same noise.

    Both tables have ``problem_id``, ``sample``, ``reward`` and the same pairs of the first two. Columns ``problem_id``,
    ``change``, ``variance`` (of ``change``, pairs differenced), ``independent`` (its variance had the noise not been
    shared) and ``same`` (share of pairs whose reward is the same).
    """
    keys = ["problem_id", "sample"]
    pairs = before[[*keys, "reward"]].merge(after[[*keys, "reward"]], on=keys, suffixes=("_0", "_1"), how="outer")
    if pairs.isna().to_numpy().any() or len(pairs) != len(before):
        raise ValueError("rollouts: both tables need the same samples of the same problems; make them with one k and "
                         "seed")
    pairs["change"] = pairs["reward_1"] - pairs["reward_0"]
    rows = []
    for problem_id, group in pairs.groupby("problem_id", sort=False):
        count = len(group)
        rows.append({"problem_id": problem_id, "change": group["change"].mean(),
                     "variance": group["change"].var() / count,
                     "independent": (group["reward_0"].var() + group["reward_1"].var()) / count,
                     "same": (group["change"] == 0).mean()})
    return pd.DataFrame(rows)


def matched_sets(scores: np.ndarray, correct: np.ndarray, share: float = 1 / 3) -> dict[str, np.ndarray]:
    """Training prompts of high and of low ``scores`` (N,) with the same accuracy profile: indices by ``high``, ``low``.

    Among the prompts with the same number ``correct`` (N,) of right rollouts, the top and the bottom ``share`` are
    taken, equally many. Both sets then have the same rollout accuracies, prompt for prompt, and differ in influence
    alone. Prompts whose number is met too seldom are left out.
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"share {share} must lie above 0 and be at most .5: two sets without overlap")
    high, low = [], []
    for count in np.unique(correct):
        alike = np.flatnonzero(correct == count)
        ranked = alike[np.argsort(scores[alike], kind="stable")]
        taken = int(share * len(alike))
        low += ranked[:taken].tolist()
        high += ranked[len(ranked) - taken :].tolist()
    if not high:
        raise ValueError(f"matched sets: among {len(scores)} prompts no {round(1 / share)} have the same number of "
                         "right rollouts; measure more prompts")
    return {"high": np.array(high), "low": np.array(low)}
