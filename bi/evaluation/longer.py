"""More steps of RL than the book's: what the arms have reached at each kept policy, and what the further steps add."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
import pandas as pd

from bi.evaluation.crossed import crossed_draws, paired_tables, percentile_bounds
from bi.evaluation.through import interval_method
from bi.evaluation.through_findings import ARM

COLUMNS = ("arm", "versus", "split", "step", "since", "value", "low", "high", "n", "method")
STEP = "step_"
Levels = dict[tuple[str, int], np.ndarray]
"""Mean accuracy of an arm and step in every draw, (B + 1,)."""


def longer_table(problems: pd.DataFrame, *, resamples: int = 2000) -> pd.DataFrame:
    """Accuracies of every arm and bridge minus each other arm by step, with 95 % crossed bootstrap intervals.

    ``problems``: right answers by arm, seed, split and problem, a column ``step_N`` for each policy
    (:func:`bi.evaluation.through.problem_table`). ``versus`` is empty or the arm that is subtracted from bridge.
    ``since`` is -1, or a step: then ``value`` is what stands at ``step`` minus what stood at ``since``, which is the
    start of RL or the first policy behind it. ``n`` counts (seed, problem) pairs. Raises ``ValueError`` where arms do
    not have the same seeds, problems and steps.
    """
    steps = sorted(int(name.removeprefix(STEP)) for name in problems if name.startswith(STEP))
    rows: list[dict[str, object]] = []
    for split, part in problems.groupby("split", sort=False):
        long = pd.concat([part.assign(step=step, value=part[f"{STEP}{step}"] / part["n"]) for step in steps])
        tables = paired_tables(long, ("arm", "step"), "run RL of all arms to the same step")
        seeds, number = next(iter(tables.values())).shape
        draws = crossed_draws(seeds, number, resamples, "longer", str(split))
        scale = draws.totals(np.ones((seeds, number)))
        levels = {key: draws.totals(table.to_numpy()) / scale for key, table in tables.items()}
        facts = {"split": split, "n": seeds * number, "method": interval_method(seeds, f"{number} problems")}
        rows += [facts | row for row in _rows(levels, steps)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(levels: Levels, steps: list[int]) -> Iterable[dict[str, object]]:
    arms = list(dict.fromkeys(arm for arm, _ in levels))
    pairs = [(arm, "") for arm in arms] + [(ARM, arm) for arm in arms if ARM in arms and arm != ARM]
    for (arm, versus), step in product(pairs, steps):
        for since in (-1, *(since for since in steps[:2] if since < step)):
            drawn = levels[arm, step] - (levels[arm, since] if since >= 0 else 0)
            if versus:
                drawn = drawn - levels[versus, step] + (levels[versus, since] if since >= 0 else 0)
            low, high = percentile_bounds(drawn)
            yield {"arm": arm, "versus": versus, "step": step, "since": since, "value": float(drawn[0]), "low": low,
                   "high": high}
