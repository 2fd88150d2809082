"""The influence of one checkpoint: rollouts in, one tidy table and the arrays behind it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bi.evaluation.intervals import numpy_stream
from bi.influence.advantages import Weighting
from bi.influence.gradients import GroupGradients, group_gradients
from bi.influence.kernel import cosine_gram
from bi.influence.per_step import Estimator, per_step_influence

TRAIN = "train"


@dataclass(frozen=True)
class InfluenceReport:
    """``table``: tidy rows with a column ``target``; ``arrays``: name -> array for ``np.savez``; ``notes``: sentences.

    Arrays per target T: ``T_objective``, ``T_accuracy`` (N_target, M_train), ``T_cosine`` (the same, naive),
    ``T_ids``, ``T_alpha``, ``T_counts`` (N_target,); the training prompts are the target ``train``.
    """

    table: pd.DataFrame
    arrays: dict[str, np.ndarray]
    notes: dict[str, str]


def influence_report(policy: Any, train: pd.DataFrame, targets: Mapping[str, pd.DataFrame] | None = None, *, lr: float,
                     seed: int, estimator: Estimator = "halves", weighting: Weighting | None = None,
                     parameters: str | None = None, micro_batch_size: int = 16, resamples: int = 2000,
                     progress: Callable[[int, int], None] | None = None) -> InfluenceReport:
    """Per-step influence of the prompts of ``train`` on themselves (target ``train``) and on each table of ``targets``.

    ``train`` and ``targets`` are rollout tables of the same checkpoint ``policy``; ``seed`` names the bootstrap's
    random stream. See :func:`bi.influence.per_step.per_step_influence` for ``lr`` and ``estimator`` and
    :func:`bi.influence.gradients.group_gradients` for the rest. Memory: two gradients per prompt for ``train`` and for
    one target at a time. ``progress(done, total)`` counts prompts over all tables.
    """
    tables = {TRAIN: train, **(targets or {})}
    if TRAIN in (targets or {}):
        raise ValueError("targets: 'train' is the name of the training prompts; call the target something else")
    total = sum(table["problem_id"].nunique() if "problem_id" in table else 0 for table in tables.values())
    done = 0
    frames, arrays, notes = [], {}, {}
    source: GroupGradients | None = None
    for name, rollouts in tables.items():
        gradients = group_gradients(
            policy, rollouts, split="halves", weighting=weighting, parameters=parameters,
            micro_batch_size=micro_batch_size, progress=_shifted(progress, done, total))
        done += len(gradients.ids)
        source = source or gradients
        result = per_step_influence(source, gradients, lr, rng=numpy_stream(seed, "influence", name),
                                    estimator=estimator, resamples=resamples)
        frames.append(result.table().assign(target=name))
        notes[name] = gradients.describe()
        own = {"objective": result.objective, "accuracy": result.accuracy,
               "cosine": cosine_gram(gradients.full(), source.full()), "ids": np.array(gradients.ids),
               "alpha": gradients.mean, "counts": gradients.counts}
        arrays |= {f"{name}_{key}": value for key, value in own.items()}
    table = pd.concat(frames, ignore_index=True)
    return InfluenceReport(table[["target", *table.columns.drop("target")]], arrays, notes)


def _shifted(progress: Callable[[int, int], None] | None, done: int,
             total: int) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda count, _: progress(done + count, total)
