"""Completions line by line: how often each kind of line occurs, how often it is right, how sure the model is in it.

Three questions of the paper's are answered from the same count. Does the policy explore where it reflects (token
entropy)? Does it know better what to write once it has restated a definition, or takes small steps (perplexity)? Which
of its behaviours does RL amplify, keep or prune?

:func:`count_lines` adds up one rollout table by problem and kind, with the numbers of
:func:`bi.evaluation.token_numbers.token_numbers` beside it; :func:`line_table` makes rates with intervals out of the
sums of a whole grid, by the same draws of seeds and problems for all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bi.augmentation.segments import TOKEN_KINDS, judged, kinds_at, segments
from bi.augmentation.wording import get_wording
from bi.evaluation.crossed import Draws, crossed_draws, percentile_bounds, two_sided

RATES = {
    "per_completion": ("lines", "completions"),
    "right": ("right", "judged"),
    "entropy": ("entropy", "tokens"),
    "nats": ("nats", "tokens"),
}
"""Metrics as ratios of sums: lines of a kind in a completion; share of right ones among lines with nothing wrong before
them; entropy of the next token, and minus the log-probability of the sampled one, in nats. The perplexity is exp(nats).
"""
SUMS = ("completions", "lines", "judged", "right", "tokens", "entropy", "nats")
COLUMNS = ("arm", "stage", "split", "kind", "metric", "value", "low", "high", "p", "n", "method")
ALL = "all"
CHANGE = "change"


def count_lines(rollouts: pd.DataFrame, wording: str, ends: Sequence[Sequence[int]],
                entropies: Sequence[Sequence[float]], nats: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Sums (:data:`SUMS`) by ``problem_id`` and ``kind``; the kind ``all`` holds all lines and all tokens.

    ``rollouts`` needs ``problem_id, prompt, completion``. ``ends``: for each completion, where each of its tokens ends
    in its text; ``entropies``, ``nats``: what :func:`bi.evaluation.token_numbers.token_numbers` says of them. Every
    problem has a row of every kind that occurs anywhere in the table.
    """
    words, problems = get_wording(wording), {}
    sums: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: dict.fromkeys(SUMS, 0.0))
    completions: dict[str, int] = defaultdict(int)
    for row, places, entropy, cost in zip(rollouts.itertuples(), ends, entropies, nats, strict=True):
        name = str(row.problem_id)
        if name not in problems:
            problems[name] = words.read_problem(str(row.prompt))
        completions[name] += 1
        steps = words.steps(str(row.completion), problems[name])
        for kind, known, right in judged(steps):
            for label in (kind, ALL):
                _add(sums[name, label], lines=1, judged=known, right=right)
        cut = segments(str(row.completion), [step.line for step in steps])
        starts = [0, *places[:-1]]
        for kind, surprise, price in zip(kinds_at(starts, cut), entropy, cost, strict=True):
            for label in (kind, ALL):
                _add(sums[name, label], tokens=1, entropy=surprise, nats=price)
    kinds = {kind for _, kind in sums}
    order = [kind for kind in TOKEN_KINDS if kind in kinds] + sorted(kinds - {*TOKEN_KINDS, ALL}) + [ALL]
    rows = [{"problem_id": name, "kind": kind, **sums[name, kind], "completions": count}
            for name, count in completions.items() for kind in order]
    return pd.DataFrame(rows, columns=["problem_id", "kind", *SUMS])


def _add(sums: dict[str, float], **more: float) -> None:
    for name, value in more.items():
        sums[name] += float(value)


def line_table(counts: pd.DataFrame, *, resamples: int = 2000) -> pd.DataFrame:
    """Rates (:data:`RATES`) by arm, stage, split and kind, with 95 % crossed bootstrap intervals.

    ``counts``: rows of :func:`count_lines` with ``arm, seed, stage, split``. The stage ``change`` is after minus before
    RL, by the same draws, and its ``p`` is that of no change; ``n`` counts what the rate divides by (for ``change``,
    before RL). A rate whose denominator some draw lacks has no interval. Raises ``ValueError`` where the cells do not
    have the same problems.
    """
    seeds = sorted(set(counts["seed"]))
    rows: list[dict[str, object]] = []
    for split, part in counts.groupby("split", sort=False):
        problems = sorted(set(part["problem_id"]))
        draws = crossed_draws(len(seeds), len(problems), resamples, "lines", str(split))
        method = f"95% percentile bootstrap over {len(seeds)} seeds x {len(problems)} problems"
        for (arm, kind), cell in part.groupby(["arm", "kind"], sort=False):
            facts = {"arm": arm, "split": split, "kind": kind, "method": method}
            found = {str(stage): _rates(table, draws, seeds, problems) for stage, table in cell.groupby("stage")}
            if {"sft", "rl"} <= found.keys():
                found[CHANGE] = {name: (found["rl"][name][0] - found["sft"][name][0], found["sft"][name][1])
                                 for name in RATES}
            rows += [{**facts, "stage": stage, **row} for stage, rates in found.items() for row in _rows(rates, stage)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rates(table: pd.DataFrame, draws: Draws, seeds: list, problems: list) -> dict[str, tuple[np.ndarray, int]]:
    """Each rate in every draw, and its denominator in the sample. A kind that a checkpoint never shows has no lines."""
    wide = np.zeros((len(SUMS), len(seeds), len(problems)))
    at = pd.Index(seeds).get_indexer(table["seed"]), pd.Index(problems).get_indexer(table["problem_id"])
    for place, name in enumerate(SUMS):
        wide[place][at] = table[name].to_numpy(float)
    totals = dict(zip(SUMS, draws.totals(wide), strict=True))
    return {name: (np.divide(totals[top], totals[bottom], out=np.full_like(totals[top], np.nan),
                             where=totals[bottom] > 0), int(totals[bottom][0]))
            for name, (top, bottom) in RATES.items()}


def _rows(rates: dict[str, tuple[np.ndarray, int]], stage: str) -> list[dict[str, object]]:
    rows = []
    for metric, (drawn, n) in rates.items():
        if np.isfinite(drawn[0]):
            low, high = percentile_bounds(drawn)
            rows.append({"metric": metric, "value": float(drawn[0]), "low": low, "high": high, "n": n,
                         "p": two_sided(drawn) if stage == CHANGE else np.nan})
    return rows


def fate(row: pd.Series) -> str:
    """What RL did to a kind of line, from its row ``per_completion`` of the stage ``change``.

    ``amplified`` or ``pruned`` where the interval of the change leaves 0 out, else ``kept``.
    """
    if row["low"] > 0:
        return "amplified"
    return "pruned" if row["high"] < 0 else "kept"
