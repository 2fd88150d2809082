"""``bi rollouts``, ``bi influence`` and ``bi eval``: what a checkpoint does, as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bi.commands import options
from bi.commands.door import count_up, one_thread, say, show
from bi.commands.outputs import check_file_out, check_folder_out, leaves_nothing, names_of
from bi.commands.prompts import read_prompts
from bi.commands.recipe_options import replace_fields, takes
from bi.recipes import EvalRecipe, get_profile


@takes(EvalRecipe)
def rollouts(
    model: options.Model,
    data: options.PromptData,
    out: options.OutFile,
    limit: options.Limit = None,
    max_new_tokens: Annotated[int | None, typer.Option(
        min=1, help="Longest completion in tokens; by default GRPO's max_completion_length.")] = None,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
    changes: Any = None,
) -> None:
    """Sample completions of each prompt, judge them, and write one row per completion (parquet).

    A row holds the text, the verdict (answer, format, strict, first_error), the reward, the behaviours, the token ids
    and the log-probability. Sampling that was stopped goes on when the same command is given again.

    \b
    bi rollouts --model runs/x --data test.jsonl --samples 16 --out r.parquet
    """
    defaults = get_profile(profile)
    recipe = replace_fields(defaults.evaluation, changes)
    check_file_out(out, overwrite=overwrite)
    rows = read_prompts(data, limit)
    one_thread()
    from bi.training.policy import load_policy
    from bi.training.rollouts import make_rollouts

    longest = max_new_tokens or defaults.grpo.max_completion_length
    with leaves_nothing(out):
        table = make_rollouts(load_policy(model), rows, recipe.samples, max_new_tokens=longest, seed=seed,
                              temperature=recipe.temperature, batch_rows=recipe.batch_size, out=out)
    right, cut = table["answer"].mean(), 1 - table["finished"].mean()
    say(f"{out}: {recipe.samples} completions of {len(rows)} prompts; {right:.1%} are right, {cut:.1%} were cut after "
        f"{longest} tokens")


TABLE, ARRAYS = "influence.csv", "influence.npz"


def influence(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The checkpoint that made the rollouts.")],
    rollouts: Annotated[Path, typer.Argument(metavar="ROLLOUTS", help="Rollouts of the training prompts (parquet).")],
    out: options.OutFolder,
    target: Annotated[list[Path] | None, typer.Option(
        metavar="FILE", help="Rollouts of prompts that should improve; may be repeated. The training prompts "
                             "themselves are always one target.")] = None,
    lr: Annotated[float | None, typer.Option(
        help="Step size of one gradient step; by default the learning rate of GRPO.")] = None,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
) -> None:
    """Measure per-step influence: what one policy-gradient step on ROLLOUTS does to each target.

    --out gets influence.csv (a number a row, with its interval) and influence.npz (the matrices of prompt pairs). The
    rollouts must come from MODEL itself.

    \b
    bi influence runs/sft runs/rl.parquet --target runs/test.parquet --out runs/influence
    """
    recipe = get_profile(profile)
    check_folder_out(out, overwrite=overwrite, mark=TABLE)
    one_thread()
    from bi.training.rollouts import load_rollouts

    train = load_rollouts(rollouts)
    targets = {name: load_rollouts(path) for name, path in names_of(target or [], "--target").items()}
    import numpy as np

    from bi.files import atomic_folder
    from bi.influence.report import influence_report
    from bi.training.policy import load_policy

    policy = load_policy(model)
    report = influence_report(policy, train, targets, lr=lr if lr is not None else recipe.grpo.learning_rate, seed=seed,
                              resamples=recipe.influence.bootstrap, progress=count_up("prompt gradients"))
    with atomic_folder(out) as folder:
        report.table.to_csv(folder / TABLE, index=False, lineterminator="\n")
        np.savez(folder / ARRAYS, **report.arrays)
    for name, note in report.notes.items():
        say(f"{name}: {note}")
    show(report.table[["target", "metric", "value", "low", "high", "n", "unit"]])
    say(f"{out}: {TABLE} and {ARRAYS}")
