"""``bi sft`` and ``bi grpo``: checkpoints out of checkpoints. torch is imported when the work begins, not before."""

from __future__ import annotations

from typing import Any

from bi.commands import options
from bi.commands.door import one_thread, say
from bi.commands.outputs import check_folder_out, remove_old
from bi.commands.recipe_options import replace_fields, takes
from bi.recipes import SFTRecipe, get_profile
from bi.records import PLAIN_ROW, read_rows

COMPLETE = "complete.json"


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
    """Fine-tune a checkpoint on prompts and completions (loss on the completion only).

    --out becomes a Hugging Face folder (model and tokenizer) with history.csv. A run that was stopped goes on from its
    last checkpoint when the same command is given again. Settings not given are the profile's.

    \b
    bi sft --model models/tiny-base --data data.jsonl --out runs/x
    bi sft --model models/tiny-base --data data.jsonl --out runs/y --epochs 5 --learning-rate 5e-4
    """
    recipe = replace_fields(get_profile(profile).sft, changes)
    check_folder_out(out, overwrite=overwrite, mark=COMPLETE)
    rows = read_rows(data, PLAIN_ROW)
    one_thread()
    from bi.training.sft import train_sft

    remove_old(out)
    train_sft(model, rows, recipe, seed, out)
    say(f"{out}: checkpoint trained on {len(rows)} rows; its losses are in {out / 'history.csv'}")
