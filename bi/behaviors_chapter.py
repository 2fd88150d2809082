"""Numbers and tables of the chapter on behaviours in trained models, by the names that its text uses."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from bi.augmentation.segments import TOKEN_KINDS
from bi.chapter import UNMEASURED
from bi.evaluation.composition import kinds_of, split_change
from bi.evaluation.lines import ALL, CHANGE
from bi.evaluation.verdicts import rows_of, sided
from bi.evidence_chapters import fates
from bi.figure_style import ARM_COLORS, BEHAVIOR_LABELS, ordered

RARE = 0.01
"""Kinds with fewer of an arm's tokens, before and after RL, are left out of tables and figures."""
ORDER = dict.fromkeys((*TOKEN_KINDS, ALL), "")


def common_kinds(lines: pd.DataFrame | None, split: str = "id") -> pd.DataFrame:
    """Rows of one split without the rare kinds of each arm (:data:`RARE`), and with the kind ``all``."""
    if lines is None:
        return pd.DataFrame()
    part = lines[lines["split"] == split]
    tokens = rows_of(part, metric="entropy")
    tokens = tokens[tokens["stage"].isin(("sft", "rl"))]
    whole = tokens[tokens["kind"] == ALL].set_index(["arm", "stage"])["n"]
    shares = tokens["n"].to_numpy(float) / whole.loc[list(zip(tokens["arm"], tokens["stage"], strict=True))].to_numpy()
    often = set(zip(tokens["arm"][shares >= RARE], tokens["kind"][shares >= RARE], strict=True))
    return part[[(arm, kind) in often for arm, kind in zip(part["arm"], part["kind"], strict=True)]]


def certainty_rows(lines: pd.DataFrame | None) -> pd.DataFrame:
    """Entropy and perplexity a token by arm and kind, before and after RL, with intervals, as texts."""
    shown, common = [], common_kinds(lines)
    for arm in ordered(common["arm"], ARM_COLORS) if len(common) else []:
        for kind in ordered(common.loc[common["arm"] == arm, "kind"], ORDER):
            row = {"arm": arm, "tokens": kind}
            for stage in ("sft", "rl"):
                cell = rows_of(common, arm=arm, kind=kind, stage=stage).set_index("metric")
                for metric, words, change in (("entropy", "entropy", float), ("nats", "perplexity", math.exp)):
                    known = metric in cell.index
                    row[f"{words}, {stage.upper()}"] = _interval(cell.loc[metric], change) if known else ""
            shown.append(row)
    return pd.DataFrame(shown)


def _interval(row: pd.Series, change: Any) -> str:
    value, low, high = (change(row[name]) for name in ("value", "low", "high"))
    return f"{value:.3f} ({low:.3f} to {high:.3f})" if math.isfinite(low + high) else f"{value:.3f}"


def against_plain(lines: pd.DataFrame | None, arm: str = "bridge") -> pd.DataFrame:
    """Each kind of token of an arm against its plain lines, after SFT and after RL: where intervals are apart."""
    shown, common = [], common_kinds(lines)
    if not len(common):
        return pd.DataFrame()
    names = {"supported": "less sure", "contradicted": "surer", "undecided": "undecided"}
    part = rows_of(common, arm=arm, metric="entropy")
    for kind in ordered(part["kind"], ORDER):
        row = {"tokens": kind}
        for stage in ("sft", "rl"):
            cell = part[part["stage"] == stage].set_index("kind")
            if {kind, "plain"} <= set(cell.index) and kind not in (ALL, "plain"):
                here, plain = cell.loc[kind], cell.loc["plain"]
                word = names[sided(here["low"] - plain["high"], here["high"] - plain["low"])]
                row[f"after {stage.upper()}"] = f"{word} ({here['value']:.3f} against {plain['value']:.3f} nats)"
        shown += [row] if len(row) > 1 else []
    return pd.DataFrame(shown).fillna("")


