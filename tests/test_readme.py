"""The README: its numbers are those of the tables, its links lead somewhere, its commands exist."""

import re

import pytest
from typer.testing import CliRunner

from bi.__main__ import app
from workflow.readme import blocks, filled


def test_measured_blocks_are_those_of_the_committed_tables(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    assert filled(text, blocks(root / "results" / "cpu")) == text, "run: python -m workflow.readme"


def test_links_lead_to_files(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert len(links) > 3
    assert [link for link in links if not (root / link).exists()] == []


def test_commands_and_their_options_exist(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    used = [line.split() for line in text.splitlines() if line.startswith(".venv/bin/bi ")]
    assert {words[1] for words in used} >= {"data", "sft", "rollouts", "influence", "grpo", "eval"}
    for name in {words[1] for words in used}:
        told = CliRunner().invoke(app, [name, "--help"])
        assert told.exit_code == 0, name
        options = {word for words in used if words[1] == name for word in words if word.startswith("--")}
        assert [option for option in options if option not in told.stdout] == []
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets


def test_a_missing_block_is_named():
    with pytest.raises(ValueError, match="results"):
        filled("no blocks", {"results": "x"})
