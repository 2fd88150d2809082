"""Intervals have the width that theory gives, respect clusters, and are reproducible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bi.evaluation.intervals import bootstrap_mean, hierarchical_mean, numpy_stream, paired_difference


def rng(*names: int | str) -> np.random.Generator:
    return numpy_stream(0, "test", *names)


def test_streams_are_named_and_repeatable() -> None:
    assert rng("a").random() == rng("a").random()
    assert rng("a").random() != rng("b").random()


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_width_matches_the_normal_interval(method) -> None:
    values = rng("values").normal(size=400)
    interval = bootstrap_mean(values, rng("boot"), method=method)
    expected = 2 * 1.96 * values.std() / np.sqrt(400)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.1)
    assert interval.low < interval.value < interval.high
    assert (interval.method, interval.n, interval.resamples) == (method, 400, 2000)


def test_clusters_widen_the_interval_of_correlated_values() -> None:
    problems = np.repeat(np.arange(100), 16)
    values = np.repeat(rng("level").normal(size=100), 16)
    naive = bootstrap_mean(values, rng("boot"), resamples=500)
    clustered = bootstrap_mean(values, rng("boot"), clusters=problems, resamples=500)
    ratio = (clustered.high - clustered.low) / (naive.high - naive.low)
    assert ratio == pytest.approx(4.0, rel=0.15)  # 16 copies: the square root of 16
    assert clustered.n == 100
    assert "100 problems" in clustered.describe()


def test_percentile_interval_covers_nine_times_in_ten_or_more() -> None:
    hits = 0
    for trial in range(100):
        draws = rng("cover", trial)
        interval = bootstrap_mean(draws.random(60) < 0.3, draws, resamples=300)
        hits += interval.low <= 0.3 <= interval.high
    assert hits >= 88


def test_unequal_clusters_average_over_values() -> None:
    interval = bootstrap_mean([1.0, 1.0, 1.0, 0.0], rng(), clusters=["a", "a", "a", "b"], resamples=50)
    assert interval.value == 0.75


def test_no_spread_and_one_cluster_are_told_apart() -> None:
    same = bootstrap_mean([1.0, 1.0], rng(), method="bca")
    assert (same.low, same.high) == (1.0, 1.0)
    one = bootstrap_mean([1.0, 0.0], rng(), clusters=["a", "a"])
    assert np.isnan(one.low) and one.n == 1


def seeds_table(seed_spread: float, problems: int = 200) -> pd.DataFrame:
    draws = rng("hierarchy", int(100 * seed_spread))
    rows = [(seed, problem, level + draws.normal()) for seed, level in enumerate(draws.normal(0, seed_spread, size=8))
            for problem in range(problems)]
    return pd.DataFrame(rows, columns=["seed", "problem_id", "value"])


def test_seeds_dominate_the_hierarchical_interval_when_they_differ() -> None:
    table = seeds_table(1.0)
    columns = table["value"], table["seed"], table["problem_id"]
    over_seeds = hierarchical_mean(*columns, rng("h"), resamples=800)
    within = hierarchical_mean(*columns, rng("h"), resample_seeds=False, resamples=800)
    expected = 2 * 1.96 / np.sqrt(8 * 200)
    assert within.high - within.low == pytest.approx(expected, rel=0.15)
    assert over_seeds.high - over_seeds.low > 5 * expected
    assert over_seeds.value == pytest.approx(table["value"].mean())


def test_crossed_problems_keep_their_shared_difficulty() -> None:
    difficulty = rng("difficulty").normal(size=100)
    table = pd.DataFrame([(s, p, difficulty[p]) for s in range(4) for p in range(100)], columns=["s", "p", "v"])
    nested = hierarchical_mean(table["v"], table["s"], table["p"], rng("n"))
    crossed = hierarchical_mean(table["v"], table["s"], table["p"], rng("c"), design="crossed")
    assert (crossed.high - crossed.low) / (nested.high - nested.low) > 1.4
    with pytest.raises(ValueError, match="crossed"):
        hierarchical_mean(table["v"][1:], table["s"][1:], table["p"][1:], rng("c"), design="crossed")


def test_pairing_removes_what_both_share() -> None:
    first = seeds_table(1.0)
    second = first.assign(value=first["value"] - 0.25)
    interval = paired_difference(first, second, rng("p"), design="crossed")
    assert interval.value == pytest.approx(0.25)
    assert interval.high - interval.low < 1e-9
    with pytest.raises(ValueError, match="same problems"):
        paired_difference(first, second.iloc[1:], rng("p"))


@pytest.mark.parametrize("call, field", [
    (lambda: bootstrap_mean([], rng()), "values"), (lambda: bootstrap_mean([1, np.nan], rng()), "values"),
    (lambda: bootstrap_mean([1, 2], rng(), level=1.5), "level"),
    (lambda: bootstrap_mean([1, 2], rng(), resamples=0), "resamples"),
    (lambda: bootstrap_mean([1, 2], rng(), clusters=[1]), "clusters"),
    (lambda: bootstrap_mean([1, 2], rng(), method="jackknife"), "method")])
def test_bad_input_is_named(call, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        call()
