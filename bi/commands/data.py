"""``bi data`` and ``bi inject``: problems and their chains of thought as JSON Lines. No torch here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from bi.commands import options
from bi.commands.door import progress, say
from bi.commands.outputs import check_file_out
from bi.commands.recipe_options import replace_fields, takes
from bi.recipes import ARMS, BehaviorRates, TaskRecipe, get_profile
from bi.records import write_rows

TASKS = ("igsm",)
SPLITS = ("sft", "rl", "dev", "test_id", "test_ood")


@takes(BehaviorRates)
def data(
    out: options.OutFile,
    arm: options.Arm = None,
    prompts_only: Annotated[bool, typer.Option(
        "--prompts-only", help="Questions and answers alone, for RL and for tests; in place of --arm.")] = False,
    task: Annotated[str | None, typer.Option(metavar="NAME", help=f"Kind of problem: {', '.join(TASKS)}.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Number of base problems; default: as in the profile.")] = None,
    min_ops: Annotated[int | None, typer.Option(help="Fewest operations; default: the profile's for the split.")] = None,
    max_ops: Annotated[int | None, typer.Option(help="Most operations.")] = None,
    wording: Annotated[str | None, typer.Option(
        metavar="NAME", help="compact (one token a word, for tiny models) or english.")] = None,
    split: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"Which problems: {', '.join(SPLITS)}. Splits of one seed share no problem. "
                             "Default: sft with --arm, rl with --prompts-only.")] = None,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
    changes: Any = None,
) -> None:
    """Write problems with chains of thought (--arm) or without (--prompts-only) as JSON Lines.

    All arms of one seed hold the same problems, row by row. The behaviours' rates are the profile's unless given.

    \b
    bi data --task igsm --arm bridge --rows 2000 --min-ops 15 --max-ops 20 \\
        --wording english --seed 0 --out data.jsonl
    bi data --prompts-only --split test_id --rows 300 --out test.jsonl
    """
    recipe = get_profile(profile)
    if (arm is None) != prompts_only:
        raise ValueError("say what to write: --arm NAME for chains of thought, or --prompts-only for questions alone")