def fate_rows(lines: pd.DataFrame | None) -> pd.DataFrame:
    """:func:`bi.evidence_chapters.fates` of the common kinds, and whether their lines are right more often after RL."""
    if lines is None:
        return pd.DataFrame()
    found, common = fates(lines), common_kinds(lines)
    kept = set(zip(common["arm"], common["kind"], strict=True))
    found = found[[(arm, kind) in kept for arm, kind in zip(found["arm"], found["kind"], strict=True)]]
    words = {"supported": "more often", "contradicted": "less often", "undecided": "undecided"}
    changes = rows_of(common, stage=CHANGE, metric="right").set_index(["arm", "kind"])
    told = [words[sided(*changes.loc[key, ["low", "high"]])] if key in changes.index else ""
            for key in zip(found["arm"], found["kind"], strict=True)]
    return found.assign(**{"right after RL": told}).reset_index(drop=True)


def moves(lines: pd.DataFrame | None, arm: str = "bridge") -> str:
    """Behaviours of an arm that RL takes out of some kinds of lines and puts into others, in words.

    A behaviour has moved where one kind of line that holds it is pruned and another that holds it is amplified.
    """
    found = fate_rows(lines)
    if found.empty:
        return "Not measured yet: the tables hold no counts of lines."
    part, told = found[found["arm"] == arm], []
    for behavior in ("reflection", "analysis", "subgoal"):
        holding = part[[behavior in kind.split("+") for kind in part["kind"]]]
        sources, ends = (list(holding.loc[holding["fate"] == fate, "kind"]) for fate in ("pruned", "amplified"))
        if sources and ends:
            told.append(f"{behavior} out of {' and '.join(sources)} lines into {' and '.join(ends)} lines")
    return f"RL moves {'; '.join(told)}." if told else "RL moves no behaviour from one kind of line to another."


def entropy_split(lines: pd.DataFrame | None, split: str = "id") -> pd.DataFrame:
    """The change of each arm's entropy by RL: between kinds of tokens and within them, in millinats, as texts."""
    shown = []
    for arm in [] if lines is None else ordered(lines["arm"], ARM_COLORS):
        ends = [kinds_of(lines, arm, stage, split) for stage in ("sft", "rl")]
        if all(ends):
            moved, within = split_change(*ends)
            texts = (f"{1000 * value:+.1f}".replace("-", "\N{MINUS SIGN}") for value in (moved + within, moved, within))
            shown.append({"arm": arm, **dict(zip(("change", "between kinds", "within kinds"), texts, strict=True))})
    return pd.DataFrame(shown)


def learned_rows(behaviors: pd.DataFrame) -> pd.DataFrame:
    """Behaviours per completion in the SFT data, after SFT and after RL, means over seeds, as texts."""
    rows = behaviors[behaviors["split"].isin(("train", "id"))]
    wide = rows.pivot_table(index=["arm", "metric"], columns="stage", values="value", aggfunc="mean")
    wide = wide.reindex(columns=["data", "sft", "rl"])
    shown = [{"arm": arm, "behaviour": words, **{f"in {stage}": f"{wide.loc[(arm, metric), stage]:.2f}"
                                                 for stage in ("data", "sft", "rl")}}
             for arm in ordered(rows["arm"], ARM_COLORS) for metric, words in BEHAVIOR_LABELS.items()
             if (arm, metric) in wide.index]
    return pd.DataFrame(shown).rename(columns={"in data": "SFT data", "in sft": "after SFT", "in rl": "after RL"})


def behavior_facts(lines: pd.DataFrame | None) -> dict[str, Any]:
    """How many completions were read, what RL moved, and how far entropy and cost are apart, in words."""
    if lines is None:
        return {"read": UNMEASURED, "moves": moves(None), "gap": UNMEASURED}
    whole = rows_of(lines, kind=ALL, split="id")
    counted = rows_of(whole, metric="per_completion")
    completions = int(counted.loc[counted["stage"].isin(("sft", "rl")), "n"].sum())
    ends = whole[whole["stage"].isin(("sft", "rl"))]
    wide = ends.pivot_table(index=["arm", "stage"], columns="metric", values="value")
    gap = float((wide["nats"] - wide["entropy"]).abs().max())
    return {"read": f"{completions} completions", "moves": moves(lines), "gap": f"{gap:.4f}"}
