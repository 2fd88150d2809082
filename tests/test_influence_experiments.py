"""The enumerable policy is exact, the tables about estimators and sketches say what they claim, figures draw them."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from book_cases import _influence_tables
from influence_cases import make_model, make_rollouts

from bi import influence_figures as figures
from bi.evaluation.findings import IN_PART, UNSEEN
from bi.evaluation.intervals import numpy_stream
from bi.influence.backward import batch_sizes
from bi.influence.enumerable import PROMPTS, enumerable_policy
from bi.influence.experiments import bias_table, sketch_table
from bi.influence_chapters import benchmark_rows, gpu_rows, measuring_facts, step_facts
from workflow import influence_tables

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
TABLES = _influence_tables(numpy_stream(0, "tables"))


def test_the_enumerable_policy_is_a_distribution_and_sampled_as_such() -> None:
    policy = enumerable_policy(3)
    assert policy.chances.sum(1) == pytest.approx(np.ones(len(PROMPTS)))
    assert ((policy.accuracies > 0) & (policy.accuracies < 1)).all()
    rollouts = policy.sample(400, numpy_stream(0, "sample"))
    found = rollouts.groupby("problem_id", sort=False)["reward"].mean().to_numpy()
    spread = np.sqrt(policy.accuracies * (1 - policy.accuracies) / 400)
    assert (np.abs(found - policy.accuracies) < 4.5 * spread).all()
    enumerated = policy.enumerated()
    exact = (enumerated["weight"] * enumerated["reward"]).groupby(enumerated["problem_id"], sort=False).sum()
    assert exact.to_numpy() == pytest.approx(policy.accuracies)


@pytest.mark.slow
def test_the_bias_table_is_the_same_twice_and_has_a_row_for_each_estimator() -> None:
    first, second = (bias_table([0], sizes=(4,), resamples=20) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert list(first["estimator"]) == ["naive", "halves", "distinct"]
    assert first.set_index("estimator")["value"]["naive"] > first.set_index("estimator")["value"]["halves"]


def test_the_published_bias_table_shows_an_excess_of_the_naive_estimate_alone() -> None:
    table = pd.read_csv(ROOT / "results" / "influence" / "bias.csv")
    assert set(table["rollouts"]) == {4, 8, 16, 32} and table["n"].min() >= 20
    naive = table[table["estimator"] == "naive"].sort_values("rollouts")
    others = table[table["estimator"] != "naive"]
    assert (naive["low"] > 1).all() and naive["value"].is_monotonic_decreasing
    assert ((others["low"] < 1) & (others["high"] > 1)).all()


def test_the_step_test_of_the_book_names_the_checkpoint_that_it_lacks(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert influence_tables.main(["steps", "--arms", "bridge", "--runs", str(tmp_path)]) == 2
    assert "sft/model does not exist; make it with `make reproduce PROFILE=cpu`" in capsys.readouterr().err


def test_sketch_errors_are_within_their_bound() -> None:
    table = sketch_table(make_model(), make_rollouts(), sizes=(64, 1024), seeds=range(6))
    assert len(table) == 4
    assert (table["error"] < 1.5 * table["bound"]).all()
    errors = table.pivot(index="size", columns="kind", values="error")
    assert (errors.loc[64] > 2 * errors.loc[1024]).all()


def test_micro_batches_are_cut_at_the_least_cost() -> None:
    def cost(sizes: list[int], lengths: list[int]) -> int:
        ends = np.cumsum(sizes)
        return sum(size * lengths[end - 1] + 10 for size, end in zip(sizes, ends, strict=True))

    rng = numpy_stream(0, "batches")
    for _ in range(20):
        lengths = sorted(rng.integers(1, 60, size=7).tolist())
        cuts = [c for n in range(7) for c in combinations(range(1, 7), n)]
        every = [np.diff([0, *c, 7]).tolist() for c in cuts]
        best = min(cost(sizes, lengths) for sizes in every if max(sizes) <= 3)
        found = batch_sizes(lengths, 3, 10)
        assert sum(found) == 7 and max(found) <= 3 and cost(found, lengths) == best
    assert batch_sizes([], 3, 10) == [] and batch_sizes([5, 5, 5], 16, 10) == [3]


def test_the_methods_of_the_benchmark_do_the_same_job() -> None:
    import influence as benchmark

    job = benchmark.make_job("small", 2, 4, 6, 8)
    truth = benchmark.loop(job, job.model.double())
    job.model.float()
    for name, most in (("loop", 1e-5), ("plain", 1e-5), ("shared", 1e-5), ("bfloat16", 0.05)):
        assert benchmark.entry_error(benchmark.METHODS[name](job), truth) < most
    assert benchmark.cosine_error(1.1 * truth, truth) < 1e-12 < 0.09 < benchmark.entry_error(1.1 * truth, truth)
    tokens = sum(len(g.prompt) + g.lengths.sum() for g in job.groups)
    matrices = sum(p.numel() for n, p in job.model.named_parameters() if p.ndim == 2 and "embed" not in n)
    assert benchmark.flops(job) == pytest.approx(6 * matrices * tokens, rel=0.05)
    calculated = benchmark.calculated("1.5 B", 1.54e9, 28, 1536)
    assert calculated["rows_gb"] == pytest.approx(64 * 1.54e9 * 4 / 1e9)


@pytest.mark.parametrize(("draw", "table"), [
    (figures.estimator_bias, TABLES["bias"]), (figures.sketch_error, TABLES["sketch"]),
    (figures.predicted_and_measured, TABLES["steps"]),
    (figures.influence_by_prompt, pd.DataFrame({"target": ["train", "id", "id"], "train_id": ["a", "a", "b"],
                                                "accuracy": [1e-3, 2e-3, -1e-3], "objective": 0.1, "lr": 1e-4}))])
def test_each_figure_uses_the_axes_it_is_given_and_names_what_is_missing(draw, table: pd.DataFrame) -> None:
    _, ax = plt.subplots()
    assert draw(table, ax) is ax and ax.get_title() == "" and ax.get_xlabel()
    plt.close("all")
    with pytest.raises(ValueError, match="needs the column"):
        draw(table.drop(columns=table.columns[0]))
    with pytest.raises(ValueError, match="no rows"):
        draw(table.iloc[:0])


def test_chapters_take_their_numbers_from_the_tables() -> None:
    facts = measuring_facts(TABLES["bias"], TABLES["sketch"], TABLES["benchmark"])
    assert facts["few"] == 8 and facts["naive_few"] == pytest.approx(1.25) and facts["large_size"] == 4096
    assert "1.5 times the truth with 4" in facts["naive_ladder"]
    rows = benchmark_rows(TABLES["benchmark"])
    assert rows["method"].notna().all() and rows["error of a cosine"].tolist()[:3] == ["1e-08", "–", "1e-04"]
    older = TABLES["benchmark"].assign(processor="other", ratio=9.0, against_shared=9.0)
    mixed = measuring_facts(TABLES["bias"], TABLES["sketch"], pd.concat([older, TABLES["benchmark"]]))
    assert mixed["loop_most"] == 1.5 and mixed["traker_times"] == 2.0  # of the processor measured last
    assert gpu_rows(TABLES["benchmark_gpu"]).loc["time (s)", "1 B parameters"] == "2.0"
    found = step_facts(TABLES["steps"], TABLES["step_contrasts"], TABLES["step_prompts"])
    assert found["verdict"] == IN_PART and found["n_checkpoints"] == 1
    assert found["slope_importance"] == pytest.approx(1.0, abs=0.01)
    worse = TABLES["step_contrasts"].assign(high=-0.1)
    assert step_facts(TABLES["steps"], worse.assign(low=-0.2), TABLES["step_prompts"])["verdict"] == UNSEEN
