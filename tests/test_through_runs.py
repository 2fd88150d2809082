"""The stage through, on the smallest profile, from problems to tables: slow, but real."""

import numpy as np
import pandas as pd
import pytest

from bi.notebook import run_notebook
from bi.recipes import SMOKE
from bi.runs import Run
from workflow.stages import ROOT, STAGES, make_grid

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Every job of the grid through, run as the engine would, without Snakemake."""
    runs = tmp_path_factory.mktemp("runs")
    grid = make_grid("smoke", "through")
    for stage, run in grid.jobs():
        go(stage, Run(run.profile, run.model, run.arm, run.seed, str(runs)), grid)
    return runs


def go(stage, run, grid, **other):
    folder = STAGES[stage].folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    run_notebook(STAGES[stage].notebook(), folder / f"{stage}.ipynb",
                 STAGES[stage].arguments(run, grid) | other, cwd=ROOT, failed=folder / "failed.ipynb")


def table(runs, name):
    return pd.read_csv(Run("smoke", SMOKE.models[0].name, runs=str(runs)).folder("tables_through") / f"{name}.csv")


def test_both_ends_of_the_way_are_what_the_stages_before_and_after_rl_measured(finished):
    through = table(finished, "through")
    assert set(through["step"]) == {0, 1, 2, 3} and set(through["arm"]) == set(SMOKE.arms)
    for arm in SMOKE.arms:
        run = Run("smoke", SMOKE.models[0].name, arm, 0, str(finished))
        rows = through[through["arm"] == arm].set_index(["step", "split", "metric"])["value"]
        measured = pd.read_csv(run.folder("measure") / "influence.csv").set_index(["target", "metric"])["value"]
        for split in ("train", "id", "ood"):
            assert rows[0, split, "influence"] == pytest.approx(measured[split, "mean_accuracy"], rel=1e-3, abs=1e-9)
        for step, stage in ((0, "sft"), (3, "rl")):
            answers = pd.read_parquet(run.rollouts(stage, "id"), columns=["answer"])["answer"]
            assert rows[step, "id", "accuracy"] == pytest.approx(answers.mean())
        history = pd.read_csv(run.rl_model / "history.csv")
        tokens = through[through["arm"] == arm].drop_duplicates("step").set_index("step")["tokens"]
        assert tokens[0] == 0 and tokens.is_monotonic_increasing
        assert tokens[3] == pytest.approx(16 * history["completion_length"].sum(), abs=1)
    assert set(table(finished, "tokens")["how"]) == {"steps", "tokens"}
    assert set(table(finished, "profiles")["step"]) == {0, 1, 2, 3}
    steps = table(finished, "steps")
    assert np.isfinite(steps.loc[steps["metric"] == "accuracy", ["low", "high"]]).to_numpy().all()


def test_what_is_complete_is_not_made_again_and_what_is_gone_comes_back_the_same(finished):
    run = Run("smoke", SMOKE.models[0].name, "bridge", 0, str(finished))
    folder = run.folder("through")
    kept, gone = folder / "pairs_step-00001.npz", folder / "rollouts_id_step-00002.parquet"
    before, times = gone.read_bytes(), kept.stat().st_mtime_ns
    numbers = (folder / "through.csv").read_bytes()
    gone.unlink()
    (folder / "pairs_step-00002.npz").unlink()
    go("through", run, make_grid("smoke", "through"))
    assert kept.stat().st_mtime_ns == times and gone.read_bytes() == before
    assert (folder / "through.csv").read_bytes() == numbers
