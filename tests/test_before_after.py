"""Completions to be read: chosen by rule, each outcome is what it says, and the first error is the verdict's."""

from xml.etree import ElementTree

import pandas as pd
import pytest
from rollout_cases import write_rollouts

from bi.augmentation.verdict import ERRORS
from bi.augmentation.wording import get_wording
from bi.evaluation.before_after import COLUMNS, OUTCOMES, completion_pairs
from bi.live.completions import TOLD, completion_browser, explain, show_pairs
from bi.provenance import write_csv
from bi.runs import SPLITS
from bi.tasks.expression import Num, Op, Ref
from bi.tasks.problem import build_problem


def test_each_outcome_holds_its_first_problems_and_says_how_many_it_has(tmp_path):
    table = completion_pairs(write_rollouts(tmp_path), shown=3)
    assert tuple(table.columns) == COLUMNS and set(table["seed"]) == {3}
    for (_, _, outcome), part in table.groupby(["arm", "split", "outcome"]):
        was, became = OUTCOMES[outcome]
        assert (part["before_right"] == was).all() and (part["after_right"] == became).all()
        assert part["problem_id"].tolist() == sorted(part["problem_id"]) and len(part) == 3
        assert (part["n"] == 26).all() and part["problems"].iloc[0] in (6, 7)
    assert len(table) == 2 * len(SPLITS) * len(OUTCOMES) * 3


def test_the_first_error_is_that_of_the_verdict(tmp_path):
    table = completion_pairs(write_rollouts(tmp_path))
    for row in table.itertuples():
        wording = get_wording(row.wording)
        problem = wording.read_problem(row.prompt)
        for text, error, line in ((row.before, row.before_error, row.before_line),
                                  (row.after, row.after_error, row.after_line)):
            assert (wording.verdict(text, problem).first_error or "") == error
            steps = wording.steps(text, problem)
            assert line == next((at for at, step in enumerate(steps, start=1) if step.error), 0)


def test_the_rule_sees_nothing_but_identifiers_and_outcomes(tmp_path):
    cells = write_rollouts(tmp_path)
    before = completion_pairs(cells, shown=2)
    for path in tmp_path.rglob("rollouts_*.parquet"):
        pd.read_parquet(path).sample(frac=1, random_state=0).to_parquet(path)
    pd.testing.assert_frame_equal(completion_pairs(cells, shown=2), before)


def test_stages_with_other_problems_are_refused(tmp_path):
    with pytest.raises(ValueError, match="vanilla, seed 3, id: .* of other problems"):
        completion_pairs(write_rollouts(tmp_path, drop=1))


def test_a_page_marks_the_first_error_of_each_completion_and_no_other(tmp_path):
    table = completion_pairs(write_rollouts(tmp_path), shown=2)
    write_csv(tmp_path / "results" / "smoke" / "completions.csv", table)
    page = completion_browser(tmp_path / "results" / "smoke")
    assert page == show_pairs(table)
    parsed = ElementTree.fromstring(page.replace(" open>", ">"))
    pairs = parsed.findall("details")
    assert len(pairs) == len(table)
    for pair, row in zip(pairs, table.itertuples(), strict=True):
        for side, error, line in zip(pair.findall("div/div"), (row.before_error, row.after_error),
                                     (row.before_line, row.after_line), strict=True):
            marked = [place for place, item in enumerate(side.findall("ol/li"), start=1) if item.get("class")]
            assert marked == ([line] if line else [])
            marks = [mark.text for mark in side.iter("span") if mark.get("class") == "live-mark"]
            assert marks == (["first error"] if error else [])


def test_every_error_has_words_for_a_reader():
    assert list(TOLD) == list(ERRORS)
    problem = build_problem("igsm", {"1": Num(2), "2": Op("+", (Ref("1"), Num(1)))}, ["1", "2"], "2", 23)
    wording = get_wording("compact")
    for text, told in (("D1 2 = V1 2 . D2 2 + 1 = V2 4 . ! 4", "the arithmetic is wrong; N2 is 3"),
                       ("D2 2 + 1 = V2 3 . ! 3", "it uses N1, which has no value yet")):
        assert explain(wording.anatomy(text, problem), problem) == told


def test_a_profile_without_the_table_says_so_in_a_sentence(tmp_path):
    page = completion_browser(tmp_path / "results" / "gpu")
    assert "has no table of completions yet" in page and "make reproduce PROFILE=gpu" in page
