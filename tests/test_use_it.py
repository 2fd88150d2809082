"""The pages about using it: what they print can be typed, and does what they say."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from book_cases import ROOT, pages
from engine_cases import copy_code
from typer.testing import CliRunner

from bi.__main__ import COMMANDS, app

PAGES = {page.name: page for page in pages()}
CHECKPOINT, CLUSTER, GPU = "book/use/your-checkpoint", "book/use/your-cluster", "notebooks/your_gpu"


def blocks(name: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", PAGES[name].text, flags=re.MULTILINE | re.DOTALL)


def commands(name: str) -> list[list[str]]:
    """Every ``bi`` command of a page, as words."""
    lines = "\n".join(blocks(name)).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip().startswith("bi ")]


@pytest.mark.parametrize("name", [CHECKPOINT, GPU])
def test_every_command_of_a_page_has_the_options_that_are_written(name: str) -> None:
    found = commands(name)
    assert found
    for words in found:
        if words[1] == "--version":
            continue
        assert words[1] in COMMANDS
        told = CliRunner().invoke(app, [words[1], "--help"]).stdout
        for word in words[2:]:
            assert not word.startswith("--") or re.search(rf"{word}\b", told), (words[1], word)


def test_the_page_on_checkpoints_uses_every_command_that_looks_at_one() -> None:
    used = {words[1] for words in commands(CHECKPOINT)}
    assert {"data", "rollouts", "eval", "influence", "step-test", "select", "sft", "grpo"} <= used


def run_page(name: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Type everything that the page prints into one shell, in a folder with nothing but the repository's models."""
    (place / "models").symlink_to(ROOT / "models")
    (place / ".venv" / "bin").mkdir(parents=True)
    door = place / ".venv" / "bin" / "bi"
    door.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bi "$@"\n')
    door.chmod(0o755)
    script = "set -eu\n" + "\n".join(blocks(name))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(["bash", "-c", script], cwd=place, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_commands_of_the_page_on_checkpoints_run_as_printed(tmp_path: Path) -> None:
    done = run_page(CHECKPOINT, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    mine = tmp_path / "runs" / "mine"
    table = pd.read_csv(mine / "accuracy.csv")
    named = set(re.findall(r"^- .*?\*\*(.+?)\*\*", PAGES[CHECKPOINT].text, flags=re.MULTILINE))
    words = {word for text in named for word in re.findall(r"`([\w@]+)`", text)} - {"pass@k"}
    assert words and words <= set(table["metric"]), "the page explains measurements that the table has"
    assert {"pass@1", "pass@8"} <= set(table["metric"]) and set(table["rollouts"]) == {"train", "test"}
    assert (mine / "influence" / "prompts.csv").is_file() and (mine / "steps" / "steps.csv").is_file()
    assert (mine / "mixed.jsonl").is_file() and (mine / "rl" / "history.csv").is_file()
    assert set(pd.read_csv(mine / "arms.csv")["rollouts"]) == {"after-vanilla", "after-bridge"}


@pytest.mark.slow
def test_the_dry_run_of_the_page_on_clusters_plans_jobs_with_resources(tmp_path: Path) -> None:
    copy_code(tmp_path)
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "models").symlink_to(ROOT / "models")
    line = next(block for block in blocks(CLUSTER) if "--dry-run" in block).replace("\\\n", " ")
    words = [sys.executable if word.endswith("/python") else word for word in shlex.split(line)]
    done = subprocess.run(words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for wanted in ("cpus_per_task=4", "mem_mb=", "runtime=", "gpu=1"):
        assert wanted in done.stdout


def test_options_that_the_cluster_page_explains_are_in_profile_or_snakefile() -> None:
    given = (ROOT / "workflow/profiles/slurm/config.yaml").read_text() + (ROOT / "workflow/Snakefile").read_text()
    explained = re.findall(r"^\| `(\w+)`", PAGES[CLUSTER].text, flags=re.MULTILINE)
    assert {"mem_mb", "runtime", "gpu"} <= set(explained)
    assert all(name in given for name in explained)
