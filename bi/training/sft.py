"""Supervised fine-tuning with TRL's ``SFTTrainer``: loss on the completion (its eos token included) and nothing else.

Rows are encoded here, by the functions that also encode prompts for sampling, and reach the trainer as token ids with
labels; TRL's own tokenisation would encode prompt and completion together, and may then merge tokens across the border.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, TrainingArguments
from trl import SFTConfig, SFTTrainer

from bi.progress import Progress
from bi.recipes import SFTRecipe, digest
from bi.training.checkpoints import (
    RunCallbacks,
    clear_disk_errors,
    last_complete,
    open_run,
    publish,
    require_training_space,
)
from bi.training.policy import (
    Policy,
    check_lengths,
    default_device,
    digest_rows,
    encode_completion,
    encode_prompt,
    fingerprint,
    load_config,
    load_policy,
    needs_checkpointing,
    quiet_libraries,
)

IGNORED = -100  # label of a token that carries no loss
HISTORY = {"loss": "loss", "mean_token_accuracy": "token_accuracy", "entropy": "entropy", "grad_norm": "grad_norm",
           "learning_rate": "lr"}


def micro_batches(batch_size: int, micro_batch_size: int, processes: int = 1) -> tuple[int, int]:
    """``(micro_batch, accumulation)`` with ``micro_batch * accumulation * processes == batch_size``.

    The micro-batch is the largest divisor that does not exceed ``micro_batch_size``. Raises ``ValueError`` if the batch
    cannot be shared equally among the processes.
    """
    if batch_size < 1 or micro_batch_size < 1 or batch_size % processes:
        raise ValueError(f"batch_size {batch_size}, micro_batch_size {micro_batch_size}, {processes} processes: both "
                         "sizes must be positive and the batch a multiple of the processes")
    share = batch_size // processes
    micro = max(size for size in range(1, min(micro_batch_size, share) + 1) if share % size == 0)
    return micro, share // micro


def sft_config(
    recipe: SFTRecipe,
    out: str | os.PathLike[str],
    *,
    seed: int,
    device: str = "cpu",
    processes: int = 1,
    recompute: bool = False,
) -> SFTConfig:
    """TRL's configuration for ``recipe``: bfloat16 autocast on a GPU, float32 on a CPU (``device`` is its type)."""
    micro, accumulation = micro_batches(recipe.batch_size, recipe.micro_batch_size, processes)
    return SFTConfig(
        output_dir=os.fspath(out),
        seed=seed,
        data_seed=seed,
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.scheduler,
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        weight_decay=recipe.weight_decay,
        max_grad_norm=1.0,
        max_length=recipe.max_length,
        completion_only_loss=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        save_strategy="steps",
        save_steps=recipe.save_every,
        **common_settings(device, recompute),
    )


def common_settings(device: str, recompute: bool) -> dict[str, Any]:
    """Trainer settings that every stage shares: number format by device, a record of each step, no reports."""
    # transformers renames the field: the old name warns where the new one exists
    renamed = any(field.name == "activation_checkpointing" for field in fields(TrainingArguments))
    return {
        "activation_checkpointing" if renamed else "gradient_checkpointing": recompute,
        "use_cpu": device == "cpu",
        "bf16": device != "cpu",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "dataloader_pin_memory": device != "cpu",
        "ddp_find_unused_parameters": False,
        "save_total_limit": None,  # old checkpoints are removed once the new one is complete, not before
    }


def encode_rows(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, list[int]]]:
    """``input_ids`` and ``labels`` of each row; labels of the prompt are ``IGNORED``, the eos token is learnt."""
    encoded = []
    for row in rows:
        prompt = encode_prompt(tokenizer, row["prompt"])
        completion = encode_completion(tokenizer, row["completion"])
        encoded.append({"input_ids": prompt + completion, "labels": [IGNORED] * len(prompt) + completion})
    return encoded


def train_sft(
    policy_path: str | os.PathLike[str],
    rows: Sequence[Mapping[str, Any]],
    recipe: SFTRecipe,
    seed: int,
    out: str | os.PathLike[str],
    *,
    progress: bool = True,
) -> Path:
    """Fine-tune the policy at ``policy_path`` on ``rows`` (``prompt``, ``completion``) and return the folder ``out``.

    ``out`` becomes a Hugging Face folder with ``history.csv`` and, written last, ``complete.json``; a finished run is
    returned as it is. A killed run continues from its last complete checkpoint with the same bits as one that was not
    killed (one CPU thread). Raises ``ValueError`` for bad rows or models before training, ``OSError`` for a full disk,
    ``FloatingPointError`` if the loss is not finite.
    """
    quiet_libraries()
    out = Path(out)
    args = sft_config(recipe, out.with_name(out.name + ".partial"), seed=seed, device=default_device().type,
                      processes=int(os.environ.get("WORLD_SIZE", "1")),
                      recompute=needs_checkpointing(load_config(policy_path)))
    _check_rows(rows)
    identity = {"stage": "sft", "policy": fingerprint(policy_path), "rows": digest_rows(rows), "recipe": digest(recipe),
                "seed": seed}
    with args.main_process_first(local=False):
        work = open_run(out, identity)
    if work is None:
        return out
    policy = load_policy(policy_path, dtype=torch.float32, device=args.device)
    trainer = build_sft_trainer(policy, rows, args, progress=progress)
    with clear_disk_errors(work):
        require_training_space(work, policy.model)
        resume = last_complete(work)
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        if args.should_save:
            publish(out, policy.model, policy.tokenizer, {"history.csv": history(trainer)}, identity)
        trainer.accelerator.wait_for_everyone()
    return out


class _SFTTrainer(RunCallbacks, SFTTrainer):
    """TRL's trainer with marked checkpoints and finite losses."""


def build_sft_trainer(policy: Policy, rows: Sequence[Mapping[str, Any]], args: SFTConfig, *,
                      progress: bool = False) -> SFTTrainer:
    """TRL's trainer over encoded rows; raises ``ValueError`` that names a row longer than recipe or context allow."""
    encoded = encode_rows(policy.tokenizer, rows)
    names = [str(row.get("id", index)) for index, row in enumerate(rows)]
    lengths = [(name, len(row["input_ids"])) for name, row in zip(names, encoded, strict=True)]
    check_lengths(lengths, policy.context, "context of the model")
    check_lengths(lengths, args.max_length, "max_length of the SFT recipe")
    trainer = _SFTTrainer(model=policy.model, args=args, train_dataset=Dataset.from_list(encoded),
                          processing_class=policy.tokenizer)
    batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    updates = math.ceil(len(encoded) / batch) * math.ceil(args.num_train_epochs)
    trainer.quieten(Progress(updates, "SFT step") if progress and args.should_save else None)
    return trainer


def history(trainer: SFTTrainer) -> pd.DataFrame:
    """One row per update: step, epoch, loss, token accuracy, entropy, norm of the gradient before clipping, lr."""
    records = [entry for entry in trainer.state.log_history if "loss" in entry]
    columns = {"step": [entry["step"] for entry in records], "epoch": [entry["epoch"] for entry in records]}
    return pd.DataFrame({**columns, **{name: [entry[key] for entry in records] for key, name in HISTORY.items()}})


def _check_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        raise ValueError("rows is empty; SFT needs at least one row with prompt and completion")
    for index, row in enumerate(rows):
        for column in ("prompt", "completion"):
            if not isinstance(row.get(column), str) or not row[column]:
                raise ValueError(f"row {row.get('id', index)}: column {column!r} is {row.get(column)!r}; give a text")
