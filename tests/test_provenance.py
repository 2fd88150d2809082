"""A sidecar tells what made a table, and tells nothing about whose machine it was."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from bi.provenance import code_state, gpu_names, hardware, provenance, sidecar, spent, write_table


@pytest.fixture
def repository(tmp_path):
    """A git repository with one committed module."""
    (tmp_path / "bi").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "bi" / "a.py").write_text("x = 1\n")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_time_of_work_that_went_on_is_that_of_all_its_calls(tmp_path):
    assert spent(tmp_path / "timing.json", 12.34) == 12.34
    assert spent(tmp_path / "timing.json", 2.0) == pytest.approx(14.3) == spent(tmp_path / "timing.json", 0.0)


def test_facts_name_code_recipe_seeds_hardware_libraries_and_time():
    facts = provenance("smoke", (0, 1), "abc", 12.34, arms=["vanilla"])
    assert facts["profile"] == "smoke" and facts["seeds"] == [0, 1] and facts["recipe"] == "abc"
    assert facts["wall_s"] == 12.3 and facts["arms"] == ["vanilla"]
    assert facts["hardware"]["cores"] >= 1 and facts["hardware"]["memory_gb"] >= 1
    assert facts["libraries"]["pandas"] == pd.__version__


def test_no_host_name_user_or_path_is_recorded(repository):
    text = json.dumps(provenance("smoke", (0,), "abc", root=repository))
    assert str(repository) not in text and str(Path.home()) not in text
    assert f'"{socket.gethostname()}"' not in text and os.sep + "tmp" not in text


def test_changed_code_is_dirty_and_changed_results_are_not(repository):
    clean = code_state(repository)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (repository / "results" / "main.csv").write_text("a\n")
    assert code_state(repository) == clean
    (repository / "bi" / "new.py").write_text("")
    assert code_state(repository) == {**clean, "dirty": True}


def test_outside_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_state(tmp_path) == {"commit": None, "dirty": None}


def test_a_machine_without_a_gpu_tool_has_no_gpus(monkeypatch):
    gpu_names.cache_clear()
    hardware.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert gpu_names() == []
    gpu_names.cache_clear()


def test_a_table_is_the_same_bytes_whatever_its_facts_and_round_trips(tmp_path):
    frame = pd.DataFrame({"arm": ["bridge", "vanilla"], "value": [1 / 3, 1e-12], "n": [3, 4]})
    first = write_table(tmp_path / "a" / "main.csv", frame, {"wall_s": 1})
    second = write_table(tmp_path / "b" / "main.csv", frame, {"wall_s": 2})
    assert first.read_bytes() == second.read_bytes() and b"\r" not in first.read_bytes()
    pd.testing.assert_frame_equal(pd.read_csv(first), frame, rtol=1e-9)
    assert json.loads(sidecar(second).read_text()) == {"wall_s": 2, "rows": 2}
    assert sidecar(first).name == "main.provenance.json"
