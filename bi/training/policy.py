"""Policies: a causal language model with its tokenizer, and the one place where prompts become token ids.

Supervised fine-tuning, rollouts, GRPO and co-influence all encode prompts and completions with the functions below, so
that the tokens a policy is trained on are the tokens it is sampled with.
"""

from __future__ import annotations

import os

# Read once by huggingface_hub when it is first imported: local folders never need the network.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
_OFFLINE_BY_DEFAULT = "HF_HUB_OFFLINE" not in os.environ
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import hashlib  # noqa: E402
import json  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Iterable, Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402
import transformers  # noqa: E402
from huggingface_hub import constants as hub_constants  # noqa: E402
from transformers import (  # noqa: E402
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

SYSTEM_PROMPT = (
    "You are a helpful assistant. Think about the problem step by step, then answer. Put the reasoning between <think> "
    "and </think> and the answer between <answer> and </answer>, with the final number in \\boxed{}, that is, "
    "<think> reasoning </think> <answer> \\boxed{number} </answer>."
)
WEIGHT_FILES = ("*.safetensors", "pytorch_model*.bin")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
CHECKPOINTING_PARAMETERS = 300_000_000


@dataclass(frozen=True)
class Policy:
    """A causal language model, its tokenizer, and where it lives."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype

    @property
    def context(self) -> int:
        """Largest number of tokens (prompt and completion) that the model can read."""
        return context_length(self.model.config)

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Ids that end a completion, the tokenizer's own first (the one that SFT teaches)."""
        return eos_ids(self.model, self.tokenizer)

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return int(self.tokenizer.pad_token_id)


def default_device() -> torch.device:
    """The GPU where there is one, the CPU elsewhere (``BI_DEVICE`` overrides)."""
    name = os.environ.get("BI_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def quiet_libraries() -> None:
    """Silence the progress bars and advice of transformers and datasets; errors still come through."""
    import datasets

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity_error()
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)


def load_policy(
    name_or_path: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Policy:
    """Load a policy for sampling, measuring or training.

    ``name_or_path`` is a Hugging Face folder or a hub name such as ``Qwen/Qwen2.5-1.5B``. Without ``dtype`` and
    ``device``: bfloat16 on a GPU where there is one, float32 on a CPU. Dropout is off and the model is in eval mode.
    Raises ``ValueError`` that names the folder, what is missing in it, and the remedy.
    """
    quiet_libraries()
    place = torch.device(device) if device is not None else default_device()
    number = dtype if dtype is not None else (torch.bfloat16 if place.type == "cuda" else torch.float32)
    source = resolve(name_or_path)
    tokenizer = load_tokenizer(source)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=number, local_files_only=Path(source).is_dir())
    check_pair(model, tokenizer, str(source))
    return Policy(prepare_model(model, tokenizer).to(place), tokenizer, place, number)


def load_tokenizer(name_or_path: str | os.PathLike[str]) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint, with a padding token and left padding off; clear errors as in ``load_policy``."""
    source = resolve(name_or_path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=Path(source).is_dir())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"model {str(source)!r}: its tokenizer cannot be read ({error}); save one into the folder "
                         "with tokenizer.save_pretrained") from error
    if tokenizer.eos_token_id is None:
        raise ValueError(f"model {str(source)!r}: its tokenizer has no eos token, so completions could not end; "
                         "set tokenizer.eos_token and save it again")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def load_config(name_or_path: str | os.PathLike[str]) -> Any:
    """The config of a checkpoint (no weights are read)."""
    source = resolve(name_or_path)
    return AutoConfig.from_pretrained(source, local_files_only=Path(source).is_dir())


def resolve(name_or_path: str | os.PathLike[str]) -> str:
    """The folder or hub name to load from; raises ``ValueError`` if it is neither a complete folder nor a hub name."""
    text = os.fspath(name_or_path)
    path = Path(text)
    if path.is_dir():
        _check_folder(path)
        return text
    if path.exists():
        raise ValueError(f"model {text!r} is a file; give the folder that holds config.json, weights and tokenizer")
    if _is_local_name(text):
        hint = "make it with `make base`" if "base" in path.name else "check the path, or train it first"
        raise ValueError(f"model folder {text!r} does not exist; {hint}")
    if _OFFLINE_BY_DEFAULT:
        hub_constants.HF_HUB_OFFLINE = False  # a hub name was asked for explicitly
    return text


def _is_local_name(text: str) -> bool:
    """Whether ``text`` must be a folder: hub names are ``owner/name`` and no top-level folder here is an owner."""
    parts = text.split("/")
    return len(parts) != 2 or text.startswith((".", "~")) or Path(parts[0]).is_dir() or parts[0] in ("models", "runs")


def _check_folder(path: Path) -> None:
    if not (path / "config.json").is_file():
        raise ValueError(f"model folder {str(path)!r} has no config.json; it is no Hugging Face checkpoint")
    if not any(any(path.glob(pattern)) for pattern in WEIGHT_FILES):
        raise ValueError(f"model folder {str(path)!r} has no weights (model.safetensors); train it again, or fetch the "
                         "weights (`make base` makes models/tiny-base)")
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise ValueError(f"model folder {str(path)!r} has no tokenizer (tokenizer.json); save one into it with "
                         "tokenizer.save_pretrained")


def check_pair(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Raise ``ValueError`` if the tokenizer can produce ids that the model has no embedding for."""
    embedding: Any = model.get_input_embeddings()
    rows = embedding.weight.shape[0]
    if len(tokenizer) > rows:
        raise ValueError(f"model {source!r}: the tokenizer has {len(tokenizer)} tokens but the model embeds {rows}; "
                         "they do not belong together")


def prepare_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Switch off dropout, agree on the padding id, and go to eval mode (in place; returns the model)."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
    model.config.pad_token_id = tokenizer.pad_token_id
    if model.generation_config is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model.eval()


def context_length(config: Any) -> int:
    """Largest number of tokens that a model of this config can read (a large number if the config names none)."""
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(length) if length else 1_000_000


def eos_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The tokenizer's eos id, then the other ids at which the model's generation config stops."""
    own = int(tokenizer.eos_token_id)
    declared = model.generation_config.eos_token_id if model.generation_config is not None else None
    others = declared if isinstance(declared, list) else [] if declared is None else [declared]
    return (own, *[int(other) for other in others if other != own])


def format_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """The text that the policy reads: the prompt in the tokenizer's chat template, or as it is if there is none."""
    if not tokenizer.chat_template:
        return prompt
    messages = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return str(text)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Token ids of ``format_prompt``; a chat template writes its own special tokens, so none are added to it.

    Raises ``ValueError`` for text with words that the tokenizer does not know.
    """
    text = format_prompt(tokenizer, prompt)
    return _known(tokenizer, list(tokenizer(text, add_special_tokens=not tokenizer.chat_template)["input_ids"]), text)


def encode_completion(tokenizer: PreTrainedTokenizerBase, completion: str) -> list[int]:
    """Token ids of a completion, closed by the eos token. Encoded apart from the prompt, as it is sampled.

    Raises ``ValueError`` for text with words that the tokenizer does not know.
    """
    ids = list(tokenizer(completion, add_special_tokens=False)["input_ids"])
    return [*_known(tokenizer, ids, completion), int(tokenizer.eos_token_id)]


def _known(tokenizer: PreTrainedTokenizerBase, ids: list[int], text: str) -> list[int]:
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
        raise ValueError(f"the tokenizer does not know every word of {text[:60]!r}; choose the wording that the model "
                         "was trained on (models/tiny-base reads the compact one), or a model for this text")
    return ids


def decode_completion(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """Text of sampled ids without special tokens, with its spaces as they are."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def check_lengths(prompts: Iterable[tuple[str, int]], limit: int, what: str) -> None:
    """Raise ``ValueError`` that names the first ``(row, length)`` longer than ``limit`` tokens.

    ``what`` says which limit it is, for example ``"context of the model"``.
    """
    for row, length in prompts:
        if length > limit:
            raise ValueError(f"row {row}: {length} tokens, more than the {what} ({limit}); shorten the problem, or "
                             "choose a model or recipe with a larger limit")


def needs_checkpointing(config: Any) -> bool:
    """Whether training should recompute activations: models above 300 M parameters would not fit otherwise."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters()) > CHECKPOINTING_PARAMETERS


def fingerprint(name_or_path: str | os.PathLike[str]) -> str:
    """Digest of what a checkpoint computes (config, weights, tokenizer), or of the name of a hub model.

    Neither the record of a finished run nor the card of a base counts: they may be written anew for the same model.
    """
    source = Path(resolve(name_or_path))
    if not source.is_dir():
        return hashlib.sha256(str(source).encode()).hexdigest()[:16]
    state = hashlib.sha256()
    for path in sorted(source.iterdir()):
        if path.is_file() and path.suffix in (".safetensors", ".bin", ".json", ".model", ".jinja"):
            if path.name in ("complete.json", "recipe.json") or path.name.endswith(".provenance.json"):
                continue
            state.update(path.name.encode())
            with path.open("rb") as handle:
                while block := handle.read(1 << 22):
                    state.update(block)
    return state.hexdigest()[:16]


def digest_rows(rows: Sequence[dict[str, Any]]) -> str:
    """Digest of plain rows, for recognising a run that continues on the same data."""
    state = hashlib.sha256()
    for row in rows:
        state.update(json.dumps(row, sort_keys=True, default=str).encode())
    return state.hexdigest()[:16]
