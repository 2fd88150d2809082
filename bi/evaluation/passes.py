"""pass@k for large k, by the answer alone and with every line right, and the figures that the paper reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from bi.evaluation.crossed import crossed_draws, paired_tables, percentile_bounds
from bi.evaluation.metrics import pass_at_k

COLUMNS = ("arm", "stage", "versus", "split", "judged", "k", "value", "low", "high", "n", "method")
JUDGED = {"answer": "answer", "strict": "strict"}
"""Columns of a rollout table: the stated answer is right; the answer and every line before it are."""
REFERENCE = "vanilla"

REPORTED = pd.DataFrame(
    [("Qwen2.5-1.5B", "vanilla", 40.2, 46.2), ("Qwen2.5-1.5B", "bridge", 44.8, 91.4),
     ("Qwen2.5-3B", "vanilla", 38.0, 57.2), ("Qwen2.5-3B", "bridge", 59.2, 89.6),
     ("Llama-3.2-1B", "vanilla", 29.6, 31.0), ("Llama-3.2-1B", "bridge", 40.4, 64.6)],
    columns=["model", "arm", "sft", "rl"])
"""What the paper reports on iGSM in distribution (20 operations), in per cent of right answers (one sample a problem),
as two third-party notes of it give the figures. Its models and problems are other than ours: levels do not compare."""


def count_passes(rollouts: pd.DataFrame, cell: Mapping[str, object]) -> pd.DataFrame:
    """Rows ``problem_id, judged, n, correct`` of one rollout table, with those of ``cell``."""
    grouped = rollouts.groupby("problem_id", sort=False)
    parts = [pd.DataFrame({"n": grouped.size(), "correct": grouped[column].sum().astype(int)})
             .reset_index().assign(judged=name) for name, column in JUDGED.items()]
    return pd.concat(parts, ignore_index=True).assign(**cell)


def passes_table(counts: pd.DataFrame, pass_at: Sequence[int], *, resamples: int = 2000) -> pd.DataFrame:
    """pass@k by arm and stage, the gain by RL, and both minus vanilla's, with 95 % crossed bootstrap intervals.

    ``counts``: rows of :func:`count_passes` with ``arm, seed, stage, split``. ``stage`` is ``sft``, ``rl`` or ``gain``;
    ``versus`` is empty or ``vanilla``; ``n`` counts (seed, problem) pairs. Raises ``ValueError`` where the cells do not
    have the same problems, or fewer samples than the largest k.
    """
    rows: list[dict[str, object]] = []
    for (split, judged), part in counts.groupby(["split", "judged"], sort=False):
        seeds, problems = sorted(set(part["seed"])), part["problem_id"].nunique()
        draws = crossed_draws(len(seeds), problems, resamples, "passes", str(split))
        scale = draws.totals(np.ones((len(seeds), problems)))
        facts = {"split": split, "judged": judged, "n": len(seeds) * problems,
                 "method": f"95% percentile bootstrap over {len(seeds)} seeds x {problems} problems"}
        for k in pass_at:
            found = {key: draws.totals(table) / scale for key, table in _levels(part, k).items()}
            rows += [{**facts, "k": k, **row} for row in _rows(found)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _levels(part: pd.DataFrame, k: int) -> dict[tuple[str, str], np.ndarray]:
    """pass@k (seeds, problems) by arm and stage, and the gain of every arm."""
    found = paired_tables(part.assign(value=pass_at_k(part["n"], part["correct"], k)), ("arm", "stage"),
                          "sample all of them again")
    gains = {(arm, "gain"): found[arm, "rl"] - table for (arm, stage), table in found.items()
             if stage == "sft" and (arm, "rl") in found}
    return {key: table.to_numpy() for key, table in (found | gains).items()}


def _rows(found: Mapping[tuple[str, str], np.ndarray]) -> Iterable[dict[str, object]]:
    for (arm, stage), drawn in found.items():
        yield _row(arm, stage, "", drawn)
        if arm != REFERENCE and (REFERENCE, stage) in found:
            yield _row(arm, stage, REFERENCE, drawn - found[REFERENCE, stage])


def _row(arm: str, stage: str, versus: str, drawn: np.ndarray) -> dict[str, object]:
    low, high = percentile_bounds(drawn)
    return {"arm": arm, "stage": stage, "versus": versus, "value": float(drawn[0]), "low": low, "high": high}
