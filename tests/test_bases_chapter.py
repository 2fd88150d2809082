"""The chapter on bases and sizes: claims are decided by the table, figures draw it, and nothing is invented."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from test_bases import counts

from bi import bases_figures as figures
from bi.bases_chapter import (
    bases_facts,
    condition_rows,
    course_text,
    dose_text,
    extra_rows,
    failing_rows,
    strength_rows,
)
from bi.chapter import UNMEASURED, read_table
from bi.evaluation.bases import bases_table
from bi.evaluation.claims import judge_claims
from bi.evaluation.findings import HOLDS, IN_PART, OPEN, OPPOSITE, UNSEEN
from bi.evidence_chapters import drawing

NAMES = {"tiny": "tiny-base", "wide": "plain-base"}


@pytest.fixture(scope="module")
def table():
    found = bases_table(counts(), resamples=50).replace({"base": NAMES, "than": NAMES})
    return found.assign(split=found["size"].map({8: "id", 12: "ood"}))


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def moved(table, low, high, **cell):
    """``table`` with other intervals of the extra gain in the rows of ``cell``."""
    found, cell = table.copy(), {"arm": "bridge", "versus": "vanilla", "stage": "gain", "than": "", **cell}
    where = (found[list(cell)] == pd.Series(cell)).all(axis=1)
    assert where.any()
    found.loc[where, ["value", "low", "high"]] = [(low + high) / 2, low, high]
    return found


def finding(key, table):
    return judge_claims(lambda name: table if name == "bases/accuracy" else None)[key]


def test_everywhere_means_every_base_and_every_size(table):
    found = finding("bases", moved(table, 0.1, 0.2))
    assert found.verdict == HOLDS and "in 4 and below zero in 0 of 4 pairs" in found.seen
    found = finding("bases", moved(moved(table, 0.1, 0.2), -0.01, 0.02, base="plain-base", size=12))
    assert found.verdict == IN_PART and "in 3 and" in found.seen
    assert "least +0.5 points (95% interval −1.0 to +2.0) at 12 operations from plain-base" in found.seen
    assert finding("bases", moved(table, -0.2, -0.1)).verdict == OPPOSITE
    assert finding("bases", table[table["base"] == "tiny-base"]).verdict == OPEN


@pytest.mark.parametrize(("claim", "base", "stage"), [
    ("unseen", "plain-base", "gain"), ("wide", "wide-base", "gain"), ("wide_end", "wide-base", "rl"),
    ("weak", "small-base", "gain"), ("weak_end", "small-base", "rl")])
def test_a_base_of_its_own_claim_is_judged_on_the_two_splits(table, claim, base, stage):
    other = moved(table, -0.2, -0.1, base="tiny-base", stage=stage).replace("plain-base", base)
    assert finding(claim, moved(other, 0.1, 0.2, base=base, stage=stage)).verdict == HOLDS
    assert finding(claim, moved(other, -0.1, 0.2, base=base, stage=stage)).verdict == UNSEEN
    assert finding(claim, table[table["base"] == "tiny-base"]).verdict == OPEN


def test_what_fails_first_stands_beside_what_failed_before():
    shares = {"arithmetic": (0.1, 0.2), "look-up": (0.3, 0.1), "order": (0.2, 0.2), "format": (0.1, 0.0)}
    rows = [(arm, seed, stage, split, kind, operations, share + shift) for arm in ("base", "bridge", "vanilla")
            for seed, shift in ((0, 0.01), (1, -0.01)) for stage, at in (("sft", 0), ("rl", 1))
            for split in ("id", "ood") for kind, pair in shares.items()
            for operations, share in ((0, pair[at] if split == "id" else 0.9), (2, 0.5))]
    table = pd.DataFrame(rows, columns=["arm", "seed", "stage", "split", "kind", "operations", "share"])
    shown = failing_rows({"first": table, "second": table[table["arm"] != "bridge"]})
    assert list(shown["base"]) == ["first"] * 4 + ["second"] * 2 and "base" not in set(shown["arm"])
    cells = shown.set_index(["base", "arm", "stage"])
    assert cells.loc[("first", "bridge", "before RL")].to_dict() == {
        "arithmetic": "10 (11, 9)", "look-up": "30 (31, 29)", "order": "20 (21, 19)", "format": "10 (11, 9)",
        "no error": "30 (26, 34)"}
    assert cells.loc[("first", "bridge", "after RL"), "no error"] == "50 (46, 54)"


def test_the_dose_is_told_with_its_seeds():
    rows = [(name, arm, seed, stage, split, metric, value) for name, more in (("few", 0.0), ("many", 0.2))
            for arm in ("vanilla", "bridge") for seed, luck in ((7, 0.0), (8, 0.1)) for split in ("dev_id", "dev_ood")
            for metric in ("accuracy", "mixed") for stage, value in (
                ("sft", 0.3), ("rl", 0.3 + (more + luck if arm == "bridge" and split == "dev_id" else 0.1)))]
    table = pd.DataFrame(rows, columns=["candidate", "arm", "seed", "stage", "split", "metric", "value"])
    assert dose_text(table) == (
        "with few bridge gains \N{MINUS SIGN}5.0 (\N{MINUS SIGN}10.0, +0.0) points more than vanilla and ends "
        "\N{MINUS SIGN}5.0 (\N{MINUS SIGN}10.0, +0.0) relative to it; with many bridge gains +15.0 (+10.0, +20.0) "
        "points more than vanilla and ends +15.0 (+10.0, +20.0) relative to it")
    assert dose_text(None) == UNMEASURED


def test_the_map_says_value_interval_and_verdict_of_every_pair(table):
    ax = figures.effect_map(moved(table, -0.01, 0.02, base="plain-base", size=12))
    cells = [text.get_text() for text in ax.texts]
    assert len(cells) == 4 and sum("undecided" in cell for cell in cells) == 1
    assert any(cell.startswith("+20.0\n(") for cell in cells)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["tiny-base", "plain-base"]


def test_gains_stand_over_the_accuracy_that_they_start_from(table):
    ax = figures.gain_by_start(table)
    curves = [line for line in ax.get_lines() if len(line.get_xdata()) == 2 and line.get_marker() in "os"]
    starts = {tuple(np.round(line.get_xdata(), 2)) for line in curves}
    assert len(curves) == 4 and starts == {(0.4, 0.2)}
    ax = drawing(None, figures.gain_by_start, "make reproduce GRID=bases")()
    assert "GRID=bases" in ax.texts[0].get_text()


def test_rows_and_facts_are_those_of_the_table(table):
    rows = extra_rows(table).set_index(["operations", "base"])
    assert list(rows.index) == [(8, "tiny-base"), (8, "plain-base"), (12, "tiny-base"), (12, "plain-base")]
    assert rows.loc[(8, "tiny-base"), "gain"].startswith("+20.0 (") and rows.iloc[0, -1] == ""
    assert rows.loc[(8, "plain-base"), "gain, more than from tiny-base"].startswith("−15.0 (")
    facts = bases_facts(table)
    assert "2 bases (tiny-base, plain-base)" in facts["measured"] and "8, 12" in facts["measured"]
    assert "3 seeds x 30 problems" in facts["method"]
    assert bases_facts(None)["method"] == UNMEASURED and "GRID=bases" in bases_facts(None)["measured"]
    assert extra_rows(None).empty and condition_rows(None).empty


def test_conditions_show_the_mean_and_every_seed():
    conditions = pd.DataFrame([
        {"base": base, "arm": arm, "seed": seed, "target": target, "metric": metric, "value": value + seed / 10}
        for base in ("a", "b") for arm in ("vanilla", "bridge") for seed in (0, 1)
        for target, metric, value in (("train", "informative_train", 0.5), ("id", "mean_accuracy", 0.001))])
    rows = condition_rows(conditions).set_index(["base", "arm"])
    assert rows.loc[("b", "bridge"), "training prompts with mixed outcomes"] == "0.550 (0.500, 0.600)"
    assert rows.loc[("a", "vanilla"), "influence, points a step"] == "5.100 (0.100, 10.100)"


def test_the_strength_of_a_base_is_read_from_its_card(root):
    card = read_table(root / "results" / "cpu", "models/plain-base/accuracy")
    rows = strength_rows({"plain-base": card})
    wanted = card[(card["metric"] == "accuracy") & (card["n_ops"] == 5)]["value"].iloc[0]
    assert rows.loc["plain-base", "5"] == f"{100 * wanted:.1f}"


def test_starts_and_ends_are_told_base_by_base(table):
    there = moved(moved(table, -0.3, -0.1, stage="sft"), 0.1, 0.2, base="tiny-base", stage="rl")
    text = course_text(moved(there, -0.1, 0.1, base="plain-base", stage="rl"))
    assert text.startswith("From tiny-base bridge starts lower (−20.0 points (95% interval")
    assert "and ends higher (+15.0 points" in text and "From plain-base bridge starts lower" in text
    assert "and ends at a level that cannot be told apart (+0.0 points" in text and course_text(None) == UNMEASURED


def test_sizes_with_other_numbers_of_problems_say_so(table):
    few = table.assign(method=table["method"].mask(table["size"] == 12, "95% of few"))
    assert bases_facts(few)["method"] == f"{table['method'].iloc[0]}, at 8 operations; 95% of few, at 12 operations"
    assert bases_facts(table)["method"].endswith("at 8, 12 operations")
