"""Figures draw small tables, put what they say where it belongs, and are the same bytes twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from bi import figures
from bi.figure_style import ARM_MARKERS, MODES

MAIN = pd.DataFrame(
    [(arm, seed, stage, split, "accuracy", value + 0.01 * seed)
     for arm, sft, rl in (("bridge", 0.4, 0.7), ("vanilla", 0.3, 0.35)) for split in ("ood", "id") for seed in range(2)
     for stage, value in (("sft", sft), ("rl", rl))] + [("base", 0, "base", "id", "accuracy", 0.1)],
    columns=["arm", "seed", "stage", "split", "metric", "value"])
CURVES = pd.DataFrame([(arm, seed, step, step / 10 + seed / 50) for arm in ("vanilla", "bridge") for seed in range(2)
                       for step in range(5)], columns=["arm", "seed", "step", "rollout_accuracy"])
COUNTS = pd.DataFrame([("vanilla", "a", 2, 0), ("vanilla", "b", 2, 2), ("bridge", "a", 2, 1)],
                      columns=["arm", "problem_id", "n", "correct"])
INFLUENCE = pd.DataFrame([(arm, seed, "id", "mean_accuracy", 2e-5, 1e-5, 3e-5, 1e-4) for arm in ("vanilla", "bridge")
                          for seed in range(2)],
                         columns=["arm", "seed", "target", "metric", "value", "low", "high", "lr"])
BEHAVIORS = pd.DataFrame(
    [("bridge", seed, stage, metric, 1.0 + seed) for seed in range(2) for stage in ("rl", "data", "sft")
     for metric in ("n_subgoal", "n_reflection")], columns=["arm", "seed", "stage", "metric", "value"])
ANATOMY = pd.DataFrame(
    [(arm, seed, stage, kind, width, 0.1 + 0.1 * seed)
     for arm, stage in (("base", "base"), ("vanilla", "sft"), ("vanilla", "rl")) for seed in range(2)
     for kind, width in (("arithmetic", 0), ("order", 0), ("arithmetic", 2))],
    columns=["arm", "seed", "stage", "kind", "operations", "share"])
DRAWINGS = {
    "error_anatomy": (figures.error_anatomy, ANATOMY),
    "accuracy_gain": (figures.accuracy_gain, MAIN),
    "rl_curves": (figures.rl_curves, CURVES),
    "rollout_accuracy_distribution": (figures.rollout_accuracy_distribution, COUNTS),
    "per_step_influence": (figures.per_step_influence, INFLUENCE),
    "behaviours_by_stage": (figures.behaviours_by_stage, BEHAVIORS),
}


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.mark.parametrize("name", DRAWINGS)
def test_each_figure_uses_the_axes_it_is_given_and_has_no_title(name: str) -> None:
    draw, table = DRAWINGS[name]
    before = table.copy()
    ax = plt.figure().add_subplot()
    assert draw(table, ax) is ax
    assert ax.get_title() == ""
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_missing_column_and_an_empty_table_are_named(name: str) -> None:
    draw, table = DRAWINGS[name]
    with pytest.raises(ValueError, match="needs the column.* arm"):
        draw(table.drop(columns="arm"))
    with pytest.raises(ValueError, match="not in the table|no rows"):
        draw(table.iloc[:0])


def test_saved_figures_come_light_and_dark_and_equal_twice(tmp_path) -> None:
    for folder in ("first", "second"):
        figures.save(lambda: figures.accuracy_gain(MAIN), tmp_path / folder / "gain.png", dpi=40)
    files = [sorted((tmp_path / folder).iterdir()) for folder in ("first", "second")]
    assert [file.name for file in files[0]] == ["gain-dark.png", "gain.png"]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]
    light, dark = (plt.imread(file)[0, 0, :3] for file in reversed(files[0]))
    assert light == pytest.approx([1, 1, 1])
    assert dark == pytest.approx(to_rgb(MODES["dark"]["figure.facecolor"]), abs=0.01)
    assert not plt.get_fignums()


def test_rows_stand_in_the_fixed_order_of_splits_and_arms() -> None:
    ax = figures.accuracy_gain(MAIN)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["vanilla", "bridge"] * 2
    assert [text.get_text().strip() for text in ax.texts] == ["training size", "larger problems"]
    positions = {float(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1}
    assert {0.305, 0.355, 0.405, 0.705} == {round(x, 6) for x in positions}


def test_given_intervals_are_drawn_and_a_missing_one_is_named() -> None:
    summary = MAIN[(MAIN["seed"] == 0) & (MAIN["stage"] != "base")].assign(low=0.2, high=0.6, versus=np.nan)
    ax = figures.accuracy_gain(MAIN, intervals=pd.concat([summary, summary.assign(versus="vanilla")]))
    bars = [segment[:, 0].tolist() for bars in ax.collections for segment in bars.get_segments()]
    assert bars == [[0.2, 0.6]] * 8
    with pytest.raises(ValueError, match="intervals: expected one row"):
        figures.accuracy_gain(MAIN, intervals=summary.iloc[1:])


def test_curves_show_the_mean_over_seeds_and_name_their_ends() -> None:
    ax = figures.rl_curves(CURVES)
    mean = [line for line in ax.lines if line.get_label() == "bridge"][0]
    assert mean.get_ydata() == pytest.approx(np.arange(5) / 10 + 0.01)
    assert {text.get_text() for text in ax.texts} == {"vanilla", "bridge"}


def test_shares_of_the_distribution_sum_to_one() -> None:
    ax = figures.rollout_accuracy_distribution(COUNTS)
    lines = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 3]
    assert {float(np.sum(line)) for line in lines} == {1.0}
    with pytest.raises(ValueError, match="n: the problems have"):
        figures.rollout_accuracy_distribution(COUNTS.assign(n=[2, 2, 4]))


def test_small_influences_carry_their_power_of_ten_in_the_label() -> None:
    ax = figures.per_step_influence(INFLUENCE)
    assert "10^{-5}" in ax.get_xlabel() and "size 0.0001" in ax.get_xlabel()


def test_stages_and_behaviours_stand_in_order_each_on_its_own_scale() -> None:
    panels = figures.behaviours_by_stage(BEHAVIORS).child_axes
    assert [panel.get_xlabel() for panel in panels] == ["reflections", "subgoals"]
    assert [tick.get_text() for tick in panels[0].get_xticklabels()] == ["data", "SFT", "RL"]


def luminance(rgb: np.ndarray) -> float:
    return float(linear(rgb) @ [0.2126, 0.7152, 0.0722])


def linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE Lab of linear RGB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ rgb / [0.9505, 1.0, 1.089], 0.0089, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# Machado, Oliveira and Fernandes (2009), severity 1: linear RGB as normal, deuteranopic, protanopic readers see it
VISION = [np.eye(3), [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
          [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]]


def test_arms_differ_for_colour_blind_readers_and_stand_out_from_both_papers() -> None:
    colors = {arm: np.array(to_rgb(color)) for arm, color in figures.ARM_COLORS.items()}
    for first, second in combinations(colors, 2):
        for matrix in VISION:
            seen = [lab(np.clip(np.asarray(matrix) @ linear(colors[arm]), 0, 1)) for arm in (first, second)]
            assert np.linalg.norm(seen[0] - seen[1]) > 9.5, (first, second)
        assert ARM_MARKERS[first] != ARM_MARKERS[second]
    for color in colors.values():
        for mode in MODES.values():
            paper = luminance(np.array(to_rgb(mode["figure.facecolor"])))
            high, low = max(luminance(color), paper), min(luminance(color), paper)
            assert (high + 0.05) / (low + 0.05) > 2.7


def test_anatomy_stacks_the_kinds_without_counting_widths_twice() -> None:
    ax = figures.error_anatomy(ANATOMY)
    bars = list(ax.patches)
    assert len(bars) == 3 * 2  # checkpoints x kinds
    assert [round(bar.get_width(), 3) for bar in bars] == [0.15] * 6
    assert sorted({round(bar.get_x(), 3) for bar in bars}) == [0.0, 0.15]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["base", "vanilla, SFT", "vanilla, RL"]
    assert len({bar.get_hatch() for bar in bars}) == 2  # colour is not the only sign
