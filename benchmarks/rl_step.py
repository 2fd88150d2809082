"""Seconds per GRPO step: the project's trainer against stock ``GRPOTrainer`` with its own ``generate``.

Both take the same model, prompts, reward and TRL settings; their steps alternate in one process with one thread, so
that what else runs on the machine hits both alike. Times are processor time unless ``--clock wall`` is given. On the
project's rollouts both then compute log-probabilities and advantages, which must agree up to float32 rounding. The
floor of a step counts the operations that nobody can avoid (:func:`floor_seconds`), at the speed of a matrix product of
the model's width that is measured beside every step.

    python benchmarks/rl_step.py                       # starts from a short SFT of models/tiny-base
    python benchmarks/rl_step.py --model runs/x --steps 5
    python benchmarks/rl_step.py --steps 9 --write     # keeps the table, beside the rows of other processors
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import torch
from datasets import Dataset
from floor import matrix_parameters, product_speed
from keep import beside_others
from trl import GRPOTrainer

from bi.augmentation.arms import build_problems, build_rows, prompt_row
from bi.provenance import provenance, write_table
from bi.recipes import PROFILES, GRPORecipe, digest
from bi.training.grpo import build_grpo_trainer, check_prompts, grpo_config
from bi.training.grpo_trainer import Judge
from bi.training.policy import encode_prompt, format_prompt, load_policy, quiet_libraries
from bi.training.sft import train_sft

TABLE = Path("results/benchmarks/rl_step.csv")
PARTS = ("generate", "forward", "backward", "reward")
Measured = dict[tuple[str, str], list[float]]
"""By trainer and quantity, one value a step."""
CLOCKS: dict[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}


class Stopwatch:
    """Time spent in named methods of an object."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives the time in seconds."""
        self.clock, self.spent = clock, defaultdict(float)

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Add the time of every call of ``owner.method`` to ``name``."""
        inner = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = self.clock()
            try:
                return inner(*args, **kwargs)
            finally:
                self.spent[name] += self.clock() - began

        setattr(owner, method, timed)


def step(trainer: GRPOTrainer, inputs: list[dict[str, Any]]) -> None:
    """One update's work (rollouts, rewards, forward, backward) without changing the weights."""
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    for _ in range(trainer.args.gradient_accumulation_steps):
        trainer.training_step(trainer.model, inputs, None)
    trainer.model.zero_grad()


def watched(trainer: GRPOTrainer, generate: str, clock: Callable[[], float]) -> Stopwatch:
    """A stopwatch on the parts of a trainer's step."""
    watch = Stopwatch(clock)
    watch.watch(trainer, generate, "generate")
    watch.watch(trainer, "_calculate_rewards", "reward")
    watch.watch(trainer, "_compute_loss", "forward")
    watch.watch(trainer.accelerator, "backward", "backward")
    return watch


@contextmanager
def checkpoint(model: str | None, rows: int) -> Iterator[str]:
    """``model``, or a short SFT of the base model."""
    if model:
        yield model
        return
    profile = PROFILES["cpu"]
    task = dataclasses.replace(profile.task, sft_rows=rows)
    with tempfile.TemporaryDirectory() as folder:
        data = build_rows(build_problems(task, "sft", rows, 0), "bridge", task, profile.rates, 0)
        yield str(train_sft(profile.models[0].name, data, profile.sft, 0, Path(folder) / "sft"))


def make_trainers(model: str, recipe: GRPORecipe, rows: list[dict[str, Any]], folder: str) -> dict[str, GRPOTrainer]:
    """The project's trainer and the stock one, each with a model of its own."""
    ours = load_policy(model, dtype=torch.float32)
    stock = load_policy(model, dtype=torch.float32)
    prompts = check_prompts(ours, rows, recipe)
    mine = build_grpo_trainer(ours, rows, prompts, recipe, grpo_config(recipe, folder, seed=0))
    formatted = [{**row, "prompt": format_prompt(stock.tokenizer, row["prompt"])} for row in rows]
    theirs = GRPOTrainer(model=stock.model, reward_funcs=Judge(stock, recipe.format_reward),
                         train_dataset=Dataset.from_list(formatted), args=grpo_config(recipe, folder, seed=0),
                         processing_class=stock.tokenizer)
    return {"ours": mine, "stock": theirs}


def agreement(trainers: dict[str, GRPOTrainer], inputs: list[dict[str, Any]]) -> dict[str, float]:
    """Differences between the project (sampler, training pass) and stock on the project's rollouts."""
    ours, stock = trainers["ours"], trainers["stock"]
    for trainer in (ours, stock):
        trainer.model.train()
    batch = ours._generate_and_score_completions([dict(row) for row in inputs])
    inside = batch["completion_mask"].bool()
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        mine, theirs = (trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, inside.shape[1])[0]
                        for trainer in (ours, stock))
    gaps = torch.cat([(mine - theirs)[inside], (batch["sampling_per_token_logps"] - theirs)[inside]]).abs()

    def unpadded(name: str, kept: str) -> list[list[Any]]:
        return [row[on.bool()].tolist() for row, on in zip(batch[name], batch[kept], strict=True)]

    stock.rollout_func = lambda prompts, trainer: {
        "prompt_ids": unpadded("prompt_ids", "prompt_mask"),
        "completion_ids": unpadded("completion_ids", "completion_mask"),
        "logprobs": unpadded("sampling_per_token_logps", "completion_mask")}
    again = stock._generate_and_score_completions([dict(row) for row in inputs])
    stock.rollout_func = None
    return {"advantages": (again["advantages"] - batch["advantages"]).abs().max().item(),
            "logprob_median": gaps.median().item(), "logprob_largest": gaps.max().item()}


