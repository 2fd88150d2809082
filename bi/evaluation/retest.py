"""The main comparison on more test problems than the book was written with: the same once more, and further ones.

Checkpoints are trained apart from all of them. The first problems are those of the main tables; on the further ones
nothing was looked at while recipes, claims and pages were made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice, product
from typing import TypeVar

import numpy as np
import pandas as pd

from bi.evaluation.bases_findings import ARM
from bi.evaluation.crossed import Draws, crossed_draws, paired_tables, percentile_bounds
from bi.evaluation.findings import SPLITS, STAGES, Finding, combined
from bi.evaluation.through import interval_method
from bi.evaluation.verdicts import estimate_of, rows_of
from bi.recipes import get_profile

CELL = ("judged", "part", "arm", "seed", "stage", "split")
COLUMNS = ("judged", "problems", "arm", "versus", "stage", "split", "value", "low", "high", "n", "method")
FIRST, FURTHER, ALL, MOVED = "first", "further", "all", "further minus first"
Row = TypeVar("Row")
Means = dict[tuple[str, str], np.ndarray]
"""Mean accuracy of an arm and stage in every draw, (B + 1,)."""


def in_parts(rows: Iterable[Row], profile: str) -> dict[str, list[Row]]:
    """Test problems in two parts: as many as the profile has whose results these join, and those behind them."""
    rows = iter(rows)
    first = list(islice(rows, get_profile(profile.partition("-")[0]).task.test_problems))
    return {FIRST: first, FURTHER: list(rows)}


def retest_table(counts: pd.DataFrame, *, resamples: int = 2000) -> pd.DataFrame:
    """Accuracies by arm and stage on both parts and on all problems, with 95 % crossed bootstrap intervals.

    ``counts``: :func:`bi.evaluation.passes.count_passes` of :data:`CELL`. ``stage`` is ``sft``, ``rl`` or ``gain``;
    ``versus`` is empty or the arm that is subtracted from bridge; ``problems`` is a part, all of them, or what the
    further ones give more than the first. Seeds are drawn for both parts alike, problems in each part apart. ``n``
    counts (seed, problem) pairs. Raises ``ValueError`` where cells of a part do not have the same seeds and problems.
    """
    rows: list[dict[str, object]] = []
    for (judged, split), cells in counts.groupby(["judged", "split"], sort=False):
        shares = cells.assign(value=cells["correct"] / cells["n"])
        tables = {part: paired_tables(rows_of(shares, part=part), ("arm", "stage"), "test all of them again")
                  for part in (FIRST, FURTHER)}
        anywhere = {part: next(iter(found.values())) for part, found in tables.items()}
        if len({(frozenset(tables[part]), tuple(table.index)) for part, table in anywhere.items()}) > 1:
            raise ValueError(f"{split}: the two parts have different arms, stages or seeds; test all of them again")
        seeds, numbers = len(anywhere[FIRST]), {part: table.shape[1] for part, table in anywhere.items()}
        means = _means(tables, resamples, str(split))
        total = sum(numbers.values())
        for problems, found in {**means, ALL: _mixed(means, {part: numbers[part] / total for part in numbers}),
                                MOVED: _mixed(means, {FIRST: -1.0, FURTHER: 1.0})}.items():
            n = numbers.get(problems, total)
            facts = {"judged": judged, "problems": problems, "split": split, "n": seeds * n,
                     "method": interval_method(seeds, f"{n} problems")}
            rows += [{**facts, **row} for row in _rows(found)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _means(tables: Mapping[str, Mapping[tuple[str, ...], pd.DataFrame]], resamples: int, split: str
           ) -> dict[str, Means]:
    """What every cell has in every draw, by part, and the gain by RL."""
    means: dict[str, Means] = {}
    drawn_seeds = None
    for part, found in tables.items():
        shape = next(iter(found.values())).shape
        draws = crossed_draws(*shape, resamples, "retest", split, part)
        drawn_seeds = draws.seeds if drawn_seeds is None else drawn_seeds
        draws = Draws(drawn_seeds, draws.problems)
        scale = draws.totals(np.ones(shape))
        levels = {(arm, stage): draws.totals(table.to_numpy()) / scale for (arm, stage), table in found.items()}
        gains = {(arm, "gain"): levels[arm, "rl"] - drawn for (arm, stage), drawn in levels.items()
                 if stage == "sft" and (arm, "rl") in levels}
        means[part] = levels | gains
    return means


def _mixed(means: Mapping[str, Means], weights: Mapping[str, float]) -> Means:
    return {key: sum((weights[part] * means[part][key] for part in weights), np.zeros(1))
            for key in means[FIRST]}


def _rows(found: Means) -> Iterable[dict[str, object]]:
    for (arm, stage), drawn in found.items():
        yield _row(arm, stage, "", drawn)
    for (arm, stage), drawn in found.items():
        if arm != ARM and (ARM, stage) in found:
            yield _row(ARM, stage, arm, found[ARM, stage] - drawn)


def _row(arm: str, stage: str, versus: str, drawn: np.ndarray) -> dict[str, object]:
    low, high = percentile_bounds(drawn)
    return {"arm": arm, "stage": stage, "versus": versus, "value": float(drawn[0]), "low": low, "high": high}


def over(*arms: str, stages: tuple[str, ...] = ("gain",), splits: tuple[str, ...] = tuple(SPLITS)
         ) -> Callable[[pd.DataFrame], Finding | None]:
    """Whether bridge lies above each of ``arms`` on the further problems, as a function of the table ``accuracy``."""

    def look(accuracy: pd.DataFrame) -> Finding | None:
        rows = rows_of(accuracy, judged="answer", problems=FURTHER, arm=ARM)
        rows = rows.set_index(["versus", "stage", "split"])
        wanted = list(product(arms, stages, splits))
        if not set(wanted) <= set(rows.index):
            return None
        found = {key: estimate_of(rows.loc[key]) for key in wanted}
        seen = (f"{_label(key, (arms, stages, splits))}: {estimate.points()}" for key, estimate in found.items())
        return Finding("; ".join(seen), combined(estimate.verdict() for estimate in found.values()))

    return look


def _label(key: tuple[str, str, str], compared: tuple[tuple[str, ...], ...]) -> str:
    """What tells one comparison from the others of its claim."""
    words = (key[0], STAGES[key[1]], SPLITS[key[2]])
    return ", ".join(word for word, values in zip(words, compared, strict=True) if len(values) > 1)


over_vanilla = over("vanilla")
over_augmentation = over("pp", "rc")
over_subgoals = over("subgoal", stages=("gain", "rl"), splits=("id",))
