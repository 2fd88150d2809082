"""How many iGSM problems with chains of thought one core makes in a second, how that scales, and where the time goes.

    python benchmarks/generation.py                        # plain and injected, one process
    python benchmarks/generation.py --released CHECKOUT    # beside the released generator, in turns
    python benchmarks/generation.py --processes 4          # and with 1, 2, 4 processes
    python benchmarks/generation.py --profile              # and the functions that take the time

A row is question, chain of thought, answer and counts, as ``bi data`` writes it, for problems of 15 to 20 operations in
the English wording. Row i is a function of (seed, i) alone, which the benchmark checks: processes take every n-th row
and the rows are the same.

CHECKOUT is the folder ``iGSM-reasoning`` of the authors' repository (github.com/czp16/Bridge-LLM-reasoning), which is
not part of this one; its package ``igsm_reasoning`` is imported as it stands, with the settings of its script for the
paper's data. The goal is five times its speed. ``--write`` keeps the comparison as a table, beside the rows of
other processors.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import importlib
import json
import multiprocessing
import pstats
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from keep import beside_others

from bi.augmentation.arms import iterate_rows
from bi.provenance import provenance, write_table
from bi.recipes import BehaviorRates, TaskRecipe
from bi.recipes import digest as recipe_digest
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate

TASK = TaskRecipe(wording="english", train_ops=(15, 20))
CONFIG = IGSMConfig(15, 20)
TABLE = Path("results/benchmarks/generation.csv")
ARMS = {"plain": "vanilla", "injected": "bridge"}
GOAL = 5.0
Row = dict[str, Any]


def rows(kind: str, indices: range, seed: int = 0) -> Iterator[Row]:
    """The rows with these indices, one at a time."""
    problems = (generate(CONFIG, stream(seed, "generation benchmark", index)) for index in indices)
    return iterate_rows(problems, ARMS[kind], TASK, BehaviorRates(), seed)


def digest(kind: str, indices: range) -> tuple[list[str], float]:
    """The work of one process: a digest of each row, and the processor time that they took."""
    begin = time.process_time()
    made = [hashlib.sha256(json.dumps(row).encode()).hexdigest()[:8] for row in rows(kind, indices)]
    return made, time.process_time() - begin


def ours(kind: str, count: int, repeat: int) -> int:
    """Make ``count`` rows, other ones each ``repeat``; how many were made."""
    return sum(1 for _ in rows(kind, range(repeat * count, (repeat + 1) * count)))


def released(checkout: Path) -> Callable[[str, int, int], int]:
    """The same for the released generator: question and chain of thought of as many problems as its script keeps."""
    if not (checkout / "igsm_reasoning" / "generation").is_dir():
        raise SystemExit(f"{checkout} holds no igsm_reasoning/generation; give the folder iGSM-reasoning of a checkout")
    sys.path.insert(0, str(checkout))
    generators = importlib.import_module("igsm_reasoning.generation")

    def make(kind: str, count: int, repeat: int) -> int:
        injected = kind == "injected"
        settings = {"min_operations": CONFIG.min_ops, "max_operations": CONFIG.max_ops, "calculate_mod": False,
                    "reflection_prob": 0.1 * injected, "detailed_computation": injected,
                    "analysis_prob_list": [0, 0.1, 0.4, 0.8, *[1] * 7] if injected else [0] * 11}
        generator, made = generators.ProblemGenerator(settings, seed=repeat), 0
        while made < count:
            if generator.draw_question():
                generator.generate_question()
                generator.generate_cot_answer()
                made += abs(generator.Gd.topo[-1].value) < CONFIG.answer_bound
        return made

    return make


def measure(makers: dict[str, Callable[[str, int, int], int]], count: int, repeats: int) -> pd.DataFrame:
    """Rows a second of processor time by kind, all makers in turns: medians, extremes, and ours against each.

    Processor time, because others use the machine too; ratios are of neighbours in time.
    """
    found = []
    for kind in ARMS:
        speeds: dict[str, list[float]] = {name: [] for name in makers}
        for repeat in range(repeats):
            for name, make in makers.items():
                begin = time.process_time()
                made = make(kind, count, repeat)
                speeds[name].append(made / (time.process_time() - begin))
        for name, each in speeds.items():
            ratios = [mine / other for mine, other in zip(speeds["ours"], each, strict=True)]
            found.append({"kind": kind, "generator": name, "rows_per_s": median(each), "slowest": min(each),
                          "fastest": max(each), "ours_times": median(ratios), "least": min(ratios),
                          "most": max(ratios), "n": repeats})
    return pd.DataFrame(found)


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
    parser.add_argument("--repeats", type=int, default=9, help="runs of each, in turns, of which the median counts")
    parser.add_argument("--released", type=Path, metavar="CHECKOUT", help="folder iGSM-reasoning of the authors' code")
    parser.add_argument("--write", action="store_true", help=f"keep the comparison as {TABLE}")
    parser.add_argument("--processes", type=int, default=1, help="also measure 1, 2, 4, ... up to this many processes")
    parser.add_argument("--profile", action="store_true", help="also print where the time goes")
    options = parser.parse_args()
    if options.write and options.released is None:
        raise SystemExit("--write keeps the comparison with the released generator: give --released CHECKOUT too")
    began = time.monotonic()
    makers = {"ours": ours} | ({"released": released(options.released)} if options.released else {})
    print(f"problems alone: {problems_per_second(options.rows, options.repeats):,.0f} a second on one core, at best")
    table = measure(makers, options.rows, options.repeats)
    print(table.round(2).to_string(index=False))
    if options.released:
        print(f"goal: {GOAL:g} times the released generator")
    if options.write:
        facts = provenance("cpu", range(options.repeats), recipe_digest([TASK, CONFIG]), time.monotonic() - began)
        write_table(TABLE, beside_others(table, TABLE, facts), facts)
        print(f"wrote {TABLE}")
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
