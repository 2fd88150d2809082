"""Numbers of a rollout table: accuracy, pass@k, and how many prompts carry signal for group-relative RL.

All functions take counts: ``n`` completions of a problem, ``c`` of them correct, as scalars or arrays that broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

SHARES = ("strict", "format", "finished")
COUNTS = ("n_tokens", "n_reflection", "n_analysis", "n_subgoal")


def _counts(n: ArrayLike, c: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    total, correct = np.broadcast_arrays(np.asarray(n), np.asarray(c))
    if (total < 1).any():
        raise ValueError(f"n: every problem needs at least one completion, got {int(total.min())}")
    if ((correct < 0) | (correct > total)).any():
        raise ValueError("c: correct completions must lie between 0 and n; are n and c exchanged?")
    return total.astype(np.float64), correct.astype(np.float64)


def _none_of(total: np.ndarray, hits: np.ndarray, k: int) -> np.ndarray:
    """C(total - hits, k) / C(total, k), the chance that k drawn without replacement miss all hits, as a product."""
    result = np.ones_like(total)
    for drawn in range(k):
        result *= np.clip((total - hits - drawn) / (total - drawn), 0.0, None)
    return result


def pass_at_k(n: ArrayLike, c: ArrayLike, k: int) -> np.ndarray:
    """Probability that at least one of k completions is correct: 1 - C(n-c, k) / C(n, k), for each problem.

    Unbiased for 1 - (1 - alpha)^k, written as a product of k ratios so that nothing overflows. Needs n >= k.
    Source: Chen et al. (2021), *Evaluating large language models trained on code*.
    """
    total, correct = _counts(n, c)
    if k < 1 or (total < k).any():
        raise ValueError(f"k: pass@{k} needs 1 <= k <= n, and a problem has n = {int(total.min())}; sample more or "
                         "lower k")
    return 1.0 - _none_of(total, correct, k)


def accuracy_variance(n: ArrayLike, c: ArrayLike) -> np.ndarray:
    """Unbiased estimate of alpha (1 - alpha): c (n - c) / (n (n - 1)), for each problem. Needs n >= 2."""
    total, correct = _counts(n, c)
    if (total < 2).any():
        raise ValueError("n: alpha (1 - alpha) needs at least two completions of every problem")
    return correct * (total - correct) / (total * (total - 1.0))


def informative_share(n: ArrayLike, c: ArrayLike) -> float:
    """Share of problems with mixed outcomes, 0 < c < n. It grows with n: compare at equal n only."""
    total, correct = _counts(n, c)
    return float(np.mean((correct > 0) & (correct < total)))


def expected_informative_share(n: ArrayLike, c: ArrayLike, group: int) -> np.ndarray:
    """Chance that ``group`` rollouts of a problem have mixed outcomes: E[1 - alpha^G - (1 - alpha)^G], per problem.

    Unbiased from c of n >= G: 1 - C(c, G)/C(n, G) - C(n-c, G)/C(n, G). Its mean over problems is the expected share of
    groups that are not degenerate in GRPO with groups of G, comparable between tables of different n.
    """
    total, correct = _counts(n, c)
    if group < 1 or (total < group).any():
        raise ValueError(f"group: groups of {group} need at least as many completions a problem, and one has "
                         f"n = {int(total.min())}")
    return 1.0 - _none_of(total, correct, group) - _none_of(total, total - correct, group)


def problem_counts(rollouts: pd.DataFrame) -> pd.DataFrame:
    """One row per problem in order of appearance: ``problem_id, n, correct, accuracy``.

    The column ``strict`` does not count here: a completion is correct when its column ``answer`` (the verdict on the
    final answer) is true, or, where a table lacks it, when its reward is 1.
    """
    _require(rollouts, "problem_id")
    grouped = correct_column(rollouts).groupby(rollouts["problem_id"], sort=False)
    table = grouped.agg(n="size", correct="sum").reset_index()
    table["accuracy"] = table["correct"] / table["n"]
    return table


def cell_counts(rollouts: pd.DataFrame, cell: Mapping[str, object]) -> pd.DataFrame:
    """Rows ``problem_id, n, correct`` of one rollout table behind the columns of ``cell``, in its order."""
    return problem_counts(rollouts).assign(**cell)[[*cell, "problem_id", "n", "correct"]]


def correct_column(rollouts: pd.DataFrame) -> pd.Series:
    """True where the final answer is right: boolean ``answer`` if there is one, else ``reward == 1``."""
    if "answer" in rollouts and pd.api.types.is_bool_dtype(rollouts["answer"]):
        return pd.Series(rollouts["answer"], dtype=bool)
    _require(rollouts, "reward")
    return pd.Series(rollouts["reward"]).eq(1)


def accuracy_table(rollouts: pd.DataFrame, pass_at: tuple[int, ...] = (1,), group: int | None = None) -> pd.DataFrame:
    """Tidy rows ``metric, value, n`` of one rollout table; ``n`` counts the problems that the mean runs over.

    Metrics: ``accuracy``, ``pass@k``, ``accuracy_variance`` and ``informative_share`` (where n >= 2),
    ``expected_informative_share`` for groups of ``group``, and the mean of each of ``strict, format, finished,
    n_tokens, n_reflection, n_analysis, n_subgoal`` that the table holds. Every problem counts the same.
    """
    counts = problem_counts(rollouts)
    n, correct = counts["n"].to_numpy(), counts["correct"].to_numpy()
    values = {"accuracy": float(counts["accuracy"].mean())}
    values |= {f"pass@{k}": float(pass_at_k(n, correct, k).mean()) for k in pass_at}
    if n.min() >= 2:
        values["accuracy_variance"] = float(accuracy_variance(n, correct).mean())
        values["informative_share"] = informative_share(n, correct)
    if group is not None:
        values["expected_informative_share"] = float(expected_informative_share(n, correct, group).mean())
    for column in SHARES + COUNTS:
        if column in rollouts:
            means = rollouts[column].astype(np.float64).groupby(rollouts["problem_id"], sort=False).mean()
            values[column] = float(means.mean())
    return pd.DataFrame({"metric": list(values), "value": list(values.values()), "n": len(counts)})


def _require(rollouts: pd.DataFrame, column: str) -> None:
    if column not in rollouts:
        raise ValueError(f"rollouts lack the column {column!r}; make them with `bi rollouts`")
