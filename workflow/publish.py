"""From runs to results: the small tables that the book shows, and how long everything took."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bi.files import atomic_write
from bi.provenance import sidecar, write_json
from bi.runs import TIMING, Run
from workflow.plan import read_records
from workflow.stages import STAGES, Grid

TIMINGS = "timings.json"
HEADLINE = "accuracy.png"


def publish(grid: Grid, root: Path, runs: Path, results: Path) -> list[Path]:
    """Copy the tables of every model to ``results`` and return those that changed.

    The first model's tables are ``results/*.csv``, those of a further one ``results/<model>/*.csv``, and a grid with
    tables of its own has a folder of its name for them, which no other grid touches. Each table comes with its
    provenance, which goes first; ``timings.json`` beside them holds wall time and peak memory of every job of the grid,
    of earlier ones too where not all of it has run.
    """
    changed = []
    for number, (folder, name) in enumerate(grid.compared.items()):
        place = (results / folder if number else results) / grid.results
        made = sorted((root / Run(grid.profile.name, name, runs=str(runs)).folder(grid.plan.tables)).glob("*.csv"))
        for table in made:
            _copy(sidecar(table), sidecar(place / table.name))
            changed += [place / table.name] if _copy(table, place / table.name) else []
        for old in set(place.glob("*.csv")) - {place / table.name for table in made}:
            old.unlink()
            sidecar(old).unlink(missing_ok=True)
    timings, place = read_timings(grid, root, runs), results / grid.results / TIMINGS
    if grid.only:
        timings = _joined(read_records(place), timings)
    if timings and _differs(place, timings):
        write_json(place, timings)
    return changed


def publish_headline(figures: Path, results: Path) -> Path:
    """Copy the book's headline figure to ``accuracy-<profile>.png`` beside the profile's folder, for the README.

    It stands beside the folder, not in it, because chapters and book depend on all that the folder holds.
    """
    target = results.with_name(f"{Path(HEADLINE).stem}-{results.name}.png")
    _copy(figures / HEADLINE, target)
    return target


def read_timings(grid: Grid, root: Path, runs: Path) -> list[dict[str, object]]:
    """Timing records of all jobs that have run, in the order of the grid."""
    cells = [(stage, replace(run, runs=str(runs))) for stage, run in grid.jobs()]
    files = [root / STAGES[stage].folder(run) / TIMING for stage, run in cells]
    return [json.loads(path.read_text(encoding="utf-8")) for path in files if path.is_file()]


def _joined(earlier: list[dict[str, object]], timings: list[dict[str, object]]) -> list[dict[str, object]]:
    """One record a job, the later one where there are two."""
    jobs = {tuple(record[name] for name in ("stage", "arm", "seed", "model")): record
            for record in (*earlier, *timings)}
    return list(jobs.values())


def _differs(path: Path, data: object) -> bool:
    return not path.is_file() or json.loads(path.read_text(encoding="utf-8")) != data


def _copy(source: Path, target: Path) -> bool:
    """Copy a file if the bytes differ; whether they did."""
    data = source.read_bytes()
    if target.is_file() and target.read_bytes() == data:
        return False
    with atomic_write(target, "wb") as handle:
        handle.write(data)
    return True
