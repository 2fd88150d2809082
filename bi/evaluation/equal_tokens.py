"""RL compared at equal cost: two arms at the last kept steps that the cheaper arm's tokens pay for.

Completions of bridge are longer, so at the same step its RL has sampled, and learnt from, more tokens. Here each arm
may spend what the cheaper one of the two spends in its whole run. The cheaper arm is taken at its end, the costlier one
at its last kept policy within that budget; since policies are kept now and then only, the costlier arm is compared
with somewhat *less* than the budget, never with more.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from bi.evaluation.crossed import Draws, crossed_draws, percentile_bounds, two_sided
from bi.evaluation.through import accuracy_tables, interval_method

REFERENCES = ("vanilla", "subgoal")
COLUMNS = ("how", "arm", "versus", "split", "metric", "value", "low", "high", "p", "n", "steps", "versus_steps",
           "tokens", "versus_tokens", "method")
HOW = ("steps", "tokens")


def matched_steps(tokens: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """For each seed the step of both arms at equal tokens: rows ``seed, first, second, first_tokens, second_tokens``.

    ``tokens``: rows ``arm, seed, step, tokens`` of the policies that were kept, with step 0 and the last one;
    ``tokens`` is all that RL has sampled up to the step. The budget of a seed is what the cheaper arm's whole run has
    spent; each arm stands at its last step that does not exceed it. Raises ``ValueError`` where the arms do not have
    the same seeds.
    """
    arms = [tokens[tokens["arm"] == arm] for arm in (first, second)]
    if set(arms[0]["seed"]) != set(arms[1]["seed"]) or arms[0].empty:
        raise ValueError(f"{first!r} and {second!r} do not have the same seeds; run the missing ones")
    rows = []
    for seed in sorted(set(arms[0]["seed"])):
        paths = [arm[arm["seed"] == seed].sort_values("step") for arm in arms]
        budget = min(path["tokens"].iloc[-1] for path in paths)
        held = [path[path["tokens"] <= budget].iloc[-1] for path in paths]
        rows.append((seed, *(int(row["step"]) for row in held), *(int(row["tokens"]) for row in held)))
    return pd.DataFrame(rows, columns=["seed", "first", "second", "first_tokens", "second_tokens"])


def token_table(counts: pd.DataFrame, *, resamples: int = 2000) -> pd.DataFrame:
    """Every arm minus each of :data:`REFERENCES`, at equal steps (the ends) and at equal tokens, with 95 % intervals.

    ``counts``: as in :func:`bi.evaluation.through.cell_rows`. ``metric``: ``gain`` (since the start of RL) or
    ``accuracy`` there. ``steps, versus_steps``: the steps of the two arms, seed by seed; ``tokens, versus_tokens``:
    means over seeds of what they have sampled. Intervals are those of the crossed bootstrap, paired by seed and
    problem.
    """
    tokens = counts[["arm", "seed", "step", "tokens"]].drop_duplicates()
    arms = list(dict.fromkeys(counts["arm"]))
    rows: list[dict[str, object]] = []
    for split, part in counts.groupby("split", sort=False):
        tables = accuracy_tables(part)
        seeds, problems = next(iter(tables.values())).shape
        draws = crossed_draws(seeds, problems, resamples, "equal tokens", str(split))
        facts = {"split": split, "n": seeds * problems, "method": interval_method(seeds, f"{problems} problems")}
        for versus in (name for name in REFERENCES if name in arms):
            for arm in (name for name in arms if name != versus):
                rows += [facts | row for row in _pair_rows(tables, tokens, arm, versus, draws)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _pair_rows(tables: dict[tuple[str, int], pd.DataFrame], tokens: pd.DataFrame, arm: str, versus: str,
               draws: Draws) -> Iterable[dict[str, object]]:
    steps = {"tokens": matched_steps(tokens, arm, versus), "steps": _ends(tokens, arm, versus)}
    for how in HOW:
        place = steps[how]
        ends = [_at(tables, name, place[["seed", column]]) for name, column in ((arm, "first"), (versus, "second"))]
        starts = [_at(tables, name, place[["seed"]].assign(step=0)) for name in (arm, versus)]
        values = {"accuracy": ends[0] - ends[1], "gain": (ends[0] - starts[0]) - (ends[1] - starts[1])}
        for metric, table in values.items():
            drawn = draws.totals(table) / draws.totals(np.ones_like(table))
            low, high = percentile_bounds(drawn)
            yield {"how": how, "arm": arm, "versus": versus, "metric": metric, "value": float(drawn[0]), "low": low,
                   "high": high, "p": two_sided(drawn), "steps": _joined(place["first"]),
                   "versus_steps": _joined(place["second"]), "tokens": place["first_tokens"].mean(),
                   "versus_tokens": place["second_tokens"].mean()}


def _ends(tokens: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """The last step of both arms, in the form of :func:`matched_steps`."""
    last = tokens.sort_values("step").groupby(["arm", "seed"]).last()
    sides = [last.loc[arm].rename(columns={"step": name, "tokens": f"{name}_tokens"})
             for arm, name in ((first, "first"), (second, "second"))]
    return pd.concat(sides, axis=1).reset_index()


def _at(tables: dict[tuple[str, int], pd.DataFrame], arm: str, steps: pd.DataFrame) -> np.ndarray:
    """Accuracies (seeds, problems) of ``arm``, each seed at its own step; ``steps``: rows of a seed and its step."""
    return np.stack([tables[arm, int(step)].loc[seed].to_numpy() for seed, step in steps.itertuples(index=False)])


def _joined(steps: pd.Series) -> str:
    return " ".join(map(str, steps))
