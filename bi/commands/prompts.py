"""Prompts for sampling and RL: rows whose problem can be read and has the answer that the row states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bi.augmentation.wording import get_wording
from bi.records import PROMPT_ROW, read_rows


def read_prompts(path: Path, limit: int | None = None) -> list[dict[str, Any]]:
    """The prompts of a JSON Lines file, each ``problem_id`` once; raises ``ValueError`` naming file and line.

    The reward reads the problem from the prompt, so a prompt that cannot be read is found here, before any sampling.
    """
    return read_rows(path, PROMPT_ROW, unique="problem_id", check=check_prompt, limit=limit)


def check_prompt(row: dict[str, Any]) -> None:
    """Raise ``ValueError`` unless the prompt of ``row`` can be read and has the answer of its column ``answer``."""
    problem = get_wording(row["wording"]).read_problem(row["prompt"])
    if str(problem.answer) != row["answer"]:
        raise ValueError(f"column 'answer' is {row['answer']!r}, but the answer of its prompt is {problem.answer}")
