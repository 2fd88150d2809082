"""What the chapter on costs shows of a step of GRPO."""

import pandas as pd

from bi.chapter import UNMEASURED
from bi.measured_chapter import STEP, step_facts, step_rows

VALUES = {"ours": 1.0, "stock": 4.0}


def measured(processor, factor):
    """A table as ``benchmarks/rl_step.py`` writes it; every part takes ``factor`` times :data:`VALUES`."""
    rows = [(trainer, quantity, factor * value, value / 2, 2 * value, 5)
            for trainer, value in VALUES.items() for quantity in (*STEP, "tokens", "tokens_per_s", "floor_share")]
    rows += [("ratio", "step", 4.0, 3.5, 4.5, 5), ("ratio", "step_at_equal_tokens", 3.9, 3.4, 4.4, 5)]
    rows += [("difference", name, 2e-5, 2e-5, 2e-5, 1) for name in ("advantages", "logprob_median", "logprob_largest")]
    columns = ["trainer", "quantity", "value", "least", "most", "n"]
    return pd.DataFrame(rows, columns=columns).assign(processor=processor)


def test_both_trainers_part_by_part_and_the_ratio_once():
    rows = step_rows(pd.concat([measured("first", 1), measured("second", 3)]))
    assert list(rows.index.get_level_values("part")) == 2 * list(STEP.values())
    assert rows.loc[("second", "sampling"), "ours"] == "3.00 [0.50, 2.00]"
    assert rows.loc[("first", "whole step"), "stock, times as long"] == "4.00 [3.50, 4.50]"
    assert list(rows["stock, times as long"]).count("") == 2 * (len(STEP) - 1)


def test_facts_are_of_the_last_processor():
    facts = step_facts(pd.concat([measured("first", 1), measured("second", 0.3)]))
    assert facts["step_floor"] == "30" and facts["step_equal"] == "3.90 [3.40, 4.40]" and facts["step_pairs"] == "5"
    assert facts["step_logprobs"] == "2e-05"


def test_without_a_measurement_the_page_says_so():
    assert step_rows(None).empty and set(step_facts(None).values()) == {UNMEASURED}
    assert set(step_facts(None)) == set(step_facts(measured("one", 1)))
