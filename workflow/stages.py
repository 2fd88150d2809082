"""The stages of the grid: which notebook runs where, with which parameters.

Which stage needs which is said in the Snakefile alone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bi.augmentation.arm import DRAWN_ARMS, GRID_ARMS
from bi.notebook import check_parameters
from bi.recipes import Profile, get_profile
from bi.runs import Run, slug

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = "notebooks/grid"
GRIDS = ("main", "full")


@dataclass(frozen=True)
class Stage:
    """One notebook of the grid; ``parameters`` are those of its parameters cell, filled in from a :class:`Run`."""

    name: str
    parameters: tuple[str, ...]

    @property
    def uses_model(self) -> bool:
        """Whether the stage starts from, or depends on, the model of its run."""
        return "model" in self.parameters

    def notebook(self, root: Path = ROOT) -> Path:
        """The notebook of the stage."""
        return root / NOTEBOOKS / f"{self.name}.ipynb"

    def arguments(self, run: Run, arms: tuple[str, ...]) -> dict[str, Any]:
        """Parameters of the notebook for ``run``; ``arms`` are all arms of the grid."""
        known = {**dataclasses.asdict(run), "arms": list(arms)}
        return {name: known[name] for name in self.parameters}


CELL = ("profile", "model", "arm", "seed", "runs")
STAGES = {
    stage.name: stage
    for stage in (
        Stage("problems", ("profile", "seed", "runs")),
        Stage("base", ("profile", "model", "seed", "runs")),
        Stage("sft", CELL),
        Stage("measure", CELL),
        Stage("grpo", CELL),
        Stage("evaluate", CELL),
        Stage("tables", ("profile", "model", "arms", "runs")),
    )
}


@dataclass(frozen=True)
class Grid:
    """All cells of one reproduction: a profile and its arms (``full``: every arm that is drawn)."""

    profile: Profile
    name: str = "main"

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms of the grid, each once."""
        return self.profile.arms if self.name == "main" else GRID_ARMS

    @property
    def models(self) -> dict[str, str]:
        """Models of the profile by folder name."""
        return {slug(model.name): model.name for model in self.profile.models}

    def jobs(self) -> list[tuple[str, Run]]:
        """Every job, stage by stage, in an order in which they could run."""
        name, models, seeds = self.profile.name, [m.name for m in self.profile.models], self.profile.seeds
        jobs = [("problems", Run(name, seed=seed)) for seed in seeds]
        jobs += [("base", Run(name, model, seed=seeds[0])) for model in models]
        cells = [Run(name, model, arm, seed) for model in models for seed in seeds for arm in self.arms]
        jobs += [(stage, run) for stage in ("sft", "measure", "grpo", "evaluate") for run in cells]
        return jobs + [("tables", Run(name, model)) for model in models]


def make_grid(profile: str, name: str = "main") -> Grid:
    """The grid called ``name`` of ``profile``; raises ``ValueError`` for an unknown profile, grid or arm."""
    if name not in GRIDS:
        raise ValueError(f"unknown grid {name!r}; choose one of {', '.join(GRIDS)}")
    grid = Grid(get_profile(profile), name)
    unknown = [arm for arm in grid.arms if arm not in DRAWN_ARMS]
    if unknown:
        known = ", ".join(DRAWN_ARMS)
        raise ValueError(f"profile {profile!r} has unknown arms {', '.join(unknown)}; choose from {known}")
    return grid


def check_notebooks(grid: Grid, root: Path = ROOT) -> None:
    """Raise ``ValueError`` unless every job's parameters are exactly those of its notebook."""
    for name, run in grid.jobs():
        check_parameters(STAGES[name].notebook(root), STAGES[name].arguments(run, grid.arms))


def job_label(name: str, run: Run, n_models: int = 1) -> str:
    """How a job is called in the terminal, for example ``grpo bridge seed 1``."""
    parts = [name, run.arm, f"seed {run.seed}" if "seed" in STAGES[name].parameters and name != "base" else ""]
    parts += [slug(run.model)] if n_models > 1 and run.model else []
    return " ".join(filter(None, parts))
