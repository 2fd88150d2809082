"""``bi data``: problems, with or without chains of thought, as JSON Lines. No torch here, but for ``--tokenizer``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from bi.augmentation.arm import ARM_TABLE, DRAWN_ARMS, Tally, drawn_arm
from bi.augmentation.arms import (
    SPLITS,
    prompt_row,
    split_ops,
    split_told,
    task_config,
    tell_problem,
    told_rows,
)
from bi.augmentation.wording import WORDINGS, get_wording
from bi.commands import options
from bi.commands.door import prepare_torch, say
from bi.commands.outputs import check_file_out
from bi.commands.recipe_options import replace_fields, takes
from bi.processes import Spread, workers
from bi.progress import Progress
from bi.recipes import COMPACT, DYVAL, DYVAL_COMPACT, BehaviorRates, TaskRecipe, get_profile
from bi.records import iterate_rows, write_rows
from bi.tasks.generators import TASKS, get_task
from bi.tasks.problem import Problem

WORDING_OPTIONS = {"compact": COMPACT, "dyval": DYVAL.options, "dyval_compact": DYVAL_COMPACT}
"""The generator's options that a wording brings when it is chosen by name."""

_RANGES = {"sft": "train_ops", "rl": "train_ops", "id": "id_ops", "ood": "ood_ops"}


def _arms() -> str:
    return "; ".join(f"{name}: {ARM_TABLE[name].meaning}" for name in DRAWN_ARMS)


