"""A policy small enough to list every completion: the truth that estimates are compared with.

A transformer of a few hundred parameters reads prompts of two tokens and answers with three, out of four tokens in
all. A prompt has 64 completions, and accuracies, gradients and influences are sums over all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bi.evaluation.intervals import numpy_stream
from bi.influence.likelihood import completion_logprobs

TOKENS = 4
PROMPTS = [list(prompt) for prompt in product(range(TOKENS), repeat=2)]
COMPLETIONS = [list(completion) for completion in product(range(TOKENS), repeat=3)]


@dataclass(frozen=True)
class EnumerablePolicy:
    """``model`` on the 16 :data:`PROMPTS`; ``rewards`` in {0, 1} and ``chances`` of every completion, (16, 64) each."""

    model: LlamaForCausalLM
    rewards: np.ndarray
    chances: np.ndarray

    @property
    def accuracies(self) -> np.ndarray:
        """alpha(q), (16,), exact."""
        return (self.chances * self.rewards).sum(1)

    def enumerated(self) -> pd.DataFrame:
        """Every completion of every prompt with its probability as ``weight``: exact expectations."""
        return self._table([range(len(COMPLETIONS))] * len(PROMPTS)).assign(weight=self.chances.ravel())

    def sample(self, count: int, rng: np.random.Generator) -> pd.DataFrame:
        """``count`` rollouts of every prompt."""
        return self._table([rng.choice(len(COMPLETIONS), size=count, p=chances) for chances in self.chances])

    def _table(self, picks: list) -> pd.DataFrame:
        return pd.DataFrame([
            {"problem_id": f"q{q}", "sample": sample, "prompt_ids": PROMPTS[q], "completion_ids": COMPLETIONS[pick],
             "reward": self.rewards[q, pick]} for q, row in enumerate(picks) for sample, pick in enumerate(row)])


def enumerable_policy(seed: int) -> EnumerablePolicy:
    """A random policy in float64 and random verifiers that have something in common, as tasks of one kind do.

    All prompts share a random set of right completions, .2 to .8 of them, and each prompt overturns one in eight.
    """
    rng = numpy_stream(seed, "enumerable policy")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        model = LlamaForCausalLM(LlamaConfig(
            vocab_size=TOKENS, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=8)).to(torch.float64)
        for parameter in model.parameters():  # away from the small initialisation: gradients of ordinary size
            parameter.data += 0.3 * torch.randn_like(parameter)
    model.eval()
    shape = (len(PROMPTS), len(COMPLETIONS))
    shared = rng.random(shape[1]) < rng.uniform(0.2, 0.8)
    rewards = (shared ^ (rng.random(shape) < 1 / 8)).astype(float)
    with torch.no_grad():
        chances = np.stack([completion_logprobs(model, prompt, COMPLETIONS).exp().numpy() for prompt in PROMPTS])
    return EnumerablePolicy(model, rewards, chances / chances.sum(1, keepdims=True))
