"""Variance components: they add up to the spread that was put in, and say what more seeds or problems would buy."""

import numpy as np
import pandas as pd
import pytest

from bi.evaluation.components import Components, variance_components
from bi.evaluation.intervals import hierarchical_mean, numpy_stream
from bi.seeds_chapter import level_rows, precision_rows


def drawn(rng, parts, seeds, problems):
    """A (seeds x problems) table with these components of variance."""
    return (rng.normal(scale=parts.seeds**0.5, size=(seeds, 1)) + rng.normal(scale=parts.problems**0.5, size=problems)
            + rng.normal(scale=parts.rest**0.5, size=(seeds, problems)))


def test_components_are_right_on_average():
    parts, rng = Components(0.5, 2.0, 1.0), numpy_stream("test", "components")
    found = [variance_components(drawn(rng, parts, 6, 40)) for _ in range(600)]
    for name in ("seeds", "problems", "rest"):
        values = np.array([getattr(each, name) for each in found])
        assert abs(values.mean() - getattr(parts, name)) < 4 * values.std() / len(values) ** 0.5


def test_the_error_is_the_spread_of_the_mean():
    parts, rng = Components(0.2, 3.0, 1.0), numpy_stream("test", "error")
    means = [drawn(rng, parts, 4, 25).mean() for _ in range(4000)]
    assert np.std(means) == pytest.approx(parts.error(4, 25), rel=0.05)  # four standard errors of such a spread
    assert parts.error(4, float("inf")) == pytest.approx((0.2 / 4) ** 0.5)
    assert parts.half_width(4, 25) == pytest.approx(1.96 * parts.error(4, 25), rel=1e-4)


def test_the_bootstrap_agrees_where_seeds_are_many():
    table = drawn(numpy_stream("test", "agree"), Components(0.05, 1.0, 1.0), 30, 200)
    seeds, problems = (part.ravel() for part in np.indices(table.shape))
    interval = hierarchical_mean(table.ravel(), seeds, problems, numpy_stream("test", "draws"), design="crossed")
    half = variance_components(table).half_width(*table.shape)
    # the ends of an interval of 2,000 draws are known to 4 per cent, and problems dominate both spreads
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=0.15)


def test_nothing_is_below_zero_and_too_little_is_refused():
    alternating = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert variance_components(alternating) == Components(0.0, 0.0, 4.0)
    for table in ([[1.0, 2.0]], [[1.0], [2.0]], [1.0, 2.0], [[1.0, 2.0], [float("nan"), 1.0]]):
        with pytest.raises(ValueError, match="at least 2 seeds x 2 problems"):
            variance_components(table)


def counts(seeds, lucky):
    """Rows of ``rollout_accuracy``: vanilla stays at half, bridge goes up by a quarter, and by more with luck."""
    rows = []
    for seed in seeds:
        for number in range(8):
            for split in ("id", "ood"):
                gain = 2 + (lucky if number < 4 else 0)
                rows += [("vanilla", seed, "sft", split, f"p{number}", 8, 4),
                         ("vanilla", seed, "rl", split, f"p{number}", 8, 4),
                         ("bridge", seed, "sft", split, f"p{number}", 8, 2),
                         ("bridge", seed, "rl", split, f"p{number}", 8, 2 + gain)]
    return pd.DataFrame(rows, columns=["arm", "seed", "stage", "split", "problem_id", "n", "correct"])


def test_rows_of_the_chapter_say_levels_and_widths():
    pair = counts((0, 1), 2), counts((2,), 2)
    levels = level_rows(pair)
    assert levels.loc[("bridge", "training size"), "after SFT"].startswith("25.0 (")
    assert levels.loc[("vanilla", "larger"), "gain (points)"].startswith("+0.0")
    rows = precision_rows(pair, {"as run": (1, 1), "seeds": (4, 1), "problems": (1, 4)})
    assert set(rows.index) == {"vanilla"} and list(rows["extra gain"]) == ["+37.5", "+37.5"]
    as_run, seeds, problems = (float(rows[name].iloc[0][1:]) for name in ("as run", "seeds", "problems"))
    assert as_run == seeds > 0 and problems == pytest.approx(as_run / 2, abs=0.1)  # problems are all that differs
    assert level_rows((pair[0], None)).empty and precision_rows((None, pair[1]), {}).empty
