"""Tiny models and rollout tables that several tests of the influence room share."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Qwen2Config,
)

VOCABULARY = 11
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32}
CONFIGS = {
    "llama": lambda: LlamaConfig(**SMALL, attention_dropout=0.3),
    "qwen2": lambda: Qwen2Config(**SMALL, tie_word_embeddings=True),
    "mixtral": lambda: MixtralConfig(**SMALL, num_local_experts=4, num_experts_per_tok=2),
    "gpt2": lambda: GPT2Config(vocab_size=VOCABULARY, n_positions=32, n_embd=16, n_layer=2, n_head=4),
}
ARCHITECTURES = {
    "llama": lambda tied: LlamaConfig(**SMALL, attention_dropout=0.3, tie_word_embeddings=tied),
    "qwen2": lambda tied: Qwen2Config(**SMALL, attention_dropout=0.3, tie_word_embeddings=tied),
    # a window shorter than the sequences: its cache is no plain one
    "mistral": lambda tied: MistralConfig(**SMALL, sliding_window=4, attention_dropout=0.3, tie_word_embeddings=tied),
    "gemma": lambda tied: GemmaConfig(**SMALL, head_dim=4, attention_dropout=0.3, tie_word_embeddings=tied),
    "gpt2": lambda tied: GPT2Config(vocab_size=VOCABULARY, n_positions=32, n_embd=16, n_layer=2, n_head=4,
                                    resid_pdrop=0.3, embd_pdrop=0.3, attn_pdrop=0.3, tie_word_embeddings=tied),
    "gpt-neox": lambda tied: GPTNeoXConfig(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24,
                                           num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=32,
                                           hidden_dropout=0.3, attention_dropout=0.3, tie_word_embeddings=tied),
    "mixtral": lambda tied: MixtralConfig(**SMALL, num_local_experts=4, num_experts_per_tok=2, attention_dropout=0.3,
                                          tie_word_embeddings=tied),
}


def make_model(kind: str = "llama", dtype: torch.dtype = torch.float64, tied: bool | None = None) -> torch.nn.Module:
    """A small model away from its initialisation, dropout on; ``tied`` takes the architecture with dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = CONFIGS[kind]() if tied is None else ARCHITECTURES[kind](tied)
        model = AutoModelForCausalLM.from_config(config).to(dtype)
        for parameter in model.parameters():  # away from the small initialisation: gradients of ordinary size
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.train()  # dropout is on unless the code turns it off


def make_rollouts(prompts: int = 4, count: int = 6, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for prompt in range(prompts):
        prompt_ids = rng.integers(VOCABULARY, size=3 + prompt).tolist()
        rewards = rng.permutation([1.0, 0.0] + rng.integers(2, size=count - 2).astype(float).tolist())
        if prompt == 2:
            rewards[:] = 1.0  # one outcome only
        for sample in range(count):
            completion = rng.integers(VOCABULARY, size=int(rng.integers(1, 7))).tolist()
            rows.append({"problem_id": f"q{prompt}", "sample": sample, "prompt_ids": prompt_ids,
                         "completion_ids": completion, "reward": rewards[sample]})
    return pd.DataFrame(rows).sample(frac=1.0, random_state=0).reset_index(drop=True)
