"""The tables that the book shows: tidy, one measurement a row, from the rollouts and histories of a grid.

``main``: every arm, seed, stage and split. ``summary``: arms over seeds, with intervals, gains and differences of
gains. ``rollout_accuracy``: counts of every problem. ``behaviors``, ``sft_data``, ``curves``: what the names say.
All functions return new frames in a fixed order, so that equal inputs give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bi.evaluation.intervals import Interval, bootstrap_mean, hierarchical_mean, numpy_stream
from bi.evaluation.metrics import COUNTS, SHARES, accuracy_table, cell_counts, pass_at_k, problem_counts
from bi.runs import SPLITS, Run

MAIN_COLUMNS = ("task", "arm", "seed", "stage", "split", "metric", "value", "n")
SUMMARY_COLUMNS = ("task", "arm", "stage", "versus", "split", "metric", "value", "low", "high", "n", "method")
STAGES = ("base", "sft", "rl")
BEHAVIORS = ("n_reflection", "n_analysis", "n_subgoal")
BASE_ARM = "base"
REFERENCE_ARM = "vanilla"
TRAIN_SPLIT = "train"
_TIMES = ("seconds", "wall_s", "time")

READ = ("problem_id", "answer", "reward", *SHARES, *COUNTS)


def gather_rollouts(base: Run, cells: Iterable[Run]) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Rollouts of the base model and of every cell, as pairs (``task, arm, seed, stage, split``; table).

    The split ``train`` holds the RL prompts under the SFT checkpoint. Columns that no table of this module needs are
    not read.
    """
    places = [(base, BASE_ARM, "base", split) for split in SPLITS]
    for run in cells:
        places += [(run, run.arm, "sft", split) for split in (*SPLITS, TRAIN_SPLIT)]
        places += [(run, run.arm, "rl", split) for split in SPLITS]
    found = []
    for run, arm, stage, split in places:
        cell = {"task": run.recipe.task.task, "arm": arm, "seed": run.seed, "stage": stage, "split": split}
        found.append((cell, pd.read_parquet(run.rollouts(stage, split), columns=list(READ))))
    return found


def main_rows(rollouts: pd.DataFrame, cell: Mapping[str, Any], pass_at: Sequence[int]) -> pd.DataFrame:
    """Rows of ``main`` for one rollout table; ``cell`` holds ``task, arm, seed, stage, split``."""
    rows = accuracy_table(rollouts, tuple(pass_at)).assign(**cell)
    return rows[list(MAIN_COLUMNS)]


