"""Numbers and tables of the chapters on ablation and exploration, by the names that their texts use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import spearmanr

from bi.chapter import UNMEASURED
from bi.evaluation.ablation import holds_after_correction
from bi.evaluation.claims import CLAIMS
from bi.evaluation.findings import SPLITS, Finding
from bi.evaluation.lines import CHANGE, fate
from bi.evaluation.passes import REPORTED
from bi.evaluation.verdicts import Estimate, estimate_of, find, rows_of
from bi.evidence_figures import unmeasured
from bi.figure_style import ARM_COLORS, ordered


def drawing(table: pd.DataFrame | None, draw: Callable[..., Axes], how_to_make: str, **options: Any
            ) -> Callable[[], Axes]:
    """What :func:`bi.figures.save` is given: ``draw`` of the table, or a sentence where it is missing or empty."""
    if table is None or table.empty:
        return partial(unmeasured, f"Not measured yet: `{how_to_make}` makes the table of this figure.")
    return partial(draw, table, **options)


def differences(ablation: pd.DataFrame | None, versus: str, stage: str = "gain", how: str = "all") -> pd.DataFrame:
    """One row an arm and split, as texts: the difference to ``versus``, its interval, Holm's p, and the verdict."""
    if ablation is None:
        return pd.DataFrame()
    rows = ablation[(ablation["versus"] == versus) & (ablation["stage"] == stage) & (ablation["how"] == how)]
    shown = []
    for arm in ordered(rows["arm"], ARM_COLORS):
        for row in rows[rows["arm"] == arm].to_dict("records"):
            estimate = Estimate(row["value"], row["low"], row["high"], row["n"], row["method"])
            shown.append({"arm": arm, "problems": SPLITS[row["split"]], f"{stage} minus {versus} (points)":
                          estimate.brief(), "p, corrected": f"{row['p_holm']:.3f}",
                          "verdict": holds_after_correction(pd.Series(row))})
    return pd.DataFrame(shown)


def ablation_facts(ablation: pd.DataFrame | None) -> dict[str, Any]:
    """How many arms were compared, and what the comparison with subgoals alone says, in words."""
    arms = [] if ablation is None else ordered(pd.concat([ablation["arm"], ablation["versus"]]), ARM_COLORS)
    facts = {"arms": ", ".join(arms) or "none", "n_arms": len(arms), "method": UNMEASURED,
             "missing": "", "verdict_arms": "The tables hold no arm beside the main ones, so what a single behaviour "
             "adds is not measured yet; `make reproduce GRID=full` measures it."}
    if ablation is not None:
        facts["method"] = str(ablation["method"].iloc[0])
    if "subgoal" in arms:
        found = differences(ablation, "vanilla")
        counted = found[found["problems"] == SPLITS["id"]]["verdict"].value_counts()
        facts["verdict_arms"] = (f"On problems of the training size, {counted.get('more', 0)} of {counted.sum()} arms "
                                 f"gain more than vanilla after correction, and {counted.get('less', 0)} gain less.")
    return facts


def trained_arms(summary: pd.DataFrame) -> list[str]:
    """Arms that went through RL, in the order of the book; the base, which stands in the table too, did not."""
    return ordered(summary.loc[summary["stage"] == "rl", "arm"], ARM_COLORS)


def result_rows(summary: pd.DataFrame | None, sizes: Mapping[str, str] = SPLITS, label: str = "problems"
                ) -> pd.DataFrame:
    """A row an arm and kind of test problems: per cent right after SFT and after RL, the gain, intervals, as texts."""
    if summary is None:
        return pd.DataFrame()
    rows = []
    for arm in trained_arms(summary):
        for split, words in sizes.items():
            before, after, gain = (find(summary, arm, stage, split) for stage in ("sft", "rl", "gain"))
            rows.append({"arm": arm, label: words, "after SFT": before.level(), "after RL": after.level(),
                         "gain (points)": gain.brief()})
    return pd.DataFrame(rows)


def beside_text(ablation: pd.DataFrame | None, versus: str, stage: str) -> str:
    """Every other arm minus ``versus`` at a stage, on problems of the training size, in points, for a sentence."""
    if ablation is None:
        return UNMEASURED
    rows = rows_of(ablation, how="all", versus=versus, stage=stage, split="id").set_index("arm")
    return ", ".join(f"{arm} {estimate_of(rows.loc[arm]).brief()}" for arm in ordered(rows.index, ARM_COLORS))


def rows_text(sft_data: pd.DataFrame | None) -> str:
    """Rows that each arm is fine-tuned on, the mean over seeds, for a sentence."""
    if sft_data is None:
        return UNMEASURED
    means = rows_of(sft_data, metric="rows").groupby("arm")["value"].mean()
    return ", ".join(f"{arm} {means[arm]:,.0f}" for arm in ordered(means.index, ARM_COLORS))


