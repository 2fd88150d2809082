"""Group relative policy optimisation: a recipe, prompts and a checkpoint in, a checkpoint and its history out.

TRL's ``GRPOTrainer`` trains (see :mod:`bi.training.grpo_trainer` for the seams used). With ``loss_type="grpo"`` the
loss is the mean over completions of the mean over their tokens, so a completion of |o| tokens moves the policy by

    A(q, o) / |o| * grad log pi(o|q),    A = (r - mean r) / (std r + 1e-4), std over the group with N - 1,

and a short completion weighs more per token than a long one. ``"dr_grpo"`` divides by the largest length instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from trl import GRPOConfig

from bi.progress import Progress
from bi.recipes import GRPORecipe, digest
from bi.streams import stream
from bi.training.checkpoints import (
    KeepPolicies,
    clear_disk_errors,
    last_complete,
    open_run,
    publish,
    require_training_space,
)
from bi.training.grpo_trainer import RolloutGRPOTrainer
from bi.training.policy import (
    Policy,
    check_lengths,
    default_device,
    digest_rows,
    fingerprint,
    load_config,
    load_policy,
    needs_checkpointing,
    quiet_libraries,
)
from bi.training.rollouts import encode_rows
from bi.training.sft import common_settings, micro_batches

HISTORY = {
    "reward": "reward", "reward_std": "reward_std", "rollout_accuracy": "rollout_accuracy", "strict": "strict",
    "format": "format", "completions/mean_length": "completion_length", "completions/clipped_ratio": "truncated",
    "entropy": "entropy", "frac_reward_zero_std": "frac_reward_zero_std", "kl": "kl", "masked": "masked",
    "sampler_gap": "sampler_gap",
    "n_reflection": "n_reflection", "n_analysis": "n_analysis", "n_subgoal": "n_subgoal", "grad_norm": "grad_norm",
    "learning_rate": "lr",
}
COLUMNS = ("problem_id", "prompt", "wording")


def grpo_config(
    recipe: GRPORecipe,
    out: str | os.PathLike[str],
    *,
    seed: int,
    device: str = "cpu",
    processes: int = 1,
    recompute: bool = False,
) -> GRPOConfig:
    """TRL's configuration for ``recipe``: one on-policy update per ``prompts`` x ``rollouts`` completions.

    AdamW (.9, .999) without weight decay at a constant learning rate. bfloat16 autocast on a GPU, float32 on a CPU.
    Raises ``ValueError`` for a recipe that cannot be run.
    """
    check_recipe(recipe)
    micro, accumulation = micro_batches(recipe.prompts * recipe.rollouts, recipe.micro_batch_size, processes)
    return GRPOConfig(
        output_dir=os.fspath(out),
        seed=seed,
        data_seed=seed,
        max_steps=recipe.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation,
        num_generations=recipe.rollouts,
        num_iterations=1,
        max_completion_length=recipe.max_completion_length,
        temperature=recipe.temperature,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="constant",
        max_grad_norm=recipe.max_grad_norm,
        epsilon=recipe.epsilon,
        beta=recipe.beta,
        loss_type=recipe.loss_type,
        scale_rewards=recipe.scale_rewards,
        shuffle_dataset=False,  # the order of the prompts is ours, see prompt_order
        remove_unused_columns=False,
        log_completions=False,
        save_strategy="steps",
        save_steps=recipe.save_every,
        **common_settings(device, recompute),
    )


def check_recipe(recipe: GRPORecipe) -> None:
    """Raise ``ValueError`` naming the field of a recipe that cannot be run."""
    for name in ("prompts", "steps", "max_prompt_length", "max_completion_length", "save_every"):
        if getattr(recipe, name) < 1:
            raise ValueError(f"{name} is {getattr(recipe, name)}; it must be at least 1")
    if recipe.rollouts < 2:
        raise ValueError(f"rollouts is {recipe.rollouts}; an advantage compares at least 2 rollouts of a prompt")
    if recipe.temperature <= 0:
        raise ValueError(f"temperature is {recipe.temperature}; rollouts need a positive one")
    if recipe.max_sample_kl is not None and recipe.beta == 0:
        raise ValueError(f"max_sample_kl is {recipe.max_sample_kl} but beta is 0: without a KL term there is no "
                         "reference policy; set beta, or max_sample_kl to None")


def prompt_order(n_rows: int, prompts: int, steps: int, seed: int) -> list[int]:
    """Row of each prompt of each step, ``steps * prompts`` of them: every pass over the rows in an order of its own.

    A pass leaves out what does not fill a step. The order depends on the numbers and the seed alone, so arms that share
    their rows train on the same prompts at the same steps.
    """
    order: list[int] = []
    for epoch in range(-(-steps // (n_rows // prompts))):
        rows = list(range(n_rows))
        stream(seed, "grpo order", epoch).shuffle(rows)
        order += rows[:n_rows // prompts * prompts]
    return order[:steps * prompts]


def train_grpo(
    policy_path: str | os.PathLike[str],
    rows: Sequence[Mapping[str, Any]],
    recipe: GRPORecipe,
    seed: int,
    out: str | os.PathLike[str],
    wording: str | None = None,
    *,
    keep_every: int = 0,
    progress: bool = True,
) -> Path:
    """Train the policy at ``policy_path`` on the prompts of ``rows`` and return the folder ``out``.

    ``rows`` have ``problem_id``, ``prompt`` and ``wording`` (or all of them the given one). ``out`` becomes a Hugging
    Face folder with ``history.csv`` (one row a step), ``rollout_accuracy.csv`` (step, problem_id, n, correct),
    ``timings.csv`` (wall times, which differ from run to run) and, written last, ``complete.json``. With ``keep_every``
    the policies on the way stay too (:func:`bi.training.checkpoints.kept_policy`), every so many steps. A killed run
    continues from its last complete checkpoint with the same bits as one that was not killed (one CPU thread). Raises
    ``ValueError`` for bad rows, recipes or models before training, ``OSError`` for a full disk, ``FloatingPointError``
    if the loss is not finite. In the history, ``truncated`` is the share of completions without an end, ``masked`` the
    share taken out for their KL, ``sampler_gap`` the mean difference per token, in nats, between the log-probabilities
    of the sampler and those of the training pass (rounding in float32; what is off-policy with a bfloat16 sampler).
    """
    quiet_libraries()
    out = Path(out)
    args = grpo_config(recipe, out.with_name(out.name + ".partial"), seed=seed, device=default_device().type,
                       processes=int(os.environ.get("WORLD_SIZE", "1")),
                       recompute=needs_checkpointing(load_config(policy_path)))
    rows = [{**row, "wording": wording or row.get("wording")} for row in rows]
    check_count(rows, recipe)
    policy = load_policy(policy_path, dtype=torch.float32, device=args.device)
    prompts = check_prompts(policy, rows, recipe)
    plain = [{name: row[name] for name in COLUMNS} for row in rows]
    identity = {"stage": "grpo", "policy": fingerprint(policy_path), "rows": digest_rows(plain),
                "recipe": digest(recipe), "seed": seed}
    with args.main_process_first(local=False):
        work = open_run(out, identity)
    if work is None:
        return out
    trainer = build_grpo_trainer(policy, plain, prompts, recipe, args, progress=progress)
    with clear_disk_errors(work):
        require_training_space(work, policy.model)
        resume = last_complete(work)
        if keep_every:
            trainer.add_callback(KeepPolicies(work, keep_every, policy.tokenizer))
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        if args.should_save:
            publish(out, policy.model, policy.tokenizer, tables(trainer), identity)
        trainer.accelerator.wait_for_everyone()
    return out


def check_count(rows: Sequence[Mapping[str, Any]], recipe: GRPORecipe) -> None:
    """Raise ``ValueError`` unless the rows fill one step."""
    if len(rows) < recipe.prompts:
        raise ValueError(f"{len(rows)} rows do not fill a step of {recipe.prompts} prompts; give more rows or lower "
                         "prompts")


def check_prompts(policy: Policy, rows: Sequence[Mapping[str, Any]], recipe: GRPORecipe) -> dict[str, list[int]]:
    """Token ids of each prompt text; raises ``ValueError`` that names a row longer than recipe or context allow."""
    encoded = encode_rows(policy, rows)
    named = [(str(row["problem_id"]), len(ids)) for row, ids in zip(rows, encoded, strict=True)]
    check_lengths(named, recipe.max_prompt_length, "max_prompt_length of the GRPO recipe")
    return {row["prompt"]: ids for row, ids in zip(rows, encoded, strict=True)}


def build_grpo_trainer(
    policy: Policy,
    rows: Sequence[Mapping[str, Any]],
    prompts: Mapping[str, list[int]],
    recipe: GRPORecipe,
    args: GRPOConfig,
    *,
    progress: bool = False,
) -> RolloutGRPOTrainer:
    """TRL's trainer over the rows in the order of :func:`prompt_order`."""
    order = prompt_order(len(rows), recipe.prompts, recipe.steps, args.seed)
    dataset = Dataset.from_list([{name: rows[index][name] for name in COLUMNS} for index in order])
    trainer = RolloutGRPOTrainer(policy, prompts, args, dataset, format_reward=recipe.format_reward,
                                 max_sample_kl=recipe.max_sample_kl)
    trainer.quieten(Progress(recipe.steps, "GRPO step") if progress and args.should_save else None)
    return trainer


def tables(trainer: RolloutGRPOTrainer) -> dict[str, pd.DataFrame]:
    """The run's tables by file name: ``history.csv``, ``rollout_accuracy.csv``, ``timings.csv``."""
    records = [entry for entry in trainer.state.log_history if "problems" in entry]
    history = {name: [entry.get(key) for entry in records] for key, name in HISTORY.items()}
    steps = [entry["step"] for entry in records]
    problems: list[Any] = [entry["problems"] for entry in records]
    counted = [(step, *counts) for step, found in zip(steps, problems, strict=True) for counts in found]
    timings = {name: [entry[key] for entry in records]
               for key, name in (("step_time", "seconds"), ("generate_seconds", "generate_seconds"))}
    sometimes = dict.fromkeys(("kl", "masked", "sampler_gap"), float)
    return {
        "history.csv": pd.DataFrame({"step": steps, **history}).astype(sometimes),
        "rollout_accuracy.csv": pd.DataFrame(counted, columns=["step", "problem_id", "n", "correct"]),
        "timings.csv": pd.DataFrame({"step": steps, **timings}),
    }
