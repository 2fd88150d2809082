"""The stages of the grid: which notebook runs where, with which parameters.

Which stage needs which is said in the Snakefile alone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bi.augmentation.arm import ARM_TABLE, GRID_ARMS, PAPER_ARMS, PROBABILITY_ARMS, REJECTION_ARMS, TOKEN_ARMS
from bi.notebook import check_parameters
from bi.recipes import BESIDE, Profile, get_profile
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

    def arguments(self, run: Run, grid: Grid) -> dict[str, Any]:
        """Parameters of the notebook for ``run``, a job of ``grid``."""
        known = {**dataclasses.asdict(run), "arms": list(grid.arms), "models": list(grid.models.values()),
                 "every": list(grid.every), "kept": grid.kept, "stage": self.name}
        return {name: known[name] for name in self.parameters}


CELL = ("profile", "model", "arm", "seed", "runs")
TABLES = ("profile", "model", "arms", "runs", "stage")
JOINED = (*TABLES, "every", "kept")
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
        Stage("retest", CELL),
        Stage("tables", JOINED),
        Stage("tables_probability", JOINED, file="tables"),
        Stage("tables_rejection", JOINED, file="tables"),
        Stage("tables_tokens", JOINED, file="tables"),
        Stage("tables_dyval", JOINED, file="tables"),
        Stage("tables_seeds", JOINED, file="tables"),
        Stage("tables_dose", JOINED, file="tables"),
        Stage("tables_range", JOINED, file="tables"),
        Stage("tables_passes", TABLES),
        Stage("tables_depth", TABLES),
        Stage("tables_through", TABLES),
        Stage("tables_longer", TABLES, file="tables_through"),
        Stage("tables_bases", (*JOINED, "models")),
        Stage("tables_retest", JOINED),
    )
}
AROUND_RL = ("measure", "grpo", "evaluate", "lines")


@dataclass(frozen=True)
class GridPlan:
    """What a grid runs: its ``arms`` (none: those of the profile), stages of a cell behind SFT, and its tables.

    The tables of ``main``, ``arms`` and ``full`` are the profile's; every other grid has tables of its own, published
    in a folder of its name, and shares the cells of its arms with the others. With ``bases`` the cells are those of the
    profile's further bases too, and the tables, made once, compare all of them. With ``beside`` they are those of
    another profile, ``cpu-dyval`` beside ``cpu`` for ``dyval``, whose tables join the results of the first.
    """

    meaning: str
    arms: tuple[str, ...] = ()
    cells: tuple[str, ...] = AROUND_RL
    tables: str = "tables"
    bases: bool = False
    beside: str = ""


GRIDS = {
    "main": GridPlan("the profile's arms"),
    "arms": GridPlan("the four arms of the paper's main table", PAPER_ARMS),
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
    "dyval": GridPlan("the profile's arms on DyVal arithmetic", tables="tables_dyval", beside="dyval"),
    "depth": GridPlan("the arms on deeper trees than the trained ones",
                      cells=("measure", "grpo", "evaluate", "sizes"), tables="tables_depth", beside="dyval"),
    "seeds": GridPlan("the main comparison with further seeds", tables="tables_seeds", beside="seeds"),
    "retest": GridPlan("all seeds on as many test problems as the paper has", cells=("grpo", "retest"),
                       tables="tables_retest", beside="retest"),
    "longer": GridPlan("accuracy and influence through more steps of RL",
                       cells=("measure", "grpo", "evaluate", "through"), tables="tables_longer", beside="longer"),
    "dose": GridPlan("more rows of SFT from the base without behaviours", tables="tables_dose", beside="dose"),
    "range": GridPlan("the main comparison with values of twice the range", tables="tables_range", beside="range"),
}


@dataclass(frozen=True)
class Grid:
    """All cells of one reproduction: a profile, and which of :data:`GRIDS`.

    ``only``: the arms (or bases, by folder name, where these are compared) that run; empty: all. The others keep their
    published results.
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
    def home(self) -> str:
        """The profile that its results belong to."""
        return self.profile.name.removesuffix(f"-{self.plan.beside}")

    @property
    def costs_as_home(self) -> bool:
        """Whether its cells take as long as those of the profile that it belongs to: the same task and training."""
        home = get_profile(self.home)
        return all(getattr(self.profile, part) == getattr(home, part) for part in ("task", "sft", "grpo"))

    @property
    def every(self) -> tuple[str, ...]:
        """All that its tables compare, whether it runs or not: arms, each once, or bases."""
        if self.plan.bases:
            return tuple(slug(model.name) for model in (*self.profile.models, *self.profile.bases))
        return self.plan.arms or self.profile.arms

    @property
    def running(self) -> tuple[str, ...]:
        """Those of :attr:`every` that run."""
        return tuple(key for key in self.every if not self.only or key in self.only)

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms of the cells that run, each once."""
        return self.profile.arms if self.plan.bases else self.running

    @property
    def sources(self) -> tuple[str, ...]:
        """Arms of which nothing but the fine-tuned checkpoint is needed: others are made of its rollouts."""
        return tuple(dict.fromkeys(source for arm in self.arms if (source := ARM_TABLE[arm].rollouts_of)
                                   and source not in self.arms))

    @property
    def results(self) -> str:
        """Folder of its tables below the profile's results; empty for the profile's own."""
        return self.plan.tables.removeprefix("tables").removeprefix("_")

    @property
    def models(self) -> dict[str, str]:
        """The models that this grid starts from by folder name."""
        further = self.profile.bases if self.plan.bases else ()
        models = {slug(model.name): model.name for model in (*self.profile.models, *further)}
        return {folder: models[folder] for folder in self.running} if self.plan.bases else models

    @property
    def kept(self) -> list[str]:
        """Folders of the published results that what does not run is taken from; none if all run.

        The first that has it counts: an arm of the profile's own tables is read there, not in an older copy.
        """
        profile = f"{RESULTS}/{self.home}"
        alone = self.plan.bases or self.plan.beside
        places = [f"{profile}/{self.results}"] if alone else [profile, f"{profile}/{self.results}"]
        return places if self.only else []

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
        jobs += [("sft", Run(name, model, arm, seed)) for model in models for seed in seeds for arm in self.sources]
        jobs += [("select" if ARM_TABLE[run.arm].from_rollouts else "sft", run) for run in cells]
        jobs += [(stage, run) for stage in self.plan.cells for run in cells]
        return jobs + [(self.plan.tables, Run(name, model)) for model in self.compared.values()]


def make_grid(profile: str, name: str = "main") -> Grid:
    """The grid called ``name`` of ``profile``; raises ``ValueError`` for an unknown profile, grid, base or arm.

    ``bases:wide-base,plain-base`` is the grid ``bases`` with nothing but the cells of those two, and
    ``tokens:vanilla_tokens`` the grid ``tokens`` with nothing but those of that arm.
    """
    name, _, only = name.partition(":")
    if name not in GRIDS:
        raise ValueError(f"unknown grid {name!r}; choose one of {', '.join(GRIDS)}")
    grid = Grid(_profile_of(profile, GRIDS[name].beside), name, tuple(filter(None, only.split(","))))
    if only and not (grid.results and "kept" in STAGES[grid.plan.tables].parameters):
        raise ValueError(f"GRID={name}:{only}: {name} always runs whole; leave out what follows the colon")
    if only and not grid.plan.bases and len(grid.models) > 1:
        raise ValueError(f"GRID={name}:{only}: profile {profile!r} has several models, whose arms are not kept apart; "
                         "leave out what follows the colon")
    strange = [key for key in grid.only if key not in grid.every]
    if strange:
        raise ValueError(f"GRID={name}:{only}: {name} of profile {profile!r} has no {', '.join(strange)}; "
                         f"choose from {', '.join(grid.every)}")
    unknown = [arm for arm in grid.arms if arm not in ARM_TABLE]
    if unknown:
        known = ", ".join(ARM_TABLE)
        raise ValueError(f"profile {profile!r} has unknown arms {', '.join(unknown)}; choose from {known}")
    return grid


def grids_of(profile: str) -> list[str]:
    """Names of the grids that the profile has: all but those whose cells are of a profile beside it that nobody made.
    """
    return [name for name, plan in GRIDS.items() if not plan.beside or f"{profile}-{plan.beside}" in BESIDE]


def _profile_of(name: str, beside: str) -> Profile:
    """The profile of a grid's cells, one ``beside`` that called ``name`` or (empty) that one itself."""
    home, _, other = get_profile(name).name.partition("-")
    if other and other != beside:
        raise ValueError(f"the profile {name!r} belongs to the results of {home!r}: PROFILE={home} GRID={other}")
    if beside and f"{home}-{beside}" not in BESIDE:
        raise ValueError(f"profile {home!r} has no grid {beside!r}; it has {', '.join(grids_of(home))}")
    return get_profile(f"{home}-{beside}" if beside else home)


def check_notebooks(grid: Grid, root: Path = ROOT) -> None:
    """Raise ``ValueError`` unless every job's parameters are exactly those of its notebook."""
    for name, run in grid.jobs():
        check_parameters(STAGES[name].notebook(root), STAGES[name].arguments(run, grid))


def job_label(name: str, run: Run, n_models: int = 1) -> str:
    """How a job is called in the terminal, for example ``grpo bridge seed 1``."""
    parts = [name, run.arm, f"seed {run.seed}" if "seed" in STAGES[name].parameters and name != "base" else ""]
    parts += [slug(run.model)] if n_models > 1 and run.model else []
    return " ".join(filter(None, parts))
