"""Completions of the same problems before and after RL, to be read: chosen by rule, never by hand.

The rule: the first seed, and of each test problem the first sample before and after RL (both were drawn with the same
noise). Problems fall into four outcomes by whether the answer was right before and after. In each outcome those whose
identifiers sort first are kept; identifiers are digests of the problem, so the order says nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from bi.augmentation.wording import get_wording
from bi.runs import SPLITS, Run

OUTCOMES = {
    "wrong to right": (False, True),
    "right to right": (True, True),
    "wrong to wrong": (False, False),
    "right to wrong": (True, False),
}
"""Whether the answer was right before and after RL."""
SHOWN = 3
"""Problems kept of each outcome."""
COLUMNS = ("arm", "seed", "split", "outcome", "problems", "n", "problem_id", "wording", "prompt", "before",
           "before_right", "before_error", "before_line", "after", "after_right", "after_error", "after_line")
_READ = ["problem_id", "sample", "prompt", "completion", "answer"]


def completion_pairs(cells: Iterable[Run], shown: int = SHOWN) -> pd.DataFrame:
    """The table of every cell that has the seed of the first one, on the test splits.

    One row a problem: ``outcome`` (:data:`OUTCOMES`), how many ``problems`` have it of all ``n``, the question, and of
    both completions the text, whether the answer is right, the first error (one of
    :data:`bi.augmentation.verdict.ERRORS`, or empty) and its line (from 1; 0 where it is no line's). Raises
    ``ValueError`` where the two stages do not have the same problems.
    """
    runs = list(cells)
    tables = [_pairs(run, split, shown) for run in runs if run.seed == runs[0].seed for split in SPLITS]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def _pairs(run: Run, split: str, shown: int) -> pd.DataFrame:
    before, after = (_first_samples(run, stage, split) for stage in ("sft", "rl"))
    if not before.index.equals(after.index):
        raise ValueError(f"{run.arm}, seed {run.seed}, {split}: rollouts before and after RL are of other problems; "
                         "make both again")
    kept = []
    for outcome, (was, became) in OUTCOMES.items():
        names = before.index[(before["answer"] == was) & (after["answer"] == became)]
        kept += [_row(before.loc[name], after.loc[name], run.recipe.task.wording)
                 | {"problem_id": name, "outcome": outcome, "problems": len(names)} for name in names[:shown]]
    cell = {"arm": run.arm, "seed": run.seed, "split": split, "n": len(before)}
    return pd.DataFrame(kept, columns=list(COLUMNS)).assign(**cell)


def _first_samples(run: Run, stage: str, split: str) -> pd.DataFrame:
    """The first sample of every problem, by identifier."""
    table = pd.read_parquet(run.rollouts(stage, split), columns=_READ)
    return table[table["sample"] == 0].set_index("problem_id").sort_index()


def _row(before: pd.Series, after: pd.Series, wording: str) -> dict[str, object]:
    row: dict[str, object] = {"wording": wording, "prompt": before["prompt"]}
    problem = get_wording(wording).read_problem(before["prompt"])
    for stage, found in (("before", before), ("after", after)):
        wrong = get_wording(wording).anatomy(found["completion"], problem)
        row |= {stage: found["completion"], f"{stage}_right": bool(found["answer"]),
                f"{stage}_error": wrong.error if wrong else "", f"{stage}_line": wrong.line if wrong else 0}
    return row
