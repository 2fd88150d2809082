"""Accuracy and influence through RL, step by step: rows of one cell, and means over seeds with intervals.

Every arm and step of a split sees the same draws of seeds and prompts, so that a change since the start, or a
difference between arms, is paired draw by draw. Test problems are the same for all seeds and drawn once for all of
them; the prompts of the influence differ from seed to seed and are drawn within each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from bi.evaluation.crossed import crossed_draws, paired_tables, percentile_bounds, two_sided
from bi.evaluation.pairs import INFLUENCE, TRAIN, Pairs, PromptDraws, prompt_draws

Cell = tuple[str, int, int]
"""Arm, seed and step."""
REFERENCE = "vanilla"
START = "start"
STEP_COLUMNS = ("arm", "step", "tokens", "versus", "split", "metric", "value", "low", "high", "p", "n", "method")
LEFT_OUT = {TRAIN: ("plus", "minus", "contrast")}
"""The parts of a prompt's influence on itself are not kept: their noise would not cancel."""


def tokens_spent(history: pd.DataFrame, completions: int) -> pd.Series:
    """Completion tokens that RL has sampled up to and with each step (index ``step``, from 0).

    ``history``: rows ``step, completion_length`` of every step, the mean length of its ``completions`` completions
    (prompts times rollouts). Raises ``ValueError`` where a step is missing: the sum would be too small.
    """
    if list(history["step"]) != list(range(1, len(history) + 1)):
        raise ValueError("history: a row for every step from 1 on is needed; run RL again")
    spent = completions * history["completion_length"].to_numpy(float).cumsum()
    return pd.Series([0, *np.rint(spent).astype(int)], name="tokens")


def cell_rows(counts: pd.DataFrame, pairs: Mapping[int, Mapping[str, Pairs]], lr: float) -> pd.DataFrame:
    """Rows ``arm, seed, step, tokens, split, metric, value, n`` of one cell: accuracy and :data:`INFLUENCE`.

    ``counts``: :func:`bi.evaluation.metrics.cell_counts` of the test rollouts, cells ``arm, seed, step, tokens,
    split``; ``pairs``: by step and target. ``lr``: size of the step that the influence speaks of. The splits of the
    influence are its targets; ``n`` counts prompts.
    """
    keys = ["arm", "seed", "step", "tokens"]
    shares = counts.assign(value=counts["correct"] / counts["n"])
    accuracy = shares.groupby([*keys, "split"], sort=False)["value"].agg(value="mean", n="size").reset_index()
    parts = [accuracy.assign(metric="accuracy")]
    for _, place in counts[keys].drop_duplicates().iterrows():
        rows = []
        for split, held in pairs[place["step"]].items():
            once = PromptDraws(*(np.ones((1, size)) for size in held.products.shape))
            rows += [{**place, "split": split, "metric": metric, "n": len(held.counts),
                      "value": float(INFLUENCE[metric](held, once, lr)[0])} for metric in metrics_of(split)]
        parts.append(pd.DataFrame(rows))
    return pd.concat(parts, ignore_index=True)[[*keys, "split", "metric", "value", "n"]]


def metrics_of(split: str) -> list[str]:
    """Names in :data:`INFLUENCE` that are known on a split."""
    return [name for name in INFLUENCE if name not in LEFT_OUT.get(split, ())]


def steps_table(counts: pd.DataFrame, pairs: Mapping[Cell, Mapping[str, Pairs]], lr: float, *,
                resamples: int = 2000) -> pd.DataFrame:
    """Means over seeds by arm and step, with 95 % intervals, and the same minus vanilla's and minus the start's.

    ``counts``: as in :func:`cell_rows`, of a whole grid; ``pairs``: by arm, seed and step, then by target. ``versus``
    is empty, ``vanilla`` (at the same step) or ``start`` (the same arm before RL); ``p`` belongs to the interval, for
    differences. ``tokens``: mean over seeds of what RL has sampled. A quantity that some draw lacks has no interval.
    Raises ``ValueError`` where arms or steps were not measured on the same prompts.
    """
    tokens = counts.groupby(["arm", "step"])["tokens"].mean()
    rows: list[dict[str, object]] = []
    for split, metric, levels, n, method in [*accuracy_levels(counts, resamples), *_influences(pairs, lr, resamples)]:
        for (arm, step), versus, drawn in _with_differences(levels):
            low, high = percentile_bounds(drawn)
            rows.append({"arm": arm, "step": step, "tokens": tokens[arm, step], "versus": versus, "split": split,
                         "metric": metric, "value": float(drawn[0]), "low": low, "high": high,
                         "p": two_sided(drawn) if versus else np.nan, "n": n, "method": method})
    return pd.DataFrame(rows, columns=list(STEP_COLUMNS))


Levels = dict[tuple[str, int], np.ndarray]
"""Draws (B + 1,) of a mean over seeds, by arm and step."""


