"""The reward: exact match of the stated answer, with the strict verdict beside it.

The problem is read back from the prompt, so a reward needs nothing but text (reading inverts writing).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache

from bi.augmentation.verdict import Verdict
from bi.augmentation.wording import get_wording
from bi.tasks.problem import Problem


@dataclass(frozen=True, slots=True)
class Score(Verdict):
    """A verdict and its reward: 1 for a right answer in the right format, else 0, plus ``format_reward`` for format."""

    reward: float


@lru_cache(maxsize=4096)
def read_prompt(prompt: str, wording: str) -> Problem:
    """The problem that ``prompt`` states; raises ``ValueError`` when it cannot be read."""
    return get_wording(wording).read_problem(prompt)


def score(completion: str, prompt: str, wording: str, format_reward: float = 0.0) -> Score:
    """Judge one completion (paper, section on reward: exact match of the boxed integer).

    Raises ``ValueError`` only for a prompt that cannot be read or an unknown wording; any completion gets a score.
    """
    verdict = get_wording(wording).verdict(completion, read_prompt(prompt, wording))
    reward = float(verdict.answer and verdict.format) + format_reward * verdict.format
    return Score(**asdict(verdict), reward=reward)
