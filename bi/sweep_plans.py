"""The sweeps from which the recipes in :mod:`bi.recipes` were chosen, as plain data."""

from __future__ import annotations

from bi.sweep import Candidate, SweepPlan


def _rate(name: str, value: float) -> Candidate:
    return Candidate(name, grpo=(("learning_rate", value),))


PLANS = {
    "smoke": SweepPlan("smoke", (Candidate("as it is"), Candidate("SFT alone", grpo=None)), problems=4, samples=2),
}


def get_plan(name: str) -> SweepPlan:
    """The plan called ``name``; raises ``ValueError`` that lists the known ones."""
    if name not in PLANS:
        raise ValueError(f"unknown sweep {name!r}; choose one of {', '.join(PLANS)}")
    return PLANS[name]
