"""Gains by rollout accuracy: problems are sorted by other rollouts than those that are judged, and nothing else is."""

import numpy as np
import pandas as pd
import pytest

from bi.evaluation.by_accuracy import ARMS, SEEDS, gains_by_accuracy, middle_over_never
from bi.rollout_chapter import gain_facts, middle_facts, readiness_facts
from bi.rollout_figures import gain_by_accuracy, informative_by_group


def table(levels, gain, *, seeds=(0, 1, 2), arms=("vanilla", "bridge"), n=4, rng=None):
    """Counts of problems of the accuracies ``levels`` before RL and of ``gain(level)`` more after it."""
    rows = []
    for arm in arms:
        for seed in seeds:
            for place, level in enumerate(levels):
                for stage, share in (("sft", level), ("rl", level + gain(level))):
                    correct = round(n * share) if rng is None else rng.binomial(n, share)
                    rows.append((arm, seed, stage, "id", f"p{place}", n, correct))
    return pd.DataFrame(rows, columns=["arm", "seed", "stage", "split", "problem_id", "n", "correct"])


def test_a_problem_is_sorted_by_the_other_seeds_of_its_arm():
    counts = table([0.0, 0.5, 1.0], lambda level: 0.25 * (level == 0.5))
    counts.loc[(counts["seed"] == 0) & (counts["stage"] == "sft") & (counts["problem_id"] == "p0"), "correct"] = 2
    gains, which = gains_by_accuracy(counts, "id")
    own = gains[(gains["arm"] == "vanilla") & (gains["problem_id"] == "p0")].set_index("seed")
    assert which == SEEDS and own["n"].tolist() == [8, 8, 8]
    assert own["correct"].tolist() == [0, 2, 2] and own.loc[0, "gain"] == -0.5


def test_luck_alone_is_no_gain_in_the_middle_where_own_rollouts_would_say_so():
    counts = table(np.random.default_rng(1).uniform(0, 1, 400), lambda _: 0.0, rng=np.random.default_rng(0))
    gains, _ = gains_by_accuracy(counts, "id")
    for level in (0, 8):
        part = gains.loc[gains["correct"] == level, "gain"]
        assert abs(part.mean()) < 4 * part.std() / np.sqrt(len(part))
    naive = gains.loc[gains["before"] == 0, "gain"]
    # sorted by its own rollouts, bad luck looks like a gain
    assert naive.mean() > 10 * naive.std() / np.sqrt(len(naive))


def test_with_one_seed_other_arms_sort_and_it_is_said():
    gains, which = gains_by_accuracy(table([0.0, 0.5, 1.0], lambda _: 0.0, seeds=(0,)), "id")
    assert which == ARMS and set(gains["n"]) == {4}
    with pytest.raises(ValueError, match="one arm with one seed"):
        gains_by_accuracy(table([0.5], lambda _: 0.0, seeds=(0,), arms=("bridge",)), "id")


def test_the_middle_is_compared_with_the_left_foot_with_an_interval_over_problems():
    levels = [0.0] * 10 + [0.5] * 20 + [1.0] * 10
    gains, _ = gains_by_accuracy(table(levels, lambda level: 0.25 * (level == 0.5)), "id")
    found = middle_over_never(gains, "bridge", resamples=200)
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25)) and found.verdict() == "supported"
    assert "30 problems" in found.method
    lost, _ = gains_by_accuracy(table(levels, lambda level: 0.25 * (level == 0.5) - 0.5 * (level == 1)), "id")
    assert middle_over_never(lost, "bridge", resamples=200) == found
    assert middle_over_never(gains[gains["correct"] == 0], "bridge") is None
    facts = gain_facts(gains) | middle_facts(gains, "id")
    assert facts["gain_sometimes_vanilla"].startswith("+25.0 (") and facts["gain_never_bridge"].endswith("n = 30")
    assert facts["verdict_id_vanilla"] == "supported" and facts["others"] == 8


def test_readiness_tells_arms_of_one_accuracy_apart():
    flat = table([0.5] * 40, lambda _: 0.0, arms=("bridge",))
    split = table([0.0, 1.0] * 20, lambda _: 0.0, arms=("vanilla",))
    facts = readiness_facts(pd.concat([flat, split])[lambda rows: rows["stage"] == "sft"])
    assert facts["accuracy_vanilla"] == facts["accuracy_bridge"] == 0.5 and facts["accuracy_gap"] == "0.0 points"
    assert (facts["coefficient_bridge"], facts["coefficient_vanilla"]) == (0.5, 0.0)
    assert (facts["never_vanilla"], facts["always_vanilla"], facts["mixed_bridge"]) == (0.5, 0.5, 1.0)
    assert facts["verdict_coefficient"] == "supported" and facts["coefficient_times"] == "no ratio to"


def test_figures_show_every_arm_and_the_arch_is_fitted():
    rng = np.random.default_rng(0)
    counts = table(rng.uniform(0, 1, 60), lambda level: 0.8 * level * (1 - level), rng=rng)
    gains, _ = gains_by_accuracy(counts, "id")
    ax = gain_by_accuracy(gains)
    arches = [line for line in ax.get_lines() if line.get_linestyle() == ":"]
    assert len(arches) == 2 and all(0.05 < line.get_ydata().max() < 0.4 for line in arches)
    lines = informative_by_group(counts[counts["stage"] == "sft"]).get_lines()
    assert len(lines) == 2 * (3 + 1) and all((np.diff(line.get_ydata()) > 0).all() for line in lines)
