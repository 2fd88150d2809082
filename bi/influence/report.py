"""The influence of one checkpoint: rollouts in, tidy tables and the arrays behind them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from bi.evaluation.intervals import bootstrap_mean, numpy_stream
from bi.influence.adam import AdamState, AdamStep, adam_step, flat_parameters
from bi.influence.advantages import Weighting
from bi.influence.gradients import GroupGradients, group_gradients
from bi.influence.kernel import cosine_gram
from bi.influence.per_step import NOTES, Estimator, PerStepInfluence, drift_changes, per_step_influence
from bi.influence.sketch import Sketch

TRAIN = "train"


@dataclass(frozen=True)
class InfluenceReport:
    """What was measured, in the form in which it is kept.

    ``table``: tidy rows with a column ``target``. ``prompts``: one row per target and training prompt with the mean
    change over the target's prompts, itself left out, by a step on that training prompt alone (``objective``,
    ``accuracy``) and its ``alpha``. ``arrays``: name
    -> array for ``np.savez``; per target T ``T_objective``, ``T_accuracy`` (N_target, M_train), ``T_cosine`` (the same,
    naive), ``T_ids``, ``T_alpha``, ``T_counts`` (N_target,). ``notes``: a sentence per target. The training prompts are
    the target ``train``.
    """

    table: pd.DataFrame
    prompts: pd.DataFrame
    arrays: dict[str, np.ndarray]
    notes: dict[str, str]


def influence_report(policy: Any, train: pd.DataFrame, targets: Mapping[str, pd.DataFrame] | None = None, *, lr: float,
                     seed: int, estimator: Estimator = "halves", weighting: Weighting | None = None,
                     parameters: str | None = None, reference: Any = None, sketch: Sketch | None = None,
                     adam: AdamState | None = None, autocast: torch.dtype | None = None,
                     micro_batch_size: int = 16, resamples: int = 2000,
                     progress: Callable[[int, int], None] | None = None) -> InfluenceReport:
    """Per-step influence of the prompts of ``train`` on themselves (target ``train``) and on each table of ``targets``.

    ``train`` and ``targets`` are rollout tables of the same checkpoint ``policy``; ``seed`` names the bootstrap's
    random stream. ``adam``: the state before the step, for Adam's inner product in place of the plain one; the rows
    ``momentum_objective`` and ``momentum_accuracy`` then say what earlier steps add. See
    :func:`bi.influence.per_step.per_step_influence` for ``lr`` and ``estimator`` and
    :func:`bi.influence.gradients.group_gradients` for the rest. Memory: two gradients per prompt for ``train`` and for
    one target at a time. ``progress(done, total)`` counts prompts over all tables.
    """
    tables = {TRAIN: train, **(targets or {})}
    if TRAIN in (targets or {}):
        raise ValueError("targets: 'train' is the name of the training prompts; call the target something else")
    if adam is not None and sketch is not None:
        raise ValueError("adam: its inner product needs whole gradients; leave out the sketch")
    total = sum(table["problem_id"].nunique() if "problem_id" in table else 0 for table in tables.values())
    done = 0
    frames, prompts, arrays, notes = [], [], {}, {}
    source: GroupGradients | None = None
    step: AdamStep | None = None
    for name, rollouts in tables.items():
        gradients = group_gradients(
            policy, rollouts, split="halves", weighting=weighting, parameters=parameters, reference=reference,
            sketch=sketch, autocast=autocast, micro_batch_size=micro_batch_size,
            progress=_shifted(progress, done, total))
        done += len(gradients.ids)
        source = source or gradients
        if adam is not None and step is None:
            step = adam_step(adam, source.full().mean(0), flat_parameters(policy, parameters))
        result = per_step_influence(source, gradients, lr, rng=numpy_stream(seed, "influence", name),
                                    estimator=estimator, metric=step.metric if step else None, resamples=resamples)
        frames.append(result.table().assign(target=name))
        if step is not None:
            frames.append(_momentum(gradients, step, lr, seed, resamples).assign(target=name, estimator=estimator))
        prompts.append(_by_prompt(result, source.mean).assign(target=name))
        notes[name] = f"{gradients.describe()}; {NOTES[estimator]}" + ("; Adam's inner product" if step else "")
        arrays |= {f"{name}_{key}": value for key, value in _arrays(result, gradients, source).items()}
    return InfluenceReport(_target_first(frames), _target_first(prompts), arrays, notes)


def _arrays(result: PerStepInfluence, target: GroupGradients, train: GroupGradients) -> dict[str, np.ndarray]:
    return {"objective": result.objective, "accuracy": result.accuracy,
            "cosine": cosine_gram(target.full(), train.full()), "ids": np.array(target.ids), "alpha": target.mean,
            "counts": target.counts}


def _by_prompt(result: PerStepInfluence, alpha: np.ndarray) -> pd.DataFrame:
    """Mean over target prompts of each column of the pair matrices (pairs of a prompt with itself left out)."""
    same = np.array(result.target_ids)[:, None] == np.array(result.train_ids)[None, :]
    means = {unit: np.nanmean(np.where(same & (len(same) > 1), np.nan, values), axis=0) if np.isfinite(values).any()
             else np.full(len(alpha), np.nan)
             for unit, values in (("objective", result.objective), ("accuracy", result.accuracy))}
    return pd.DataFrame({"train_id": result.train_ids, "alpha": alpha, **means, "lr": result.lr})


def _momentum(target: GroupGradients, step: AdamStep, lr: float, seed: int, resamples: int) -> pd.DataFrame:
    """What Adam's momentum and weight decay add to the target prompts, as rows of the table."""
    changes = {"momentum_objective": drift_changes(target, step.drift, lr)}
    if target.weighting.plain:
        changes["momentum_accuracy"] = target.to_accuracy * changes["momentum_objective"]
    rows = []
    for metric, values in changes.items():
        i = bootstrap_mean(values, numpy_stream(seed, "influence", metric), resamples=resamples, unit="prompts")
        rows.append({"metric": metric, "value": i.value, "low": i.low, "high": i.high, "n": i.n, "unit": i.unit,
                     "level": i.level, "method": i.method, "lr": lr})
    return pd.DataFrame(rows)


def _target_first(frames: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(frames, ignore_index=True)
    return table[["target", *table.columns.drop("target")]]


def _shifted(progress: Callable[[int, int], None] | None, done: int,
             total: int) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda count, _: progress(done + count, total)
