"""Where one cell of the grid keeps its files: every path of a run is made here.

A stage owns one folder and writes nowhere else, so that it can be checked, removed and resumed alone.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from bi.recipes import Profile, digest, get_profile

SPLITS = ("id", "ood")
"""Test splits: in distribution and out of distribution."""

TIMING = "timing.json"
"""What the engine leaves in a finished stage's folder: wall time and peak memory."""

PROBLEM_FILES = ("sft", "rl", "dev_id", "dev_ood", "test_id", "test_ood")
"""Problems of one seed: training, RL prompts, targets of the influence, and tests (the tests are every seed's)."""


@dataclass(frozen=True)
class Run:
    """One model, arm and seed of a profile, under the folder ``runs``."""

    profile: str
    model: str = ""
    arm: str = ""
    seed: int = 0
    runs: str = "runs"

    @property
    def recipe(self) -> Profile:
        """The profile's recipes; raises ``ValueError`` for an unknown profile."""
        return get_profile(self.profile)

    @property
    def top(self) -> Path:
        """Folder of the profile."""
        return Path(self.runs) / self.profile

    def folder(self, stage: str) -> Path:
        """Folder of a stage: ``problems`` by seed, ``base`` and all ``tables`` by model, others by arm and seed."""
        if stage == "problems":
            return self.top / "problems" / str(self.seed)
        if stage == "base" or stage.startswith("tables"):
            return self.top / slug(self.model) / stage
        return self.top / slug(self.model) / self.arm / str(self.seed) / stage

    def problems(self, split: str) -> Path:
        """JSON Lines file of one of :data:`PROBLEM_FILES`."""
        if split not in PROBLEM_FILES:
            raise ValueError(f"unknown problems {split!r}; choose one of {', '.join(PROBLEM_FILES)}")
        return self.folder("problems") / f"{split}.jsonl"

    def rollouts(self, stage: str, split: str) -> Path:
        """Rollouts of ``stage`` (``base``, ``sft``: made by ``measure``, ``rl``: made by ``evaluate``) on a split.

        Splits are the test splits and, after SFT, what influence is measured on: ``train`` (RL prompts), ``dev_id``,
        ``dev_ood``.
        """
        return self.folder({"base": "base", "sft": "measure", "rl": "evaluate"}[stage]) / f"rollouts_{split}.parquet"

    @property
    def sft_model(self) -> Path:
        """Checkpoint after SFT."""
        return self.folder("sft") / "model"

    @property
    def rl_model(self) -> Path:
        """Checkpoint after GRPO."""
        return self.folder("grpo") / "model"

    @property
    def digest(self) -> str:
        """Digest of the profile's recipes."""
        return digest(dataclasses.replace(self.recipe, note=""))

    def seconds(self, stage: str) -> float:
        """Wall time of a finished stage; 0 if it left no record."""
        path = self.folder(stage) / TIMING
        return float(json.loads(path.read_text(encoding="utf-8"))["wall_s"]) if path.is_file() else 0.0


def slug(model: str) -> str:
    """Folder name of a model: ``models/tiny-base`` is ``tiny-base``, ``Qwen/Qwen2.5-3B`` is ``Qwen2.5-3B``."""
    return Path(model).name
