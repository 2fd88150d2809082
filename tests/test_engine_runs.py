"""The whole engine on a copy of the repository, with stages that write a line instead of training: slow, but real.

Snakemake, papermill, the jobs, their locks and the plan are the real ones.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from engine_cases import copy_code, write_notebook

from workflow.stages import ROOT, STAGES

pytestmark = pytest.mark.slow

HEAD = "from bi.runs import Run\nrun = Run({arguments}runs=runs)\nrecipe = run.recipe"
BODIES = {
    "problems": "from bi.augmentation.arms import build_problems\n"
                "(run.folder('problems') / 'a.txt').write_text(f'{seed} {recipe.task.train_ops}')",
    "base": "print(recipe.evaluation)\n(run.folder('base') / 'a.txt').write_text('base')",
    "sft": "import time\nfrom pathlib import Path\nwhile Path('hold').exists():\n    time.sleep(0.1)\n"
           "(run.folder('sft') / 'a.txt').write_text(arm + str(recipe.sft.epochs))",
    "measure": "from bi.influence import advantages\n(run.folder('measure') / 'a.txt').write_text('m' + arm)",
    "grpo": "from bi.streams import stream\n(run.folder('grpo') / 'a.txt').write_text(arm)",
    "evaluate": "(run.folder('evaluate') / 'a.txt').write_text(arm)",
    "tables": "import pandas as pd\nfrom bi.provenance import provenance, write_table\n"
              "cells = [Run(profile, model, arm, s, runs) for arm in arms for s in recipe.seeds]\n"
              "stages = ('sft', 'measure', 'grpo')\n"
              "values = [(cell.folder(st) / 'a.txt').read_text() for cell in cells for st in stages]\n"
              "write_table(run.folder('tables') / 'main.csv', pd.DataFrame({'value': values}), {})",
}
OTHER = "(run.folder('{stage}') / 'a.txt').write_text(run.arm)"
DRIVE = "import sys; from workflow.run import *; g = make_grid('smoke'); s = Snake(g, RUNS, 2, 0, None)\n" \
        "with drive(s.folder) as d: run_grid(s, d); publish(g, ROOT, Path('runs'), ROOT / 'results' / 'smoke')"
DEFAULTS = {"seed": 0, "arms": ["vanilla"]}


@pytest.fixture
def repository(tmp_path):
    """A copy of the code in which every stage of the grid takes a moment."""
    copy_code(tmp_path)
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    for name, stage in STAGES.items():
        cell = "\n".join(f"{p} = {DEFAULTS.get(p, '')!r}" for p in stage.parameters)
        given = "".join(f"{p}={p}, " for p in stage.parameters if p not in ("runs", "arms"))
        body = BODIES.get(stage.file or name, OTHER.format(stage=name))
        write_notebook(stage.notebook(tmp_path), cell, HEAD.format(arguments=given), body)
    (tmp_path / "models" / "tiny-base").mkdir(parents=True)
    return tmp_path


def command(*code):
    return [sys.executable, "-c", "\n".join(code or (DRIVE,))]


def go(root, **options):
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run(command(), cwd=root, env=environment, capture_output=True, text=True, **options)


def stages_run(done):
    """Stages of the jobs that finished, from the lines in the terminal."""
    return sorted(line.split()[2] for line in done.stdout.splitlines() if " finished " in line)


ALL = sorted(["problems", "base", "tables", *2 * ["sft", "measure", "grpo", "evaluate"]])


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_run_its_repetition_and_every_kind_of_change(repository):
    first = go(repository)
    assert first.returncode == 0, first.stderr + first.stdout
    assert stages_run(first) == ALL and "11 jobs to run, 0 cached" in first.stdout
    table = repository / "results" / "smoke" / "main.csv"
    assert table.read_text().splitlines()[1:4] == ["vanilla1", "mvanilla", "vanilla"]

    begin = time.monotonic()
    again = go(repository)
    assert "all 11 jobs are done" in again.stdout and stages_run(again) == [] and time.monotonic() - begin < 20

    for path in (repository / "bi").rglob("*.py"):
        path.touch()
    edit(repository / "bi" / "streams.py", "from __future__", "# a comment\nfrom __future__")
    assert stages_run(go(repository)) == [], "new times and comments must not rerun anything"

    advantages = repository / "bi" / "influence" / "advantages.py"
    advantages.write_text(advantages.read_text() + "\nCHANGED = 1\n")
    assert stages_run(go(repository)) == ["measure", "measure", "tables"]

    edit(repository / "bi" / "recipes.py", "sft=SFTRecipe(epochs=1,", "sft=SFTRecipe(epochs=2,")
    done = go(repository)
    assert stages_run(done) == sorted([*2 * ["sft", "measure", "grpo", "evaluate"], "tables"])
    assert table.read_text().splitlines()[1] == "vanilla2"

    shutil.rmtree(repository / "runs" / "smoke" / "tiny-base" / "bridge" / "0" / "grpo")
    assert stages_run(go(repository)) == ["evaluate", "grpo", "tables"]


def test_killed_in_the_middle_and_run_again_gives_the_same_table(repository):
    (repository / "hold").touch()
    process = subprocess.Popen(command(), cwd=repository, env=os.environ | {"PYTHONPATH": str(repository)},
                               stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if "started   sft" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(repository.rglob("sft/stage.json"))
    (repository / "hold").unlink()
    resumed = go(repository)
    assert resumed.returncode == 0, resumed.stderr + resumed.stdout
    assert "problems" not in stages_run(resumed) and "(resumed)" in resumed.stdout
    assert (repository / "results" / "smoke" / "main.csv").read_text().splitlines()[1] == "vanilla1"
    assert not [line for line in _processes() if str(repository) in line]


def _processes():
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()


def test_interrupted_by_hand_stops_the_jobs_and_says_how_to_go_on(repository):
    (repository / "hold").touch()
    code = DRIVE.replace("with drive", "try:\n with drive").replace(": run_grid", ": (run_grid") \
        .replace("run_grid(s, d); publish", "run_grid(s, d), publish") + ")\nexcept KeyboardInterrupt: print('stopped')"
    process = subprocess.Popen(command(code), cwd=repository, env=os.environ | {"PYTHONPATH": str(repository)},
                               stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if "started   sft" in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert "stopped" in rest
    assert not [line for line in _processes() if str(repository) in line]


def test_a_failing_stage_stops_the_run_and_tells_the_cell(repository):
    write_notebook(STAGES["grpo"].notebook(repository), "\n".join(
        f"{p} = {DEFAULTS.get(p, '')!r}" for p in STAGES["grpo"].parameters), "raise ValueError('loss is nan')")
    done = go(repository)
    assert done.returncode != 0
    assert "FAILED" in done.stdout and "grpo.ipynb, cell 2: ValueError: loss is nan" in done.stdout
    assert list(repository.glob("runs/smoke/tiny-base/*/0/grpo/failed/grpo.ipynb"))
    assert not list(repository.glob("runs/smoke/tiny-base/*/0/grpo/stage.json"))
    assert not (repository / "results" / "smoke" / "main.csv").exists()


def test_the_slurm_profile_is_read_by_snakemake(repository):
    arguments = ["--snakefile", "workflow/Snakefile", "--directory", "runs/smoke", "--dry-run",
                 "--profile", str(repository / "workflow" / "profiles" / "slurm"), "--config", "profile=smoke", "gpu=1"]
    done = subprocess.run([sys.executable, "-m", "snakemake", *arguments], cwd=repository, capture_output=True,
                          text=True, env=os.environ | {"PYTHONPATH": str(repository)})
    assert done.returncode == 0, done.stderr
    assert "gpu=1" in done.stdout and "cpus_per_task=4" in done.stdout and json.dumps("slurm") not in done.stderr
