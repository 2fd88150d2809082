"""``bi sft`` and ``bi grpo``: checkpoints out of checkpoints. torch is imported when the work begins, not before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bi.commands import options
from bi.commands.door import prepare_torch, say
from bi.commands.outputs import check_run_folder, leaves_nothing, remove_old
from bi.commands.prompts import read_prompts
from bi.commands.recipe_options import replace_fields, takes
from bi.recipes import GRPORecipe, SFTRecipe, get_profile
from bi.records import PLAIN_ROW, read_rows

COMPLETE = "complete.json"
"""What the training stages write last into a finished folder."""


@takes(SFTRecipe)
def sft(
    model: options.Model,
    data: options.TrainData,
    out: options.OutFolder,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
    changes: Any = None,
) -> None:
    """Fine-tune a checkpoint on chains of thought (loss on the completion only).

    --out becomes a Hugging Face folder (model and tokenizer) with history.csv. A run that was stopped goes on from its
    last checkpoint when the same command is given again. Settings that are not given are the profile's.

    \b
    bi sft --model models/tiny-base --data data.jsonl --out runs/x
    bi sft --model models/tiny-base --data data.jsonl --out runs/y --epochs 5 --learning-rate 5e-4
    """
    recipe = replace_fields(get_profile(profile).sft, changes)
    check_run_folder(out, overwrite=overwrite, mark=COMPLETE)
    rows = read_rows(data, PLAIN_ROW)
    say_before(out, overwrite)
    prepare_torch()
    from bi.training.sft import train_sft

    if overwrite:
        remove_old(out)
    with leaves_nothing(out):
        train_sft(model, rows, recipe, seed, out)
    say(f"{out}: model, tokenizer and history.csv")


@takes(GRPORecipe)
def grpo(
    model: options.Model,
    data: options.PromptData,
    out: options.OutFolder,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
    changes: Any = None,
) -> None:
    """Train a checkpoint by reinforcement learning (GRPO) on prompts with a verifiable answer.

    --out becomes a Hugging Face folder (model and tokenizer) with history.csv (one row a step), rollout_accuracy.csv
    (how many rollouts of each prompt were right, by step) and timings.csv. A run that was stopped goes on from its last
    checkpoint when the same command is given again. Settings that are not given are the profile's.

    \b
    bi grpo --model runs/x --data rl.jsonl --out runs/y
    bi grpo --model runs/x --data rl.jsonl --steps 50 --prompts 8 --rollouts 8 --out runs/z
    """
    recipe = replace_fields(get_profile(profile).grpo, changes)
    check_run_folder(out, overwrite=overwrite, mark=COMPLETE)
    rows = read_prompts(data, limit)
    say_before(out, overwrite)
    prepare_torch()
    from bi.training.grpo import train_grpo

    if overwrite:
        remove_old(out)
    with leaves_nothing(out):
        train_grpo(model, rows, recipe, seed, out)
    say(f"{out}: model, tokenizer, history.csv and rollout_accuracy.csv")


def say_before(out: Path, overwrite: bool) -> None:
    """Say what is there already: a finished run, or one to go on with."""
    if (out / COMPLETE).is_file() and not overwrite:
        say(f"{out} holds a finished run; if it is this one there is nothing to do")
    elif next(out.parent.glob(f"{out.name}.partial/checkpoint-*"), None) is not None:
        say(f"{out}.partial holds checkpoints; if they are of this run, it goes on from the last")
