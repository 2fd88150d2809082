"""More steps of RL than the book's: what the arms have reached at each kept policy, and what the further steps add."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from bi.evaluation.crossed import percentile_bounds
from bi.evaluation.through import Levels, accuracy_levels
from bi.evaluation.through_findings import ARM

COLUMNS = ("arm", "versus", "split", "step", "since", "value", "low", "high", "n", "method")
STEP = "step_"
NEVER = -1
"""``since`` of a value that nothing earlier is subtracted from."""


def longer_table(problems: pd.DataFrame, *, resamples: int = 2000) -> pd.DataFrame:
    """Accuracies of every arm and bridge minus each other arm by step, with 95 % crossed bootstrap intervals.

    ``problems``: right answers by arm, seed, split and problem, a column ``step_N`` for each policy
    (:func:`bi.evaluation.through.problem_table`). ``versus`` is empty or the arm that is subtracted from bridge.
    ``since`` is :data:`NEVER` or, at the last step, that of the first policy behind the start, whose value is then
    subtracted. ``n`` counts (seed, problem) pairs. Draws are those of :func:`bi.evaluation.through.steps_table`. Raises
    ``ValueError`` where arms do not have the same seeds, problems and steps.
    """
    steps = sorted(int(name.removeprefix(STEP)) for name in problems if name.startswith(STEP))
    counts = pd.concat([problems.assign(step=step, correct=problems[f"{STEP}{step}"]) for step in steps])
    rows = [{"split": split, "n": n, "method": method} | row
            for split, _, levels, n, method in accuracy_levels(counts, resamples) for row in _rows(levels, steps)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(levels: Levels, steps: list[int]) -> Iterable[dict[str, object]]:
    arms = list(dict.fromkeys(arm for arm, _ in levels))
    paths = {(arm, ""): {step: levels[arm, step] for step in steps} for arm in arms}
    if ARM in arms:
        paths |= {(ARM, arm): {step: levels[ARM, step] - levels[arm, step] for step in steps}
                  for arm in arms if arm != ARM}
    for (arm, versus), path in paths.items():
        for step, drawn in path.items():
            yield _row(arm, versus, step, NEVER, drawn)
        yield _row(arm, versus, steps[-1], steps[1], path[steps[-1]] - path[steps[1]])


def _row(arm: str, versus: str, step: int, since: int, drawn: np.ndarray) -> dict[str, object]:
    low, high = percentile_bounds(drawn)
    return {"arm": arm, "versus": versus, "step": step, "since": since, "value": float(drawn[0]), "low": low,
            "high": high}
