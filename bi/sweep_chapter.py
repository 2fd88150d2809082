"""Numbers and tables of the chapter on how the recipe was chosen, from the tables of :mod:`bi.sweep`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bi.sweep import Candidate, SweepPlan, chosen

KINDS = ("arithmetic", "look-up", "order")
"""Kinds of first errors that the behaviours address; a good regime has some of each."""
END = 10  # steps at the end of RL that a curve's last value is averaged over
COLUMNS = {("accuracy", "sft", "dev_id"): "SFT", ("accuracy", "sft", "dev_ood"): "SFT, larger",
           ("accuracy", "rl", "dev_id"): "RL", ("accuracy", "rl", "dev_ood"): "RL, larger",
           ("mixed", "sft", "dev_id"): "mixed before RL"}


def changes(candidate: Candidate) -> str:
    """What a candidate sets, in words for a table; ``as the profile`` where it changes nothing."""
    parts = [*candidate.task, *candidate.options, *candidate.sft, *(candidate.grpo or ())]
    words = (f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}" for name, value in parts)
    return ", ".join(words) or "as the profile"


def sweep_rows(plan: SweepPlan, metrics: pd.DataFrame, anatomy: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row a candidate and arm, as texts: means over seeds with the lowest and highest; the chosen one is marked.

    With ``anatomy`` also the arm's rarest first error after SFT among :data:`KINDS`, and its share of all.
    """
    taken = chosen(plan).name
    rows = []
    for candidate in plan.candidates:
        for arm, part in metrics[metrics["candidate"] == candidate.name].groupby("arm", sort=False):
            mark = " (chosen)" if candidate.name == taken else ""
            row = {"recipe": candidate.name + mark, "sets": changes(candidate), "arm": arm}
            for (metric, stage, split), label in COLUMNS.items():
                cell = part[(part["metric"] == metric) & (part["stage"] == stage) & (part["split"] == split)]
                row |= {label: _spread(cell["value"])} if len(cell) else {}
            if anatomy is not None:
                shares = _error_shares(anatomy[anatomy["candidate"] == candidate.name])[arm].loc[list(KINDS)]
                row["rarest error"] = f"{shares.idxmin()}, {100 * shares.min():.0f} %"
            rows.append(row)
    return pd.DataFrame(rows).fillna("–").set_index("recipe")


def curve_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """What to watch for collapse, a row a candidate and arm: the last steps of RL, means over seeds."""
    watched = {"rollout_accuracy": "rollout accuracy", "entropy": "entropy (nats)", "format": "format",
               "completion_length": "tokens", "truncated": "cut off"}
    last = curves[curves["step"] > curves["step"].max() - END]
    ends = last.groupby(["candidate", "arm", "seed"], sort=False)[list(watched)].mean().reset_index()
    rows = [{"recipe": candidate, "arm": arm, **{label: _spread(part[name]) for name, label in watched.items()}}
            for (candidate, arm), part in ends.groupby(["candidate", "arm"], sort=False)]
    return pd.DataFrame(rows).set_index("recipe")


def sweep_facts(plan: SweepPlan, tables: Mapping[str, pd.DataFrame], start: str) -> dict[str, Any]:
    """Numbers of one sweep, their names beginning with ``start``: of the chosen candidate, means over seeds.

    ``tables``: ``metrics`` and ``anatomy``, and ``curves`` where RL was run.
    """
    name = chosen(plan).name
    metrics, anatomy = (tables[key][tables[key]["candidate"] == name] for key in ("metrics", "anatomy"))
    facts: dict[str, Any] = {"chosen": name, "n_candidates": len(plan.candidates), "n_seeds": len(plan.seeds),
                             "n_problems": plan.problems, "n_samples": plan.samples}
    accuracy = metrics[metrics["metric"] == "accuracy"]
    for (arm, stage, split), part in accuracy.groupby(["arm", "stage", "split"]):
        facts[f"{arm}_{stage}_{split.removeprefix('dev_')}"] = 100 * part["value"].mean()
    for row in _error_shares(anatomy).reset_index().to_dict("records"):
        facts[f"{row['arm']}_{row['kind'].replace('-', '')}"] = 100 * row["share_of_errors"]
    facts |= _alone_facts(plan, tables["metrics"])
    shares = [facts[f"vanilla_{kind.replace('-', '')}"] for kind in KINDS]
    facts["level"] = _met(all(25 <= facts[f"{arm}_sft_id"] <= 60 for arm in ("vanilla", "bridge")))
    facts["spread"] = _met(min(shares) >= 20)
    if len(tables.get("curves", ())):
        facts |= _curve_facts(tables["curves"], name)
    return {f"{start}_{key}": value for key, value in facts.items()}


def _error_shares(anatomy: pd.DataFrame) -> pd.Series:
    """Share of each kind among the first errors after SFT by arm and kind, means over seeds."""
    whole = anatomy[(anatomy["operations"] == 0) & (anatomy["stage"] == "sft") & (anatomy["split"] == "dev_id")]
    return whole.groupby(["arm", "kind"])["share_of_errors"].mean()


def _curve_facts(curves: pd.DataFrame, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"steps": int(curves["step"].max()), "end": END}
    for arm, part in curves[curves["candidate"] == name].groupby("arm"):
        for when, rows in (("first", part[part["step"] <= END]), ("last", part[part["step"] > facts["steps"] - END])):
            facts |= {f"{arm}_{column}_{when}": rows[column].mean()
                      for column in ("rollout_accuracy", "entropy", "format", "completion_length", "n_reflection",
                                     "n_analysis", "n_subgoal")}
    return facts


def _alone_facts(plan: SweepPlan, metrics: pd.DataFrame) -> dict[str, Any]:
    """Accuracy of candidates that have arms of their own, beside the plan's arms at the same changes."""
    facts: dict[str, Any] = {}
    rows = metrics[(metrics["metric"] == "accuracy") & (metrics["split"] == "dev_id")]
    for alone in (candidate for candidate in plan.candidates if candidate.arms):
        same = [candidate.name for candidate in plan.candidates
                if dataclasses.replace(alone, name=candidate.name, arms=candidate.arms) == candidate]
        for (arm, stage), part in rows[rows["candidate"].isin(same)].groupby(["arm", "stage"]):
            facts[f"beside_{arm}_{stage}"] = 100 * part["value"].mean()
        facts |= {"beside_recipe": next(name for name in same if name != alone.name)}
    return facts


def _met(holds: bool) -> str:
    return "met" if holds else "not met"


def _spread(values: pd.Series) -> str:
    """Mean and, with more than one seed, the range: ``0.41 (0.40–0.43)``."""
    mean, low, high = (f"{value:.2f}" for value in (values.mean(), values.min(), values.max()))
    return mean if len(values) < 2 else f"{mean} ({low}\u2013{high})"
