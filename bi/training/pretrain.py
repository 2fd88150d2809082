"""The book-size base model: a small Llama trained from scratch on worked problems.

``bi base --out models/tiny-base`` (``make base``) remakes it, by way of :mod:`bi.evaluation.base_model`, which
measures it too. One process, one thread; training writes a checkpoint every few minutes and resumes from it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bi.augmentation.compact import vocabulary
from bi.files import atomic_write, require_space
from bi.progress import Progress
from bi.recipes import digest
from bi.streams import stream_seed
from bi.training.corpus import CorpusRecipe, document
from bi.training.policy import Policy, default_device
from bi.training.tiny import word_tokenizer


@dataclass(frozen=True)
class BaseRecipe:
    """Architecture and training of the base model.

    Matrices of the blocks are trained with Muon at ``muon_lr`` (updates rescaled to the root mean square of AdamW's),
    the rest with AdamW at ``adam_lr``; both warm up linearly and decay linearly to zero over the last ``decay`` of
    training.
    """

    hidden: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 384
    context: int = 512
    documents: int = 240_000
    batch: int = 32
    muon_lr: float = 3e-3
    adam_lr: float = 3e-3
    warmup: int = 100
    decay: float = 0.5
    clip: float = 1.0
    seed: int = 0
    corpus: CorpusRecipe = field(default_factory=CorpusRecipe)


def make_tokenizer(recipe: BaseRecipe) -> PreTrainedTokenizerFast:
    """One token per word of the compact wording, split on white space."""
    tokenizer = word_tokenizer(vocabulary(recipe.corpus.names, recipe.corpus.modulus))
    tokenizer.model_max_length = recipe.context
    return tokenizer


def make_model(recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama with the initialisation described in the model card (small output projections, structured embeddings)."""
    torch.manual_seed(stream_seed(recipe.seed, "base", "init") % 2**63)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight.mul_(0.1)
            block.mlp.down_proj.weight.mul_(0.1)
        _structure_embeddings(model.model.embed_tokens.weight, recipe, tokenizer)
        model.lm_head.weight.mul_(0.5)
    return model


def _structure_embeddings(weight: Tensor, recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast) -> None:
    """N(0, 0.1) with two hints: values start on circles, and the three words of one name share a component."""
    weight.normal_(0.0, 0.1)
    size, modulus = weight.shape[1], recipe.corpus.modulus
    values = torch.arange(modulus)
    for index, frequency in enumerate((1, 2, 3, 5, 7)):
        angle = 2 * math.pi * frequency * values / modulus
        rows = tokenizer.convert_tokens_to_ids([str(value) for value in range(modulus)])
        weight[rows, 2 * index] = 0.3 * torch.cos(angle)
        weight[rows, 2 * index + 1] = 0.3 * torch.sin(angle)
    shared = torch.randn(recipe.corpus.names, size) * 0.15
    for kind in "DNV":
        rows = tokenizer.convert_tokens_to_ids([f"{kind}{name}" for name in range(recipe.corpus.names)])
        weight[rows] += shared


def batch(recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast, step: int, steps: int) -> tuple[Tensor, Tensor]:
    """Token ids and labels ``(B, T)`` of one step; labels are -100 on prompts and padding. A function of the step."""
    rows = []
    for place in range(recipe.batch):
        text = document(recipe.corpus, recipe.seed, step * recipe.batch + place, step / steps)
        prompt = tokenizer.encode(text.prompt, add_special_tokens=False)
        answer = tokenizer.encode(text.completion, add_special_tokens=False) + [tokenizer.eos_token_id]
        rows.append((prompt, answer))
    width = -(-max(len(prompt) + len(answer) for prompt, answer in rows) // 32) * 32
    ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    labels = torch.full((len(rows), width), -100)
    for index, (prompt, answer) in enumerate(rows):
        ids[index, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        labels[index, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    return ids, labels


def make_optimizers(model: nn.Module, recipe: BaseRecipe) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings, head and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    rest = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers" in name)]
    return [
        torch.optim.Muon(matrices, lr=recipe.muon_lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(step: int, steps: int, recipe: BaseRecipe) -> float:
    """Factor on the learning rates: linear warm-up, constant, linear decay to zero."""
    return min(1.0, (step + 1) / recipe.warmup, (steps - step) / (recipe.decay * steps))


@dataclass
class _State:
    """What a checkpoint holds beside the weights: optimisers, the next step, the loss curve and the time spent."""

    model: LlamaForCausalLM
    optimizers: list[torch.optim.Optimizer]
    step: int
    history: list[dict[str, float]]
    seconds: float

    def save(self, path: Path) -> None:
        """Write everything to one file, aside first."""
        content = {
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "history": self.history,
            "seconds": self.seconds,
        }
        require_space(path, 4 * sum(p.numel() * p.element_size() for p in self.model.parameters()))
        with atomic_write(path, "wb") as handle:
            torch.save(content, handle)

    def load(self, path: Path) -> None:
        """Continue from a file that ``save`` wrote."""
        content = torch.load(path, weights_only=True)
        self.model.load_state_dict(content["model"])
        for optimizer, state in zip(self.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step, self.history, self.seconds = content["step"], content["history"], content["seconds"]


def train_base(recipe: BaseRecipe, work: Path, *, save_every: int = 250) -> tuple[Policy, pd.DataFrame]:
    """Train the base model; returns it and its loss curve (step, loss, tokens, seconds).

    ``work`` holds the checkpoint that an interrupted run continues from; it belongs to one recipe, and a checkpoint of
    another one is refused with ``ValueError``. Raises ``FloatingPointError`` when the loss is not finite.
    """
    tokenizer = make_tokenizer(recipe)
    model = make_model(recipe, tokenizer).to(default_device())
    state = _State(model, make_optimizers(model, recipe), 0, [], 0.0)
    steps = recipe.documents // recipe.batch
    path = work / f"state-{digest(recipe)}.pt"
    if path.exists():
        state.load(path)
    progress = Progress(steps, "base model")
    for loss, tokens in _steps(state, recipe, tokenizer, steps):
        state.history.append({"step": state.step, "loss": loss, "tokens": tokens, "seconds": round(state.seconds, 1)})
        progress.update(state.step, f"loss {loss:.3f}, {tokens / state.seconds:,.0f} tokens/s")
        if state.step % save_every == 0:
            state.save(path)
    return Policy(model.eval(), tokenizer, model.device, torch.float32), pd.DataFrame(state.history)


def _steps(
    state: _State, recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast, steps: int
) -> Iterator[tuple[float, int]]:
    """Take the steps that are left; yields the loss of each and the tokens so far."""
    rates = (recipe.muon_lr, recipe.adam_lr)
    tokens = int(state.history[-1]["tokens"]) if state.history else 0
    device = state.model.device
    while state.step < steps:
        started = time.perf_counter()
        ids, labels = (part.to(device) for part in batch(recipe, tokenizer, state.step, steps))
        with torch.autocast(device.type, torch.bfloat16):
            logits = state.model(input_ids=ids, use_cache=False).logits
        counted = labels[:, 1:] != -100
        loss = functional.cross_entropy(logits[:, :-1][counted].float(), labels[:, 1:][counted])
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of step {state.step + 1} is {loss.item()}; lower the learning rates")
        loss.backward()
        nn.utils.clip_grad_norm_(state.model.parameters(), recipe.clip)
        for optimizer, rate in zip(state.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule(state.step, steps, recipe)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        tokens += int((ids != tokenizer.pad_token_id).sum())
        state.step += 1
        state.seconds += time.perf_counter() - started
        yield loss.item(), tokens
