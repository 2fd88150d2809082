"""Estimates of per-step influence recover known means, alignments and signal-to-noise ratios from noisy gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from influence_cases import make_model, make_rollouts

from bi.evaluation.intervals import numpy_stream
from bi.influence.advantages import Weighting
from bi.influence.gradients import GroupGradients
from bi.influence.per_step import accuracy_matrix, influence_matrix, pair_products, per_step_influence
from bi.influence.report import influence_report
from bi.influence.summary import pair_means, top_tenth_shares

SIZE = 400


def make_gradients(truth: np.ndarray, noise: float, rng: np.random.Generator, prefix: str = "q",
                   alpha: float = 0.5) -> GroupGradients:
    """Halves that are ``truth`` (N, P) plus independent noise of squared length 2 ``noise`` each."""
    count, width = truth.shape
    parts = truth + rng.normal(size=(2, count, width)) * np.sqrt(2 * noise / width)
    return GroupGradients(
        ids=tuple(f"{prefix}{i}" for i in range(count)), parts=parts, shares=np.full((2, count), 0.5), split="halves",
        mean=np.full(count, alpha), to_accuracy=np.full(count, np.sqrt(alpha * (1 - alpha))),
        counts=np.full(count, 8), informative=np.ones(count, dtype=bool), binary=True, weighting=Weighting())


def make_truth(count: int, rng: np.random.Generator, direction: int = 0) -> np.ndarray:
    """Rows of mean e_direction and unit spread."""
    truth = rng.normal(size=(count, SIZE)) / np.sqrt(SIZE)
    truth[:, direction] += 1.0
    return truth


def test_halves_and_distinct_prompts_recover_the_mean_and_the_naive_estimate_overstates_it() -> None:
    results: dict[str, list[float]] = {"halves": [], "distinct": [], "naive": []}
    covered = {"halves": 0, "distinct": 0}
    for trial in range(25):
        rng = numpy_stream(trial, "per-step")
        gradients = make_gradients(make_truth(12, rng), noise=20.0, rng=rng)
        for estimator, values in results.items():
            summary = per_step_influence(gradients, gradients, 0.1, rng=rng, estimator=estimator, resamples=200).summary
            interval = summary["mean_objective"]
            values.append(interval.value)
            if estimator in covered:
                truth = 0.1 * (1 + (1 / 12 if estimator == "halves" else 0))  # E|mean|^2 of 12 with unit spread
                covered[estimator] += interval.low <= truth <= interval.high
    assert np.mean(results["halves"]) == pytest.approx(0.1 * (1 + 1 / 12), abs=0.02)
    assert np.mean(results["distinct"]) == pytest.approx(0.1, abs=0.02)
    assert np.mean(results["naive"]) == pytest.approx(0.1 * (1 + 21 / 12), abs=0.03)
    assert min(covered.values()) >= 20


def test_alignment_is_not_pulled_to_zero_by_noise_and_signal_to_noise_is_right() -> None:
    values: dict[str, list[float]] = {"halves": [], "naive": [], "snr": []}
    for trial in range(20):
        rng = numpy_stream(trial, "alignment")
        train, target = make_truth(16, rng), make_truth(16, rng, direction=1)
        target[:, 0] += np.sqrt(3.0)  # mean (sqrt 3, 1, 0...) against (1, 0, ...): cosine sqrt(3) / 2
        first, second = make_gradients(train, 10.0, rng), make_gradients(target, 10.0, rng, prefix="t")
        for estimator in ("halves", "naive"):
            result = per_step_influence(first, second, 0.1, rng=rng, estimator=estimator, resamples=50)
            values[estimator].append(result.summary["alignment"].value)
        result = per_step_influence(first, second, 0.1, rng=rng, estimator="distinct", resamples=50)
        values["snr"].append(result.summary["snr"].value)
    # prompts differ too: halves measure these 16 prompts, whose mean has squared length 1 + 1/16
    expected = np.sqrt(3) / np.sqrt((1 + 1 / 16) * (4 + 1 / 16))
    assert np.mean(values["halves"]) == pytest.approx(expected, abs=0.06)
    assert np.mean(values["naive"]) < expected - 0.15
    assert np.mean(values["snr"]) == pytest.approx(1 / 11, rel=0.2)


def test_a_set_is_aligned_with_itself() -> None:
    rng = numpy_stream(0, "self")
    gradients = make_gradients(make_truth(8, rng), 1.0, rng)
    result = per_step_influence(gradients, gradients, 0.1, rng=rng, resamples=20)
    assert result.summary["alignment"].value == pytest.approx(1.0)


def test_only_a_prompt_with_itself_depends_on_the_estimator() -> None:
    rng = numpy_stream(0, "self")
    gradients = make_gradients(make_truth(5, rng), 1.0, rng)
    halves, distinct, naive = (influence_matrix(gradients, gradients, 2.0, e) for e in ("halves", "distinct", "naive"))
    off = ~np.eye(5, dtype=bool)
    assert halves[off] == pytest.approx(naive[off])
    assert distinct[off] == pytest.approx(naive[off])
    assert np.isnan(np.diagonal(distinct)).all()
    assert np.diagonal(halves) == pytest.approx(2.0 * np.einsum("np,np->n", *gradients.parts))
    assert naive == pytest.approx(2.0 * gradients.full() @ gradients.full().T)
    disjoint = make_gradients(make_truth(3, rng), 1.0, rng, prefix="t")
    assert influence_matrix(disjoint, gradients, 1.0, "halves") == pytest.approx(disjoint.full() @ gradients.full().T)


def test_accuracy_units_multiply_by_the_standard_deviation_of_the_target() -> None:
    rng = numpy_stream(0, "units")
    train = make_gradients(make_truth(4, rng), 1.0, rng)
    target = make_gradients(make_truth(3, rng), 1.0, rng, prefix="t", alpha=0.1)
    assert accuracy_matrix(target, train, 0.1) == pytest.approx(0.3 * influence_matrix(target, train, 0.1))
    result = per_step_influence(train, target, 0.1, rng=rng, resamples=20)
    ratio = result.summary["mean_accuracy"].value / result.summary["mean_objective"].value
    assert ratio == pytest.approx(0.3)
    assert np.nanmean(result.accuracy) == pytest.approx(result.summary["mean_accuracy"].value)


def test_share_of_negative_pairs_ignores_silent_prompts_and_self_pairs() -> None:
    rng = numpy_stream(0, "negative")
    truth = np.zeros((5, SIZE))
    truth[:, 0] = [1, 1, 1, -1, 0]
    gradients = make_gradients(truth, 0.0, rng)
    gradients.informative[4] = False
    summary = per_step_influence(gradients, gradients, 1.0, rng=rng, resamples=20).summary
    assert summary["negative_share"].value == pytest.approx(0.5)  # 6 of the 12 ordered pairs of 3 against 1
    assert summary["informative_train"].value == pytest.approx(0.8)


def test_top_tenth_share_is_measured_on_other_rollouts_than_it_is_ranked_on() -> None:
    rng = numpy_stream(0, "top")
    everyone = np.ones((10, 20), dtype=bool)
    ones = np.ones((1, 10)), np.ones((1, 20))
    noise = 0.5 * rng.normal(size=(50, 2, 1, 20)).repeat(10, axis=2)
    assert np.mean([top_tenth_shares(1 + n, everyone, *ones)[0] for n in noise]) == pytest.approx(0.1, abs=0.015)
    assert np.mean([top_tenth_shares(1 + n[:1], everyone, *ones)[0] for n in noise]) > 0.17  # luck counts
    one = np.zeros((1, 10, 20))
    one[..., 7] = 1.0
    assert top_tenth_shares(one, everyone, *ones)[0] == pytest.approx(1.0)
    assert np.isnan(top_tenth_shares(-one, everyone, *ones)[0])


def test_resampling_does_not_inflate_self_pairs() -> None:
    rng = numpy_stream(0, "inflate")
    counts = rng.multinomial(8, np.full(8, 1 / 8), size=400).astype(float)
    draws = pair_means(np.eye(8), counts, counts, paired=True)
    assert draws == pytest.approx(np.full(400, 1 / 8))


def test_the_interval_covers_the_mean_over_prompts() -> None:
    hits = 0
    for trial in range(40):
        rng = numpy_stream(trial, "coverage")
        train = make_gradients(make_truth(20, rng), 2.0, rng)
        target = make_gradients(make_truth(20, rng), 2.0, rng, prefix="t")
        interval = per_step_influence(train, target, 1.0, rng=rng, resamples=200).summary["mean_objective"]
        hits += interval.low <= 1.0 <= interval.high
    assert hits >= 34


def test_the_report_is_tidy_and_the_same_twice() -> None:
    model, train = make_model(), make_rollouts()
    other = make_rollouts(seed=1).assign(problem_id=lambda table: "t" + table["problem_id"])
    calls: list[tuple[int, int]] = []
    reports = [influence_report(model, train, {"id": other}, lr=0.1, seed=0, resamples=50,
                                progress=lambda done, total: calls.append((done, total))) for _ in range(2)]
    pd.testing.assert_frame_equal(reports[0].table, reports[1].table)
    assert reports[0].table["target"].unique().tolist() == ["train", "id"]
    assert {"metric", "value", "low", "high", "n", "estimator", "lr"} <= set(reports[0].table.columns)
    assert reports[0].arrays["id_objective"].shape == (4, 4)
    assert calls[:8] == [(done, 8) for done in range(1, 9)]
    assert "one outcome" in reports[0].notes["train"]
    with pytest.raises(ValueError, match="targets"):
        influence_report(model, train, {"train": other}, lr=0.1, seed=0)


def test_what_cannot_be_estimated_is_refused() -> None:
    rng = numpy_stream(0, "bad")
    gradients = make_gradients(make_truth(3, rng), 1.0, rng)
    with pytest.raises(ValueError, match="lr"):
        per_step_influence(gradients, gradients, 0.0, rng=rng)
    with pytest.raises(ValueError, match="estimator"):
        pair_products(gradients, gradients, "half")  # type: ignore[arg-type]
    whole = replace(gradients, parts=gradients.parts[:1], shares=np.ones((1, 3)), split="none")
    with pytest.raises(ValueError, match="split='halves'"):
        influence_matrix(whole, whole, 0.1)
    normalised = replace(gradients, weighting=Weighting(length_norm="sequence"))
    with pytest.raises(ValueError, match="length_norm"):
        accuracy_matrix(normalised, gradients, 0.1)
    assert "mean_accuracy" not in per_step_influence(gradients, normalised, 0.1, rng=rng, resamples=9).summary
