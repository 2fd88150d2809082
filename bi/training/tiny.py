"""Randomly initialised policies of a few thousand parameters: stand-ins that go through the same code as real ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from bi.training.policy import Policy, prepare_model, quiet_libraries

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"
CHATML = (
    "{% for message in messages %}<|im_start|> {{ message['role'] }} {{ message['content'] }} <|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")


def word_tokenizer(words: Iterable[str], chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """A tokenizer with one token per whitespace-separated word; a ``chat_template`` brings the ChatML markers along."""
    special = [PAD, EOS, UNKNOWN, *(CHATML_TOKENS if chat_template else ())]
    vocabulary = {word: index for index, word in enumerate([*special, *dict.fromkeys(words)])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token=PAD, eos_token=EOS, unk_token=UNKNOWN,
                                        additional_special_tokens=list(special[3:]), padding_side="right")
    tokenizer.chat_template = chat_template
    return tokenizer


def piece_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of ``size`` pieces, trained on ``texts``; digits are pieces of their own.

    It can encode any text, and decoding gives the text back.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                  pre_tokenizers.ByteLevel(add_prefix_space=False)])
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size, special_tokens=[PAD, EOS], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token=PAD, eos_token=EOS, padding_side="right")


def tiny_policy(
    words: Iterable[str],
    *,
    architecture: str = "llama",
    chat_template: str | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    **config: Any,
) -> Policy:
    """A random policy over ``words``: ``architecture`` is a transformers model type, ``config`` overrides its sizes."""
    quiet_libraries()
    tokenizer = word_tokenizer(words, chat_template)
    sizes: dict[str, Any] = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                                 num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.1)
    named = dict(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
                 eos_token_id=tokenizer.eos_token_id)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **{**sizes, **named, **config}))
    return Policy(prepare_model(model.to(dtype), tokenizer), tokenizer, torch.device("cpu"), dtype)


def save_policy(policy: Policy, folder: str) -> str:
    """Write model and tokenizer as a Hugging Face folder and return its path."""
    policy.model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    return folder
