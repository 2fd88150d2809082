"""Error anatomy: which step of a completion fails first, and why.

The strict verdict (:mod:`bi.augmentation.verdict`) names the first error of a completion, and
:data:`bi.augmentation.anatomy.KINDS` sorts errors by what would repair them. Here they are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bi.augmentation.anatomy import KIND_OF, KINDS
from bi.evaluation.intervals import bootstrap_mean, numpy_stream
from bi.runs import SPLITS, Run

WIDEST = 3  # arithmetic with this many binary operations or more is counted together


def error_kinds(first_error: pd.Series, error_operations: pd.Series) -> pd.DataFrame:
    """Columns ``kind`` (missing where a completion is right) and ``operations`` of each completion's first error.

    ``operations`` counts the binary operations of the failing step, at most :data:`WIDEST`, where the kind is
    arithmetic; 0 elsewhere.
    """
    kind = first_error.map(KIND_OF)
    operations = error_operations.clip(upper=WIDEST).where(kind == "arithmetic", 0)
    return pd.DataFrame({"kind": kind, "operations": operations.astype(int)})


def anatomy_table(rollouts: pd.DataFrame, cell: Mapping[str, Any], *, resamples: int = 1000) -> pd.DataFrame:
    """Share of all completions, and of all wrong ones, that fail first by each kind.

    ``rollouts`` needs ``problem_id``, ``first_error``, ``error_operations``. One row a kind, and for arithmetic one a
    number of operations; columns ``kind, operations`` (0: all), ``share, low, high`` (of completions, 95 % bootstrap
    over problems), ``share_of_errors``, ``n`` (completions), and those of ``cell``.
    """
    kinds = error_kinds(rollouts["first_error"], rollouts["error_operations"])
    wrong = int(kinds["kind"].notna().sum())
    wanted = [(kind, 0) for kind in KINDS] + [("arithmetic", width) for width in range(1, WIDEST + 1)]
    rows = []
    for kind, width in wanted:
        hit = (kinds["kind"] == kind) & ((kinds["operations"] == width) | (width == 0))
        rng = numpy_stream("anatomy", kind, width, *map(str, cell.values()))
        found = bootstrap_mean(hit.astype(np.float64), rng, clusters=rollouts["problem_id"], resamples=resamples)
        rows.append({"kind": kind, "operations": width, "share": found.value, "low": found.low, "high": found.high,
                     "share_of_errors": int(hit.sum()) / wrong if wrong else np.nan, "n": len(hit)})
    return pd.DataFrame(rows).assign(**cell)[[*cell, *rows[0]]]


def checkpoint_anatomy(base: Run, cells: Iterable[Run]) -> pd.DataFrame:
    """:func:`anatomy_table` of the base model and of every cell before and after RL, on the test splits.

    Columns ``arm`` (``base`` for the base model), ``seed``, ``stage``, ``split``, then those of the table.
    """
    places = [(base, "base", "base")] + [(run, run.arm, stage) for run in cells for stage in ("sft", "rl")]
    tables = []
    for run, arm, stage in places:
        for split in SPLITS:
            columns = ["problem_id", "first_error", "error_operations"]
            rollouts = pd.read_parquet(run.rollouts(stage, split), columns=columns)
            cell = {"arm": arm, "seed": run.seed, "stage": stage, "split": split}
            tables.append(anatomy_table(rollouts, cell))
    return pd.concat(tables, ignore_index=True)
