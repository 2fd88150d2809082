"""The estimate of energy is time times power, adds up, and moves with both."""

from __future__ import annotations

import pandas as pd
import pytest

from bi.energy import WATTS_A_CORE, energy_table, watt_hours


def test_an_hour_at_ten_watts_is_ten_watt_hours() -> None:
    assert watt_hours(3600, 10) == pytest.approx(10)
    with pytest.raises(ValueError, match="negative"):
        watt_hours(-1, 10)


def test_stages_add_up_and_low_stays_below_high() -> None:
    table = energy_table(pd.DataFrame({"stage": ["sft", "grpo"], "total_s": [1800.0, 5400.0]})).set_index("stage")
    assert list(table.index) == ["sft", "grpo", "all"] and table.loc["all", "core_hours"] == pytest.approx(2)
    parts = table.drop("all").sum()
    assert table.loc["all", "low_wh"] == pytest.approx(parts["low_wh"]) == pytest.approx(2 * WATTS_A_CORE[0])
    assert (table["low_wh"] < table["high_wh"]).all()
