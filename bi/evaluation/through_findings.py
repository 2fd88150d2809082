"""What the tables through training say about the claims on them (:data:`bi.evaluation.claims.CLAIMS`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from bi.evaluation.findings import SPLITS, Finding, combined
from bi.evaluation.verdicts import Verdict, estimate_of, rows_of, sided, times

ARM, REFERENCE = "bridge", "vanilla"
CLAIMED_ON = "id"
"""Split that the claims on influence are decided on."""


def decays(steps: pd.DataFrame) -> Finding | None:
    """Whether the influence of a step is smaller after RL than before, in every arm."""
    rows = rows_of(steps, versus="start", metric="influence", split=CLAIMED_ON)
    last = rows[rows["step"] == rows.groupby("arm")["step"].transform("max")]
    levels = rows_of(steps, metric="influence", split=CLAIMED_ON, step=0, versus="").set_index("arm")["value"]
    if last.empty:
        return None
    parts, verdicts = [], []
    for row in last.to_dict("records"):
        start = levels[row["arm"]]
        parts.append(f"{row['arm']} {points(start)} to {points(start + row['value'])} "
                     f"(change {points(row['low'], sign=True)} to {points(row['high'], sign=True)})")
        verdicts.append(sided(-row["high"], -row["low"]))
    return Finding(f"points of accuracy a step: {'; '.join(parts)}", combined(verdicts))


def leads(steps: pd.DataFrame) -> Finding | None:
    """Whether bridge's influence is larger than vanilla's at the policies between the ends."""
    rows = rows_of(steps, arm=ARM, versus=REFERENCE, metric="influence", split=CLAIMED_ON)
    between = rows[(rows["step"] > 0) & (rows["step"] < rows["step"].max())]
    if between.empty:
        return None
    verdicts: list[Verdict] = [sided(low, high) for low, high in zip(between["low"], between["high"], strict=True)]
    counted = {word: verdicts.count(word) for word in ("supported", "contradicted")}  # type: ignore[arg-type]
    return Finding(f"interval above zero at {counted['supported']} and below zero at {counted['contradicted']} of "
                   f"{len(between)} policies on the way; larger in value at {int((between['value'] > 0).sum())}",
                   combined(verdicts))


def at_equal_profiles(profiles: pd.DataFrame) -> Finding | None:
    """Whether bridge's influence before RL is larger than vanilla's when prompts are solved equally often."""
    rows = rows_of(profiles, arm=ARM, versus=REFERENCE, step=0, metric="influence")
    if rows.empty:
        return None
    known: dict[Any, dict[Any, Any]] = rows.set_index(["how", "split"]).to_dict("index")
    parts, verdicts = [], []
    for split, words in SPLITS.items():
        own, equal = known["own", split], known["equal", split]
        ratios = [times(row["first"], row["second"]) for row in (equal, own)]
        parts.append(f"{words}: {ratios[0]} vanilla's at equal accuracies, {ratios[1]} vanilla's at their "
                     "own")
        verdicts.append(sided(equal["low"], equal["high"]))
    return Finding("; ".join(parts), combined(verdicts))


def at_equal_tokens(tokens: pd.DataFrame) -> Finding | None:
    """Whether bridge gains more than vanilla for the same tokens."""
    rows = rows_of(tokens, how="tokens", arm=ARM, versus=REFERENCE, metric="gain").set_index("split")
    if rows.empty:
        return None
    found = {split: estimate_of(rows.loc[split]) for split in SPLITS}
    seen = "; ".join(f"{SPLITS[split]}: {estimate.points()}" for split, estimate in found.items())
    return Finding(seen, combined(estimate.verdict() for estimate in found.values()))


def after_more_steps(versus: str) -> Callable[[pd.DataFrame], Finding | None]:
    """Whether bridge has gained more than ``versus`` by the last step and stands higher there, on both splits.

    The result reads the table ``tokens`` of a grid (:func:`bi.evaluation.equal_tokens.token_table`).
    """

    def look(tokens: pd.DataFrame) -> Finding | None:
        rows = rows_of(tokens, how="steps", arm=ARM, versus=versus).set_index(["metric", "split"])
        if rows.empty:
            return None
        found = {(words, SPLITS[split]): estimate_of(rows.loc[metric, split])
                 for metric, words in (("gain", "gain"), ("accuracy", "after RL")) for split in SPLITS}
        seen = "; ".join(f"{', '.join(words)}: {estimate.points()}" for words, estimate in found.items())
        return Finding(seen, combined(estimate.verdict() for estimate in found.values()))

    return look


def points(share: float, *, sign: bool = False) -> str:
    """A small share in hundredths, with a minus as long as the plus."""
    text = f"{100 * share:+.3f}" if sign else f"{100 * share:.3f}"
    return text.replace("-", "\N{MINUS SIGN}")
