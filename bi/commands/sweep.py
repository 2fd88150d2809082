"""``bi sweep``: try recipes on development problems, for choosing one."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from bi.commands.door import prepare_torch, say


def sweep(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which sweep, of those in bi/sweep_plans.py.")],
    out: Annotated[Path, typer.Option(help="Folder of the tables; one that exists gets the new ones.")],
    runs: Annotated[Path, typer.Option(help="Folder of the runs themselves, which may be large.")] = Path("runs/sweep"),
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time (default: one a core).")] = None,
) -> None:
    """Train every candidate recipe of a sweep on its arms and seeds, and measure it on development problems.

    Finished runs are kept: the same command goes on where it was, and adds to a sweep what was added to its plan.

    \b
    bi sweep grpo --out results/sweep/grpo
    """
    prepare_torch()
    from bi.provenance import provenance, spent, write_table
    from bi.recipes import digest
    from bi.runs import TIMING
    from bi.sweep import cells, run_sweep
    from bi.sweep_plans import get_plan

    plan = get_plan(name)
    many = f"{len(plan.candidates)} recipes x {len(plan.arms)} arms x {len(plan.seeds)} seeds"
    say(f"{name}: {many} = {len(cells(plan))} runs")
    begin = time.monotonic()
    tables = run_sweep(plan, runs / name, jobs or os.cpu_count() or 1)
    wall_s = spent(runs / name / TIMING, time.monotonic() - begin)
    facts = provenance(plan.profile, plan.seeds, digest(plan), wall_s, sweep=name)
    for table, content in tables.items():
        if len(content):
            write_table(out / f"{table}.csv", content, facts)
    say(f"{out}: {', '.join(tables)}")
