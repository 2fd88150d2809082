"""Error anatomy: every error has one kind, shares add up, arithmetic splits by width."""

import numpy as np
import pandas as pd
import pytest

from bi.augmentation.verdict import ERRORS
from bi.evaluation.anatomy import KINDS, anatomy_table, error_kinds

ROLLOUTS = pd.DataFrame({
    "problem_id": list("aabbccdd"),
    "first_error": ["arithmetic", "arithmetic", "lookup", "formula", "locked", "unreadable", None, None],
    "error_operations": [1, 5, 2, 1, 3, 0, 0, 0],
})


def test_every_error_of_the_verdict_has_exactly_one_kind():
    assert sorted(error for errors in KINDS.values() for error in errors) == sorted(ERRORS)


def test_shares_of_completions_and_of_errors():
    table = anatomy_table(ROLLOUTS, {"arm": "x"}, resamples=50).set_index(["kind", "operations"])
    assert table["share"].to_dict() == {
        ("arithmetic", 0): 0.25, ("look-up", 0): 0.25, ("order", 0): 0.125, ("format", 0): 0.125,
        ("arithmetic", 1): 0.125, ("arithmetic", 2): 0.0, ("arithmetic", 3): 0.125,
    }
    whole = table[table.index.get_level_values("operations") == 0]
    assert whole["share_of_errors"].sum() == pytest.approx(1.0)
    assert (table["low"] <= table["share"]).all() and (table["share"] <= table["high"]).all()
    assert (table["arm"] == "x").all() and (table["n"] == 8).all()


def test_a_right_completion_has_no_kind_and_other_kinds_no_width():
    kinds = error_kinds(ROLLOUTS["first_error"], ROLLOUTS["error_operations"])
    assert kinds["kind"].isna().tolist() == [False] * 6 + [True] * 2
    assert kinds["operations"].tolist() == [1, 3, 0, 0, 0, 0, 0, 0]


def test_without_errors_there_is_no_share_of_errors():
    right = ROLLOUTS.assign(first_error=None, error_operations=0)
    table = anatomy_table(right, {}, resamples=50)
    assert (table["share"] == 0).all() and np.isnan(table["share_of_errors"]).all()
