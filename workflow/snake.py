"""Snakemake as a child process: a dry run to plan, a run to work, with the terminal kept for one line per job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bi.notebook import die_with_parent
from workflow.job import EVENTS
from workflow.locks import DRIVER
from workflow.stages import ROOT, Grid

LOG = "snakemake.log"
STOP_S = 30.0


class WorkflowError(RuntimeError):
    """Snakemake or one of its jobs failed; the message tells what a reader needs."""


@dataclass(frozen=True)
class Snake:
    """How Snakemake is called for a grid: folder of runs, cores, GPUs, and a Snakemake profile for a cluster."""

    grid: Grid
    runs: Path
    cores: int
    gpus: int = 0
    cluster: Path | None = None

    @property
    def folder(self) -> Path:
        """Working directory of the workflow."""
        return self.runs / self.grid.profile.name

    def command(self, *more: str) -> list[str]:
        """The command line; ``more`` options come before the configuration."""
        runs = self.runs.relative_to(ROOT) if self.runs.is_relative_to(ROOT) else self.runs
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile"),
                   "--directory", str(self.folder), "--nolock", "--rerun-incomplete", "--scheduler", "greedy",
                   "--rerun-triggers", "mtime", "params", "input", *more]
        gpu = self.gpus > 0 or self.cluster is not None and self.grid.home in ("gpu", "paper")
        if self.cluster:
            command += ["--profile", str(self.cluster)]
        else:
            command += ["--cores", str(self.cores)]
            command += ["--resources", f"gpu={self.gpus}"] if gpu else []
        return [*command, "--config", f"profile={self.grid.profile.name}", f"grid={self.grid.title}", f"runs={runs}",
                f"gpu={int(gpu)}"]

    def dry_run(self) -> str:
        """What Snakemake says it would do; raises :class:`WorkflowError` if it cannot say."""
        self.folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(self.command("--dry-run"), cwd=ROOT, capture_output=True, text=True,
                              env=self._environment())
        if done.returncode != 0:
            raise WorkflowError(f"Snakemake could not plan the run:\n{last_lines(done.stderr + done.stdout)}")
        return done.stdout

    def work(self, driver: str, hear: Callable[[dict[str, Any]], None]) -> None:
        """Run everything that is to be done; ``hear`` gets every event of the jobs. Raises :class:`WorkflowError`."""
        events = self.folder / EVENTS
        events.write_text("")
        env = self._environment() | ({} if self.cluster else {DRIVER: driver})
        with open(self.folder / LOG, "w", encoding="utf-8") as log, _child(self.command(), log, env) as child:
            position = 0
            while True:
                ended = child.poll() is not None
                position = _hear_new(events, position, hear)
                if ended:
                    break
                time.sleep(0.2)
        if child.returncode != 0:
            untold = "" if b'"failed"' in events.read_bytes() else last_lines((self.folder / LOG).read_text()) + "\n"
            raise WorkflowError(f"{untold}the workflow stopped; run the same command again to go on from here "
                                f"(all that Snakemake said is in {os.path.relpath(self.folder / LOG)})")

    def _environment(self) -> dict[str, str]:
        """The environment of Snakemake, which wants a cache: in the folder of runs if the home folder takes none."""
        env = environment()
        place = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "/")) / ".cache")
        existing = next(path for path in (place, *place.parents) if path.exists())
        if os.access(existing, os.W_OK):
            return env
        return env | {"XDG_CACHE_HOME": str(self.folder / ".snakemake" / "cache")}


def environment() -> dict[str, str]:
    """Environment of the jobs: one thread each, and this repository importable."""
    return {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", **os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def _child(command: list[str], log: Any, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake, which dies with this process, and is asked to stop when the block is left early."""
    child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=env,
                             preexec_fn=lambda: die_with_parent(signal.SIGKILL))
    try:
        yield child
    finally:
        _stop(child)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Wait for the child (Ctrl-C reaches it too), then ask it to stop, then make it."""
    for wait_s, act in ((3.0, lambda: child.send_signal(signal.SIGINT)), (STOP_S, child.kill)):
        try:
            child.wait(wait_s)
            return
        except subprocess.TimeoutExpired:
            act()
    child.wait()


def _hear_new(events: Path, position: int, hear: Callable[[dict[str, Any]], None]) -> int:
    """Pass on the complete lines after ``position``; returns where they end."""
    with open(events, "rb") as handle:
        handle.seek(position)
        fresh = handle.read()
    complete = fresh[: fresh.rfind(b"\n") + 1]
    for line in complete.splitlines():
        hear(json.loads(line))
    return position + len(complete)


def last_lines(text: str, count: int = 25) -> str:
    """The end of a long output."""
    return "\n".join(text.strip().splitlines()[-count:])
