"""Tokens a second of pretraining, fine-tuning and sampling on one core, and the share of the floor that each reaches.

The floor counts the floating-point operations that nobody can avoid: for training 6 and for sampling 2 for each
parameter of a matrix and each token, and attention's own 12 or 4 times the width a layer for each pair of tokens that
see one another; at the speed of a matrix product of the model's width, measured in turns with the work and in the
precision that the work uses. Processor time, one thread.

    python benchmarks/throughput.py --out results/benchmarks/throughput.csv
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd
import torch
from floor import matrix_parameters, product_speed
from transformers import LlamaForCausalLM

from bi.augmentation.arms import build_problems, build_rows
from bi.provenance import provenance, write_table
from bi.recipes import CPU, digest
from bi.training.policy import encode_completion, encode_prompt, load_policy
from bi.training.pretrain import (
    BASES,
    Batch,
    batch,
    make_model,
    make_optimizers,
    make_tokenizer,
    pack,
    packed_loss,
    passes_format,
)
from bi.training.sampler import sample

Work = Callable[[], tuple[float, float]]
"""Does one piece of work; returns its tokens and its floating-point operations."""


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/throughput.csv"))
    parser.add_argument("--rounds", type=int, default=8, help="how often each is timed; the median counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    kinds = {"pretraining": (pretraining(), passes_format(torch.device("cpu"))),
             "fine-tuning": (tuning(), torch.float32), "sampling": (sampling(), torch.float32)}
    width, rows = BASES["tiny-base"].hidden, []
    for work, _ in kinds.values():
        work()  # compilation, caches
    for _ in range(options.rounds):
        for name, (work, dtype) in kinds.items():
            speed, start = product_speed(width, dtype), time.process_time()
            tokens, operations = work()
            seconds = time.process_time() - start
            rows.append({"work": name, "tokens_per_s": tokens / seconds, "floor_share": operations / speed / seconds})
    table = pd.DataFrame(rows).groupby("work", sort=False).agg(
        tokens_per_s=("tokens_per_s", "median"), slowest=("tokens_per_s", "min"), fastest=("tokens_per_s", "max"),
        floor_share=("floor_share", "median"), n=("work", "size")).reset_index()
    print(table.round(3).to_string(index=False))
    facts = provenance("cpu", [0], digest([BASES["tiny-base"], CPU.sft]), time.monotonic() - began)
    write_table(options.out, table, facts)


def pretraining() -> Work:
    """A step of the base model: forward, backward, both optimisers."""
    recipe = BASES["tiny-base"]
    tokenizer = make_tokenizer(recipe)
    model = make_model(recipe, tokenizer)
    optimizers, packed = make_optimizers(model, recipe), batch(recipe, tokenizer, recipe.steps - 1)
    body = torch.compile(model.model, dynamic=False)

    def work() -> tuple[float, float]:
        packed_loss(body, model.lm_head, packed).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        return _tokens(packed), 3 * _forward(model, packed)

    return work


def tuning() -> Work:
    """Forward and backward of one batch of fine-tuning rows of the bridge arm, padded as the trainer pads them."""
    policy = load_policy("models/tiny-base")
    rows = build_rows(build_problems(CPU.task, "sft", 32, 0), "bridge", CPU.task, CPU.rates, 0)
    encoded = [[(encode_prompt(policy.tokenizer, row["prompt"]), encode_completion(policy.tokenizer, row["completion"]),
                 ())] for row in rows]
    width = max(len(prompt) + len(answer) for ((prompt, answer, _),) in encoded)
    packed, model = pack(encoded, width, policy.tokenizer.pad_token_id), policy.model

    def work() -> tuple[float, float]:
        model(input_ids=packed.ids, attention_mask=(packed.documents > 0).long(), labels=packed.labels).loss.backward()
        model.zero_grad()
        return _tokens(packed), 3 * _forward(model, packed)

    return work


def sampling() -> Work:
    """Sixteen rollouts of each of sixteen prompts, as in a step of GRPO; its tokens are the sampled ones."""
    policy = load_policy("models/tiny-base")
    problems = build_rows(build_problems(CPU.task, "rl", 16, 0), "vanilla", CPU.task, CPU.rates, 0)
    prompts = [encode_prompt(policy.tokenizer, row["prompt"]) for row in problems]
    matrices, config = matrix_parameters(policy.model), policy.model.config

    def work() -> tuple[float, float]:
        found = sample(policy.model, prompts, 16, max_new_tokens=CPU.grpo.max_completion_length, temperature=1.0,
                       eos_id=policy.tokenizer.eos_token_id, pad_id=policy.tokenizer.pad_token_id)
        lengths = torch.tensor([len(ids) for ids in found.ids], dtype=torch.float64)
        starts = torch.tensor([len(ids) for ids in prompts], dtype=torch.float64)
        seen = (lengths * starts.repeat_interleave(16) + lengths**2 / 2).sum() + (starts**2 / 2).sum()
        pairs = 4 * config.hidden_size * config.num_hidden_layers * float(seen)
        return float(lengths.sum()), 2 * matrices * float(lengths.sum() + starts.sum()) + pairs

    return work


def _tokens(packed: Batch) -> float:
    return float((packed.documents > 0).sum())


def _forward(model: LlamaForCausalLM, packed: Batch) -> float:
    """Operations of a forward pass: matrices on every token, attention on pairs within a document."""
    config, pairs = model.config, 0.0
    for row in packed.documents:
        pairs += float((torch.bincount(row)[1:].double() ** 2 / 2).sum())
    return 2 * matrix_parameters(model) * _tokens(packed) + 4 * config.hidden_size * config.num_hidden_layers * pairs


if __name__ == "__main__":
    main()
