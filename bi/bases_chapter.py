"""Numbers and tables of the chapter on bases and sizes, by the names that its text uses."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pandas as pd

from bi.augmentation.anatomy import KINDS
from bi.chapter import UNMEASURED
from bi.evaluation.bases_findings import WEAK, WIDE, WITHOUT_BEHAVIORS, extra
from bi.evaluation.dose import FEW, MORE
from bi.evaluation.findings import SPLITS, STAGES
from bi.evaluation.through_findings import points
from bi.evaluation.verdicts import compare_seeds, estimate_of, find, rows_of, signed
from bi.figure_style import ARM_COLORS, ordered
from bi.recipes import ARMS, COMPACT, LARGER_MODULUS

CONDITIONS = {("train", "informative_train"): "training prompts with mixed outcomes",
              ("id", "mean_accuracy"): "influence, points a step"}
SCALES = {"mean_accuracy": 100.0}
BRIEF = {f"brief_{name}_{words}": (base, stage)
         for name, base in (("wide", WIDE), ("unseen", WITHOUT_BEHAVIORS), ("weak", WEAK))
         for words, stage in (("gain", "gain"), ("end", "rl"))}
"""Short texts for the front page: base and stage of what bridge has above vanilla, on both splits."""


def bases_facts(accuracy: pd.DataFrame | None) -> dict[str, Any]:
    """Which bases and sizes were measured, and the method of the intervals, in words."""
    if accuracy is None:
        return {"measured": "Nothing of this has been measured yet for this profile; `make reproduce GRID=bases` does.",
                "method": UNMEASURED, **dict.fromkeys(BRIEF, UNMEASURED)}
    bases, sizes = list(dict.fromkeys(accuracy["base"])), sorted(set(accuracy["size"]))
    return {**{name: _brief_pair(accuracy, *which) for name, which in BRIEF.items()},
            "measured": f"Measured here: {len(bases)} bases ({', '.join(bases)}), problems of "
                        f"{', '.join(map(str, sizes))} operations.",
            "method": "; ".join(f"{method}, at {', '.join(map(str, sorted(set(part['size']))))} operations"
                                for method, part in accuracy.groupby("method", sort=False))}


def _brief_pair(accuracy: pd.DataFrame, base: str, stage: str) -> str:
    rows = rows_of(extra(accuracy, stage), base=base).set_index("split")
    return "; ".join(estimate_of(rows.loc[split]).brief() for split in SPLITS if split in rows.index) or UNMEASURED


def course_text(accuracy: pd.DataFrame | None) -> str:
    """A sentence on each base: where bridge starts and ends relative to vanilla on problems of the training size."""
    if accuracy is None:
        return UNMEASURED
    sentences = []
    for base in dict.fromkeys(accuracy["base"]):
        start, end = (estimate_of(rows_of(extra(accuracy, stage), base=base, split="id").iloc[0])
                      for stage in ("sft", "rl"))
        places = {"supported": "higher", "contradicted": "lower", "undecided": "at a level that cannot be told apart"}
        sentences.append(f"From {base} bridge starts {places[start.verdict()]} ({start.points()}) and ends "
                         f"{places[end.verdict()]} ({end.points()}).")
    return " ".join(sentences)


def conditions_text(accuracy: pd.DataFrame | None, conditions: pd.DataFrame | None) -> str:
    """A sentence on each base: bridge against vanilla in both conditions before RL, and in the gain that followed."""
    if accuracy is None or conditions is None:
        return UNMEASURED
    sentences = []
    for base in dict.fromkeys(accuracy["base"]):
        before = rows_of(conditions, base=base)
        mixed, pull = (compare_seeds(before, "bridge", "vanilla", target=target, metric=metric)
                       for target, metric in CONDITIONS)
        gain = estimate_of(rows_of(extra(accuracy), base=base, split="id").iloc[0])
        sentences.append(
            f"From {base}, {100 * mixed.first:.0f} per cent of bridge's prompts have mixed outcomes against "
            f"{100 * mixed.second:.0f} of vanilla's ({mixed.text()}), with an influence of {points(pull.first)} points "
            f"a step against {points(pull.second)} ({pull.text()}); it gains {gain.points()} more.")
    return " ".join(sentences)


def strength_rows(cards: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a base: per cent of right answers by number of operations, greedy, before any fine-tuning (its card)."""
    rows = {name: table[table["metric"] == "accuracy"].set_index("n_ops")["value"] for name, table in cards.items()}
    shown = pd.DataFrame(rows).T.mul(100).map("{:.1f}".format)
    return shown.rename(columns=str).rename_axis(columns="operations")


