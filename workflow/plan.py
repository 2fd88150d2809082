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

    @property
    def arm(self) -> str:
        """The arm of its cell; empty for a stage without one."""
        return dict(self.wildcards).get("arm", "")


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
    """Mean wall time of a job by stage and then by arm (empty for a stage without arms), from earlier runs."""

    seconds: Mapping[str, Mapping[str, float]]

    def of(self, job: Job) -> float | None:
        """Seconds that earlier jobs of its stage and arm took, or of its stage where none had its arm."""
        arms = self.seconds.get(job.stage)
        return arms.get(job.arm, fmean(arms.values())) if arms else None

    def total(self, jobs: Iterable[Job], cores: int) -> float | None:
        """Seconds on ``cores`` for those of ``jobs`` whose stage has been timed; ``None`` if there are only others."""
        found = [self.of(job) for job in jobs]
        work = [seconds for seconds in found if seconds is not None]
        if found and not work:
            return None
        return max([sum(work) / max(1, cores), *work])

    def untimed(self, jobs: Iterable[Job]) -> list[str]:
        """Stages of ``jobs`` that have not been timed, each once."""
        return [stage for stage in dict.fromkeys(job.stage for job in jobs) if not self.seconds.get(stage)]

    def updated(self, stage: str, arm: str, seconds: float) -> Estimate:
        """With a time just measured, which tells of the other arms too: this machine is as much slower for them."""
        arms = dict(self.seconds.get(stage, {}))
        slower = seconds / arms[arm] if arms.get(arm) else 1.0
        others = {name: slower * known for name, known in arms.items()}
        return Estimate({**self.seconds, stage: others | {arm: seconds}})


def read_estimate(*timings: Path) -> Estimate:
    """The estimate that published ``timings.json`` files give, a later one before an earlier one; missing ones count
    for nothing.
    """
    seconds: dict[str, dict[str, float]] = {}
    for path in timings:
        times: dict[tuple[str, str], list[float]] = {}
        for record in read_records(path):
            times.setdefault((record["stage"], record["arm"]), []).append(record["wall_s"])
        for (stage, arm), known in times.items():
            seconds.setdefault(stage, {})[arm] = fmean(known)
    return Estimate(seconds)


def read_records(timings: Path) -> list[dict[str, Any]]:
    """The records of a ``timings.json``; none where there is no such file, or not a whole one."""
    try:
        return json.loads(timings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []


def in_words(jobs: list[Job], estimate: Estimate, cores: int, which: str) -> str:
    """The time to expect of ``jobs``, followed by ``which`` and the stages left out; empty if none has been timed."""
    seconds, untimed = estimate.total(jobs, cores), estimate.untimed(jobs)
    if seconds is None:
        return ""
    without = f", without {', '.join(untimed)}, never timed yet" if untimed else ""
    return f"about {duration(seconds)} {which}{without}"


def describe(todo: list[Job], every: Mapping[str, int], estimate: Estimate, cores: int) -> list[str]:
    """Lines for the terminal: jobs to run and cached, stage by stage, reasons, and the time to expect."""
    counts = Counter(job.stage for job in todo)
    expected = in_words(todo, estimate, cores, f"on {cores} cores") or "no earlier run to estimate the time from"
    lines = [f"{len(todo)} jobs to run, {sum(every.values()) - len(todo)} cached; {expected}"]
    for stage, number in every.items():
        reasons = Counter(job.reason for job in todo if job.stage == stage)
        why = f" ({', '.join(reasons)})" if reasons else ""
        lines.append(f"  {stage:<9} {counts[stage]:>3} to run {number - counts[stage]:>3} cached{why}")
    return lines