@takes(BehaviorRates)
def data(
    out: options.OutFile,
    arm: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"How the chains of thought are written. {_arms()}.")] = None,
    prompts_only: Annotated[bool, typer.Option(
        "--prompts-only", help="In place of --arm: questions and answers alone, for RL and for tests.")] = False,
    task: Annotated[str | None, typer.Option(metavar="NAME", help=f"Kind of problem: {', '.join(TASKS)}.")] = None,
    rows: Annotated[int | None, typer.Option(
        min=1, help="Number of problems, one row each; pp and rc write four rows a problem, vanilla_tokens goes on "
                     "with further problems.")] = None,
    min_ops: Annotated[int | None, typer.Option(
        help="Fewest operations of a problem (of a DyVal problem: smallest depth).")] = None,
    max_ops: Annotated[int | None, typer.Option(
        help="Most operations of a problem (of a DyVal problem: largest depth).")] = None,
    wording: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"{', '.join(WORDINGS)}; compact ones have one token a word, for tiny models.")] = None,
    split: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"Which problems: {', '.join(SPLITS)}. By default sft with --arm, rl with "
                             "--prompts-only. Test and dev problems do not depend on the seed.")] = None,
    tokenizer: Annotated[str | None, typer.Option(
        metavar="FOLDER|NAME", help="Count tokens by this model's tokenizer; by default words are counted.")] = None,
    exclude: Annotated[list[Path] | None, typer.Option(
        metavar="FILE", help="Leave out the problems of this file (column problem_id); may be repeated.")] = None,
    num_proc: options.NumProc = 1,
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
        --wording english --seed 0 --num-proc 8 --out data.jsonl
    bi data --prompts-only --split test_id --rows 300 --out test.jsonl
    """
    if (arm is None) != prompts_only:
        raise ValueError("say what to write: --arm NAME for chains of thought, or --prompts-only for questions alone")
    if prompts_only and tokenizer is not None:
        raise ValueError("--tokenizer was given, but --prompts-only writes no completions to count; drop it")
    if prompts_only and changes:
        raise ValueError("rates of behaviours were given, but --prompts-only writes no chains of thought; drop them")
    defaults = get_profile(profile)
    split = split or ("rl" if prompts_only else "sft")
    recipe = choose_task(defaults.task, split, task, wording, min_ops, max_ops)
    rates = replace_fields(defaults.rates, changes)
    if arm is not None:
        drawn_arm(arm)
    config = task_config(recipe, split_ops(recipe, split), split)
    check_file_out(out, overwrite=overwrite)
    tally = make_tally(tokenizer)
    excluded = read_keys(exclude or [])
    count = rows or default_rows(recipe, split)
    low, high = (getattr(config, bound) for bound in get_task(recipe.task).size)
    size = "operations" if recipe.task == "igsm" else "levels"
    say(f"drawing {count} {recipe.task} problems: split {split}, {low} to {high} {size}, seed {seed}")
    tell: Callable[[Problem], Any] = partial(prompt_row, task=recipe)
    if arm is not None:
        tell = partial(tell_problem, arm=arm, task=recipe, rates=rates, seed=seed)
    line = Progress(count * (1 if arm is None else drawn_arm(arm).copies), "rows")
    with workers(num_proc) as spread:
        fresh = fresh_told(recipe, split, seed, excluded, tell, spread)
        made = told = islice(fresh, count)
        if arm is not None:
            made = tally.counted(told_rows(told, arm, more=fresh, count_tokens=tally.count_tokens))
        written = write_rows(out, made, seen=lambda row: line.update(row) if row <= line.total else None)
    say(f"{out}: {f'{written} rows' if arm is None else tally.text()}")


def choose_task(
    recipe: TaskRecipe, split: str, task: str | None, wording: str | None, min_ops: int | None, max_ops: int | None
) -> TaskRecipe:
    """``recipe`` with what the options change; a range of operations (or of depth) counts for ``split`` alone.

    Another task brings its own sizes, another wording than the recipe's the generator's options that it needs. The
    generator checks the rest.
    """
    if task is not None and task != recipe.task:
        recipe = switch_task(recipe, task)
    if wording is not None and wording != recipe.wording:
        get_wording(wording)
        recipe = dataclasses.replace(recipe, wording=wording, options=WORDING_OPTIONS.get(wording, ()))
    low, high = split_ops(recipe, split)
    if min_ops is not None or max_ops is not None:
        low = min_ops if min_ops is not None else min(low, max_ops or low)
        high = max_ops if max_ops is not None else max(high, low)
        bounds = get_task(recipe.task).size
        kept = tuple(pair for pair in recipe.options if pair[0].rpartition(".")[2] not in bounds)
        recipe = dataclasses.replace(recipe, options=kept, **{_RANGES[split.rsplit("_", 1)[-1]]: (low, high)})
    return recipe


def switch_task(recipe: TaskRecipe, task: str) -> TaskRecipe:
    """``recipe`` for another task: its own sizes and first wording, as many rows. ``ValueError`` if it is unknown."""
    wording, size = get_task(task).wordings[0], TaskRecipe() if task == "igsm" else DYVAL
    return dataclasses.replace(size, task=task, wording=wording, options=WORDING_OPTIONS.get(wording, ()),
                               sft_rows=recipe.sft_rows, rl_prompts=recipe.rl_prompts,
                               test_problems=recipe.test_problems)


def default_rows(recipe: TaskRecipe, split: str) -> int:
    """How many problems the profile has of ``split``."""
    return {"sft": recipe.sft_rows, "rl": recipe.rl_prompts}.get(split, recipe.test_problems)


def read_keys(files: Iterable[Path]) -> frozenset[str]:
    """The problem ids of all ``files`` that ``bi data`` has written; of the rows nothing else is kept."""
    return frozenset(row["problem_id"] for file in files for _, row in iterate_rows(file, {"problem_id": str}))


def fresh_told(
    recipe: TaskRecipe, split: str, seed: int, excluded: frozenset[str], tell: Callable[[Problem], Any], spread: Spread
) -> Iterator[Any]:
    """What ``tell`` makes of the problems of ``split`` whose key is not in ``excluded``: endless, one at a time."""
    return (made for key, made in split_told(recipe, split, seed, tell, spread) if key not in excluded)


def make_tally(tokenizer: str | None) -> Tally:
    """An empty tally that counts the tokens of ``tokenizer`` (the closing one too), or words if there is none."""
    if tokenizer is None:
        return Tally()
    prepare_torch()
    from bi.training.policy import encode_completion, load_tokenizer

    loaded = load_tokenizer(tokenizer)
    return Tally(lambda completion: len(encode_completion(loaded, completion)), "tokens")