def extra_rows(accuracy: pd.DataFrame | None) -> pd.DataFrame:
    """What bridge has above vanilla before RL, in the gain and after RL, by base and size, in points, as texts."""
    if accuracy is None:
        return pd.DataFrame()
    bases, shown = list(dict.fromkeys(accuracy["base"])), []
    for size in sorted(set(accuracy["size"])):
        for base in bases:
            row = {"base": base, "operations": size}
            for stage, words in STAGES.items():
                row[words] = _brief(extra(accuracy, stage), base, size)
            row[f"gain, more than from {bases[0]}"] = _brief(extra(accuracy, than=bases[0]), base, size)
            shown.append(row)
    return pd.DataFrame(shown)


def failing_rows(failing: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What completions of the training size fail at first, before and after RL, in per cent of all of them, as texts.

    ``failing``: tables like ``anatomy`` by base. A row a base, arm and stage, a column a kind of error and one for the
    rest: means over seeds, with the seeds behind them.
    """
    shown = []
    for base, table in failing.items():
        held = rows_of(table, operations=0, split="id")
        shares = 100 * held.pivot(index=["arm", "stage", "seed"], columns="kind", values="share")[list(KINDS)]
        shares["no error"] = 100 - shares.sum(axis=1)
        for arm in ordered(set(held["arm"]) & set(ARM_COLORS), ARM_COLORS):
            for stage in ("sft", "rl"):
                seeds = shares.xs((arm, stage), level=("arm", "stage"))
                cells = {kind: f"{seeds[kind].mean():.0f} ({', '.join(f'{value:.0f}' for value in seeds[kind])})"
                         for kind in seeds}
                shown.append({"base": base, "arm": arm, "stage": STAGES[stage], **cells})
    return pd.DataFrame(shown)


def dose_text(metrics: pd.DataFrame | None) -> str:
    """What bridge has above vanilla in the gain and after RL by recipe of the sweep ``dose``, for a sentence.

    ``metrics``: the table of the sweep. Differences are in points on development problems of the training size, means
    over seeds with the seeds behind them.
    """
    if metrics is None:
        return UNMEASURED
    held = rows_of(metrics, metric="accuracy", split="dev_id")
    means = held.pivot(index=["candidate", "seed"], columns=["arm", "stage"], values="value")
    after = means["bridge", "rl"] - means["vanilla", "rl"]
    gain = after - (means["bridge", "sft"] - means["vanilla", "sft"])
    return "; ".join(
        f"with {candidate} bridge gains {_by_seed(gain[candidate])} points more than vanilla and ends "
        f"{_by_seed(after[candidate])} relative to it" for candidate in dict.fromkeys(held["candidate"]))


def dose_rows(doses: pd.DataFrame | None) -> pd.DataFrame:
    """Bridge minus vanilla with each dose of fine-tuning, and how it moves, in points with intervals, as texts.

    ``doses``: :func:`bi.evaluation.dose.dose_table`; empty without it.
    """
    if doses is None:
        return pd.DataFrame()
    shown = []
    for split, size in SPLITS.items():
        for stage, words in STAGES.items():
            rows = {dose: rows_of(extra(doses, stage), base=dose, split=split) for dose in (FEW, MORE)}
            rows["more rows minus fewer"] = rows_of(extra(doses, stage, than=FEW), base=MORE, split=split)
            shown.append({"problems": size, "difference": words,
                          **{dose: estimate_of(held.iloc[0]).brief() for dose, held in rows.items()}})
    return pd.DataFrame(shown)


def dose_levels(doses: pd.DataFrame | None) -> pd.DataFrame:
    """Per cent right before and after RL by arm and dose of fine-tuning, with intervals, as texts; empty without it."""
    if doses is None:
        return pd.DataFrame()
    shown = []
    for row in rows_of(doses, versus="", than="", stage="rl").itertuples():
        cells = {words: rows_of(doses, versus="", than="", base=row.base, arm=row.arm, split=row.split, stage=stage)
                 for stage, words in STAGES.items() if stage != "gain"}
        shown.append({"rows of fine-tuning": row.base, "arm": row.arm, "problems": SPLITS[str(row.split)],
                      **{words: estimate_of(held.iloc[0]).level() for words, held in cells.items()}})
    return pd.DataFrame(shown)


def range_rows(summaries: Mapping[int, pd.DataFrame | None]) -> pd.DataFrame:
    """Levels of vanilla and bridge and their difference by what values are taken modulo, with intervals, as texts.

    ``summaries``: the table ``summary`` of each grid by its modulus. Empty while one of them has not been made.
    """
    shown = []
    for modulus, summary in summaries.items():
        if summary is None:
            return pd.DataFrame()
        for (split, size), (arm, versus) in product(SPLITS.items(), ((ARMS[0], ""), (ARMS[1], ""), ARMS[::-1])):
            found = {stage: find(summary, arm, stage, split, versus=versus) for stage in STAGES}
            shown.append({"values modulo": modulus, "problems": size, "arm": f"{arm} minus {versus}" if versus else arm,
                          **{words: found[stage].brief() if versus or stage == "gain" else found[stage].level()
                             for stage, words in STAGES.items()}})
    return pd.DataFrame(shown)


def range_facts(summary: pd.DataFrame | None) -> dict[str, str]:
    """Both moduli, and what bridge has above vanilla with the larger one, in short for the front page."""
    facts = {"modulus": str(dict(COMPACT)["modulus"]), "larger_modulus": str(LARGER_MODULUS)}
    for words, stage in (("gain", "gain"), ("end", "rl")):
        facts[f"brief_range_{words}"] = UNMEASURED if summary is None else "; ".join(
            find(summary, ARMS[1], stage, split, versus=ARMS[0]).brief() for split in SPLITS)
    return facts


def _by_seed(values: pd.Series) -> str:
    return f"{signed(values.mean())} ({', '.join(map(signed, values.sort_index()))})"


def _brief(rows: pd.DataFrame, base: object, size: object) -> str:
    held = rows_of(rows, base=base, size=size)
    return estimate_of(held.iloc[0]).brief() if len(held) else ""


def condition_rows(conditions: pd.DataFrame | None) -> pd.DataFrame:
    """The two conditions before RL by base and arm: means over seeds, with the seeds behind them, as texts."""
    if conditions is None:
        return pd.DataFrame()
    shown = []
    for base in dict.fromkeys(conditions["base"]):
        for arm in ordered(conditions["arm"], ARM_COLORS):
            row = {"base": base, "arm": arm}
            for (target, metric), words in CONDITIONS.items():
                held = rows_of(conditions, base=base, arm=arm, target=target, metric=metric)
                values = SCALES.get(metric, 1.0) * held.sort_values("seed")["value"]
                row[words] = f"{values.mean():.3f} ({', '.join(f'{value:.3f}' for value in values)})"
            shown.append(row)
    return pd.DataFrame(shown)


def ready_rows(influence: pd.DataFrame | None) -> pd.DataFrame:
    """The two conditions before RL by arm: means over seeds, with the seeds behind them, as texts."""
    return pd.DataFrame() if influence is None else condition_rows(influence.assign(base="")).drop(columns="base")
