"""Choosing a recipe on development problems: candidates x arms x seeds, each trained and measured the same way.

No test problem is touched, and the seeds are none that the book reports. Every cell leaves its folder complete or
resumable, cells run side by side in processes of their own, and the tables say everything that was tried.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bi.augmentation.arms import build_problems, build_rows, prompt_row
from bi.evaluation.anatomy import anatomy_table
from bi.evaluation.intervals import bootstrap_mean, numpy_stream
from bi.evaluation.metrics import problem_counts
from bi.progress import Progress
from bi.recipes import GRPORecipe, Profile, SFTRecipe, TaskRecipe, digest, get_profile
from bi.tasks.problem import Problem

SPLITS = ("dev_id", "dev_ood")
MEASURED = ("strict", "format", "finished", "n_tokens", "n_reflection", "n_analysis", "n_subgoal")


@dataclass(frozen=True)
class Candidate:
    """A recipe to try: changes to the task, SFT and GRPO recipes of a profile. ``grpo=None`` stops after SFT.

    ``options`` replace single options of the task, ``task`` its other fields; ``arms`` are those of the plan by
    default.
    """

    name: str
    task: tuple[tuple[str, Any], ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    sft: tuple[tuple[str, Any], ...] = ()
    grpo: tuple[tuple[str, Any], ...] | None = ()
    arms: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SweepPlan:
    """What to try, on which arms and seeds, measured on ``problems`` development problems a split.

    ``samples`` completions a problem at the evaluation's temperature. ``model``: what all of them start from (empty:
    the profile's first model).
    """

    profile: str
    candidates: tuple[Candidate, ...]
    arms: tuple[str, ...] = ("vanilla", "bridge")
    seeds: tuple[int, ...] = (1000, 1001)
    problems: int = 200
    samples: int = 4
    model: str = ""

    @property
    def recipe(self) -> Profile:
        """The profile that the candidates change."""
        return get_profile(self.profile)

    @property
    def start(self) -> str:
        """The model that every cell starts from."""
        return self.model or self.recipe.models[0].name


@dataclass(frozen=True)
class Cell:
    """One training: a candidate, an arm and a seed."""

    candidate: Candidate
    arm: str
    seed: int

    @property
    def facts(self) -> dict[str, Any]:
        """Columns that name the cell."""
        return {"candidate": self.candidate.name, "arm": self.arm, "seed": self.seed}

    def task(self, plan: SweepPlan) -> TaskRecipe:
        """The problems of this cell."""
        profile = plan.recipe
        options = {**dict(profile.task.options), **dict(self.candidate.options)}
        return dataclasses.replace(profile.task, **dict(self.candidate.task), options=tuple(options.items()))

    def sft(self, plan: SweepPlan) -> SFTRecipe:
        """The SFT recipe of this cell."""
        return dataclasses.replace(plan.recipe.sft, **dict(self.candidate.sft))

    def grpo(self, plan: SweepPlan) -> GRPORecipe | None:
        """The GRPO recipe of this cell, ``None`` if it ends after SFT."""
        if self.candidate.grpo is None:
            return None
        return dataclasses.replace(plan.recipe.grpo_for(plan.start), **dict(self.candidate.grpo))


def cells(plan: SweepPlan) -> list[Cell]:
    """Every cell, seeds outermost, so that a stopped sweep has compared all candidates on the seeds that are done."""
    return [Cell(candidate, arm, seed) for seed in plan.seeds for candidate in plan.candidates
            for arm in candidate.arms or plan.arms]


def chosen(plan: SweepPlan) -> Candidate:
    """The first candidate that sets nothing otherwise than the profile does; ``ValueError`` if there is none."""
    profile = plan.recipe
    for candidate in plan.candidates:
        cell = Cell(candidate, plan.arms[0], plan.seeds[0])
        same = (dict(cell.task(plan).options) == dict(profile.task.options)
                and dataclasses.replace(cell.task(plan), options=profile.task.options) == profile.task
                and cell.sft(plan) == profile.sft and cell.grpo(plan) in (None, profile.grpo_for(plan.start)))
        if same:
            return candidate
    raise ValueError(f"no candidate of the sweep has the recipe of profile {plan.profile!r}; add the chosen one to it")


def run_sweep(plan: SweepPlan, out: Path, jobs: int) -> dict[str, pd.DataFrame]:
    """Train and measure every cell below ``out``, ``jobs`` at a time, and return the tables of :func:`collect`.

    SFT runs that several candidates share are trained once, before everything else. Raises ``ValueError`` before any
    training if the problems of a candidate cannot be drawn, and what a cell raised after the others have ended.
    """
    todo = cells(plan)
    check_tasks(plan)
    starts = {str(_sft_folder(plan, cell, out)): cell for cell in todo}
    progress = Progress(len(starts) + len(todo), "sweep: run")
    done = 0
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread) as pool:
        for stage, work in ((train_start, list(starts.values())), (run_cell, todo)):
            futures = {pool.submit(stage, plan, cell, out): cell for cell in work}
            for future in as_completed(futures):
                future.result()
                done += 1
                cell = futures[future]
                progress.update(done, f"{stage.__name__} {cell.candidate.name} {cell.arm} {cell.seed}")
    return collect(plan, out)


def check_tasks(plan: SweepPlan) -> None:
    """Draw all problems of the sweep once; raises ``ValueError`` that names the candidate whose cannot be drawn."""
    seen = set()
    for cell in cells(plan):
        task = cell.task(plan)
        splits = {("sft", cell.seed): task.sft_rows, **{(split, plan.seeds[0]): plan.problems for split in SPLITS}}
        if cell.candidate.grpo is not None:
            splits["rl", cell.seed] = task.rl_prompts
        for (split, seed), count in splits.items():
            if (task, split, seed) in seen:
                continue
            seen.add((task, split, seed))
            try:
                build_problems(task, split, count, seed)
            except ValueError as error:
                raise ValueError(f"candidate {cell.candidate.name!r} of the sweep, {split}: {error}") from error


def _one_thread() -> None:
    from bi.commands.door import prepare_torch

    prepare_torch()


def train_start(plan: SweepPlan, cell: Cell, out: Path) -> None:
    """SFT of a cell and its measurement; a finished one is left as it is."""
    from bi.training.sft import train_sft

    profile = plan.recipe
    task, folder = cell.task(plan), _sft_folder(plan, cell, out)
    problems = build_problems(task, "sft", task.sft_rows, cell.seed)
    rows = build_rows(problems, cell.arm, task, profile.rates, cell.seed)
    train_sft(plan.start, rows, cell.sft(plan), cell.seed, folder / "model", progress=False)
    measure(plan, task, folder / "model", folder)


def run_cell(plan: SweepPlan, cell: Cell, out: Path) -> None:
    """GRPO of a cell from its SFT checkpoint, and its measurement; nothing if it ends after SFT."""
    from bi.training.grpo import train_grpo

    recipe, task, folder = cell.grpo(plan), cell.task(plan), _folder(cell, out)
    if recipe is None:
        return
    problems = build_problems(task, "rl", task.rl_prompts, cell.seed)
    rows = [prompt_row(problem, task) for problem in problems]
    train_grpo(_sft_folder(plan, cell, out) / "model", rows, recipe, cell.seed, folder / "model", progress=False)
    measure(plan, task, folder / "model", folder)


def measure(plan: SweepPlan, task: TaskRecipe, checkpoint: Path, folder: Path) -> None:
    """Rollouts of ``checkpoint`` on the development problems of ``task``, one parquet a split in ``folder``."""
    from bi.training.policy import load_policy
    from bi.training.rollouts import make_rollouts

    profile = plan.recipe
    policy = load_policy(checkpoint)
    for split, problems in development(plan, task):
        rows = [prompt_row(problem, task) for problem in problems]
        make_rollouts(policy, rows, plan.samples, max_new_tokens=profile.grpo.max_completion_length,
                      temperature=profile.evaluation.temperature, seed=plan.seeds[0], purpose="sweep",
                      out=folder / f"{split}.parquet", batch_rows=profile.evaluation.batch_size, progress=False)


def development(plan: SweepPlan, task: TaskRecipe) -> Iterator[tuple[str, list[Problem]]]:
    """Development problems of each split; they are the same for every seed."""
    for split in SPLITS:
        yield split, build_problems(task, split, plan.problems, plan.seeds[0])


def collect(plan: SweepPlan, out: Path) -> dict[str, pd.DataFrame]:
    """Tables of a finished sweep by name.

    ``metrics``: candidate, arm, seed, stage, split, metric, value, low, high, n; ``anatomy``: first errors
    (:func:`bi.evaluation.anatomy.anatomy_table`); ``curves``: the history of every RL run, a row a step.
    """
    numbers, errors, curves = [], [], []
    for cell in cells(plan):
        stages = {"sft": _sft_folder(plan, cell, out)}
        if cell.candidate.grpo is not None:
            stages["rl"] = _folder(cell, out)
            curves.append(pd.read_csv(_folder(cell, out) / "model" / "history.csv").assign(**cell.facts))
        for stage, folder in stages.items():
            for split in SPLITS:
                table = pd.read_parquet(folder / f"{split}.parquet")
                facts = {**cell.facts, "stage": stage, "split": split}
                numbers.append(_numbers(table, facts))
                errors.append(anatomy_table(table, facts))
    return {"metrics": pd.concat(numbers, ignore_index=True), "anatomy": pd.concat(errors, ignore_index=True),
            "curves": pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()}


def _numbers(rollouts: pd.DataFrame, facts: dict[str, Any]) -> pd.DataFrame:
    """Means with 95 % bootstrap intervals over problems, and the share of problems with mixed outcomes."""
    rows = []
    for metric in ("answer", *MEASURED):
        rng = numpy_stream("sweep", metric, *map(str, facts.values()))
        found = bootstrap_mean(rollouts[metric].astype(float), rng, clusters=rollouts["problem_id"], resamples=1000)
        rows.append({"metric": "accuracy" if metric == "answer" else metric, "value": found.value, "low": found.low,
                     "high": found.high, "n": found.n})
    counts = problem_counts(rollouts)
    mixed = ((counts["correct"] > 0) & (counts["correct"] < counts["n"])).astype(float)
    found = bootstrap_mean(mixed, numpy_stream("sweep", "mixed", *map(str, facts.values())), resamples=1000)
    rows.append({"metric": "mixed", "value": found.value, "low": found.low, "high": found.high, "n": found.n})
    return pd.DataFrame(rows).assign(**facts)[[*facts, *rows[0]]]


def _folder(cell: Cell, out: Path) -> Path:
    return out / "rl" / cell.candidate.name / cell.arm / str(cell.seed)


def _sft_folder(plan: SweepPlan, cell: Cell, out: Path) -> Path:
    """Named by the recipes, so that candidates with the same task and SFT share it."""
    name = digest([dataclasses.asdict(part) for part in (cell.task(plan), cell.sft(plan))])
    return out / "sft" / name / cell.arm / str(cell.seed)
