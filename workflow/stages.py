"""The stages of the grid: which notebook runs where, with which parameters.

Which stage needs which is said in the Snakefile alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bi.augmentation.arm import ARM_TABLE, GRID_ARMS, PROBABILITY_ARMS, REJECTION_ARMS, TOKEN_ARMS
from bi.notebook import check_parameters
from bi.recipes import Profile, get_profile
from bi.runs import Run, slug

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = "notebooks/grid"
RESULTS = "results"


@dataclass(frozen=True)
class Stage:
    """One notebook of the grid; ``parameters`` are those of its parameters cell, filled in from a :class:`Run`.

    ``file`` and ``place``: the notebook and the folder, where they are not called like the stage.
    """

    name: str
    parameters: tuple[str, ...]
    file: str = ""
    place: str = ""

    @property
    def uses_model(self) -> bool:
        """Whether the stage starts from, or depends on, the model of its run."""
        return "model" in self.parameters

    def notebook(self, root: Path = ROOT) -> Path:
        """The notebook of the stage."""
        return root / NOTEBOOKS / f"{self.file or self.name}.ipynb"

    def folder(self, run: Run) -> Path:
        """The folder that the stage owns."""
        return run.folder(self.place or self.name)

    def arguments(
        self, run: Run, arms: Sequence[str], models: Sequence[str] = (), kept: str = ""
    ) -> dict[str, Any]:
        """Parameters of the notebook for ``run``; ``arms``, ``models`` and ``kept`` are those of the grid."""
        known = {**dataclasses.asdict(run), "arms": list(arms), "models": list(models), "stage": self.name,
                 "kept": kept}
        return {name: known[name] for name in self.parameters}


CELL = ("profile", "model", "arm", "seed", "runs")
TABLES = ("profile", "model", "arms", "runs", "stage")
STAGES = {
    stage.name: stage
    for stage in (
        Stage("problems", ("profile", "seed", "runs")),
        Stage("base", ("profile", "model", "seed", "runs")),
        Stage("sft", CELL),
        Stage("measure", CELL),
        Stage("grpo", CELL),
        Stage("evaluate", CELL),
        Stage("select", CELL, place="sft"),
        Stage("lines", CELL),
        Stage("passes", CELL),
        Stage("through", CELL),
        Stage("sizes", CELL),
        Stage("tables", TABLES),
        Stage("tables_probability", TABLES, file="tables"),
        Stage("tables_rejection", TABLES, file="tables"),
        Stage("tables_tokens", TABLES, file="tables"),
        Stage("tables_passes", TABLES),
        Stage("tables_through", TABLES),
        Stage("tables_bases", (*TABLES, "models", "kept")),
    )
}
AROUND_RL = ("measure", "grpo", "evaluate", "lines")


@dataclass(frozen=True)
class GridPlan:
    """What a grid runs: its ``arms`` (none: those of the profile), stages of a cell behind SFT, and its tables.

    The tables of ``main`` and ``full`` are the profile's; every other grid has tables of its own, published in a folder
    of its name, and shares the cells of its arms with the others. With ``bases`` the cells are those of the profile's
    further bases too, and the tables, made once, compare all of them.
    """

    meaning: str
    arms: tuple[str, ...] = ()
    cells: tuple[str, ...] = AROUND_RL
    tables: str = "tables"
    bases: bool = False


GRIDS = {
    "main": GridPlan("the profile's arms"),
    "full": GridPlan("every arm that is drawn on the same problems at the recipe's rates", GRID_ARMS),
    "probability": GridPlan("bridge with other chances of a reflection", PROBABILITY_ARMS, tables="tables_probability"),
    "rejection": GridPlan("SFT on right rollouts of prompts of medium accuracy", REJECTION_ARMS,
                          tables="tables_rejection"),
    "tokens": GridPlan("plain chains of thought with as many tokens of SFT as bridge", TOKEN_ARMS,
                       tables="tables_tokens"),
    "passes": GridPlan("many samples a problem, for pass@k", cells=("grpo", "passes"), tables="tables_passes"),
    "through": GridPlan("accuracy, influence and tokens through RL", cells=("measure", "grpo", "evaluate", "through"),
                        tables="tables_through"),
    "bases": GridPlan("the same arms from other base models, and more sizes of problems",
                      cells=("measure", "grpo", "evaluate", "sizes"), tables="tables_bases", bases=True),
}


@dataclass(frozen=True)
class Grid:
    """All cells of one reproduction: a profile, and which of :data:`GRIDS`.

    ``only``: where bases are compared, the folder names of those that run; the others keep their published results.
    """

    profile: Profile
    name: str = "main"
    only: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The grid as :func:`make_grid` reads it."""
        return f"{self.name}:{','.join(self.only)}" if self.only else self.name

    @property
    def plan(self) -> GridPlan:
        """What this grid runs."""
        return GRIDS[self.name]

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms of the grid, each once."""
        return self.plan.arms or self.profile.arms

    @property
    def results(self) -> str:
        """Folder of its tables below the profile's results; empty for the profile's own."""
        return self.plan.tables.removeprefix("tables").removeprefix("_")

    @property
    def models(self) -> dict[str, str]:
        """The models that this grid starts from by folder name."""
        return {folder: name for folder, name in self.known.items() if not self.only or folder in self.only}

    @property
    def known(self) -> dict[str, str]:
        """All models that its tables could hold by folder name, whether they run or not."""
        further = self.profile.bases if self.plan.bases else ()
        return {slug(model.name): model.name for model in (*self.profile.models, *further)}

    @property
    def kept(self) -> str:
        """Folder of the published results that the models which do not run are taken from; empty if all run."""
        return f"{RESULTS}/{self.profile.name}/{self.results}" if self.only else ""

    @property
    def compared(self) -> dict[str, str]:
        """The models that get tables of their own: all, or, where one table compares them, the first alone."""
        return dict(list(self.models.items())[:1]) if self.plan.bases else self.models

    def jobs(self) -> list[tuple[str, Run]]:
        """Every job, stage by stage, in an order in which they could run."""
        name, models, seeds = self.profile.name, list(self.models.values()), self.profile.seeds
        jobs = [("problems", Run(name, seed=seed)) for seed in seeds]
        jobs += [("base", Run(name, model, seed=seeds[0])) for model in models]
        cells = [Run(name, model, arm, seed) for model in models for seed in seeds for arm in self.arms]
        jobs += [("select" if ARM_TABLE[run.arm].from_rollouts else "sft", run) for run in cells]
        jobs += [(stage, run) for stage in self.plan.cells for run in cells]
        return jobs + [(self.plan.tables, Run(name, model)) for model in self.compared.values()]


def make_grid(profile: str, name: str = "main") -> Grid:
    """The grid called ``name`` of ``profile``; raises ``ValueError`` for an unknown profile, grid, base or arm.

    ``bases:wide-base,plain-base`` is the grid ``bases`` with nothing but the cells of those two.
    """
    name, _, only = name.partition(":")
    if name not in GRIDS:
        raise ValueError(f"unknown grid {name!r}; choose one of {', '.join(GRIDS)}")
    grid = Grid(get_profile(profile), name, tuple(filter(None, only.split(","))))
    if only and not grid.plan.bases:
        raise ValueError(f"GRID={name}:{only}: {name} compares no bases; leave out what follows the colon")
    strange = [base for base in grid.only if base not in grid.known]
    if strange:
        raise ValueError(f"GRID={name}:{only}: profile {profile!r} has no base {', '.join(strange)}; "
                         f"choose from {', '.join(grid.known)}, or add it in bi/recipes.py")
    unknown = [arm for arm in grid.arms if arm not in ARM_TABLE]
    if unknown:
        known = ", ".join(ARM_TABLE)
        raise ValueError(f"profile {profile!r} has unknown arms {', '.join(unknown)}; choose from {known}")
    return grid


def check_notebooks(grid: Grid, root: Path = ROOT) -> None:
    """Raise ``ValueError`` unless every job's parameters are exactly those of its notebook."""
    for name, run in grid.jobs():
        given = STAGES[name].arguments(run, grid.arms, list(grid.models.values()), grid.kept)
        check_parameters(STAGES[name].notebook(root), given)


def job_label(name: str, run: Run, n_models: int = 1) -> str:
    """How a job is called in the terminal, for example ``grpo bridge seed 1``."""
    parts = [name, run.arm, f"seed {run.seed}" if "seed" in STAGES[name].parameters and name != "base" else ""]
    parts += [slug(run.model)] if n_models > 1 and run.model else []
    return " ".join(filter(None, parts))
