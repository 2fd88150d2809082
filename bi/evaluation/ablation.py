"""What each behaviour adds: every arm against vanilla and against subgoals alone, at their own and at equal starts.

Accuracies are paired by seed and problem. ``how`` says what is compared: ``all`` takes every problem, ``matched``
compares gains at equal accuracy before RL. An arm that enters RL at .6 and one that enters at .3 have different room to
gain; matching asks what RL adds where both stand at the same height.

Matching: the (seed, problem) pairs of an arm are sorted by their accuracy after SFT in the same arm's checkpoints of
the *other* seeds, so that luck in a problem's own rollouts neither sorts it nor counts as its loss. Each stratum has a
mean own accuracy before RL and a mean gain, and the strata of an arm make a curve of gain against start. Two arms are
compared at the starts of both, as far as both curves reach, each start with the weight of its pairs. Sorting by noisy
counts pulls strata to the arm's mean, but their own rollouts, which have sorted nothing, say where they really start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from bi.evaluation.by_accuracy import SEEDS, gains_by_accuracy
from bi.evaluation.crossed import Draws, crossed_draws, holm, percentile_bounds, two_sided
from bi.runs import SPLITS

REFERENCES = ("vanilla", "subgoal", "exploitation", "bridge")
STAGES = {"sft": "before", "rl": "after", "gain": "gain"}
HOW = ("all", "matched")
Sums = Mapping[str, np.ndarray]
STRATA = 8
COLUMNS = ("how", "arm", "versus", "stage", "split", "value", "low", "high", "p", "p_holm", "n", "method")


def ablation_table(counts: pd.DataFrame, *, resamples: int = 2000) -> pd.DataFrame:
    """Differences of every arm to each of :data:`REFERENCES` that is there, with intervals and corrected p-values.

    ``counts``: rows of ``rollout_accuracy``. ``stage`` is ``sft``, ``rl`` or ``gain``; ``low, high`` are the 95 %
    percentile interval of the crossed bootstrap; ``p`` belongs to it, ``p_holm`` is corrected (Holm) over the arms of
    the same ``how, versus, stage, split``; ``n`` counts (seed, problem) pairs of the arm. With one seed there is
    nothing to match by, and all rows are ``all``; matched rows have the stage ``gain`` alone, since starts are equal,
    and no interval where in some draw no start is shared. Raises ``ValueError`` where arms were not tested on the same
    problems by the same seeds.
    """
    rows = [row for split in SPLITS for row in _split_rows(counts, split, resamples)]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_holm"])
    family = table.groupby(["how", "versus", "stage", "split"], sort=False)["p"]
    return table.assign(p_holm=family.transform(holm))[list(COLUMNS)]


def _split_rows(counts: pd.DataFrame, split: str, resamples: int) -> Iterable[dict[str, object]]:
    gains, which = gains_by_accuracy(counts, split)
    arms = list(dict.fromkeys(gains["arm"]))
    seeds, problems = sorted(set(gains["seed"])), sorted(set(gains["problem_id"]))
    draws = crossed_draws(len(seeds), len(problems), resamples, "ablation", split)
    sorted_by = {"all": np.zeros(len(gains), int)}
    if which == SEEDS:
        sorted_by["matched"] = np.rint(STRATA * gains["correct"] / gains["n"]).to_numpy(int)
    unit = f"{len(seeds)} seeds x {len(problems)} problems" if len(seeds) > 1 else f"{len(problems)} problems"
    for how, strata in sorted_by.items():
        totals = {arm: _totals(part.assign(stratum=strata[gains["arm"] == arm]), draws, seeds, problems)
                  for arm, part in gains.groupby("arm", sort=False)}
        for arm, versus in ((arm, name) for name in REFERENCES if name in arms for arm in arms if arm != name):
            found = COMPARE[how](totals[arm], totals[versus])
            for stage, drawn in found.items():
                low, high = percentile_bounds(drawn)
                yield {"how": how, "arm": arm, "versus": versus, "stage": stage, "split": split,
                       "value": float(drawn[0]), "low": low, "high": high, "p": two_sided(drawn),
                       "n": len(seeds) * len(problems), "method": f"95% percentile bootstrap over {unit}"}


def _totals(rows: pd.DataFrame, draws: Draws, seeds: list, problems: list) -> dict[str, np.ndarray]:
    """Sums ``(strata, B + 1)`` in every draw: of pairs (``n``) and of each column of :data:`STAGES`."""
    at = (pd.Index(seeds).get_indexer(rows["seed"]), pd.Index(problems).get_indexer(rows["problem_id"]))
    if len(rows) != len(seeds) * len(problems):
        raise ValueError(f"arm {rows['arm'].iloc[0]!r}: {len(rows)} pairs of seed and problem, and {len(seeds)} x "
                         f"{len(problems)} are needed; evaluate all arms and seeds on the same problems")
    values = {"n": np.ones(len(rows)), **{name: rows[name].to_numpy(float) for name in STAGES.values()}}
    found = {}
    for name, column in values.items():
        table = np.zeros((STRATA + 1, len(seeds), len(problems)))
        table[rows["stratum"], at[0], at[1]] = column
        found[name] = draws.totals(table)
    return found


def difference(first: Sums, second: Sums) -> dict[str, np.ndarray]:
    """Mean differences ``(draws,)`` of two arms by stage; sums ``(strata, draws)`` of pairs and of each quantity."""
    means = [{name: arm[name].sum(axis=0) / arm["n"].sum(axis=0) for name in STAGES.values()}
             for arm in (first, second)]
    return {stage: means[0][name] - means[1][name] for stage, name in STAGES.items()}


def difference_at_equal_start(first: Sums, second: Sums) -> dict[str, np.ndarray]:
    """Difference of gains ``(draws,)`` of two arms at the same accuracy before RL; not a number without overlap."""
    curves = [[_curve(arm, place) for place in range(arm["n"].shape[1])] for arm in (first, second)]
    return {"gain": np.array([_between(*pair) for pair in zip(*curves, strict=True)])}


COMPARE: dict[str, Callable[[Sums, Sums], dict[str, np.ndarray]]] = {
    "all": difference, "matched": difference_at_equal_start,
}


def _curve(arm: Sums, place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts in rising order, gains and numbers of pairs of the strata that one draw holds."""
    n = arm["n"][:, place]
    held = n > 0
    start, gain = arm["before"][held, place] / n[held], arm["gain"][held, place] / n[held]
    order = np.argsort(start, kind="stable")
    return start[order], gain[order], n[held][order]


def _between(first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...]) -> float:
    """Mean of the first curve above the second at the starts of both that both reach."""
    low, high = max(first[0][0], second[0][0]), min(first[0][-1], second[0][-1])
    total = weights = 0.0
    for sign, (start, gain, n), other in ((1, first, second), (-1, second, first)):
        shared = (start >= low) & (start <= high)
        total += sign * float(n[shared] @ (gain[shared] - np.interp(start[shared], other[0], other[1])))
        weights += float(n[shared].sum())
    return total / weights if weights else float("nan")


def holds_after_correction(row: pd.Series) -> str:
    """``more``, ``less`` or ``undecided``: what the corrected p-value of a row allows to say at the level of .05."""
    if not row["p_holm"] < 0.05:
        return "undecided"
    return "more" if row["value"] > 0 else "less"
