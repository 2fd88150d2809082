"""The policies on the way through RL: where each of them and its rollouts lie, and what one more step would do to them.

The influence of a step falls into two parts, what the step does to the right and to the wrong completions of a target
prompt, and both are kept for every pair of prompts, so that means, intervals and comparisons at equal accuracies can be
made from them later (:mod:`bi.evaluation.through`, :mod:`bi.evaluation.equal_profile`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bi.evaluation.pairs import TRAIN, pairs_file
from bi.files import atomic_write
from bi.influence.gradients import GroupGradients, group_gradients
from bi.influence.kernel import outcome_kernels
from bi.influence.per_step import influence_matrix
from bi.runs import SPLITS, Run
from bi.training.checkpoints import kept_policy
from bi.training.rollouts import load_rollouts

STAGE = "through"
INFLUENCE_SPLITS = {TRAIN: "rl", "dev_id": "dev_id", "dev_ood": "dev_ood"}
"""Prompts that influence is measured on, as in the stage ``measure``: split and the problems that it is taken from."""


@dataclass(frozen=True)
class Point:
    """The policy after ``step`` of the ``last`` steps of RL in a cell of the grid; step 0 is the SFT checkpoint."""

    run: Run
    step: int
    last: int

    @property
    def checkpoint(self) -> Path:
        """The policy's folder."""
        if self.step == 0:
            return self.run.sft_model
        return self.run.rl_model if self.step == self.last else kept_policy(self.run.rl_model, self.step)

    def given(self, split: str) -> bool:
        """Whether the stages before have these rollouts: all of them after SFT, those of the tests after RL."""
        return self.step == 0 or (self.step == self.last and split in SPLITS)

    def rollouts(self, split: str) -> Path:
        """Rollouts on a test split, or on one of :data:`INFLUENCE_SPLITS`: given, or this stage's own."""
        if self.given(split):
            return self.run.rollouts("sft" if self.step == 0 else "rl", split)
        return self.run.folder(STAGE) / f"rollouts_{split}_step-{self.step:05d}.parquet"

    @property
    def pairs(self) -> Path:
        """The influences of all pairs of prompts (:func:`pair_influence`)."""
        return pairs_file(self.run.folder(STAGE), self.step)


def points(run: Run, every: int, last: int) -> list[Point]:
    """The SFT checkpoint, the policies kept ``every`` steps (0: none) and the checkpoint after the ``last`` step.

    Raises ``ValueError`` naming a policy that is not there.
    """
    steps = [0, *(range(every, last, every) if every else ()), last]
    found = [Point(run, step, last) for step in steps]
    for point in found:
        if not (point.checkpoint / "config.json").is_file():
            raise ValueError(f"{point.checkpoint} holds no policy; run RL of {run.arm}, seed {run.seed}, again: it "
                             f"keeps its policy every {every} steps")
    return found


def first_rollouts(path: Path, prompts: int, rollouts: int) -> pd.DataFrame:
    """The first ``rollouts`` completions of the first ``prompts`` prompts of a table that an earlier stage has made.

    They are the ones that sampling so many would have given, since a completion's noise depends on its prompt and
    number alone. Raises ``ValueError`` where the table has fewer.
    """
    table = load_rollouts(path)
    names = list(dict.fromkeys(table["problem_id"]))[:prompts]
    found = table[table["problem_id"].isin(names) & (table["sample"] < rollouts)].reset_index(drop=True)
    if len(found) < prompts * rollouts:
        raise ValueError(f"{path} has not {prompts} prompts with {rollouts} rollouts; raise the influence recipe "
                         "to the recipe through")
    return found


def pair_influence(policy: Any, train: pd.DataFrame, targets: Mapping[str, pd.DataFrame], *,
                   parameters: str | None = None) -> dict[str, np.ndarray]:
    """Inner products of every target prompt q with every training prompt q', by name for ``np.savez``.

    For each target T: ``T_plus`` and ``T_minus`` (N, M), < g+(q), grad J(q') > and < g-(q), grad J(q') >, what a step
    of unit size on q' adds to the mean log-probability of the right and of the wrong completions of q, in nats (``nan``
    where q has one outcome); ``T_products`` (N, M), < grad J(q), grad J(q') >; ``T_to_accuracy`` (N,), which turns a
    row of products into a change of accuracy; ``T_correct``, ``T_counts`` (N,) and ``T_ids``. ``train`` is a target
    too, without the two parts; a prompt's product with itself is that of its two halves, hence without the noise of
    using the same rollouts twice. Targets must share no prompt with ``train``: ``ValueError``.
    """
    source = group_gradients(policy, train, split="halves", parameters=parameters)
    arrays = _described(TRAIN, source) | {f"{TRAIN}_products": influence_matrix(source, source, 1.0)}
    for name, rollouts in targets.items():
        target = group_gradients(policy, rollouts, split="outcomes", parameters=parameters)
        if name == TRAIN or set(target.ids) & set(source.ids):
            raise ValueError(f"targets: {name!r} holds prompts that are trained on; give it other prompts and a "
                             "name of its own")
        kernels = outcome_kernels(target, source)
        products = sum(share[:, None] * kernel for share, kernel in zip(target.shares, kernels, strict=True))
        parts = [np.where(target.informative[:, None], kernel, np.nan) for kernel in kernels]
        arrays |= _described(name, target) | {f"{name}_plus": parts[0], f"{name}_minus": parts[1],
                                              f"{name}_products": np.asarray(products)}
    return arrays


def _described(name: str, gradients: GroupGradients) -> dict[str, np.ndarray]:
    correct = np.rint(gradients.mean * gradients.counts).astype(int)
    return {f"{name}_ids": np.array(gradients.ids), f"{name}_counts": gradients.counts, f"{name}_correct": correct,
            f"{name}_to_accuracy": gradients.to_accuracy}


def save_pairs(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write what :func:`pair_influence` gives; the file appears when it is whole."""
    with atomic_write(path, "wb") as handle:
        np.savez(handle, **arrays)
