"""``bi data``: problems, with or without chains of thought, as JSON Lines. No torch here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from bi.augmentation.arms import (
    ARM_RATES,
    SPLITS,
    TASKS,
    arm_rates,
    iterate_rows,
    prompt_row,
    split_ops,
    split_problems,
    task_config,
)
from bi.augmentation.wording import WORDINGS, get_wording
from bi.commands import options
from bi.commands.door import say
from bi.commands.outputs import check_file_out
from bi.commands.recipe_options import replace_fields, takes
from bi.progress import Progress
from bi.recipes import COMPACT, BehaviorRates, TaskRecipe, get_profile
from bi.records import iterate_rows as iterate_rows_of
from bi.records import write_rows
from bi.tasks.problem import Problem

_RANGES = {"sft": "train_ops", "rl": "train_ops", "id": "id_ops", "ood": "ood_ops"}


@takes(BehaviorRates)
def data(
    out: options.OutFile,
    arm: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"How the chains of thought are written: {', '.join(ARM_RATES)}.")] = None,
    prompts_only: Annotated[bool, typer.Option(
        "--prompts-only", help="In place of --arm: questions and answers alone, for RL and for tests.")] = False,
    task: Annotated[str | None, typer.Option(metavar="NAME", help=f"Kind of problem: {', '.join(TASKS)}.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Number of rows.")] = None,
    min_ops: Annotated[int | None, typer.Option(help="Fewest operations of a problem.")] = None,
    max_ops: Annotated[int | None, typer.Option(help="Most operations of a problem.")] = None,
    wording: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"{' or '.join(WORDINGS)}; compact has one token a word, for tiny models.")] = None,
    split: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"Which problems: {', '.join(SPLITS)}. By default sft with --arm, rl with "
                             "--prompts-only. Test and dev problems do not depend on the seed.")] = None,
    exclude: Annotated[list[Path] | None, typer.Option(
        metavar="FILE", help="Leave out the problems of this file (column problem_id); may be repeated.")] = None,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
    changes: Any = None,
) -> None:
    """Write problems with chains of thought (--arm) or without (--prompts-only) as JSON Lines.

    All arms of one seed hold the same problems, row by row. What is not given is the profile's. Splits made with the
    profile's own ranges and no more rows than it has share no problem; in all other cases --exclude makes it certain.

    \b
    bi data --task igsm --arm bridge --rows 2000 --min-ops 15 --max-ops 20 \\
        --wording english --seed 0 --out data.jsonl
    bi data --prompts-only --split test_id --rows 300 --out test.jsonl
    """
    if (arm is None) != prompts_only:
        raise ValueError("say what to write: --arm NAME for chains of thought, or --prompts-only for questions alone")
    if prompts_only and changes:
        raise ValueError("rates of behaviours were given, but --prompts-only writes no chains of thought; drop them")
    defaults = get_profile(profile)
    split = split or ("rl" if prompts_only else "sft")
    recipe = choose_task(defaults.task, split, task, wording, min_ops, max_ops)
    rates = replace_fields(defaults.rates, changes)
    if arm is not None:
        arm_rates(arm, rates)
    task_config(recipe, split_ops(recipe, split))
    check_file_out(out, overwrite=overwrite)
    excluded = read_keys(exclude or [])
    count = rows or default_rows(recipe, split)
    low, high = split_ops(recipe, split)
    say(f"drawing {count} {recipe.task} problems: split {split}, {low} to {high} operations, seed {seed}")
    problems = islice(fresh_problems(recipe, split, seed, excluded), count)
    made = (prompt_row(problem, recipe) for problem in problems)
    done = iterate_rows(problems, arm, recipe, rates, seed) if arm else made
    write_rows(out, done, seen=Progress(count, "rows").update)
    say(f"{out}: {count} rows")


def choose_task(
    recipe: TaskRecipe, split: str, task: str | None, wording: str | None, min_ops: int | None, max_ops: int | None
) -> TaskRecipe:
    """``recipe`` with what the options change; a range of operations counts for ``split`` alone.

    Another wording than the recipe's brings the generator's options that it needs. The generator checks the rest.
    """
    if wording is not None and wording != recipe.wording:
        get_wording(wording)
        recipe = dataclasses.replace(recipe, wording=wording, options=COMPACT if wording == "compact" else ())
    low, high = split_ops(recipe, split)
    if min_ops is not None or max_ops is not None:
        low = min_ops if min_ops is not None else min(low, max_ops or low)
        high = max_ops if max_ops is not None else max(high, low)
        recipe = dataclasses.replace(recipe, **{_RANGES[split.rsplit("_", 1)[-1]]: (low, high)})
    return recipe if task is None else dataclasses.replace(recipe, task=task)


def default_rows(recipe: TaskRecipe, split: str) -> int:
    """How many problems the profile has of ``split``."""
    return {"sft": recipe.sft_rows, "rl": recipe.rl_prompts}.get(split, recipe.test_problems)


def read_keys(files: Iterable[Path]) -> frozenset[str]:
    """The problem ids of all ``files`` that ``bi data`` has written; of the rows nothing else is kept."""
    return frozenset(row["problem_id"] for file in files for _, row in iterate_rows_of(file, {"problem_id": str}))


def fresh_problems(recipe: TaskRecipe, split: str, seed: int, excluded: frozenset[str]) -> Iterator[Problem]:
    """Endless problems of ``split`` whose key is not in ``excluded``, one at a time."""
    return (problem for problem in split_problems(recipe, split, seed) if problem.key() not in excluded)
