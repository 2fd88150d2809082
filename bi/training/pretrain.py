"""Base models: Llamas trained from scratch on worked problems.

``bi base --out models/tiny-base`` (``make base``) remakes it, by way of :mod:`bi.evaluation.base_model`, which
measures it too. On a CPU one process and one thread; on a GPU other processes write the documents. Training writes a
checkpoint every few minutes and resumes from it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bi.files import atomic_write, require_space
from bi.processes import workers
from bi.progress import Progress
from bi.provenance import usable_cores
from bi.recipes import LARGER_MODULUS, digest
from bi.streams import stream_seed
from bi.training.corpus import (
    CompactMixture,
    CorpusRecipe,
    Document,
    DyvalCorpusRecipe,
    EnglishCorpusRecipe,
    Mixture,
    corpus_stream,
    document,
)
from bi.training.muon import Float32Muon
from bi.training.policy import Policy, default_device, encode_completion, encode_prompt
from bi.training.tiny import piece_tokenizer, word_tokenizer


@dataclass(frozen=True)
class BaseRecipe:
    """Architecture and training of a base model.

    A step takes ``rows`` rows of ``width`` tokens, each packed with whole documents that do not see one another.
    Matrices of the blocks are trained with Muon at ``muon_lr`` (updates rescaled to the root mean square of AdamW's),
    the rest with AdamW at ``adam_lr``; both warm up linearly and decay linearly to zero over the last ``decay`` of
    training. ``compiled`` runs the blocks through ``torch.compile``, which needs a C++ compiler.
    """

    name: str = "tiny-base"
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 384
    context: int = 512
    rope_theta: float = 10_000.0
    steps: int = 12_000
    rows: int = 8
    width: int = 256
    muon_lr: float = 1e-3
    adam_lr: float = 1e-3
    warmup: int = 100
    decay: float = 0.6
    clip: float = 1.0
    seed: int = 0
    compiled: bool = True
    corpus: Mixture = field(default_factory=CorpusRecipe)

    attention: ClassVar[str] = "eager"
    """Transformers' name of how attention is computed."""


@dataclass(frozen=True)
class LargeBaseRecipe(BaseRecipe):
    """Rows too long for attention that writes its whole matrix down."""

    attention = "sdpa"


BASES = {
    "tiny-base": BaseRecipe(),
    "plain-base": BaseRecipe(name="plain-base", corpus=CorpusRecipe(behaviors=0.0)),
    "wide-base": BaseRecipe(name="wide-base", corpus=CorpusRecipe(wide_results=1.0)),
    "small-base": BaseRecipe(name="small-base", hidden=256, heads=8, feed_forward=896, steps=6000),
    "range-base": BaseRecipe(name="range-base", corpus=CorpusRecipe(modulus=LARGER_MODULUS)),
    "dyval-base": BaseRecipe(name="dyval-base", steps=9000, corpus=DyvalCorpusRecipe()),
}
"""The book's base models by their folder below ``models/``. ``plain-base`` has no behaviours in its corpus;
``wide-base`` reads the texts of ``tiny-base`` and learns the results of all lines with several operations;
``small-base`` is larger and reads half as many tokens, for about the same time; ``range-base`` counts modulo a prime
of twice the size; ``dyval-base`` reads DyVal arithmetic in place of iGSM."""
GPU_BASES = {
    "gpu-base": LargeBaseRecipe(
        name="gpu-base", hidden=512, layers=8, heads=8, kv_heads=4, feed_forward=1536, context=4096, steps=8000,
        rows=32, width=2048, corpus=EnglishCorpusRecipe()),
}
"""Bases that need a GPU, which are not in the repository: profiles start from them once they have been trained."""


def make_tokenizer(recipe: BaseRecipe) -> PreTrainedTokenizerFast:
    """One token per word of a compact wording, split on white space; of another wording, pieces of words and digits."""
    mixture = recipe.corpus
    tokenizer = (word_tokenizer(mixture.words()) if isinstance(mixture, CompactMixture)
                 else _trained_pieces(mixture, recipe.seed))
    tokenizer.model_max_length = recipe.context
    return tokenizer


@cache
def _trained_pieces(mixture: EnglishCorpusRecipe, seed: int) -> PreTrainedTokenizerFast:
    return piece_tokenizer(mixture.texts(seed), mixture.pieces)


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
        rope_parameters={"rope_type": "default", "rope_theta": recipe.rope_theta},
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation=recipe.attention,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight.mul_(0.1)
            block.mlp.down_proj.weight.mul_(0.1)
        model.model.embed_tokens.weight.normal_(0.0, 0.1)
        if isinstance(recipe.corpus, CompactMixture):
            _structure_embeddings(model.model.embed_tokens.weight, recipe.corpus, tokenizer)
        model.lm_head.weight.mul_(0.5)
    return model


def parameter_count(recipe: BaseRecipe) -> int:
    """Numbers in the weights of the model that ``recipe`` describes."""
    return make_model(recipe, make_tokenizer(recipe)).num_parameters()


def _structure_embeddings(weight: Tensor, mixture: CompactMixture, tokenizer: PreTrainedTokenizerFast) -> None:
    """Two hints: values start on circles, and the three words of one name share a component."""
    size, modulus = weight.shape[1], mixture.modulus
    values = torch.arange(modulus)
    for index, frequency in enumerate((1, 2, 3, 5, 7)):
        angle = 2 * math.pi * frequency * values / modulus
        rows = tokenizer.convert_tokens_to_ids([str(value) for value in range(modulus)])
        weight[rows, 2 * index] = 0.3 * torch.cos(angle)
        weight[rows, 2 * index + 1] = 0.3 * torch.sin(angle)
    shared = torch.randn(mixture.names, size) * 0.15
    for kind in "DNV":
        rows = tokenizer.convert_tokens_to_ids([f"{kind}{name}" for name in range(mixture.names)])
        weight[rows] += shared


@dataclass(frozen=True)
class Batch:
    """Rows of packed documents, each tensor ``(B, T)``.

    ``ids``: tokens; ``labels``: the same, -100 on prompts and padding; ``documents``: 1, 2, ... by document of the row,
    0 on padding; ``positions``: place within the document; ``count``: documents in all.
    """

    ids: Tensor
    labels: Tensor
    documents: Tensor
    positions: Tensor
    count: int

    def to(self, device: torch.device) -> Batch:
        """The same on ``device``."""
        moved = (part.to(device) for part in (self.ids, self.labels, self.documents, self.positions))
        return Batch(*moved, self.count)


def step_documents(recipe: BaseRecipe, step: int) -> list[list[Document]]:
    """The documents of one step by row, a function of the recipe and the step alone.

    Documents are drawn until one fits into no row; that one is dropped.
    """
    tokens = document_length(recipe)
    rng = corpus_stream(recipe.seed, step)
    rows: list[list[Document]] = [[] for _ in range(recipe.rows)]
    room = [recipe.width] * recipe.rows
    while True:
        text = document(recipe.corpus, step / recipe.steps, rng)
        size = tokens(text)
        place = next((index for index, left in enumerate(room) if left >= size), None)
        if place is None:
            return rows
        rows[place].append(text)
        room[place] -= size


def document_length(recipe: BaseRecipe) -> Callable[[Document], int]:
    """Tokens of a document with its eos: in a compact wording words, which need no tokenizer to be counted."""
    if isinstance(recipe.corpus, CompactMixture):
        return lambda text: len(text.prompt.split()) + len(text.completion.split()) + 1
    tokenizer = make_tokenizer(recipe)
    return lambda text: len(encode_prompt(tokenizer, text.prompt)) + len(encode_completion(tokenizer, text.completion))


def corpus(recipe: BaseRecipe) -> Iterator[Document]:
    """Every document that training on ``recipe`` reads, in order."""
    with workers(reading_processes(default_device())) as spread:
        for rows in spread(partial(step_documents, recipe), range(recipe.steps)):
            for row in rows:
                yield from row


def reading_processes(device: torch.device) -> int:
    """Processes that make the documents of a training on ``device``: this one on a CPU, for a GPU all cores but one."""
    return 1 if device.type == "cpu" else max(1, usable_cores() - 1)


def batch(recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast, step: int) -> Batch:
    """The tokens of :func:`step_documents`."""

    rows = [
        [
            (encode_prompt(tokenizer, text.prompt), encode_completion(tokenizer, text.completion), text.silent)
            for text in row
        ]
        for row in step_documents(recipe, step)
    ]
    return pack(rows, recipe.width, tokenizer.pad_token_id)


Encoded = tuple[list[int], list[int], Sequence[int]]
"""Token ids of a prompt, those of its answer, and the places in the answer that carry no loss."""


def pack(rows: Sequence[Sequence[Encoded]], width: int, pad_id: int) -> Batch:
    """Rows of documents as tensors; raises ``ValueError`` for a row that exceeds ``width``."""
    shape = (len(rows), width)
    ids, labels = torch.full(shape, pad_id), torch.full(shape, -100)
    documents, positions = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    for index, row in enumerate(rows):
        at = 0
        for number, (prompt, answer, silent) in enumerate(row, start=1):
            start, at = at, at + len(prompt) + len(answer)
            if at > width:
                raise ValueError(f"row {index}: its documents have {at} tokens or more; width is {width}")
            ids[index, start:at] = torch.tensor(prompt + answer)
            labels[index, start + len(prompt) : at] = torch.tensor(answer)
            labels[index, [start + len(prompt) + place for place in silent]] = -100
            documents[index, start:at] = number
            positions[index, start:at] = torch.arange(at - start)
    return Batch(ids, labels, documents, positions, sum(len(row) for row in rows))


def passes_format(device: torch.device) -> torch.dtype:
    """Number format of the passes: bfloat16 where the hardware multiplies it, else float32.

    A CPU has to know it (x86: AVX-512 BF16 or AMX; Arm: the bf16 extension); one that does not emulates it, some twenty
    times slower than float32.
    """
    if device.type != "cpu":
        return torch.bfloat16
    known = torch.cpu.get_capabilities()
    return torch.bfloat16 if any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")) else torch.float32


def attention_bias(documents: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive attention mask ``(B, 1, T, T)``: a token sees the earlier tokens of its own document."""
    width = documents.shape[1]
    causal = torch.ones((width, width), dtype=torch.bool, device=documents.device).tril()
    seen = (documents[:, None, :, None] == documents[:, None, None, :]) & causal
    return torch.zeros(seen.shape, dtype=dtype, device=documents.device).masked_fill(~seen, -1e4)


def packed_loss(body: Callable, head: nn.Module, packed: Batch) -> Tensor:
    """Mean cross-entropy of the answers' tokens; ``body`` maps ids to hidden states, ``head`` these to logits.

    Passes are in :func:`passes_format`, the loss is in float32.
    """
    dtype = passes_format(packed.ids.device)
    labels = packed.labels[:, 1:]
    counted = labels != -100
    with torch.autocast(packed.ids.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
        hidden = body(
            input_ids=packed.ids,
            attention_mask=attention_bias(packed.documents, dtype),
            position_ids=packed.positions,
            use_cache=False,
        ).last_hidden_state
        logits = head(hidden[:, :-1][counted])
    return functional.cross_entropy(logits.float(), labels[counted])


def make_optimizers(model: nn.Module, recipe: BaseRecipe) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings, head and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    rest = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers" in name)]
    kind = torch.optim.Muon if passes_format(matrices[0].device) == torch.bfloat16 else Float32Muon
    return [
        kind(matrices, lr=recipe.muon_lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(step: int, recipe: BaseRecipe) -> float:
    """Factor on the learning rates: linear warm-up, constant, linear decay to zero."""
    return min(1.0, (step + 1) / recipe.warmup, (recipe.steps - step) / (recipe.decay * recipe.steps))


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
    """Train a base model; returns it and its loss curve (step, loss, tokens, documents, seconds).

    ``work`` holds the checkpoint that an interrupted run continues from; it belongs to one recipe, and a checkpoint of
    another one is left alone. Raises ``FloatingPointError`` when the loss is not finite.
    """
    tokenizer = make_tokenizer(recipe)
    model = make_model(recipe, tokenizer).to(default_device())
    state = _State(model, make_optimizers(model, recipe), 0, [], 0.0)
    path = work / f"state-{digest(recipe)}.pt"
    if path.exists():
        state.load(path)
    progress = Progress(recipe.steps, recipe.name)
    for record in _steps(state, recipe, tokenizer):
        state.history.append(record)
        progress.update(state.step, f"loss {record['loss']:.3f}, {record['tokens'] / state.seconds:,.0f} tokens/s")
        if state.step % save_every == 0:
            state.save(path)
    return Policy(model.eval(), tokenizer, model.device, torch.float32), pd.DataFrame(state.history)


def _steps(
    state: _State, recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast
) -> Iterator[dict[str, float]]:
    """Take the steps that are left; yields a record of each: loss, tokens, documents and seconds so far."""
    rates = (recipe.muon_lr, recipe.adam_lr)
    tokens, documents = (int(state.history[-1][name]) if state.history else 0 for name in ("tokens", "documents"))
    body = torch.compile(state.model.model, dynamic=False) if recipe.compiled else state.model.model
    started = time.perf_counter()
    for read in _batches(recipe, tokenizer, state.step, state.model.device):
        packed = read.to(state.model.device)
        loss = packed_loss(body, state.model.lm_head, packed)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of step {state.step + 1} is {loss.item()}; lower the learning rates")
        loss.backward()
        nn.utils.clip_grad_norm_(state.model.parameters(), recipe.clip)
        for optimizer, rate in zip(state.optimizers, rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule(state.step, recipe)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        tokens += int((packed.documents > 0).sum())
        documents += packed.count
        state.step += 1
        state.seconds += time.perf_counter() - started
        yield {"step": state.step, "loss": loss.item(), "tokens": tokens, "documents": documents,
               "seconds": round(state.seconds, 1)}
        started = time.perf_counter()


@dataclass(frozen=True)
class _Steps(Dataset):
    """The batch of every step."""

    recipe: BaseRecipe
    tokenizer: PreTrainedTokenizerFast

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> Batch:
        return batch(self.recipe, self.tokenizer, step)


def _batches(recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast, first: int, device: torch.device
             ) -> Iterable[Batch]:
    """The batches of the steps from ``first`` on, in order; for a GPU other processes make them, two ahead each."""
    processes = reading_processes(device)
    return DataLoader(_Steps(recipe, tokenizer), batch_size=None, sampler=range(first, recipe.steps),
                      num_workers=processes if processes > 1 else 0)