def main() -> None:
    """Run the comparison and print seconds, shares and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="checkpoint folder (default: a short SFT of models/tiny-base)")
    parser.add_argument("--steps", type=int, default=3, help="steps of each trainer")
    parser.add_argument("--sft-rows", type=int, default=1000, help="rows of the short SFT")
    parser.add_argument("--clock", choices=CLOCKS, default="cpu")
    parser.add_argument("--write", action="store_true", help=f"keep the comparison as {TABLE}")
    options = parser.parse_args()
    if options.write and (options.model or options.clock != "cpu"):
        raise SystemExit("--write keeps processor time from the default checkpoint: leave out --model and --clock")
    torch.set_num_threads(1)
    quiet_libraries()
    profile, began = PROFILES["cpu"], time.monotonic()
    recipe = profile.grpo
    task = dataclasses.replace(profile.task, rl_prompts=recipe.prompts * (options.steps + 1))
    rows = [prompt_row(problem, task) for problem in build_problems(task, "rl", task.rl_prompts, 0)]
    with checkpoint(options.model, options.sft_rows) as model, tempfile.TemporaryDirectory() as folder:
        trainers = make_trainers(model, recipe, rows, folder)
        batches = [[dict(row) for row in rows[at:at + recipe.prompts] for _ in range(recipe.rollouts)]
                   for at in range(0, len(rows), recipe.prompts)]
        gaps = agreement(trainers, batches[0])
        watches = {"ours": watched(trainers["ours"], "draw", CLOCKS[options.clock]),
                   "stock": watched(trainers["stock"], "_generate_single_turn", CLOCKS[options.clock])}
        table = tabulate(measure(trainers, watches, batches[1:], options.clock), gaps)
    print(f"{recipe.prompts} prompts x {recipe.rollouts} rollouts a step, {options.clock} time")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    if options.write:
        facts = provenance("cpu", [0], digest([profile.grpo, profile.sft, options.sft_rows]), time.monotonic() - began)
        write_table(TABLE, beside_others(table, TABLE, facts), facts)
        print(f"wrote {TABLE}")


def measure(trainers: dict[str, GRPOTrainer], watches: dict[str, Stopwatch], batches: list[list[dict[str, Any]]],
            clock: str) -> Measured:
    """Alternate the trainers over ``batches``: seconds of each part, tokens, and the share of the floor, by step."""
    found: Measured = defaultdict(list)
    width = trainers["ours"].model.config.hidden_size
    for batch in batches:
        for name, trainer in trainers.items():
            speed, before, began = product_speed(width), dict(watches[name].spent), CLOCKS[clock]()
            step(trainer, [dict(row) for row in batch])
            seconds = CLOCKS[clock]() - began
            parts = {part: watches[name].spent[part] - before.get(part, 0.0) for part in PARTS}
            tokens = trainer._metrics["train"]["completions/mean_length"][-1]
            for quantity, value in {**parts, "other": seconds - sum(parts.values()), "step": seconds, "tokens": tokens,
                                    "tokens_per_s": tokens * len(batch) / parts["generate"],
                                    "floor_share": floor_seconds(trainer, batch, tokens, speed) / seconds}.items():
                found[name, quantity].append(value)
    pairs = list(zip(found["ours", "step"], found["stock", "step"], strict=True))
    lengths = list(zip(found["ours", "tokens"], found["stock", "tokens"], strict=True))
    found["ratio", "step"] = [stock / ours for ours, stock in pairs]
    found["ratio", "step_at_equal_tokens"] = [stock / ours * mine / theirs for (ours, stock), (mine, theirs)
                                              in zip(pairs, lengths, strict=True)]
    return found


def floor_seconds(trainer: GRPOTrainer, batch: list[dict[str, Any]], tokens: float, speed: float) -> float:
    """The least time of a step at ``speed`` operations a second, with ``tokens`` a completion on average.

    For each parameter of a matrix 2 operations a token to sample and 6 to train, attention's own 4 and 12 times the
    width a layer for each pair of tokens that see one another. A prompt is read once for all of its completions, and
    groups without signal, known from the trainer's last step, are not trained on.
    """
    config, tokenizer = trainer.model.config, trainer.processing_class
    prompts = [len(encode_prompt(tokenizer, text)) for text in dict.fromkeys(row["prompt"] for row in batch)]
    inside = sum(prompts) + len(batch) * tokens
    pairs = sum(length**2 / 2 for length in prompts)
    pairs += len(batch) * (tokens * sum(prompts) / len(prompts) + tokens**2 / 2)
    once = 2 * matrix_parameters(trainer.model) * inside + 4 * config.hidden_size * config.num_hidden_layers * pairs
    signal = 1 - trainer._metrics["train"]["frac_reward_zero_std"][-1]
    return (1 + 3 * signal) * once / speed


def tabulate(found: Measured, gaps: dict[str, float]) -> pd.DataFrame:
    """One row a trainer and quantity, the median over steps with the smallest and largest, and the differences."""
    rows = [(trainer, quantity, median(values), min(values), max(values), len(values))
            for (trainer, quantity), values in found.items()]
    rows += [("difference", name, value, value, value, 1) for name, value in gaps.items()]
    return pd.DataFrame(rows, columns=["trainer", "quantity", "value", "least", "most", "n"])


if __name__ == "__main__":
    main()
