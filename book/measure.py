"""Run a command and record its wall time and peak memory in ``results/commands.csv``, where the book reads them.

    python book/measure.py make reproduce
    python book/measure.py --as "make test" make test PYTHON=python3.11

One row per command; a second measurement replaces the first. A command that fails is not recorded.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "results" / "commands.csv"
FIELDS = ("command", "wall_s", "peak_gb", "machine", "commit", "date")


def resident_gb(parent: int) -> float:
    """Memory of the processes below ``parent`` that is resident and not shared twice (proportional), in GB."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # the process has ended meanwhile
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    total, waiting = 0, list(children.get(parent, []))
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        total += _proportional_kb(pid)
    return total / 1e6


def _proportional_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def measure(command: list[str]) -> tuple[int, float, float]:
    """Exit code, wall time in seconds, and peak memory in GB (sampled once a second) of ``command``."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            peak[0] = max(peak[0], resident_gb(os.getpid()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.perf_counter()
    code = subprocess.run(command, cwd=ROOT).returncode
    wall = time.perf_counter() - start
    done.set()
    watcher.join()
    return code, wall, peak[0]


def machine() -> str:
    """Processor, cores and memory in a few words."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{len(os.sched_getaffinity(0))} cores ({cpu}), {memory:.0f} GB of memory"


def record(table: Path, row: dict[str, object]) -> None:
    """Replace or add the row of ``row["command"]``; the file is whole or unchanged."""
    rows: dict[str, dict[str, object]] = {}
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as handle:
            rows = {old["command"]: dict(old) for old in csv.DictReader(handle)}
    rows[str(row["command"])] = row
    table.parent.mkdir(parents=True, exist_ok=True)
    aside = table.with_suffix(".writing")
    with aside.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
    os.replace(aside, table)


def main(argv: list[str] | None = None) -> int:
    """Measure the command given and record it under its own words, or under ``--as``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--as", dest="name", help="the words that the book uses for the command")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(argv)
    if not options.command:
        parser.error("no command given, for example: python book/measure.py make test")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    code, wall, peak = measure(options.command)
    name = options.name or " ".join(options.command)
    if code:
        print(f"{name} failed with exit code {code}: not recorded", file=sys.stderr)
        return code
    record(TABLE, {"command": name, "wall_s": round(wall, 1), "peak_gb": round(peak, 2), "machine": machine(),
                   "commit": commit.stdout.strip(), "date": date.today().isoformat()})
    print(f"{name}: {wall:.0f} s, {peak:.1f} GB, recorded in {TABLE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
