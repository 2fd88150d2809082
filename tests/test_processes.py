"""Several processes do what one does: the same results in the same order, the same errors, and none is left behind."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bi.__main__ import app
from bi.processes import MOST, workers

SMOKE = ("--profile", "smoke")


def square(number):
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number * number


def pid_after(item):
    time.sleep(item[1])
    return os.getpid()


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def write(out, *words):
    """What ``bi data`` says on stderr, without the name of the file, and the bytes of the file."""
    result = CliRunner().invoke(app, ["data", *map(str, words), "--out", str(out)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    said = [line.replace(str(out), "OUT") for line in result.stderr.splitlines() if not line.startswith("rows ")]
    return result.exit_code, said, out.read_bytes() if out.exists() else None


# --- the map ---------------------------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_items_out_of_an_endless_source():
    with workers(2) as spread:
        assert list(itertools.islice(spread(square, itertools.count()), 1000)) == [n * n for n in range(1000)]
        assert list(spread(square, [])) == [] and list(spread(square, [3])) == [9]


def test_items_are_read_only_a_little_ahead_of_the_results():
    read = itertools.count()
    with workers(2) as spread:
        results = spread(square, (next(read) for _ in itertools.count()))
        for _ in range(500):
            next(results)
        assert 500 <= next(read) <= 500 + 2 * 128 + 32


def test_large_items_go_one_at_a_time_to_whoever_is_free():
    read = itertools.count()
    with workers(2, chunk=1) as spread:
        results = spread(pid_after, ((next(read), 0.1) for _ in range(40)))
        assert len(set(itertools.islice(results, 8))) == 2 and next(read) <= 8 + 2 * 4


def test_an_error_comes_where_its_result_would_have_come():
    with workers(2) as spread:
        results = spread(square, [2, 3, -1, 4])
        assert [next(results), next(results)] == [4, 9]
        with pytest.raises(ValueError, match="-1 is negative"):
            next(results)
        assert list(itertools.islice(spread(square, [*range(200), -1]), 200)) == [n * n for n in range(200)]


def test_a_process_that_is_killed_is_said():
    with pytest.raises(OSError, match="a process was killed"), workers(2) as spread:
        list(spread(die, range(3)))


@pytest.mark.parametrize("count", [0, -1, MOST + 1])
def test_a_wrong_number_of_processes_is_refused(count, tmp_path):
    with pytest.raises(ValueError, match=f"{count} processes were asked for; give 1 to {MOST}"), workers(count):
        pass
    for command in (["data", "--arm", "bridge"], ["inject", "a.jsonl"]):
        out = tmp_path / "out.jsonl"
        refused = CliRunner().invoke(app, [*command, "--num-proc", str(count), "--out", str(out)])
        assert refused.exit_code == 2 and not out.exists()
        assert "Invalid value for '--num-proc'" in refused.stderr and str(1 if count < 1 else MOST) in refused.stderr


# --- bi data ---------------------------------------------------------------------------------------------------------

ASKED = {
    "bridge, half of the keys left out": ("--arm", "bridge", "--rows", 60, *SMOKE),
    "several rows a problem, in English": ("--arm", "rc", "--rows", 20, *SMOKE, "--wording", "english"),
    "further problems to match tokens": ("--arm", "vanilla_tokens", "--rows", 40, *SMOKE, "--reflection", "0.8"),
    "prompts, most draws twice": ("--prompts-only", "--split", "test_id", "--rows", 300, *SMOKE, "--max-ops", 1,
                                  "--min-ops", 1),
    "dyval": ("--arm", "bridge", "--task", "dyval_boolean", "--rows", 20, *SMOKE),
}


@pytest.mark.parametrize("count", [3, pytest.param(2, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_data_are_the_same_bytes_with_any_number_of_processes(tmp_path, asked, count):
    alone = write(tmp_path / "1.jsonl", *asked)
    assert write(tmp_path / "more.jsonl", *asked, "--num-proc", count) == alone


@pytest.mark.slow
def test_running_out_of_problems_is_said_in_the_same_words(tmp_path):
    ask = ("--prompts-only", "--split", "test_id", "--rows", 100_000, *SMOKE, "--max-ops", 1, "--min-ops", 1)
    alone = write(tmp_path / "1.jsonl", *ask)
    assert alone[0] == 2 and "no new one came in 2000 draws" in alone[1][-1] and alone[2] is None
    assert write(tmp_path / "2.jsonl", *ask, "--num-proc", 2) == alone


def test_problems_to_exclude_are_left_out_by_several_processes_too(tmp_path):
    ask = ("--arm", "vanilla", "--rows", 40, *SMOKE)
    write(tmp_path / "first.jsonl", *ask)
    more = (*ask, "--exclude", tmp_path / "first.jsonl")
    alone = write(tmp_path / "1.jsonl", *more)
    assert alone[0] == 0 and write(tmp_path / "2.jsonl", *more, "--num-proc", 2) == alone
    first, second = (set((tmp_path / name).read_bytes().splitlines()) for name in ("first.jsonl", "1.jsonl"))
    assert len(first) == len(second) == 40 and not first & second


def children_of(pid):
    """Processes whose parent is ``pid``."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found += [int(stat.parent.name)] if stat.read_text().rpartition(")")[2].split()[1] == str(pid) else []
        except OSError:
            continue
    return found


def wait_until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_a_killed_run_leaves_no_file_under_its_name_and_no_process_behind(tmp_path):
    out = tmp_path / "out.jsonl"
    ask = [sys.executable, "-m", "bi", "data", "--arm", "bridge", *SMOKE, "--wording", "english", "--num-proc", "2",
           "--out", str(out)]
    run = subprocess.Popen([*ask, "--rows", "1000000"], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: any(file.stat().st_size for file in tmp_path.iterdir()))
        children = children_of(run.pid)
        assert len(children) == 2
    finally:
        run.kill()
        run.wait()
    assert not out.exists() and any(tmp_path.iterdir())
    wait_until(lambda: not any(map(running, children)))
    subprocess.run([*ask, "--rows", "5"], check=True, capture_output=True)
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl"] and out.read_bytes().count(b"\n") == 5
