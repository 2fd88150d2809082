"""The sweeps from which the recipes in :mod:`bi.recipes` were chosen, as plain data."""

from __future__ import annotations

from typing import Any

from bi.recipes import CPU, MORE_ROWS, PLAIN_BASE
from bi.sweep import Candidate, SweepPlan


def _task(operands: tuple[int, ...], redundant: tuple[int, int]) -> tuple[tuple[str, Any], ...]:
    """Options of the compact task that the regime depends on: lengths of formulas and premises in excess."""
    return (("operands", operands), ("redundant", redundant))


def _trees(levels: int, sft: tuple[int, int], links: tuple[int, int] = (0, 0),
           crowd: tuple[int, int] = (7, 8)) -> tuple[tuple[str, Any], ...]:
    """Options of trees: levels in RL and tests, in SFT (from, to), links beyond the tree, premises of crowded ones."""
    return (("min_depth", levels), ("max_depth", levels), ("sft.min_depth", sft[0]), ("sft.max_depth", sft[1]),
            ("extra_links", links), ("ood.redundant", crowd))


RATES = (5e-5, 1e-4, 2e-4)  # learning rates of GRPO that are tried on every arm
LONG, SHORT = (1, 2, 5, 4), (1, 4, 4, 0)  # weights of formulas with 0, 1, 2, 3 quantities
PLANS = {
    "regime": SweepPlan(
        "cpu",
        (
            Candidate("long formulas", options=_task(LONG, (1, 4)), grpo=None),
            Candidate("short formulas", options=_task(SHORT, (1, 4)), grpo=None),
            Candidate("short, crowded", options=_task(SHORT, (6, 10)), grpo=None),
        ),
        seeds=(1000,),
    ),
    "sft": SweepPlan(
        "cpu",
        (
            *(Candidate(f"SFT {rate:g}", sft=(("learning_rate", rate), ("epochs", 3)), grpo=None)
              for rate in (2e-4, 4e-4, 8e-4)),
            Candidate("SFT 0.0002, longer", sft=(("learning_rate", 2e-4), ("epochs", 5)), grpo=None),
        ),
    ),
    "grpo": SweepPlan(
        "cpu",
        (
            *(Candidate(f"GRPO {rate:g}", grpo=(("learning_rate", rate),)) for rate in RATES),
            Candidate("subgoals alone", grpo=(("learning_rate", 1e-4),), arms=("subgoal",)),
        ),
    ),
    # The same rates on the other arms of the book, after the recipe was frozen: does it serve them as well? Subgoals
    # alone at the middle rate are in the sweep above.
    "arms": SweepPlan(
        "cpu",
        tuple(Candidate(f"GRPO {rate:g}", grpo=(("learning_rate", rate),),
                        arms=("pp", "rc", "subgoal") if rate != 1e-4 else ("pp", "rc")) for rate in RATES),
        arms=("pp", "rc", "subgoal"),
    ),
    "dyval": SweepPlan(
        "cpu-dyval",
        (
            Candidate("four levels", grpo=None, options=_trees(4, (3, 3))),
            Candidate("four levels, also in SFT", grpo=None, options=_trees(4, (3, 4))),
            Candidate("three operands, three levels", grpo=None, options=(("children", 3), *_trees(3, (2, 3)))),
            Candidate("three levels", grpo=None, options=_trees(3, (2, 3))),
            Candidate("three levels, linked", grpo=None, options=_trees(3, (3, 3), links=(0, 2))),
            Candidate("three levels, linked, less crowded", grpo=None,
                      options=_trees(3, (3, 3), links=(0, 2), crowd=(4, 5))),
        ),
        seeds=(1000,),
    ),
    # Is it the dose? From a base that has read no behaviour bridge gains little under the recipe of the book; more rows
    # of fine-tuning could teach it what the other bases bring along. Nothing is chosen by this sweep.
    "dose": SweepPlan(
        "cpu",
        (
            Candidate("rows of the book"),
            Candidate("four times the rows", task=(("sft_rows", MORE_ROWS * CPU.task.sft_rows),)),
        ),
        model=PLAIN_BASE,
    ),
    "smoke": SweepPlan("smoke", (Candidate("as it is"), Candidate("SFT alone", grpo=None)), problems=4, samples=2),
}


def get_plan(name: str) -> SweepPlan:
    """The plan called ``name``; raises ``ValueError`` that lists the known ones."""
    if name not in PLANS:
        raise ValueError(f"unknown sweep {name!r}; choose one of {', '.join(PLANS)}")
    return PLANS[name]