def _with_differences(levels: Levels) -> Iterable[tuple[tuple[str, int], str, np.ndarray]]:
    for (arm, step), drawn in levels.items():
        yield (arm, step), "", drawn
        if arm != REFERENCE and (REFERENCE, step) in levels:
            yield (arm, step), REFERENCE, drawn - levels[REFERENCE, step]
        if step:
            yield (arm, step), START, drawn - levels[arm, 0]


def accuracy_tables(counts: pd.DataFrame) -> dict[tuple[str, int], pd.DataFrame]:
    """Accuracies (seeds x problems) of one split by arm and step; ``ValueError`` unless all have the same problems."""
    return paired_tables(counts.assign(value=counts["correct"] / counts["n"]), ("arm", "step"), "sample all again")


def accuracy_levels(counts: pd.DataFrame, resamples: int) -> Iterable[tuple[str, str, Levels, int, str]]:
    """Split, metric, mean accuracies in every draw, (seed, problem) pairs and method of the interval, by split.

    ``counts``: rows ``arm, seed, step, split, problem_id, n, correct``. Raises ``ValueError`` where arms or steps do
    not have the same seeds and problems.
    """
    for split, part in counts.groupby("split", sort=False):
        tables = accuracy_tables(part)
        seeds, problems = next(iter(tables.values())).shape
        draws = crossed_draws(seeds, problems, resamples, "through", str(split))
        scale = draws.totals(np.ones((seeds, problems)))
        levels = {key: draws.totals(table.to_numpy()) / scale for key, table in tables.items()}
        yield str(split), "accuracy", levels, seeds * problems, interval_method(seeds, f"{problems} problems")


def interval_method(seeds: int, units: str) -> str:
    """How an interval was made, for a caption; with one seed, seeds are not drawn."""
    return f"95% percentile bootstrap over {f'{seeds} seeds x ' if seeds > 1 else ''}{units}"


def _influences(pairs: Mapping[Cell, Mapping[str, Pairs]], lr: float,
                resamples: int) -> Iterable[tuple[str, str, Levels, int, str]]:
    for split in next(iter(pairs.values())):
        here = {cell: targets[split] for cell, targets in pairs.items()}
        seeds, prompts, over_seeds = shared_draws(here, split, resamples)
        any_pairs = next(iter(here.values()))
        units = f"{len(any_pairs.counts)} target and {len(any_pairs.train_counts)} training prompts"
        cells = dict.fromkeys((arm, step) for arm, _, step in here)
        for metric in metrics_of(split):
            levels = {(arm, step): seed_mean([INFLUENCE[metric](here[arm, seed, step], prompts[seed], lr)
                                              for seed in seeds], over_seeds) for arm, step in cells}
            yield split, metric, levels, len(seeds) * len(any_pairs.counts), interval_method(len(seeds), units)


def shared_draws(pairs: Mapping[Cell, Pairs], split: str,
                 resamples: int) -> tuple[list[int], dict[int, PromptDraws], np.ndarray]:
    """Seeds, the draws of prompts within each, and how often each seed is drawn, (B + 1, S): for all arms and steps.

    Raises ``ValueError`` where an arm or step lacks a seed or has other prompts.
    """
    seeds = sorted({seed for _, seed, _ in pairs})
    firsts = {seed: next(held for (_, other, _), held in pairs.items() if other == seed) for seed in seeds}
    for arm, step in dict.fromkeys((arm, step) for arm, _, step in pairs):
        for seed in seeds:
            held, first = pairs.get((arm, seed, step)), firsts[seed]
            if held is None or (held.target_ids, held.train_ids) != (first.target_ids, first.train_ids):
                raise ValueError(f"{arm}, seed {seed}, step {step}, {split}: no influence, or on other prompts than "
                                 "the other arms'; run the stage through again")
    prompts = {seed: prompt_draws(firsts[seed], resamples, split, seed) for seed in seeds}
    return seeds, prompts, crossed_draws(len(seeds), 1, resamples, "pairs", split).seeds


def seed_mean(by_seed: Iterable[np.ndarray], over_seeds: np.ndarray) -> np.ndarray:
    """Mean over the seeds of every draw, (B + 1,), from draws (B + 1,) of each seed and counts (B + 1, S) of seeds."""
    return (np.stack(list(by_seed), axis=1) * over_seeds).sum(axis=1) / over_seeds.sum(axis=1)


def problem_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Right answers of every test problem: ``arm, seed, split, problem_id, n`` and one column ``step_N`` a step.

    The values behind every interval on accuracy, in a table that stays small. ``nan`` for a step that an arm lacks.
    """
    keys = ["arm", "seed", "split", "problem_id", "n"]
    wide = counts.pivot(index=keys, columns="step", values="correct").sort_index(axis=1)
    order = pd.MultiIndex.from_frame(counts[keys].drop_duplicates())
    return wide.loc[order].rename(columns=lambda step: f"step_{step}").rename_axis(columns=None).reset_index()