def order_facts(influence: pd.DataFrame, summary: pd.DataFrame) -> dict[str, str]:
    """Whether arms with more influence before RL gain more: rank correlations over arms (Spearman), as texts.

    ``rank_id``: of the mean influence on problems of the training size with the gain there; ``rank_train``: of that on
    the training prompts. With fewer than three arms there is no order to speak of.
    """
    gains = rows_of(summary, stage="gain", split="id", versus="", metric="accuracy").set_index("arm")["value"]
    facts = {}
    for target in ("id", "train"):
        means = rows_of(influence, target=target, metric="mean_accuracy").groupby("arm")["value"].mean()
        shared = means.index.intersection(gains.index)
        found = spearmanr(means[shared], gains[shared]) if len(shared) > 2 else None
        facts[f"rank_{target}"] = UNMEASURED if found is None else (
            f"{found.statistic:+.2f}".replace("-", "\N{MINUS SIGN}") + f" (p = {found.pvalue:.3f})")
    return facts


def claim_facts(findings: Mapping[str, Finding]) -> dict[str, str]:
    """Texts of every claim for the page of verdicts: ``claim_KEY``, ``seen_KEY``, ``verdict_KEY``, ``refuted_KEY``."""
    facts = {}
    for claim in CLAIMS:
        found = findings[claim.key]
        facts |= {f"claim_{claim.key}": claim.claim, f"seen_{claim.key}": found.seen,
                  f"verdict_{claim.key}": found.verdict, f"refuted_{claim.key}": claim.refuted,
                  f"test_{claim.key}": claim.test}
    return facts


def pass_rows(passes: pd.DataFrame | None, split: str = "id") -> pd.DataFrame:
    """pass@k before and after RL by arm, by the answer and strictly, in per cent, with the reported figures beside."""
    if passes is None:
        return pd.DataFrame()
    plain = rows_of(passes, split=split, versus="")
    rows = []
    for (judged, k, arm), part in plain.groupby(["judged", "k", "arm"], sort=False):
        stages = part.set_index("stage")
        row = {"judged by": judged, "k": k, "arm": arm}
        row |= {stage: estimate_of(stages.loc[stage]).level()
                for stage in ("sft", "rl", "gain") if stage in stages.index}
        for model, told in REPORTED[REPORTED["arm"] == arm].groupby("model", sort=False):
            first = told.iloc[0]
            comparable = (judged, k) == ("answer", 1)
            row[f"reported, {model}"] = f"{first['sft']:.1f} to {first['rl']:.1f}" if comparable else ""
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def fates(lines: pd.DataFrame | None, split: str = "id") -> pd.DataFrame:
    """What RL does to each kind of line, by arm: how often before and after, right before and after, and its fate."""
    if lines is None:
        return pd.DataFrame()
    rows, part = [], lines[lines["split"] == split]
    for (arm, kind), cell in part.groupby(["arm", "kind"], sort=False):
        known: dict[Any, dict[Any, Any]] = cell.set_index(["stage", "metric"]).to_dict("index")
        if not {(CHANGE, "per_completion"), ("sft", "per_completion")} <= known.keys():
            continue
        change = known[CHANGE, "per_completion"]
        if known["sft", "per_completion"]["value"] == known["rl", "per_completion"]["value"] == 0:
            continue
        row = {"arm": arm, "kind": kind}
        for stage in ("sft", "rl"):
            row[f"per completion, {stage.upper()}"] = f"{known[stage, 'per_completion']['value']:.2f}"
        row["change"] = f"{change['value']:+.2f} ({change['low']:+.2f} to {change['high']:+.2f})"
        for stage in ("sft", "rl"):
            right = known.get((stage, "right"))
            row[f"right, {stage.upper()}"] = f"{right['value']:.3f}" if right else ""
        rows.append(row | {"fate": fate(pd.Series(change))})
    return pd.DataFrame(rows)


def line_facts(lines: pd.DataFrame | None) -> dict[str, Any]:
    """How many kinds of bridge's lines RL amplifies, prunes and keeps, in words, and the method of the intervals."""
    found = fates(lines)
    if found.empty:
        return {"fates": "Not measured yet: the tables hold no counts of lines.", "lines_method": UNMEASURED,
                "reflections_right": UNMEASURED}
    bridge = found[(found["arm"] == "bridge") & (found["kind"] != "all")]
    parts = [f"{name} " + (", ".join(bridge.loc[bridge["fate"] == name, "kind"]) or "nothing")
             for name in ("amplified", "pruned", "kept")]
    assert lines is not None
    return {"fates": f"In bridge, {'; '.join(parts)}.", "lines_method": str(lines["method"].iloc[0]),
            "reflections_right": _right_text(lines)}


def _right_text(lines: pd.DataFrame) -> str:
    """How many of bridge's lines with a behaviour are right, before and after RL, in words."""
    rows = rows_of(lines, arm="bridge", split="id", metric="right").set_index(["kind", "stage"])["value"]
    parts = [f"of its lines of the kind {kind}, {100 * rows[kind, 'sft']:.0f} per cent are right after SFT and "
             f"{100 * rows[kind, 'rl']:.0f} after RL" for kind in ("reflection", "analysis", "subgoal")
             if {(kind, "sft"), (kind, "rl")} <= set(rows.index)]
    return f"In bridge, {'; '.join(parts)}." if parts else UNMEASURED
