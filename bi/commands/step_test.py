"""``bi step-test``: does the predicted change of accuracy come true on a checkpoint of your own?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from bi.commands import options
from bi.commands.door import prepare_torch, say, show
from bi.commands.outputs import check_folder_out
from bi.commands.prompts import read_prompts
from bi.commands.recipe_options import replace_fields, takes
from bi.recipes import StepTestRecipe, digest, get_profile

TABLE, FIGURE = "steps.csv", "steps.png"


@takes(StepTestRecipe)
def step_test(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The checkpoint that takes the steps.")],
    train: Annotated[Path, typer.Option(
        metavar="FILE", help="Training prompts (made by `bi data --prompts-only`).")],
    target: Annotated[Path, typer.Option(
        metavar="FILE", help="Held-out prompts, some to choose the sets by and others to measure on.")],
    out: options.OutFolder,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
    changes: Any = None,
) -> None:
    """Take real optimiser steps and compare the change of held-out accuracy with the one that co-influence predicts.

    Training prompts are sorted into a set of high and a set of low influence with the same rollout accuracies; a step
    is taken on each, by gradient ascent and by Adam, in several sizes. --out gets steps.csv, step_contrasts.csv (high
    minus low), step_prompts.csv and steps.png. The checkpoint is not changed. A run that was stopped goes on where it
    was.

    \b
    bi step-test runs/sft --train runs/rl.jsonl --target runs/dev.jsonl --out runs/steps
    """
    defaults = get_profile(profile)
    recipe = replace_fields(defaults.step_test, changes)
    check_folder_out(out, overwrite=overwrite, mark=TABLE)
    rows = read_prompts(train, recipe.train_prompts)
    held = read_prompts(target, recipe.select_prompts + recipe.target_prompts)
    prepare_torch()
    from bi import influence_figures
    from bi.files import atomic_folder
    from bi.influence.step_test import check_rows, run_step_test
    from bi.training.policy import fingerprint, load_policy

    check_rows(rows, held, recipe)
    partial = out.with_name(out.name + ".partial")
    work = partial / digest([recipe, fingerprint(model), rows, held, seed])
    work.mkdir(parents=True, exist_ok=True)
    tables = run_step_test(load_policy(model), rows, held, recipe, seed=seed, work=work, say=say,
                           max_new_tokens=defaults.grpo.max_completion_length)
    with atomic_folder(out) as folder:
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        influence_figures.save(lambda: influence_figures.predicted_and_measured(tables["steps"]), folder / FIGURE)
    shutil.rmtree(partial)
    show(tables["step_contrasts"])
    say(f"{out}: {', '.join(f'{name}.csv' for name in tables)} and {FIGURE}")
