"""Runs that can be killed at any moment: complete checkpoints only, and a finished folder that appears by renaming.

A run writes into ``<out>.partial``. A checkpoint there counts once its marker, written last, exists; anything else is
removed. The finished model appears at ``out`` by renaming a complete folder. ``identity.json`` says what is being
trained: a run continues only what it would itself have done.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.trainer_callback import PrinterCallback, TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.training_args import TrainingArguments

from bi.files import atomic_folder, atomic_write, require_space
from bi.progress import Progress

MARKER = "checkpoint_complete"
COMPLETE = "complete.json"
KEPT = "policies"
# How libraries that do not pass the system's error number on say that a write was cut short: safetensors, quotas, torch
FULL_SIGNS = ("No space left", "quota exceeded", "unexpected pos")
WRITE_SIGNS = ("PytorchStreamWriter", "inline_container", "file write failed")


class RunCallbacks:
    """What ``Trainer`` subclasses of this package add: marked checkpoints, finite numbers, one progress line."""

    progress: Progress | None = None

    def quieten(self, progress: Progress | None) -> None:
        """Replace the trainer's own printing by ``progress``."""
        self.remove_callback(PrinterCallback)
        self.progress = progress

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no card into checkpoints: the run's ``complete.json`` says where a model comes from."""

    def training_step(self, model: torch.nn.Module, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro-batch; a loss that is not finite stops the run (``FloatingPointError``)."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(self._not_finite("loss", float(loss)))
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep the step's record; a gradient norm that is not finite stops the run before anything is saved."""
        norm = logs.get("grad_norm")
        if norm is not None and not math.isfinite(norm):
            raise FloatingPointError(self._not_finite("gradient norm", norm))
        super().log(logs, start_time)
        if self.progress is not None and "loss" in logs:
            self.progress.update(self.state.global_step, self.progress_note(logs))

    def progress_note(self, logs: Mapping[str, Any]) -> str:
        """What the progress line says about the last step."""
        return f"loss {logs['loss']:.3f}"

    def _not_finite(self, what: str, value: float) -> str:
        return (f"{what} is {value} at step {self.state.global_step}: training has diverged; lower learning_rate "
                f"({self.args.learning_rate}) or max_grad_norm ({self.args.max_grad_norm}), then run again")

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            folder = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            with atomic_write(folder / MARKER) as handle:
                handle.write(f"{self.state.global_step}\n")
            for other in checkpoints(folder.parent):
                if other != folder:
                    shutil.rmtree(other)


class KeepPolicies(TrainerCallback):
    """Keep the policy after every ``every`` optimiser steps, but the last, in ``<work>/policies/step-<n>``.

    ``work`` is the run's folder, which :func:`publish` makes the finished one. A resumed run writes the same bits
    again.
    """

    def __init__(self, work: Path, every: int, tokenizer: PreTrainedTokenizerBase) -> None:
        self.work, self.every, self.tokenizer = work, every, tokenizer

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the policy aside, then rename."""
        step = state.global_step
        if step % self.every or step >= state.max_steps or not args.should_save:
            return
        folder = kept_policy(self.work, step)
        shutil.rmtree(folder, ignore_errors=True)
        with atomic_folder(folder) as place:
            kwargs["model"].save_pretrained(place)
            self.tokenizer.save_pretrained(place)


def kept_policy(model: Path, step: int) -> Path:
    """Where :class:`KeepPolicies` leaves the policy after ``step`` of the run that made, or is making, ``model``."""
    return model / KEPT / f"step-{step:05d}"


def checkpoints(work: Path) -> list[Path]:
    """Checkpoint folders of a run, complete or not, oldest first."""
    found = [path for path in work.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if path.name.rsplit("-", 1)[1].isdigit()]
    return sorted(found, key=lambda path: int(path.name.rsplit("-", 1)[1]))


def last_complete(work: Path) -> Path | None:
    """The newest checkpoint with a marker; checkpoints without one are removed."""
    complete = None
    for path in checkpoints(work):
        if (path / MARKER).is_file():
            complete = path
        else:
            shutil.rmtree(path)
    return complete


def open_run(out: Path, identity: Mapping[str, Any]) -> Path | None:
    """The work folder of the run that ends in ``out``, or ``None`` if it has already ended there.

    What another run left in the work folder is removed. Raises ``ValueError`` if ``out`` holds another finished run.
    """
    work, identity = out.with_name(out.name + ".partial"), dict(identity)
    if (out / COMPLETE).is_file():
        held = json.loads((out / COMPLETE).read_text())
        differing = sorted(key for key in identity if held.get(key) != identity[key])
        if differing:
            raise ValueError(f"{out} already holds a finished run with another {', '.join(differing)}; remove it or "
                             "choose another folder")
        shutil.rmtree(work, ignore_errors=True)
        return None
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; choose another folder for the model")
    label = work / "identity.json"
    if not label.is_file() or json.loads(label.read_text()) != identity:
        shutil.rmtree(work, ignore_errors=True)
        with atomic_write(label) as handle:
            json.dump(identity, handle, indent=1, sort_keys=True)
    return work


def require_training_space(work: Path, model: PreTrainedModel) -> None:
    """Raise ``OSError`` before long work if two checkpoints with their optimiser states would not fit."""
    size = sum(parameter.numel() * 4 for parameter in model.parameters())
    require_space(work, 2 * 3 * size + (8 << 20))


def publish(
    out: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tables: Mapping[str, pd.DataFrame],
    identity: Mapping[str, Any],
) -> None:
    """Write model, tokenizer, ``tables`` (CSV by file name), ``complete.json``, and the policies that were kept.

    ``out`` appears when all is there.
    """
    work = out.with_name(out.name + ".partial")
    model.config.use_cache = True  # trainers switch it off in the config that they share with the model
    with atomic_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        for name, table in tables.items():
            table.to_csv(folder / name, index=False, lineterminator="\n")
        with atomic_write(folder / COMPLETE) as handle:
            json.dump(dict(identity), handle, indent=1, sort_keys=True)
        if (work / KEPT).is_dir():
            shutil.copytree(work / KEPT, folder / KEPT)  # a copy: killed before the renaming, the run needs them again
    shutil.rmtree(work, ignore_errors=True)


def _is_full(error: Exception, where: Path) -> bool:
    """Whether writing failed for lack of space."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    if any(sign in text for sign in FULL_SIGNS):
        return True
    place = next(path for path in (where, *where.absolute().parents) if path.exists())
    return any(sign in text for sign in WRITE_SIGNS) and shutil.disk_usage(place).free < (1 << 20)


@contextmanager
def clear_disk_errors(work: Path) -> Iterator[None]:
    """Turn a full disk into one clear ``OSError``; the half-written checkpoint is removed, complete ones stay."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _is_full(error, work):
            raise
        kept = last_complete(work) if work.is_dir() else None
        rest = f"the run continues from {kept.name}" if kept else "what is finished is kept"
        raise OSError(errno.ENOSPC, f"no space left on the device while writing below {os.fspath(work)}; free some "
                                    f"space and run the same command: {rest}") from error