def problem_rows(rollouts: pd.DataFrame, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Rows ``arm, seed, stage, split, problem_id, n, correct`` of ``rollout_accuracy``, one per problem."""
    return cell_counts(rollouts, {name: cell[name] for name in ("arm", "seed", "stage", "split")})


def problem_values(rollouts: pd.DataFrame, cell: Mapping[str, Any], pass_at: Sequence[int]) -> pd.DataFrame:
    """Per problem what :func:`main_rows` averages over problems: columns of ``cell``, ``metric, problem_id, value``."""
    counts = problem_counts(rollouts)
    values = {"accuracy": counts["accuracy"].to_numpy()}
    values |= {f"pass@{k}": pass_at_k(counts["n"], counts["correct"], k) for k in pass_at}
    grouped = rollouts.groupby("problem_id", sort=False)
    for column in (name for name in SHARES + COUNTS if name in rollouts):
        values[column] = grouped[column].mean().to_numpy(dtype=np.float64)
    parts = [pd.DataFrame({"problem_id": counts["problem_id"], "metric": metric, "value": value})
             for metric, value in values.items()]
    return pd.concat(parts, ignore_index=True).assign(**cell)


def summary_table(values: pd.DataFrame, *, resamples: int = 2000, level: float = 0.95) -> pd.DataFrame:
    """Means over seeds with bootstrap intervals, from the rows of :func:`problem_values` of a whole grid.

    ``stage`` is ``base``, ``sft``, ``rl`` or ``gain`` (RL minus SFT, paired by seed and problem); ``versus`` names the
    arm that is subtracted (``vanilla``, paired too) or is empty. Seeds and, across all seeds alike, problems are
    resampled; with one seed only problems are. ``n`` is the number of seeds times problems.
    """
    rows = []
    for (task, split, metric), part in values.groupby(["task", "split", "metric"], sort=False):
        tables = _cells(part)
        options = {"resamples": resamples, "level": level}
        for (arm, stage, versus), table in tables.items():
            interval = _interval(table, numpy_stream("summary", arm, stage, versus, split, metric), **options)
            rows.append((task, arm, stage, versus, split, metric, interval.value, interval.low, interval.high,
                         table.size, interval.describe()))
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _cells(part: pd.DataFrame) -> dict[tuple[str, str, str], pd.DataFrame]:
    """Tables (seeds x problems) by (arm, stage, versus): levels, gains, and differences to the reference arm."""
    levels = {
        (str(arm), str(stage)): rows.pivot(index="seed", columns="problem_id", values="value")
        for (arm, stage), rows in part.groupby(["arm", "stage"], sort=False)
    }
    arms = dict.fromkeys(arm for arm, stage in levels if stage == "rl")
    levels |= {(arm, "gain"): levels[arm, "rl"] - levels[arm, "sft"] for arm in arms if (arm, "sft") in levels}
    found = {(arm, stage, ""): table for (arm, stage), table in levels.items()}
    for arm, stage in levels:
        if arm not in (REFERENCE_ARM, BASE_ARM) and (REFERENCE_ARM, stage) in levels:
            found[arm, stage, REFERENCE_ARM] = levels[arm, stage] - levels[REFERENCE_ARM, stage]
    return found


def _interval(table: pd.DataFrame, rng: np.random.Generator, *, resamples: int, level: float) -> Interval:
    """Bootstrap interval of a (seeds x problems) table; raises ``ValueError`` for a pair that is missing."""
    if table.isna().to_numpy().any():
        raise ValueError("a seed lacks a problem that others have; evaluate all seeds and arms on the same problems")
    if len(table) == 1:
        return bootstrap_mean(table.to_numpy()[0], rng, resamples=resamples, level=level)
    long = table.stack().rename("value").reset_index()
    return hierarchical_mean(long["value"], long["seed"], long["problem_id"], rng, design="crossed",
                             resamples=resamples, level=level)


def sft_data_rows(rows: Sequence[Mapping[str, Any]], tokens: Sequence[int], cell: Mapping[str, Any]) -> pd.DataFrame:
    """What an SFT set really holds: ``rows``, ``tokens`` of completions in all, and means per row; ``n`` is rows.

    ``tokens`` are the completion lengths row by row; ``cell`` holds ``task, arm, seed``.
    """
    frame = pd.DataFrame(list(rows))
    values = {"rows": len(frame), "tokens": int(sum(tokens)), "n_tokens": float(np.mean(tokens)),
              "n_ops": float(frame["n_ops"].mean())}
    values |= {name: float(frame[name].mean()) for name in BEHAVIORS}
    values |= {f"share_{name}": float((frame[name] > 0).mean()) for name in BEHAVIORS}
    table = pd.DataFrame({"metric": list(values), "value": list(values.values())}).assign(**cell, n=len(frame))
    return table[["task", "arm", "seed", "metric", "value", "n"]]


def behavior_rows(main: pd.DataFrame, sft_data: pd.DataFrame) -> pd.DataFrame:
    """Mean behaviours per completion: in the SFT data (stage ``data``), after SFT and after RL.

    Columns ``arm, seed, stage, split, metric, value, n``; the split of stage ``data`` is ``train``.
    """
    data = sft_data.assign(stage="data", split="train")
    columns = ["arm", "seed", "stage", "split", "metric", "value", "n"]
    both = pd.concat([data[columns], main.loc[main["stage"] != "base", columns]], ignore_index=True)
    return both[both["metric"].isin(BEHAVIORS)].reset_index(drop=True)


def curve_rows(history: pd.DataFrame, cell: Mapping[str, Any]) -> pd.DataFrame:
    """A training history with ``arm`` and ``seed`` in front, and without its times."""
    kept = history.drop(columns=[name for name in history if name in _TIMES])
    names = [name for name in ("arm", "seed") if name in cell]
    return kept.assign(**{name: cell[name] for name in names})[[*names, *kept.columns]]


def stack(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Parts below each other in the order given; raises ``ValueError`` if there is none."""
    parts = list(parts)
    if not parts:
        raise ValueError("no rows to put into a table; run the stages first")
    return pd.concat(parts, ignore_index=True)
