"""A grid that runs one arm and keeps the others gives the tables of the whole grid: slow, but real."""

import json
import shutil

import pandas as pd
import pytest
from test_through_runs import go

from bi.recipes import SMOKE
from bi.runs import Run
from workflow.stages import make_grid

pytestmark = pytest.mark.slow


def test_an_arm_that_runs_alone_is_compared_with_the_arms_that_are_kept(tmp_path):
    grid = make_grid("smoke", "tokens")
    for stage, run in grid.jobs():
        go(stage, Run(run.profile, run.model, run.arm, run.seed, str(tmp_path)), grid)
    run = Run("smoke", SMOKE.models[0].name, runs=str(tmp_path))
    folder, whole, kept = run.folder("tables_tokens"), tmp_path / "whole", tmp_path / "published"
    shutil.move(folder, whole)
    shutil.copytree(whole, kept)
    for path in kept.glob("*.csv"):  # what is kept holds nothing of the arm that runs
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table[table["arm"] != "vanilla_tokens"].to_csv(path, index=False, lineterminator="\n")
    go("tables_tokens", run, make_grid("smoke", "tokens:vanilla_tokens"), kept=[str(tmp_path / "none"), str(kept)])
    facts = json.loads((folder / "ablation.provenance.json").read_text())
    assert facts["ran"] == ["vanilla_tokens"] and list(facts["kept"]) == ["vanilla", "bridge"]
    for name in ("ablation", "rollout_accuracy", "influence", "main", "sft_data", "curves", "completions", "anatomy"):
        assert (folder / f"{name}.csv").read_bytes() == (whole / f"{name}.csv").read_bytes(), name
    lacking = {}
    for name in ("lines", "behaviors", "summary"):  # by arm, not by what is measured
        found, wanted = (set((place / f"{name}.csv").read_text().splitlines()) for place in (folder, whole))
        assert found <= wanted
        lacking[name] = wanted - found
    assert not lacking["lines"] and not lacking["behaviors"]
    assert {tuple(row.split(",")[1:4:2]) for row in lacking["summary"]} == {("vanilla_tokens", "vanilla")}
