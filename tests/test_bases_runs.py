"""The grid of bases, on the smallest profile, from problems to tables: slow, but real."""

import json
import shutil

import pandas as pd
import pytest
from test_through_runs import go

from bi.recipes import SMOKE
from bi.runs import Run, slug
from workflow.stages import make_grid

pytestmark = pytest.mark.slow


def test_every_base_is_measured_on_every_size_and_compared_in_one_table(tmp_path):
    grid = make_grid("smoke", "bases")
    for stage, run in grid.jobs():
        go(stage, Run(run.profile, run.model, run.arm, run.seed, str(tmp_path)), grid)
    folder = Run("smoke", SMOKE.models[0].name, runs=str(tmp_path)).folder("tables_bases")
    accuracy, conditions = (pd.read_csv(folder / f"{name}.csv") for name in ("accuracy", "conditions"))
    bases = [slug(model.name) for model in (*SMOKE.models, *SMOKE.bases)]
    assert list(dict.fromkeys(accuracy["base"])) == bases and set(conditions["base"]) == set(bases)
    anatomy = pd.read_csv(folder / "anatomy.csv")
    assert set(zip(anatomy["base"], anatomy["arm"], strict=True)) == {
        (base, arm) for base in bases for arm in ("base", *SMOKE.arms)}
    sizes = {*SMOKE.sizes.ops, SMOKE.task.id_ops[0], SMOKE.task.ood_ops[0]}
    assert set(accuracy["size"]) == sizes and set(accuracy["split"].dropna()) == {"id", "ood"}
    levels = accuracy[accuracy["versus"].isna() & (accuracy["split"] == "ood")].set_index(["base", "arm", "stage"])
    for model in (*SMOKE.models, *SMOKE.bases):
        for arm in SMOKE.arms:
            run = Run("smoke", model.name, arm, 0, str(tmp_path))
            answers = pd.read_parquet(run.rollouts("rl", "ood"), columns=["answer"])["answer"]
            assert levels.loc[(slug(model.name), arm, "rl"), "value"] == pytest.approx(answers.mean())

    # a run of the second base alone takes the first one's rows from what is published, and gives the same tables
    kept, second = tmp_path / "published", SMOKE.bases[0].name
    shutil.copytree(folder, kept)
    run = Run("smoke", second, runs=str(tmp_path))
    go("tables_bases", run, make_grid("smoke", f"bases:{slug(second)}"), kept=[str(kept)])
    for name in ("accuracy", "anatomy", "conditions", "items"):
        assert (run.folder("tables_bases") / f"{name}.csv").read_bytes() == (folder / f"{name}.csv").read_bytes()
    facts = json.loads((run.folder("tables_bases") / "items.provenance.json").read_text())
    assert facts["models"] == [second] and facts["ran"] == [slug(second)] and list(facts["kept"]) == bases[:1]
