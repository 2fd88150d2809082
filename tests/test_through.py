"""Through training: tokens add up, arms meet at equal tokens and at equal accuracies, influence has two parts."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from influence_cases import make_model, make_rollouts
from through_cases import STEPS, count_rows, invented_pairs

from bi.evaluation.equal_profile import (
    STRATA,
    common_shares,
    equal_profile_means,
    own_profile_means,
    profile_table,
    profile_weights,
    strata,
)
from bi.evaluation.equal_tokens import matched_steps, token_table
from bi.evaluation.pairs import PromptDraws, load_pairs, prompt_draws
from bi.evaluation.through import cell_rows, problem_table, steps_table, tokens_spent
from bi.influence.gradients import group_gradients
from bi.influence.per_step import per_step_influence
from bi.influence.through import first_rollouts, pair_influence, points, save_pairs
from bi.runs import Run
from bi.training.checkpoints import kept_policy
from bi.training.rollouts import save_rollouts

TOKENS = {"vanilla": (0, 1000, 2000), "bridge": (0, 1500, 3000)}


def cell(table, **keys):
    found = table[(table[list(keys)] == pd.Series(keys)).all(axis=1)]
    assert len(found) == 1, found
    return found.iloc[0]


# tokens


def test_tokens_are_what_all_steps_so_far_have_sampled():
    history = pd.DataFrame({"step": [1, 2, 3], "completion_length": [10.0, 12.5, 20.0]})
    assert tokens_spent(history, 4).tolist() == [0, 40, 90, 170]
    with pytest.raises(ValueError, match="a row for every step"):
        tokens_spent(history.iloc[1:], 4)


def test_the_costlier_arm_stands_at_its_last_kept_step_within_the_cheaper_arms_run():
    rows = [("a", 0, 0, 0), ("a", 0, 25, 90), ("a", 0, 50, 200), ("b", 0, 0, 0), ("b", 0, 25, 50), ("b", 0, 50, 100),
            ("a", 1, 0, 0), ("a", 1, 25, 40), ("a", 1, 50, 80), ("b", 1, 0, 0), ("b", 1, 25, 81), ("b", 1, 50, 160),
            ("a", 2, 0, 0), ("a", 2, 25, 50), ("a", 2, 50, 100), ("b", 2, 0, 0), ("b", 2, 25, 50), ("b", 2, 50, 100)]
    tokens = pd.DataFrame(rows, columns=["arm", "seed", "step", "tokens"]).sample(frac=1, random_state=0)
    found = matched_steps(tokens, "a", "b")
    assert found.to_numpy().tolist() == [[0, 25, 50, 90, 100], [1, 50, 0, 80, 0], [2, 50, 50, 100, 100]]
    swapped = matched_steps(tokens, "b", "a")
    assert swapped["first"].tolist() == found["second"].tolist()
    with pytest.raises(ValueError, match="the same seeds"):
        matched_steps(tokens[(tokens["arm"] == "a") | (tokens["seed"] == 0)], "a", "b")


def test_at_equal_tokens_gains_are_those_of_the_steps_that_the_budget_pays_for():
    def accuracy(arm, step):
        return {"vanilla": {0: 0.2, 25: 0.3, 50: 0.4}, "bridge": {0: 0.3, 25: 0.6, 50: 0.8}}[arm][step]

    counts = count_rows(accuracy, TOKENS, n=1000)
    table = token_table(counts, resamples=100)
    even = cell(table, how="steps", arm="bridge", versus="vanilla", split="id", metric="gain")
    paid = cell(table, how="tokens", arm="bridge", versus="vanilla", split="id", metric="gain")
    assert even["value"] == pytest.approx(0.5 - 0.2, abs=1e-3) and even["steps"] == "50 50 50"
    assert paid["value"] == pytest.approx(0.3 - 0.2, abs=1e-3) and paid["steps"] == "25 25 25"
    assert (paid["tokens"], paid["versus_tokens"]) == (1500, 2000) and paid["low"] > 0 and paid["p"] < 0.05
    there = cell(table, how="tokens", arm="bridge", versus="vanilla", split="ood", metric="accuracy")
    assert there["value"] == pytest.approx(0.6 - 0.4, abs=1e-3)


def test_arms_with_other_problems_are_not_compared():
    counts = count_rows(lambda arm, step: 0.5, TOKENS)
    with pytest.raises(ValueError, match="not the same seeds and problems"):
        token_table(counts.drop(index=counts.index[-1]), resamples=10)


def test_right_answers_of_every_step_stand_beside_each_other():
    counts = count_rows(lambda arm, step: step / 100, TOKENS, problems=3)
    table = problem_table(counts)
    assert list(table)[-3:] == ["step_0", "step_25", "step_50"] and len(table) == 2 * 3 * 2 * 3
    row = cell(table, arm="bridge", seed=1, split="ood", problem_id="ood2")
    assert row["step_50"] == round(8 * 0.6)


# influence of pairs


def test_influence_falls_into_what_a_step_does_to_right_and_to_wrong_completions(tmp_path):
    model = make_model()
    train, target = make_rollouts(seed=1), make_rollouts(seed=2)
    target["problem_id"] = "t" + target["problem_id"]
    save_pairs(tmp_path / "pairs.npz", pair_influence(model, train, {"id": target}))
    held = load_pairs(tmp_path / "pairs.npz")
    source, other = (group_gradients(model, rollouts, split="halves") for rollouts in (train, target))
    rng = np.random.default_rng(0)
    for name, gradients in {"train": source, "id": other}.items():
        known = per_step_influence(source, gradients, 0.1, rng=rng, resamples=5)
        np.testing.assert_allclose(0.1 * held[name].products, known.objective, rtol=1e-6, atol=1e-12)
        rows = cell_rows(pd.DataFrame([("bridge", 0, 7, 9, "id", "p", 2, 1)], columns=[
            "arm", "seed", "step", "tokens", "split", "problem_id", "n", "correct"]), {7: held}, 0.1)
        found = cell(rows, split=name, metric="influence")["value"]
        assert found == pytest.approx(known.summary["mean_accuracy"].value)
    pairs = held["id"]
    assert pairs.informative.tolist() == [True, True, False, True] and np.isnan(pairs.plus[2]).all()
    alpha, mixed = pairs.correct / pairs.counts, pairs.informative
    parts = np.sqrt(alpha * (1 - alpha))[:, None] * (pairs.plus - pairs.minus)
    np.testing.assert_allclose(pairs.products[mixed], parts[mixed] * _deviation(pairs), rtol=1e-6)
    with pytest.raises(ValueError, match="trained on"):
        pair_influence(model, train, {"id": train})


def _deviation(pairs):
    """Advantages divide by the deviation with N - 1 (or not): the factor is one number for groups of one size."""
    n = pairs.counts[0]
    known = [1.0, np.sqrt((n - 1) / n)]
    alpha = pairs.correct[0] / n
    ratio = pairs.products[0, 0] / (np.sqrt(alpha * (1 - alpha)) * (pairs.plus - pairs.minus)[0, 0])
    assert min(abs(ratio - factor) for factor in known) < 1e-6
    return ratio


def test_a_change_since_the_start_and_a_difference_between_arms_are_paired():
    rng = np.random.default_rng(0)
    counts = count_rows(lambda arm, step: 0.3 + step / 100, {"vanilla": TOKENS["vanilla"], "bridge": TOKENS["bridge"]})
    pairs = {}
    for seed in (0, 1, 2):
        base = invented_pairs(rng.uniform(0, 1, 20), rng, seed=seed, noise=0.3)
        for step, scale in zip(STEPS, (1.0, 0.5, 0.25), strict=True):
            for arm, more in (("vanilla", 1.0), ("bridge", 3.0)):
                pairs[arm, seed, step] = {"id": dataclasses.replace(
                    base, **{name: more * scale * getattr(base, name) for name in ("products", "plus", "minus")})}
    table = steps_table(counts, pairs, 0.1, resamples=200)
    start = cell(table, arm="vanilla", step=0, versus="", split="id", metric="contrast")
    here = cell(table, arm="bridge", step=25, versus="", split="id", metric="contrast")
    assert here["value"] == pytest.approx(1.5 * start["value"]) and np.isnan(here["p"])
    since = cell(table, arm="bridge", step=50, versus="start", split="id", metric="influence")
    assert since["value"] == pytest.approx(-2.25 * cell(table, arm="vanilla", step=0, versus="", split="id",
                                                        metric="influence")["value"])
    assert since["high"] < 0 and since["p"] < 0.05
    assert cell(table, arm="bridge", step=25, versus="vanilla", split="id", metric="influence")["low"] > 0
    gain = cell(table, arm="bridge", step=50, versus="start", split="ood", metric="accuracy")
    assert gain["value"] == pytest.approx(0.5, abs=0.07) and gain["tokens"] == 3000
    other = invented_pairs(rng.uniform(0, 1, 20), rng, seed=9)
    with pytest.raises(ValueError, match="bridge, seed 1, step 50"):
        steps_table(counts, pairs | {("bridge", 1, 50): {"id": other}}, 0.1, resamples=10)


# equal accuracies


def test_strata_are_none_all_and_five_even_classes_between():
    n = np.full(17, 16)
    assert strata(np.arange(17), n).tolist() == [0] + [1 + i // 3 for i in range(15)] + [STRATA - 1]
    assert strata(np.arange(3), np.full(3, 2)).tolist() == [0, 1, STRATA - 1]


def test_both_arms_are_weighted_to_the_same_shares_of_strata_that_both_have():
    first, second = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 1, 3])
    draws = np.random.default_rng(0).multinomial(6, np.full(6, 1 / 6), size=200)
    weights = profile_weights(first, second, draws)
    shares = [weight @ np.eye(STRATA)[held] for weight, held in zip(weights, (first, second), strict=True)]
    np.testing.assert_allclose(shares[0], shares[1])
    assert (shares[0][:, 2:] == 0).all()
    known = shares[0].sum(axis=1)
    assert set(np.round(known, 9)) <= {0.0, 1.0} and known.mean() > 0.9
    counted = common_shares(np.array([[3.0, 2, 1, 0]]), np.array([[1.0, 4, 0, 1]]))
    np.testing.assert_allclose(counted, [[(3 + 1) / 10, (2 + 4) / 10, 0, 0]])


def test_arms_of_one_law_differ_because_their_prompts_do_and_equal_profiles_show_it():
    """Simulation: the arms differ in alpha alone, or also by a factor, and only the factor is left."""
    rng = np.random.default_rng(3)
    own, equal, twice = [], [], []
    for trial in range(60):
        low, high = rng.beta(1, 4, 64), rng.beta(2, 2, 64)
        first = invented_pairs(high, rng, seed=trial, noise=0.2)
        second, half = (invented_pairs(low, rng, seed=trial, noise=0.2, pull=pull) for pull in (1.0, 0.5))
        once = PromptDraws(np.ones((1, 64)), np.ones((1, 64)))
        for found, compare, other in ((own, own_profile_means, second), (equal, equal_profile_means, second),
                                      (twice, equal_profile_means, half)):
            means = compare(first, other, once, lambda pairs: pairs.to_accuracy[:, None] * pairs.products)
            found.append([float(side[0]) for side in means])
    ratios = [np.array(found).mean(axis=0) for found in (own, equal, twice)]
    excess = [first / second - 1 for first, second in ratios]
    assert excess[0] > 0.6 and abs(excess[1]) < 0.1 * excess[0]
    assert excess[2] == pytest.approx(1, abs=0.1)


def test_the_table_of_profiles_holds_own_and_equal_comparisons_with_intervals():
    rng, pairs = np.random.default_rng(5), {}
    for seed in (0, 1, 2):
        for arm, alpha in (("vanilla", rng.beta(1, 4, 64)), ("bridge", rng.beta(2, 2, 64))):
            held = invented_pairs(alpha, rng, seed=seed, noise=0.2)
            pairs[arm, seed, 0] = {"train": held, "id": held}
    table = profile_table(pairs, 0.1, resamples=300)
    own, equal = (cell(table, how=how, arm="bridge", versus="vanilla", step=0, split="id", metric="influence")
                  for how in ("own", "equal"))
    assert set(table["split"]) == {"id"} and own["low"] > 0
    assert equal["low"] < 0 < equal["high"] and equal["value"] == pytest.approx(equal["first"] - equal["second"])
    assert "3 seeds x 64 target and 64 training prompts" in equal["method"]


def test_prompts_are_drawn_on_both_sides_and_together_where_they_are_the_same():
    rng = np.random.default_rng(0)
    pairs = invented_pairs(rng.uniform(size=12), rng)
    draws = prompt_draws(pairs, 50, "test")
    assert draws.target.shape == (51, 12) and (draws.target[0] == 1).all() and not (draws.target == draws.train).all()
    same = dataclasses.replace(pairs, target_ids=pairs.train_ids)
    assert (prompt_draws(same, 50, "test").train == prompt_draws(same, 50, "test").target).all()


# files


def test_points_are_the_sft_checkpoint_what_was_kept_and_the_end(tmp_path):
    run = Run("smoke", "models/tiny-base", "bridge", 0, str(tmp_path))
    for folder in (run.sft_model, kept_policy(run.rl_model, 2), run.rl_model):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
    along = points(run, 2, 4)
    assert [point.step for point in along] == [0, 2, 4]
    assert [point.checkpoint for point in along] == [run.sft_model, kept_policy(run.rl_model, 2), run.rl_model]
    assert along[0].rollouts("train") == run.rollouts("sft", "train") and along[2].rollouts("id") == run.rollouts("rl",
                                                                                                                 "id")
    own = {along[1].rollouts("id"), along[1].rollouts("train"), along[2].rollouts("train")}
    assert len(own) == 3 and {path.parent for path in own} == {run.folder("through")}
    assert [point.step for point in points(run, 0, 4)] == [0, 4]
    with pytest.raises(ValueError, match="step-00001 holds no policy"):
        points(run, 1, 4)


def test_the_first_rollouts_of_an_earlier_stage_are_those_that_fewer_would_have_been(tmp_path):
    rows = [{"problem_id": f"q{prompt}", "sample": sample, "prompt": "", "completion": "", "answer": True,
             "reward": 1.0, "strict": True, "format": True, "first_error": "", "error_operations": 0, "n_reflection": 0,
             "n_analysis": 0, "n_subgoal": 0, "prompt_ids": [1], "completion_ids": [sample], "logprob": 0.0,
             "n_tokens": 1, "finished": True} for prompt in (2, 0, 1) for sample in range(4)]
    save_rollouts(pd.DataFrame(rows), tmp_path / "a.parquet")
    found = first_rollouts(tmp_path / "a.parquet", 2, 3)
    assert list(found["problem_id"]) == ["q2"] * 3 + ["q0"] * 3 and list(found["sample"]) == [0, 1, 2] * 2
    with pytest.raises(ValueError, match="has not 4 prompts with 3 rollouts"):
        first_rollouts(tmp_path / "a.parquet", 4, 3)
