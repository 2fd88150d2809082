"""One job of the grid: run a stage's notebook in the stage's folder, and say in one file that it is done.

``stage.json`` is written last and names the digest of every file of the stage; Snakemake looks at nothing else. A
folder begun by other code, another recipe or other inputs is emptied first; one begun by the same is resumed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from bi.files import file_digest
from bi.notebook import NotebookError, run_notebook
from bi.provenance import gpu_names, write_json
from bi.recipes import digest
from bi.runs import TIMING, Run
from workflow.locks import Busy, follow_driver, hold, one_gpu
from workflow.stages import ROOT, STAGES, job_label, make_grid

DONE = "stage.json"
BEGUN = "begun.json"
LOG = "log.txt"
UNTOLD = (DONE, BEGUN, TIMING, LOG, "timings.csv")
EVENTS = "events.jsonl"


def main(argv: list[str] | None = None) -> int:
    """Run the job that the command line describes; returns the exit code."""
    options = _parser().parse_args(argv)
    run = Run(options.profile, options.model, options.arm, options.seed, options.runs)
    follow_driver()
    grid = make_grid(options.profile, options.grid)
    label = job_label(options.stage, run, len(grid.models))
    try:
        with hold(_folder(run, options.stage) / ".lock", label, wait_s=60), one_gpu(_top(run), len(gpu_names())):
            given = STAGES[options.stage].arguments(run, grid)
            run_job(options.stage, run, given, options.key, options.inputs, label)
    except (NotebookError, ValueError, OSError, Busy) as error:
        tell(run, event="failed", job=label, stage=options.stage, message=str(error))
        print(f"{label} failed: {error}", file=sys.stderr)
        return 1
    return 0


def run_job(stage: str, run: Run, given: dict[str, Any], key: str, inputs: list[str], label: str) -> None:
    """Run one stage and write its ``stage.json``; ``inputs`` are those of the stages before, below the profile.

    ``given`` are the parameters of its notebook.
    """
    folder = _folder(run, stage)
    resumed = prepare(folder, digest([key, {name: file_digest(_top(run) / name) for name in inputs}]))
    tell(run, event="started", job=label, stage=stage, resumed=resumed)
    begin = time.monotonic()
    with open(folder / LOG, "a", encoding="utf-8") as log:
        run_notebook(
            STAGES[stage].notebook(),
            folder / f"{stage}.ipynb",
            given,
            cwd=ROOT,
            failed=folder / "failed" / f"{stage}.ipynb",
            log=log,
        )
    timing = {"stage": stage, "arm": run.arm, "seed": run.seed, "model": run.model, "resumed": resumed,
              "wall_s": round(time.monotonic() - begin, 1), "peak_mb": peak_mb()}
    write_json(folder / TIMING, timing)
    write_json(folder / DONE, {"stage": stage, "files": contents(folder)})
    tell(run, event="finished", job=label, **timing)


def prepare(folder: Path, key: str) -> bool:
    """Make ``folder`` ready for work under ``key``; true if work under the same key had begun there before."""
    begun = folder / BEGUN
    same = begun.is_file() and json.loads(begun.read_text(encoding="utf-8"))["key"] == key
    if not same:
        for entry in folder.iterdir():
            if entry.name != ".lock":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        write_json(begun, {"key": key})
    (folder / DONE).unlink(missing_ok=True)
    return same


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file that the stage made, by path; not of its notebook, log and times, which differ each time."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    told = {name: path for name, path in files.items()
            if path.name not in UNTOLD and not name.startswith(("failed/", ".")) and path.suffix != ".ipynb"}
    return {name: file_digest(path) for name, path in told.items()}


def peak_mb() -> int:
    """Largest memory of one process of this job, in MB: the kernel's, once it has ended."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))


def tell(run: Run, **event: Any) -> None:
    """Append an event to the file that the driver reads; one write, so that lines of several jobs do not mix."""
    line = json.dumps({"time": round(time.time(), 1), **event}) + "\n"
    descriptor = os.open(_top(run) / EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _top(run: Run) -> Path:
    return ROOT / run.top


def _folder(run: Run, stage: str) -> Path:
    return ROOT / STAGES[stage].folder(run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workflow.job", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--arm", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--grid", required=True, help="the grid that the job belongs to")
    parser.add_argument("--key", required=True, help="digest of code, recipe and starting model")
    parser.add_argument("--inputs", nargs="*", default=[], help="stage.json files of the stages before")
    return parser


if __name__ == "__main__":
    sys.exit(main())
