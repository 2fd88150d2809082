"""Metrics agree with brute force and with their expectations."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest

from bi.evaluation.metrics import (
    accuracy_table,
    accuracy_variance,
    expected_informative_share,
    informative_share,
    pass_at_k,
    problem_counts,
)


def binomial(n: int, alpha: float) -> np.ndarray:
    return np.array([comb(n, c) * alpha**c * (1 - alpha) ** (n - c) for c in range(n + 1)])


@pytest.mark.parametrize("n, c, k", [(5, 2, 1), (5, 2, 3), (5, 0, 2), (5, 5, 2), (6, 5, 2)])
def test_pass_at_k_is_the_share_of_subsets_that_hold_a_correct_one(n: int, c: int, k: int) -> None:
    subsets = [any(i < c for i in subset) for subset in combinations(range(n), k)]
    assert pass_at_k(n, c, k) == pytest.approx(np.mean(subsets), abs=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 1.0])
def test_estimators_are_unbiased(alpha: float) -> None:
    n, counts = 6, np.arange(7)
    chance = binomial(n, alpha)
    assert chance @ pass_at_k(n, counts, 4) == pytest.approx(1 - (1 - alpha) ** 4, abs=1e-12)
    assert chance @ accuracy_variance(n, counts) == pytest.approx(alpha * (1 - alpha), abs=1e-12)
    expected = 1 - alpha**4 - (1 - alpha) ** 4
    assert chance @ expected_informative_share(n, counts, 4) == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_is_stable_and_vectorised_for_large_n() -> None:
    values = pass_at_k(np.full(3, 100_000), np.array([0, 1, 99_999]), 64)
    assert values == pytest.approx([0.0, 64 / 100_000, 1.0], rel=1e-9)


def test_informative_share_counts_mixed_outcomes() -> None:
    assert informative_share([4, 4, 4, 4], [0, 1, 3, 4]) == 0.5


@pytest.mark.parametrize("call, field", [
    (lambda: pass_at_k(4, 2, 5), "k:"), (lambda: pass_at_k(4, 5, 1), "c:"), (lambda: pass_at_k(0, 0, 1), "n:"),
    (lambda: accuracy_variance(1, 1), "n:"), (lambda: expected_informative_share(4, 2, 8), "group:")])
def test_bad_counts_are_named(call, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        call()


def rollouts() -> pd.DataFrame:
    return pd.DataFrame({"problem_id": ["b", "b", "a", "a"], "reward": [1.0, 0.0, 1.05, 0.05],
                         "answer": [True, False, True, False], "n_tokens": [4, 6, 10, 12]})


def test_problem_counts_keep_order_and_use_the_verdict_rather_than_a_shaped_reward() -> None:
    table = problem_counts(rollouts())
    assert table["problem_id"].tolist() == ["b", "a"]
    assert table["correct"].tolist() == [1, 1]
    by_reward = problem_counts(rollouts().drop(columns="answer"))
    assert by_reward["correct"].tolist() == [1, 0]


def test_accuracy_table_is_tidy() -> None:
    table = accuracy_table(rollouts(), pass_at=(1, 2), group=2).set_index("metric")
    assert table["n"].unique().tolist() == [2]
    assert table.loc["accuracy", "value"] == 0.5
    assert table.loc["pass@2", "value"] == 1.0
    assert table.loc["informative_share", "value"] == 1.0
    assert table.loc["n_tokens", "value"] == 8.0
    assert "strict" not in table.index


def test_missing_columns_are_named() -> None:
    with pytest.raises(ValueError, match="reward"):
        accuracy_table(pd.DataFrame({"problem_id": ["a"]}))
