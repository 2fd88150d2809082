"""Numbers and tables of the chapter on the way through RL, by the names that its text uses."""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd

from bi.chapter import UNMEASURED
from bi.evaluation.findings import SPLITS
from bi.evaluation.longer import NEVER
from bi.evaluation.pairs import TRAIN
from bi.evaluation.through_findings import points
from bi.evaluation.verdicts import estimate_of, rows_of, times
from bi.figure_style import ARM_COLORS, ordered

FACTORS = {"rollout_accuracy": "rollout accuracy", "informative": "prompts with mixed outcomes",
           "room": "mean of alpha (1 - alpha)", "contrast": "K+ minus K-, millinats a step",
           "influence": "influence, points a step"}
SCALES = {"contrast": 1000.0, "influence": 100.0}


def through_facts(steps: pd.DataFrame | None, tokens: pd.DataFrame | None) -> dict[str, Any]:
    """How many arms and policies were measured, what RL cost each arm, and the method of the intervals, in words."""
    if steps is None or tokens is None:
        return {"measured": "Nothing of this has been measured yet for this profile; "
                            "`make reproduce GRID=through` does.",
                "cost": UNMEASURED, "method": UNMEASURED, "method_influence": UNMEASURED}
    arms = ordered(steps["arm"], ARM_COLORS)
    accuracy, influence = (rows_of(steps, metric=metric, split="id") for metric in ("accuracy", "influence"))
    last = accuracy[accuracy["step"] == accuracy["step"].max()].drop_duplicates("arm").set_index("arm")["tokens"]
    policies = steps["step"].nunique()
    return {"measured": f"Measured here: {len(arms)} arms ({', '.join(arms)}), each at {policies} policies from step "
                        f"{steps['step'].min()} to step {steps['step'].max()}.",
            "cost": "; ".join(f"{arm} {last[arm] / 1e6:.1f} million" for arm in arms),
            "method": str(accuracy["method"].iloc[0]), "method_influence": str(influence["method"].iloc[0])}


def factor_rows(steps: pd.DataFrame | None, split: str = "id") -> pd.DataFrame:
    """The factors of the influence before and after RL, by arm, with the change and its interval, as texts."""
    if steps is None:
        return pd.DataFrame()
    shown, last = [], steps["step"].max()
    for arm in ordered(steps["arm"], ARM_COLORS):
        for metric, words in FACTORS.items():
            rows = rows_of(steps, arm=arm, split=split, metric=metric)
            levels = rows_of(rows, versus="").set_index("step")["value"]
            change = rows_of(rows, versus="start", step=last).iloc[0]
            scale = SCALES.get(metric, 1.0)
            ends = [_number(scale * levels[step]) for step in (0, last)]
            low, high = (_number(scale * change[end], sign=True) for end in ("low", "high"))
            shown.append({"arm": arm, "quantity": words, "before RL": ends[0], "after RL": ends[1],
                          "change": f"{_number(scale * change['value'], sign=True)} ({low} to {high})"})
    return pd.DataFrame(shown)


def token_rows(tokens: pd.DataFrame | None, metric: str = "gain") -> pd.DataFrame:
    """Differences of gains at equal steps and at equal tokens, by pair of arms and split, as texts."""
    if tokens is None:
        return pd.DataFrame()
    shown = []
    for (arm, versus, split), part in rows_of(tokens, metric=metric).groupby(["arm", "versus", "split"], sort=False):
        held = part.set_index("how")
        paid = held.loc["tokens"]
        shown.append({"arms": f"{arm} minus {versus}", "problems": SPLITS[str(split)],
                      "at equal steps": estimate_of(held.loc["steps"]).brief(),
                      "at equal tokens": estimate_of(paid).brief(),
                      "steps of the seeds there": f"{paid['steps']} against {paid['versus_steps']}",
                      "million tokens": f"{paid['tokens'] / 1e6:.1f} against {paid['versus_tokens'] / 1e6:.1f}",
                      "verdict": estimate_of(paid).verdict()})
    return pd.DataFrame(shown)


