"""Rows are written one at a time: what is kept does not grow with their number, but for a few bytes a key."""

import json
import random
import subprocess
import sys
from itertools import islice

import pytest

from bi.augmentation.arms import build_problems, iterate_rows, split_problems
from bi.recipes import SMOKE
from bi.tasks.keys import KeySet

WRITE = """
import resource, sys
from bi.__main__ import main
rows, out, processes = sys.argv[1:]
sys.argv[1:] = ["data", "--arm", "bridge", "--profile", "gpu", "--min-ops", "3", "--max-ops", "6"]
sys.argv += ["--rows", rows, "--out", out, "--num-proc", processes]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(most // 1024)
"""


def test_key_sets_hold_what_was_put_in_and_nothing_else():
    rng = random.Random(0)
    keys = [f"{rng.getrandbits(64):016x}" for _ in range(5000)] + ["0" * 16, "f" * 16]
    held = KeySet(keys[:2000])
    for key in keys[2000:]:
        assert key not in held
        held.add(key)
        held.add(key)
    assert len(held) == len(keys) and set(held) == set(keys)
    assert all(key in held for key in keys)
    assert not any(f"{rng.getrandbits(64):016x}" in held for _ in range(2000))
    with pytest.raises(ValueError, match="no canonical key"):
        held.add("abc")


def test_problems_and_rows_come_one_at_a_time_and_are_those_of_the_lists():
    problems = split_problems(SMOKE.task, "sft", 0)
    rows = iterate_rows(problems, "bridge", SMOKE.task, SMOKE.rates, 0)
    first = [next(rows)["problem_id"] for _ in range(5)]  # the source is endless: nothing can have been collected
    assert first == [problem.key() for problem in build_problems(SMOKE.task, "sft", 5, 0)]
    later = [problem.key() for problem in islice(problems, 5)]
    assert first + later == [problem.key() for problem in build_problems(SMOKE.task, "sft", 10, 0)]


def peak_megabytes(path, rows, processes):
    command = [sys.executable, "-c", WRITE, str(rows), str(path), str(processes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert sum(1 for _ in open(path, encoding="utf-8")) == rows
    return int(done.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_memory_does_not_grow_with_the_number_of_rows(tmp_path, processes):
    small = peak_megabytes(tmp_path / "small.jsonl", 2000, processes)
    large = peak_megabytes(tmp_path / "large.jsonl", 30_000, processes)
    assert large - small < 8, (small, large)  # the rows themselves would be 60 MB, their keys are 1
    assert json.loads((tmp_path / "large.jsonl").open().readline())["arm"] == "bridge"
