"""The sweeps from which the recipes in :mod:`bi.recipes` were chosen, as plain data."""

from __future__ import annotations

from bi.sweep import Candidate, SweepPlan

ARMS = ("vanilla", "subgoal", "bridge")

# Fewer lines of several operations, more premises to look among, longer problems.
NARROW, CROWDED, LONG = ("operands", (1, 3, 5, 1)), ("redundant", (6, 10)), ("train_ops", (6, 10))

PLANS = {
    "regime": SweepPlan(
        "cpu",
        (
            Candidate("as it is", grpo=None),
            Candidate("crowded", options=(CROWDED,), grpo=None),
            Candidate("narrow", options=(NARROW,), grpo=None),
            Candidate("narrow, crowded", options=(NARROW, CROWDED), grpo=None),
        ),
        seeds=(1000,),
    ),
    "sft": SweepPlan(
        "cpu",
        tuple(
            Candidate(f"SFT {rate:g}", sft=(("learning_rate", rate),), grpo=None) for rate in (1e-4, 2e-4, 4e-4, 8e-4)
        ),
        arms=ARMS,
    ),
    "grpo": SweepPlan(
        "cpu",
        (
            *(Candidate(f"GRPO {rate:g}", grpo=(("learning_rate", rate),)) for rate in (5e-5, 1e-4, 2e-4)),
            Candidate("GRPO 1e-4, KL 1e-2", grpo=(("learning_rate", 1e-4), ("beta", 1e-2))),
        ),
        arms=ARMS,
    ),
    "smoke": SweepPlan("smoke", (Candidate("as it is"), Candidate("SFT alone", grpo=None)), problems=4, samples=2),
}


def get_plan(name: str) -> SweepPlan:
    """The plan called ``name``; raises ``ValueError`` that lists the known ones."""
    if name not in PLANS:
        raise ValueError(f"unknown sweep {name!r}; choose one of {', '.join(PLANS)}")
    return PLANS[name]
