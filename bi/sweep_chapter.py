"""Numbers and tables of the chapter on how the recipe was chosen, from the tables of :mod:`bi.sweep`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bi.augmentation.arm import ARM_TABLE
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


def rates_by_arm(sweeps: Sequence[tuple[SweepPlan, pd.DataFrame]]) -> pd.DataFrame:
    """Accuracy before and after RL by learning rate of GRPO, from sweeps whose candidates differ in that alone.

    Columns ``arm, rate, seed, split, sft, rl``, a row a run and split; arms as in
    :data:`~bi.augmentation.arm.ARM_TABLE`. Raises ``ValueError`` if two sweeps hold the same arm at the same rate.
    """
    parts = []
    for plan, metrics in sweeps:
        rates = {candidate.name: dict(candidate.grpo or ())["learning_rate"] for candidate in plan.candidates}
        rows = metrics[metrics["metric"] == "accuracy"].assign(rate=metrics["candidate"].map(rates))
        parts.append(rows.pivot(index=["arm", "rate", "seed", "split"], columns="stage", values="value"))
    table = pd.concat(parts)
    if twice := sorted({f"{arm} at {rate:g}" for arm, rate, *_ in table.index[table.index.duplicated()]}):
        raise ValueError(f"in more than one sweep: {', '.join(twice)}")
    return table[["sft", "rl"]].reindex(list(ARM_TABLE), level="arm").reset_index()


def rate_rows(rates: pd.DataFrame, taken: float, split: str = "dev_id") -> pd.DataFrame:
    """A row an arm, as texts: accuracy before RL and after it at each rate, means over seeds with the range.

    ``best``: the arm's own best rate; ``given up``: how much lower, in points, it ends at the rate ``taken``.
    """
    rows = []
    for arm, part in rates[rates["split"] == split].groupby("arm", sort=False):
        ends = {rate: cell["rl"] for rate, cell in part.groupby("rate")}
        means = pd.Series({rate: values.mean() for rate, values in ends.items()})
        rows.append({"arm": arm, "before": _spread(part.drop_duplicates("seed")["sft"]),
                     **{f"{rate:g}": _spread(values) for rate, values in ends.items()},
                     "best": f"{means.idxmax():g}", "given up": f"{100 * (means.max() - means[taken]):.1f}"})
    return pd.DataFrame(rows).set_index("arm")


def rate_levels(rates: pd.DataFrame, split: str = "dev_id") -> pd.DataFrame:
    """The same accuracies as rows that :func:`bi.figures.accuracy_gain` draws, the rate in the place of a split."""
    rows = rates[rates["split"] == split].melt(["arm", "rate", "seed"], ["sft", "rl"], "stage")
    return rows.assign(split=[f"GRPO {rate:g}" for rate in rows["rate"]], metric="accuracy").sort_values(
        "rate", kind="stable", ignore_index=True)


def rate_facts(rates: pd.DataFrame, taken: float, arm: str = "bridge") -> dict[str, Any]:
    """Numbers on what one rate for all arms costs, their names beginning with ``rates``; accuracies in per cent.

    ``rates_own_*``: how much more ``arm`` gains than the best of the others where every arm has its own best rate by
    ``dev_id``, and at the rate taken; ``rates_everywhere``: whether it gains most at each rate in each seed.
    """
    inside = rates[rates["split"] == "dev_id"].assign(gain=lambda rows: 100 * (rows["rl"] - rows["sft"]))
    ends = inside.groupby(["arm", "rate"], sort=False)["rl"].mean().unstack()
    gains = inside.groupby(["arm", "rate"], sort=False)["gain"].mean().unstack()
    own = pd.Series({name: gains.loc[name, row.idxmax()] for name, row in ends.iterrows()})
    lost = 100 * (ends.max(axis=1) - ends[taken])
    others = own.drop(arm)
    single = inside.set_index(["arm", "rate", "seed"])["gain"].unstack("arm")
    facts: dict[str, Any] = {"arms": len(ends), "lost_most": lost.max(),
                             "lost_most_arm": lost.idxmax(), f"lost_{arm}": lost[arm], "own_next_arm": others.idxmax(),
                             "own_extra": own[arm] - others.max(),
                             "taken_extra": gains.loc[arm, taken] - gains[taken].drop(arm).max(),
                             "everywhere": int((single[arm] > single.drop(columns=arm).max(axis=1)).sum()),
                             "compared": len(single)}
    for name in ends.index:
        facts |= {f"{name}_before": 100 * inside.loc[inside["arm"] == name, "sft"].mean(),
                  f"{name}_taken": 100 * ends.loc[name, taken]}
    return {f"rates_{key}": value for key, value in facts.items()}


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


def _met(holds: bool) -> str:
    return "met" if holds else "not met"


def _spread(values: pd.Series) -> str:
    """Mean and, with more than one seed, the range: ``0.41 (0.40–0.43)``."""
    mean, low, high = (f"{value:.2f}" for value in (values.mean(), values.min(), values.max()))
    return mean if len(values) < 2 else f"{mean} ({low}\u2013{high})"
