"""How many iGSM problems with chains of thought one core makes in a second, how that scales, and where the time goes.

    python benchmarks/generation.py                    # plain and injected, one process, best of five
    python benchmarks/generation.py --processes 4      # and with 1, 2, 4 processes
    python benchmarks/generation.py --profile          # and the functions that take the time

A row is question, chain of thought, answer and counts, as ``bi data`` writes it, for problems of 15 to 20 operations in
the English wording. Row i is a function of (seed, i) alone, which the benchmark checks: processes take every n-th row
and the rows are the same. The released generator makes 417 rows a second with injected and 568 with plain chains of
thought on a two-core machine like that of the tests; the goal is five times that.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import multiprocessing
import pstats
import time
from collections.abc import Iterator
from typing import Any

from bi.augmentation.arms import iterate_rows
from bi.recipes import BehaviorRates, TaskRecipe
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate

TASK = TaskRecipe(wording="english", train_ops=(15, 20))
CONFIG = IGSMConfig(15, 20)
RELEASED = {"plain": 568, "injected": 417}
ARMS = {"plain": "vanilla", "injected": "bridge"}
GOAL = 5.0
Row = dict[str, Any]


def rows(kind: str, indices: range, seed: int = 0) -> Iterator[Row]:
    """The rows with these indices, one at a time."""
    for index in indices:
        problem = generate(CONFIG, stream(seed, "generation benchmark", index))
        yield from iterate_rows([problem], ARMS[kind], TASK, BehaviorRates(), seed)


def digest(kind: str, indices: range) -> tuple[list[str], float]:
    """The work of one process: a digest of each row, and the processor time that they took."""
    begin = time.process_time()
    made = [hashlib.sha256(json.dumps(row).encode()).hexdigest()[:8] for row in rows(kind, indices)]
    return made, time.process_time() - begin


def per_second(kind: str, count: int, repeats: int) -> float:
    """Rows a second of processor time, best of ``repeats`` runs of one process (others use the machine too)."""
    best = 0.0
    for repeat in range(repeats):
        begin = time.process_time()
        made = sum(1 for _ in rows(kind, range(repeat * count, (repeat + 1) * count)))
        best = max(best, made / (time.process_time() - begin))
    return best


def problems_per_second(count: int, repeats: int) -> float:
    """Problems a second without texts, measured in the same way."""
    best = 0.0
    for repeat in range(repeats):
        begin = time.process_time()
        for index in range(repeat * count, (repeat + 1) * count):
            generate(CONFIG, stream(0, "generation benchmark", index))
        best = max(best, count / (time.process_time() - begin))
    return best


def scaling(kind: str, count: int, processes: int) -> tuple[float, float, bool]:
    """Rows a second with ``processes``, by wall time and by processor time, and whether one process makes the same.

    By processor time is what ``processes`` free cores would make: it leaves out what others do on the machine.
    """
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        parts = [(kind, range(first, count, processes)) for first in range(processes)]
        pool.starmap(digest, [(kind, range(2))] * processes)  # start-up and imports are not what is measured
        begin = time.perf_counter()
        done = pool.starmap(digest, parts)
        wall = time.perf_counter() - begin
    together = [done[index % processes][0][index // processes] for index in range(count)]
    alone, _ = digest(kind, range(min(50, count)))
    return count / wall, count / max(spent for _, spent in done), together[: len(alone)] == alone


def profile(kind: str, count: int, lines: int) -> None:
    """Print the functions that take most of the time of ``count`` rows."""
    tracer = cProfile.Profile()
    tracer.enable()
    for _ in rows(kind, range(count)):
        pass
    tracer.disable()
    pstats.Stats(tracer).strip_dirs().sort_stats("tottime").print_stats(lines)


def main() -> None:
    """Measure and print, one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500, help="rows of one run")
    parser.add_argument("--repeats", type=int, default=5, help="runs, of which the best counts")
    parser.add_argument("--processes", type=int, default=1, help="also measure 1, 2, 4, ... up to this many processes")
    parser.add_argument("--profile", action="store_true", help="also print where the time goes")
    options = parser.parse_args()
    print(f"problems alone: {problems_per_second(options.rows, options.repeats):,.0f} a second on one core")
    for kind, released in RELEASED.items():
        rate = per_second(kind, options.rows, options.repeats)
        print(f"{kind}: {rate:,.0f} rows a second on one core, {rate / released:.2f} times the released generator's "
              f"{released} (goal {GOAL:g})")
    processes = 1
    while options.processes > 1 and processes <= options.processes:
        wall, free, same = scaling("injected", options.rows * 4, processes)
        print(f"{processes} processes: {wall:,.0f} rows a second of wall time, {free:,.0f} by processor time; "
              f"{'the same' if same else 'OTHER'} rows")
        processes *= 2
    if options.profile:
        profile("injected", options.rows, 25)


if __name__ == "__main__":
    main()
