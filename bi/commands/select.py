"""``bi select``: rejection sampling, from a table of rollouts to prompts for RL or to rows for SFT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bi.augmentation.wording import WORDINGS, get_wording
from bi.commands import options
from bi.commands.door import prepare_torch, say
from bi.commands.outputs import check_file_out
from bi.recipes import get_profile
from bi.records import write_rows


def select(
    rollouts: Annotated[Path, typer.Argument(metavar="ROLLOUTS", help="Rollouts of the prompts (parquet).")],
    out: options.OutFile,
    completions: Annotated[int | None, typer.Option(
        min=1, help="Write rows for SFT: up to so many right completions of each prompt (arm `rejection`). By default "
                    "prompts for RL are written.")] = None,
    above: Annotated[float, typer.Option(min=0, max=1, help="Keep prompts whose accuracy is higher than this.")] = 0.0,
    below: Annotated[float, typer.Option(min=0, max=1, help="Keep prompts whose accuracy is lower than this.")] = 1.0,
    strict: Annotated[bool, typer.Option(
        "--strict", help="With --completions: every step must be right, not the answer alone.")] = False,
    wording: Annotated[str | None, typer.Option(
        metavar="NAME", help=f"Wording of the prompts, {' or '.join(WORDINGS)}; by default the profile's.")] = None,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
) -> None:
    """Keep the prompts that a checkpoint solves sometimes, or its right completions of them.

    A prompt that is always solved, or never, gives group-relative RL no gradient. --out is JSON Lines, as `bi data`
    writes them.

    \b
    bi select runs/rollouts.parquet --out runs/rl_mixed.jsonl
    bi select runs/rollouts.parquet --completions 1 --above 0.2 --below 0.8 --out runs/sft_rejection.jsonl
    """
    words = wording or get_profile(profile).task.wording
    get_wording(words)
    if strict and completions is None:
        raise ValueError("--strict is given, but prompts for RL hold no steps; add --completions, or drop it")
    check_file_out(out, overwrite=overwrite)
    prepare_torch()
    from bi.evaluation.metrics import problem_counts
    from bi.evaluation.selection import completion_rows, mixed_rollouts, prompt_rows
    from bi.training.rollouts import load_rollouts

    table = load_rollouts(rollouts)
    kept = mixed_rollouts(table, above, below)
    if completions is None:
        rows = prompt_rows(kept, words)
    else:
        rows = completion_rows(kept, words, completions, strict=strict)
    count = write_rows(out, rows)
    accuracy = problem_counts(table)["accuracy"]
    say(f"{out}: {count} rows of {kept['problem_id'].nunique()} prompts with an accuracy between {above:g} and "
        f"{below:g}, of {len(accuracy)} in all ({(accuracy == 0).sum()} never solved, {(accuracy == 1).sum()} always)")
