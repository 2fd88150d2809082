"""Numbers and tables of the chapter on DyVal arithmetic, by the names that its text uses."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pandas as pd

from bi.augmentation.arms import build_problems
from bi.chapter import UNMEASURED
from bi.evaluation.findings import CROWDED, STAGES
from bi.evaluation.verdicts import estimate_of, find, rows_of
from bi.evidence_chapters import trained_arms
from bi.figure_style import ARM_COLORS, BEHAVIOR_LABELS, ordered
from bi.recipes import TaskRecipe
from bi.sweep import SweepPlan
from bi.sweep_chapter import sweep_facts, sweep_rows
from bi.tasks.expression import Num

HOW = "make reproduce GRID=dyval"
ADDED = {"analysis and reflection": ("bridge", "subgoal"), "analysis": ("exploitation", "subgoal"),
         "reflection, with analysis there": ("bridge", "exploitation")}
"""Arms that differ by behaviours beside subgoals, and which they are."""
KINDS = {"sft": "SFT", "rl": "RL", "test_id": "test", "test_ood": f"test, {CROWDED['ood']}"}


def tree_rows(task: TaskRecipe, count: int) -> pd.DataFrame:
    """What ``count`` drawn problems of each split hold on average, as texts: levels, lines, premises, operations."""
    rows = []
    for split, words in KINDS.items():
        problems = build_problems(task, split, count, seed=0)
        needed = [[problem.by_name[name].formula for name in problem.needed] for problem in problems]
        stated = sum(isinstance(formula, Num) for formulas in needed for formula in formulas)
        lines = sum(map(len, needed))
        rows.append({"problems": words, "lines of an answer": f"{lines / count:.1f}",
                     "of these numbers that are stated": f"{stated / count:.1f}",
                     "operations": f"{sum(problem.n_ops for problem in problems) / count - stated / count:.1f}",
                     "premises that are of no use": f"{sum(len(p.redundant) for p in problems) / count:.1f}"})
    return pd.DataFrame(rows).set_index("problems")


def level_rows(accuracy: pd.DataFrame | None) -> pd.DataFrame:
    """What the base solves before any fine-tuning, by levels of the tree, in per cent, as texts (table of its card)."""
    if accuracy is None:
        return pd.DataFrame()
    metrics = {"accuracy": "right answer", "strict": "every line right", "lookup": "look-ups", "order": "order",
               "arithmetic_1": "one operation in a line"}
    wide = accuracy.pivot(index="n_levels", columns="metric", values="value").mul(100)
    shown = wide[[name for name in metrics if name in wide]].rename(columns=metrics)
    return shown.map(lambda value: "–" if pd.isna(value) else f"{value:.1f}").rename_axis("levels")


def shape_rows(plan: SweepPlan, metrics: pd.DataFrame | None, anatomy: pd.DataFrame | None) -> pd.DataFrame:
    """What was tried as in :func:`bi.sweep_chapter.sweep_rows`, in the words of this chapter; empty if not made."""
    if metrics is None or anatomy is None:
        return pd.DataFrame()
    rows = sweep_rows(plan, metrics, anatomy).drop(columns="sets").reset_index()
    return rows.rename(columns={"SFT, larger": f"SFT, {CROWDED['ood']}"})


def shape_text(plan: SweepPlan, tables: Mapping[str, pd.DataFrame | None]) -> str:
    """Which shape of the trees was chosen, and whether it meets the rules, from ``metrics`` and ``anatomy``."""
    made = {name: table for name, table in tables.items() if table is not None}
    if len(made) < len(tables):
        return "The shapes have not been compared yet; `make sweep SWEEP=dyval` does."
    facts = sweep_facts(plan, made, "tree")
    start, shares = ([f"{facts[f'tree_{name}']:.0f}" for name in names] for names in (
        ("vanilla_sft_id", "bridge_sft_id"), ("vanilla_arithmetic", "vanilla_lookup", "vanilla_order")))
    return (f"Chosen: {facts['tree_chosen']}. After fine-tuning, vanilla solves {start[0]} and bridge {start[1]} per "
            f"cent of {facts['tree_n_problems']} development problems; that both lie between a quarter and three "
            f"fifths is {facts['tree_level']}. Of vanilla's first errors {shares[0]} per cent are arithmetic, "
            f"{shares[1]} look-ups and {shares[2]} order; that each has a fifth is {facts['tree_spread']}.")


def dyval_facts(summary: pd.DataFrame | None) -> dict[str, Any]:
    """What was measured, the method of the intervals, and how bridge starts, gains and ends relative to vanilla."""
    if summary is None:
        return {"measured": f"Nothing of this has been measured yet for this profile; `{HOW}` does.",
                "method": UNMEASURED, "levels": f"Levels are {UNMEASURED}."}
    parts = []
    for split, words in CROWDED.items():
        start, end = (find(summary, "bridge", stage, split, versus="vanilla") for stage in ("sft", "rl"))
        parts.append(f"with {words} it starts {start.points()} and ends {end.points()}")
    return {"measured": f"Measured here: {', '.join(trained_arms(summary))}.",
            "method": find(summary, "bridge", "gain", "id", versus="vanilla").method,
            "levels": f"Bridge relative to vanilla: {'; '.join(parts)}."}


def moved_text(behaviors: pd.DataFrame | None, anatomy: pd.DataFrame | None) -> str:
    """What RL did to bridge's behaviours, and how often arithmetic is the first to fail after it, in one sentence.

    On trees with few redundant premises; behaviours a completion, means over seeds.
    """
    if behaviors is None or anatomy is None:
        return ""
    seen = behaviors[(behaviors["arm"] == "bridge") & (behaviors["split"] == "id")]
    means = seen.groupby(["metric", "stage"])["value"].mean()
    changes = ", ".join(f"{name} from {means[metric, 'sft']:.2f} to {means[metric, 'rl']:.2f}"
                        for metric, name in BEHAVIOR_LABELS.items())
    errors = anatomy[(anatomy["split"] == "id") & (anatomy["stage"] == "rl") & (anatomy["operations"] == 0)
                     & (anatomy["kind"] == "arithmetic")].groupby("arm")["share"].mean()
    return (f"In bridge, RL takes {changes} a completion. After it arithmetic is the first error of "
            f"{100 * errors['bridge']:.0f} per cent of bridge's completions and {100 * errors['vanilla']:.0f} per cent "
            "of vanilla's.")


def depth_rows(accuracy: pd.DataFrame | None) -> pd.DataFrame:
    """Every arm on trees of the trained depth and on deeper ones, and what it has above vanilla, as texts.

    ``accuracy``: the table of the grid ``depth`` (:func:`bi.evaluation.bases.bases_table`); empty without it.
    """
    if accuracy is None:
        return pd.DataFrame()
    shown = []
    for levels, arm in product(sorted(set(accuracy["size"])), ordered(accuracy["arm"], ARM_COLORS)):
        held = rows_of(accuracy, size=levels, arm=arm, than="").set_index(["versus", "stage"])
        row: dict[str, Any] = {"levels": levels, "arm": arm}
        for stage, words in STAGES.items():
            level = estimate_of(held.loc["", stage])
            row[words] = level.brief() if stage == "gain" else level.level()
        for stage in ("gain", "rl"):
            beside = held[held.index == ("vanilla", stage)]
            row[f"{STAGES[stage]}, minus vanilla's"] = estimate_of(beside.iloc[0]).brief() if len(beside) else ""
        shown.append(row)
    return pd.DataFrame(shown)


def added_rows(ablation: pd.DataFrame | None) -> pd.DataFrame:
    """What behaviours add to subgoals (:data:`ADDED`), in points with intervals, as texts; empty if not tried."""
    rows = []
    for name, (arm, versus) in ADDED.items():
        pair = pd.DataFrame() if ablation is None else rows_of(ablation, how="all", arm=arm, versus=versus)
        found = pair if pair.empty else pair.set_index(["split", "stage"])
        rows += [{"added to subgoals": name, "trees": words,
                  **{told: estimate_of(found.loc[split, stage]).brief() for stage, told in STAGES.items()}}
                 for split, words in CROWDED.items() if len(found)]
    return pd.DataFrame(rows)
