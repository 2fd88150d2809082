"""What a run would do: the jobs that Snakemake lists in a dry run, why, and how long they took before."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from bi.progress import duration

_BLOCK = re.compile(r"^(?:local)?rule (\w+):$")
_REASONS = {
    "Missing output files": "not made yet",
    "Params have changed": "code, recipe or model changed",
    "Input files updated by another job": "an earlier stage runs",
    "Updated input files": "an earlier stage has changed",
    "Set of input files has changed": "the grid changed",
    "Incomplete": "interrupted",
    "Forced execution": "forced",
}


@dataclass(frozen=True)
class Job:
    """A job that has to run: its stage, its wildcards and the reason in a few words."""

    stage: str
    wildcards: tuple[tuple[str, str], ...]
    reason: str


def read_plan(dry_run: str) -> list[Job]:
    """The jobs in the text that ``snakemake --dry-run`` prints (without the rule ``all``)."""
    jobs, stage, fields = [], None, {}
    for line in [*dry_run.splitlines(), "end"]:
        if stage and not line.startswith("    "):
            jobs.append(_job(stage, fields))
            stage = None
        block = _BLOCK.match(line)
        if block:
            stage, fields = block[1], {}
        elif stage and ": " in line:
            name, value = line.strip().split(": ", 1)
            fields[name] = value
    return [job for job in jobs if job.stage != "all"]


def _job(stage: str, fields: Mapping[str, str]) -> Job:
    pairs = [pair.split("=", 1) for pair in fields.get("wildcards", "").split(", ") if pair]
    reason = fields.get("reason", "")
    known = [text for start, text in _REASONS.items() if start in reason]
    return Job(stage, tuple((name, value) for name, value in pairs), known[0] if known else reason)


@dataclass(frozen=True)
class Estimate:
    """Mean wall time of a job by stage, from earlier runs."""

    seconds: Mapping[str, float]

    def total(self, stages: Iterable[str], cores: int) -> float | None:
        """Seconds for one job of each of ``stages`` on ``cores``; ``None`` if one of them has never run."""
        stages = list(stages)
        if any(stage not in self.seconds for stage in stages):
            return None
        work = [self.seconds[stage] for stage in stages]
        return max([sum(work) / max(1, cores), *work], default=0.0)

    def updated(self, stage: str, seconds: float) -> Estimate:
        """With a time just measured; it replaces what earlier runs said."""
        return Estimate({**self.seconds, stage: seconds})


def read_estimate(timings: Path) -> Estimate:
    """The estimate that a published ``timings.json`` gives; an empty one if there is none."""
    try:
        records: list[dict[str, Any]] = json.loads(timings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Estimate({})
    stages = {record["stage"] for record in records}
    return Estimate({stage: fmean(r["wall_s"] for r in records if r["stage"] == stage) for stage in stages})


def describe(todo: list[Job], every: Mapping[str, int], seconds: float | None, cores: int) -> list[str]:
    """Lines for the terminal: jobs to run and cached, stage by stage, reasons, and the time to expect."""
    counts = Counter(job.stage for job in todo)
    expected = "no earlier run to estimate the time from" if seconds is None else f"about {duration(seconds)}"
    lines = [f"{len(todo)} jobs to run, {sum(every.values()) - len(todo)} cached; {expected} on {cores} cores"]
    for stage, number in every.items():
        reasons = Counter(job.reason for job in todo if job.stage == stage)
        why = f" ({', '.join(reasons)})" if reasons else ""
        lines.append(f"  {stage:<9} {counts[stage]:>3} to run {number - counts[stage]:>3} cached{why}")
    return lines