def longer_rows(table: pd.DataFrame | None) -> pd.DataFrame:
    """Levels of every arm and bridge minus each other arm at each kept step, and what the further steps add, as texts.

    ``table``: :func:`bi.evaluation.longer.longer_table`. Empty where it has not been run.
    """
    if table is None:
        return pd.DataFrame()
    steps, arms = sorted(table["step"].unique()), ordered(table["arm"], ARM_COLORS)
    wanted = [(arm, "") for arm in arms] + [("bridge", arm) for arm in arms if arm != "bridge"]
    shown = []
    for (split, size), (arm, versus) in product(SPLITS.items(), wanted):
        rows = rows_of(table, split=split, arm=arm, versus=versus)
        at = {step: estimate_of(rows_of(rows, step=step, since=NEVER).iloc[0]) for step in steps}
        later = estimate_of(rows_of(rows, step=steps[-1], since=steps[1]).iloc[0])
        shown.append({"problems": size, "what": f"{arm} minus {versus}" if versus else arm}
                     | {f"step {step}": found.brief() if versus else found.level() for step, found in at.items()}
                     | {f"{steps[-1]} minus {steps[1]}": later.brief()})
    return pd.DataFrame(shown).set_index(["problems", "what"])


def longer_facts(table: pd.DataFrame | None) -> dict[str, Any]:
    """What the further steps add to every arm, and where the arms end, in words, and the method of the intervals."""
    if table is None:
        return {"longer_told": "Nothing of this has been measured yet for this profile; `make reproduce GRID=longer` "
                               "does.", "longer_method": UNMEASURED}
    steps, arms = sorted(table["step"].unique()), ordered(table["arm"], ARM_COLORS)
    ends = rows_of(table, split="id", versus="", step=steps[-1]).set_index(["since", "arm"])
    added = "; ".join(f"{arm} {estimate_of(ends.loc[steps[1], arm]).points()}" for arm in arms)
    levels = "; ".join(f"{arm} {estimate_of(ends.loc[NEVER, arm]).level()}" for arm in arms)
    return {"longer_told": f"Between step {steps[1]}, the end of a run of this book, and step {steps[-1]} RL adds on "
                           f"problems of the training size: {added}. The arms end at, in per cent: {levels}.",
            "longer_method": str(ends["method"].iloc[0])}


def profile_rows(profiles: pd.DataFrame | None, metric: str = "influence") -> pd.DataFrame:
    """Influence of every pair of arms before and after RL, at their own and at equal accuracies, as texts."""
    if profiles is None:
        return pd.DataFrame()
    shown = []
    ends = profiles[profiles["step"].isin((0, profiles["step"].max())) & (profiles["metric"] == metric)]
    for (step, arm, versus, split), part in ends.groupby(["step", "arm", "versus", "split"], sort=False):
        row = {"step": step, "arms": f"{arm} over {versus}", "problems": SPLITS[str(split)]}
        for how, words in (("own", "own accuracies"), ("equal", "equal accuracies")):
            held = rows_of(part, how=how).iloc[0].to_dict()
            row[f"ratio, {words}"] = times(held["first"], held["second"]) if held["second"] > 0 else "none"
            row[f"difference, {words}"] = (f"{points(held['value'], sign=True)} ({points(held['low'], sign=True)} to "
                                           f"{points(held['high'], sign=True)})")
        shown.append(row)
    return pd.DataFrame(shown)


def training_informative(through: pd.DataFrame | None) -> pd.DataFrame:
    """Share of training prompts with mixed outcomes by step (rows) and arm (columns), means over seeds, as texts."""
    if through is None:
        return pd.DataFrame()
    rows = rows_of(through, split=TRAIN, metric="informative")
    wide = rows.pivot_table(index="step", columns="arm", values="value", aggfunc="mean")
    return wide[ordered(rows["arm"], ARM_COLORS)].map("{:.2f}".format)


def _number(value: float, *, sign: bool = False) -> str:
    return (f"{value:+.3f}" if sign else f"{value:.3f}").replace("-", "\N{MINUS SIGN}")
