"""The smallest policy has the gradients of finite differences and of the group weights, and sliders agree with it."""

import json
import re
import shutil
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest
from book_cases import ROOT

from bi.influence.advantages import Weighting, group_weights
from bi.influence.softmax import (
    exact_step,
    influence_coefficient,
    mixed_chance,
    reward_gradient,
    sampled_step,
    score_vectors,
    softmax,
)
from bi.live.group_gradient import coefficient_curve, softmax_step

RNG = np.random.default_rng(7)
POLICIES = [(RNG.normal(0, 1.5, size=k), np.arange(k) < k - 2) for k in (3, 4, 4, 6)]


def differences(function, logits, size=1e-6):
    steps = size * np.eye(len(logits))
    return np.array([(function(logits + step) - function(logits - step)) / (2 * size) for step in steps])


@pytest.mark.parametrize(("logits", "right"), POLICIES)
def test_score_vectors_are_the_gradients_of_log_probabilities(logits, right):
    for k, row in enumerate(score_vectors(logits)):
        assert row == pytest.approx(differences(lambda z, k=k: np.log(softmax(z))[k], logits), abs=1e-8)


@pytest.mark.parametrize(("logits", "right"), POLICIES)
def test_the_score_function_gives_the_gradient_of_the_expected_reward_whatever_the_baseline(logits, right):
    rewards = np.arange(len(logits)) * 0.7 - right
    exact = differences(lambda z: softmax(z) @ rewards, logits)
    for baseline in (0.0, 3.0, -11.0):
        assert reward_gradient(logits, rewards - baseline) == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize(("logits", "right"), POLICIES)
def test_the_exact_step_climbs_the_accuracy_over_its_coefficient(logits, right):
    step = exact_step(logits, right, 1e-5)
    spread = float(influence_coefficient(step.accuracy))
    slope = differences(lambda z: softmax(z) @ right, logits)
    assert spread * step.gradient == pytest.approx(slope, abs=1e-8)
    chances = softmax(logits)
    contrast = right * chances / chances[right].sum() - ~right * chances / chances[~right].sum()
    assert step.gradient == pytest.approx(spread * contrast, abs=1e-12)
    assert step.accuracy_after - step.accuracy == pytest.approx(1e-5 * slope @ step.gradient, rel=1e-3)


def test_sampled_groups_are_the_exact_one_on_average_but_for_the_noise_of_their_deviation():
    logits, right = np.log([0.5, 0.25, 0.25]), np.array([True, False, False])
    rng = np.random.default_rng(0)
    drawn = rng.choice(3, size=(400, 512), p=softmax(logits))
    mean = np.mean([sampled_step(logits, group, right, 1.0).gradient for group in drawn], axis=0)
    assert mean == pytest.approx(exact_step(logits, right, 1.0).gradient, abs=0.004)


def test_advantages_are_those_of_the_group_weights_and_a_silent_group_moves_nothing():
    logits, right = np.zeros(3), np.array([True, False, False])
    for weighting in (Weighting(), Weighting(std="sample"), Weighting(scheme="dr_grpo")):
        drawn = np.array([0, 1, 1, 2])
        step = sampled_step(logits, drawn, right, 1.0, weighting)
        weights = group_weights(right[drawn].astype(float), np.ones(4), weighting).weights
        assert step.advantages == pytest.approx(4 * weights)
        assert step.gradient == pytest.approx(sum(w * score_vectors(logits)[o] for w, o in zip(weights, drawn,
                                                                                            strict=True)))
    silent = sampled_step(logits, np.array([1, 2, 1, 1]), right, 1.0)
    assert not silent.gradient.any() and silent.accuracy_after == silent.accuracy


@pytest.mark.parametrize("right", range(1, 8))
def test_the_two_advantages_are_the_odds_and_balance(right):
    rewards, alpha = np.arange(8) < right, right / 8
    advantages = 8 * group_weights(rewards.astype(float), np.ones(8), Weighting()).weights
    assert advantages[:right] == pytest.approx(np.sqrt((1 - alpha) / alpha))
    assert advantages[right:] == pytest.approx(-np.sqrt(alpha / (1 - alpha)))
    assert alpha * advantages[0] == pytest.approx(float(influence_coefficient(alpha)))
    assert alpha * advantages[0] == pytest.approx(-(1 - alpha) * advantages[-1])


def test_the_chance_of_mixed_outcomes_is_that_of_listing_them():
    for alpha in (0.0, 0.1, 0.5, 1.0):
        listed = sum(alpha**bin(code).count("1") * (1 - alpha)**(5 - bin(code).count("1")) for code in range(1, 31))
        assert mixed_chance(alpha, 5) == pytest.approx(listed)


def test_an_accuracy_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        influence_coefficient([0.2, 1.2])


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine; the browser test compares as well")
def test_the_sliders_compute_what_the_code_computes():
    cases = [(logits.tolist(), right.tolist(), rate) for logits, right in POLICIES for rate in (0.0, 0.7, 5.0)]
    cases += [([0.0, 1.0, 2.0], [same] * 3, 1.0) for same in (True, False)]
    program = f"""const m = require({json.dumps(str(ROOT / "book/_static/live_math.js"))});
        console.log(JSON.stringify({{steps: {json.dumps(cases)}.map((c) => m.step(...c)),
            curve: [0, 0.01, 0.3, 1].map((a) => [m.coefficient(a), m.mixed(a, 16)])}}));"""
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    for (logits, right, rate), step in zip(cases, found["steps"], strict=True):
        exact = exact_step(logits, right, rate)
        assert step["chances"] == pytest.approx(softmax(logits).tolist())
        assert step["gradient"] == pytest.approx(exact.gradient.tolist(), abs=1e-12)
        assert step["advantages"] == pytest.approx(exact.advantages.tolist(), abs=1e-12)
        assert step["after"] == pytest.approx(exact.after.tolist())
        assert (step["accuracy"], step["accuracyAfter"]) == pytest.approx((exact.accuracy, exact.accuracy_after))
    for alpha, (coefficient, mixed) in zip((0, 0.01, 0.3, 1), found["curve"], strict=True):
        assert coefficient == pytest.approx(float(influence_coefficient(alpha)))
        assert mixed == pytest.approx(float(mixed_chance(alpha, 16)))


def test_without_scripts_there_is_a_table_of_the_same_numbers():
    page = coefficient_curve(16)
    assert "<td>0.1</td><td>0.300</td><td>+3.00</td><td>\N{MINUS SIGN}0.33</td><td>0.815</td>" in page
    drawing = ElementTree.fromstring(re.search("<svg.*</svg>", page)[0])
    line = next(part for part in drawing.iter() if part.tag.endswith("polyline")).attrib["points"].split()
    tops = [float(point.split(",")[1]) for point in line]
    assert len(line) == 61 and min(tops) == tops[30] and tops[0] == tops[-1] == max(tops)
    table = softmax_step(("12", "10", "9"), (0.0, 0.0, 0.0), (True, False, False), 1.0)
    step = exact_step(np.zeros(3), np.array([True, False, False]), 1.0)
    assert re.search(rf'<th scope="row">12</th><td>right</td><td>0.333</td><td>\+1.41</td><td>\+{step.gradient[0]:.3f}',
                     table)
    with pytest.raises(ValueError, match="3 completions, 2 logits"):
        softmax_step(("a", "b", "c"), (0.0, 0.0), (True, False, False), 1.0)
