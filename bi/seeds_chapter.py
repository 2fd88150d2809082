"""The main comparison once more, with seeds that were run after all else was settled: numbers for the chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from bi.evaluation.ablation import ablation_table
from bi.evaluation.by_accuracy import gains_by_accuracy
from bi.evaluation.components import variance_components
from bi.evaluation.findings import SPLITS, STAGES
from bi.evaluation.retest import ALL, FIRST, FURTHER, MOVED
from bi.evaluation.tables import summary_table
from bi.evaluation.verdicts import estimate_of, rows_of, signed
from bi.evidence_chapters import result_rows
from bi.figure_style import ARM_COLORS, ordered


def pooled_counts(first: pd.DataFrame, further: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``rollout_accuracy`` of both, for the arms that both have; ``ValueError`` where they share a seed."""
    arms = [arm for arm in dict.fromkeys(further["arm"]) if arm != "base" and arm in set(first["arm"])]
    parts = [counts[counts["arm"].isin(arms)] for counts in (first, further)]
    if shared := sorted(set(parts[0]["seed"]) & set(parts[1]["seed"])):
        raise ValueError(f"seeds {', '.join(map(str, shared))} are in both tables; further seeds are others")
    return pd.concat(parts, ignore_index=True)


def seed_rows(first: pd.DataFrame, further: pd.DataFrame | None, counts: Sequence[pd.DataFrame | None]) -> pd.DataFrame:
    """Bridge minus each other arm, in points with intervals, as texts: first seeds, further ones, all together.

    ``first``, ``further``: tables ``ablation``; ``counts``: the tables ``rollout_accuracy`` of both, of which the
    differences over all seeds are made. Empty where the further seeds have not been run.
    """
    before, after = counts
    if further is None or before is None or after is None:
        return pd.DataFrame()
    together = pooled_counts(before, after)
    tables = {f"seeds {_seeds(before)}": first, f"seeds {_seeds(after)}": further,
              f"all of them, {_seeds(together)}": ablation_table(together)}
    rows = []
    for versus in ordered(further.loc[further["versus"] == "bridge", "arm"], ARM_COLORS):
        for split, size in SPLITS.items():
            for stage in ("gain", "rl"):
                cells = {name: _brief(table, versus, stage, split) for name, table in tables.items()}
                rows.append({"bridge minus": versus, "problems": size, "difference": STAGES[stage], **cells})
    return pd.DataFrame(rows).set_index("bridge minus")


def level_rows(counts: Sequence[pd.DataFrame | None]) -> pd.DataFrame:
    """:func:`bi.evidence_chapters.result_rows` of all seeds together.

    ``counts``: the tables ``rollout_accuracy`` of the first seeds and of the further ones. Empty without the latter.
    """
    before, after = counts
    if before is None or after is None:
        return pd.DataFrame()
    together = pooled_counts(before, after)
    tested = together[together["split"].isin(SPLITS)]
    summary = summary_table(tested.assign(task="", metric="accuracy", value=tested["correct"] / tested["n"]))
    return result_rows(summary).set_index(["arm", "problems"])


def precision_rows(counts: Sequence[pd.DataFrame | None], sizes: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """Half widths of the interval of bridge's extra gain with other numbers of seeds and problems, as texts in points.

    ``sizes``: factors on the numbers of seeds and of problems that were run, by the name of a column. By the variance
    components of all seeds together (:mod:`bi.evaluation.components`); empty without the further seeds.
    """
    before, after = counts
    if before is None or after is None:
        return pd.DataFrame()
    together, rows = pooled_counts(before, after), []
    for split, words in SPLITS.items():
        gains, _ = gains_by_accuracy(together, split)
        tables = {arm: part.pivot(index="seed", columns="problem_id", values="gain")
                  for arm, part in gains.groupby("arm")}
        for versus in ordered(set(tables) - {"bridge"}, ARM_COLORS):
            extra = (tables["bridge"] - tables[versus]).to_numpy()
            parts = variance_components(extra)
            row = {"bridge minus": versus, "problems": words, "extra gain": signed(float(extra.mean()))}
            for name, (seeds, problems) in sizes.items():
                width = parts.half_width(seeds * extra.shape[0], problems * extra.shape[1])
                row[name] = f"\N{PLUS-MINUS SIGN}{100 * width:.1f}"
            rows.append(row)
    return pd.DataFrame(rows).set_index("bridge minus")


PROBLEMS = {FIRST: "first {}", FURTHER: "further {}", ALL: "all {}", MOVED: "further minus first"}
"""What the columns of :func:`retest_rows` are called, with the number of problems."""


def retest_rows(accuracy: pd.DataFrame | None, items: pd.DataFrame | None, judged: str = "answer") -> pd.DataFrame:
    """Levels of every arm and bridge minus each other arm, by part of the test problems, in points as texts.

    ``accuracy``, ``items``: tables of the grid ``retest``. ``judged``: ``answer`` or ``strict``. Empty where it has not
    been run.
    """
    if accuracy is None or items is None:
        return pd.DataFrame()
    numbers = {part: len(rows["right"].iloc[0]) for part, rows in items.groupby("part")}
    numbers[ALL] = sum(numbers.values())
    held, shown = rows_of(accuracy, judged=judged), []
    arms = ordered(held["arm"], ARM_COLORS)
    wanted = [(arm, "", "sft") for arm in arms] + [(arm, "", "rl") for arm in arms]
    wanted += [("bridge", arm, stage) for arm in arms if arm != "bridge" for stage in ("gain", "rl")]
    for split, size in SPLITS.items():
        for arm, versus, stage in wanted:
            rows = rows_of(held, split=split, arm=arm, versus=versus, stage=stage).set_index("problems")
            cells = {words.format(numbers.get(part)): estimate_of(rows.loc[part]) for part, words in PROBLEMS.items()}
            moved = PROBLEMS[MOVED]
            shown.append({"problems": size, "what": f"{arm} minus {versus}, {STAGES[stage]}" if versus else
                          f"{arm}, {STAGES[stage]}"}
                         | {name: estimate.brief() if versus or name == moved else estimate.level()
                            for name, estimate in cells.items()})
    return pd.DataFrame(shown).set_index(["problems", "what"])


def _seeds(counts: pd.DataFrame) -> str:
    return ", ".join(map(str, sorted(set(counts.loc[counts["arm"] != "base", "seed"]))))


def _brief(table: pd.DataFrame, versus: str, stage: str, split: str) -> str:
    rows = rows_of(table, how="all", arm=versus, versus="bridge", stage=stage, split=split)
    return estimate_of(rows.iloc[0]).turned().brief() if len(rows) else "–"
