"""What each behaviour adds: differences are paired, matched arms start level, and many comparisons are corrected."""

import numpy as np
import pandas as pd
import pytest

from bi.evaluation.ablation import COLUMNS, ablation_table, difference_at_equal_start
from bi.evaluation.crossed import crossed_draws, holm, percentile_bounds, two_sided
from bi.evaluation.intervals import hierarchical_mean, numpy_stream


def counts(levels, *, seeds=(0, 1, 2), problems=150, n=4, exact=False):
    """Counts of arms whose problems have the accuracies ``levels[arm] = (before, gain as a function of before)``."""
    rng, rows = np.random.default_rng(0), []
    for arm, (before, gain) in levels.items():
        for split in ("id", "ood"):
            alpha = np.linspace(*before, problems)
            for seed in seeds:
                for stage, share in (("sft", alpha), ("rl", np.clip(alpha + gain(alpha), 0, 1))):
                    correct = np.rint(n * share).astype(int) if exact else rng.binomial(n, share)
                    rows.append(pd.DataFrame({"arm": arm, "seed": seed, "stage": stage, "split": split,
                                              "problem_id": [f"p{i}" for i in range(problems)], "n": n,
                                              "correct": correct}))
    return pd.concat(rows, ignore_index=True)


def cell(table, **keys):
    found = table[(table[list(keys)] == pd.Series(keys)).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


def test_differences_are_those_of_the_means_and_of_every_arm_to_both_references():
    made = counts({"vanilla": ((0, 1), lambda a: 0 * a), "bridge": ((0, 1), lambda a: 0.25 * (a < 0.5)),
                   "subgoal": ((0, 1), lambda a: 0 * a)}, exact=True)
    table = ablation_table(made, resamples=50)
    assert list(table) == list(COLUMNS) and len(table) == 2 * (3 * 2) * (3 + 1)
    shares = (made["correct"] / made["n"]).groupby([made["arm"], made["stage"], made["split"]]).mean()
    found = cell(table, how="all", arm="bridge", versus="vanilla", stage="rl", split="id")
    assert found["value"] == pytest.approx(shares["bridge", "rl", "id"] - shares["vanilla", "rl", "id"])
    gain = cell(table, how="all", arm="bridge", versus="subgoal", stage="gain", split="ood")
    assert gain["value"] == pytest.approx(shares["bridge", "rl", "ood"] - shares["bridge", "sft", "ood"])
    assert gain["low"] > 0 and gain["p_holm"] < 0.1
    assert cell(table, how="all", arm="vanilla", versus="subgoal", stage="gain", split="id")["value"] == 0


def test_the_draws_give_the_interval_that_the_crossed_bootstrap_gives_elsewhere():
    values = np.random.default_rng(0).normal(0.2, 1, (4, 80))
    draws = crossed_draws(4, 80, 4000, "test").totals(values) / values.size
    seeds, problems = np.indices(values.shape)
    other = hierarchical_mean(values.ravel(), seeds.ravel(), problems.ravel(), numpy_stream("x"), design="crossed",
                              resamples=4000)
    assert draws[0] == pytest.approx(other.value)
    assert percentile_bounds(draws) == pytest.approx((other.low, other.high), abs=0.02)


def test_arms_of_one_law_differ_in_gain_only_because_they_start_elsewhere_and_matching_shows_it():
    def law(alpha):
        return alpha * (1 - alpha)

    table = ablation_table(counts({"vanilla": ((0, 0.3), law), "bridge": ((0.05, 0.9), law)}, problems=300, n=32),
                           resamples=200)
    whole, matched = (cell(table, how=how, arm="bridge", versus="vanilla", stage="gain", split="id")
                      for how in ("all", "matched"))
    assert whole["low"] > 0.02 and abs(matched["value"]) < 0.4 * whole["value"]
    assert matched["low"] < 0 < matched["high"]
    assert cell(table, how="all", arm="bridge", versus="vanilla", stage="sft", split="id")["value"] > 0.25


def test_a_gain_that_is_more_at_every_height_is_more_when_matched_too():
    table = ablation_table(counts({"vanilla": ((0, 0.5), lambda a: 0 * a), "bridge": ((0, 0.8), lambda a: 0.2 + 0 * a)},
                                  problems=200), resamples=300)
    matched = cell(table, how="matched", arm="bridge", versus="vanilla", stage="gain", split="id")
    assert matched["low"] > 0.1 and matched["value"] == pytest.approx(0.2, abs=0.05)


def arm(*strata):
    """Sums of one draw: pairs, mean start and mean gain of each stratum."""
    n, start, gain = (np.array(column, float)[:, None] for column in zip(*strata, strict=True))
    return {"n": n, "before": n * start, "gain": n * gain}


def test_curves_are_compared_at_the_starts_that_both_reach_and_nowhere_else():
    flat = arm((4, 0.2, 0.0), (4, 0.4, 0.0), (2, 0.9, 5.0))
    rising = arm((6, 0.1, 9.0), (1, 0.2, 0.1), (3, 0.4, 0.3))
    # at .2 and .4 of both: .1 (4 and 1 pairs) and .3 (4 and 3); .1 and .9 are out of the other's reach
    assert difference_at_equal_start(rising, flat)["gain"] == pytest.approx([(5 * 0.1 + 7 * 0.3) / 12])
    assert difference_at_equal_start(flat, rising)["gain"] == pytest.approx([-(5 * 0.1 + 7 * 0.3) / 12])
    between = arm((1, 0.3, 1.0), (0, 0.0, 0.0))
    assert difference_at_equal_start(between, rising)["gain"] == pytest.approx([1.0 - 0.2])
    assert np.isnan(difference_at_equal_start(arm((3, 0.95, 0.0)), rising)["gain"]).all()


def test_one_seed_gives_plain_comparisons_and_other_problems_are_refused():
    made = counts({"vanilla": ((0, 1), lambda a: 0 * a), "bridge": ((0, 1), lambda a: 0 * a)}, seeds=(3,), problems=20)
    assert set(ablation_table(made, resamples=20)["how"]) == {"all"}
    with pytest.raises(ValueError, match="same problems"):
        ablation_table(made[(made["arm"] == "bridge") | (made["problem_id"] != "p3")], resamples=20)


def test_holm_multiplies_the_smallest_most_and_never_lowers_a_later_one():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert np.isnan(holm([0.01, np.nan])[1]) and holm([0.01, np.nan])[0] == pytest.approx(0.01)
    assert holm([]).size == 0


def test_holm_keeps_the_chance_of_any_false_alarm_below_five_in_a_hundred():
    p = np.random.default_rng(0).uniform(size=(4000, 6))
    alarms = np.mean([(holm(row) < 0.05).any() for row in p])
    assert alarms < 0.06 < np.mean((p < 0.05).any(axis=1))


def test_p_is_small_exactly_where_the_interval_leaves_zero_out():
    rng = np.random.default_rng(0)
    for shift in np.linspace(-3, 3, 25):
        draws = rng.normal(shift, 1, 2001)
        low, high = percentile_bounds(draws)
        assert (two_sided(draws) < 0.05) == (low > 0 or high < 0) or abs(two_sided(draws) - 0.05) < 0.004
    assert two_sided(np.zeros(11)) == 1.0
