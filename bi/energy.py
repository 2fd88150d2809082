"""Energy of a run, estimated: the time of its jobs and an assumption on what a busy core draws.

Nothing here was metered. A job of this project keeps one core busy, so seconds of jobs are seconds of cores.
"""

from __future__ import annotations

import pandas as pd

WATTS_A_CORE = (4.0, 15.0)
"""Assumed power of one busy core, low and high.

Low: the rated power of a server processor divided by its cores (280 W and 64 cores for an AMD EPYC 7763). High: a core
of a small machine with its share of memory, power supply and cooling.
"""


def watt_hours(core_seconds: float, watts: float) -> float:
    """Energy in Wh of ``core_seconds`` at ``watts`` a core; raises ``ValueError`` for a negative time or power."""
    if core_seconds < 0 or watts < 0:
        raise ValueError(f"time {core_seconds} s and power {watts} W must not be negative")
    return core_seconds * watts / 3600


def energy_table(stages: pd.DataFrame) -> pd.DataFrame:
    """Energy by stage, ``stage, core_hours, low_wh, high_wh``, with a last row ``all``.

    ``stages`` has ``stage`` and ``total_s`` (:func:`bi.chapter.read_stage_times`).
    """
    times = {**stages.set_index("stage")["total_s"].to_dict(), "all": stages["total_s"].sum()}
    rows = [(stage, seconds / 3600, *(watt_hours(seconds, watts) for watts in WATTS_A_CORE))
            for stage, seconds in times.items()]
    return pd.DataFrame(rows, columns=["stage", "core_hours", "low_wh", "high_wh"])
