"""The engine plans what has to run and nothing else, refuses bad input before work, and resumes what was killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from engine_cases import copy_code, write_notebook

from bi.chapter import EXPERIMENTS
from bi.recipes import CPU, SMOKE
from bi.runs import Run, slug
from workflow import run as driver
from workflow.book import Book
from workflow.checks import bytes_needed, check_all, check_compared, check_model, model_bytes
from workflow.job import contents, prepare
from workflow.locks import Busy, drive, driver_lives, hold
from workflow.plan import Estimate, Job, describe, read_estimate, read_plan
from workflow.progress import Progress
from workflow.publish import publish, publish_headline
from workflow.snake import Snake
from workflow.stages import GRIDS, ROOT, STAGES, Grid, grids_of, make_grid

# --- plan and progress -----------------------------------------------------------------------------------------------

DRY_RUN = """Building DAG of jobs...
[Sat Nov 21 03:31:35 2026]
rule sft:
    input: problems/0/stage.json
    output: tiny-base/bridge/0/sft/stage.json
    jobid: 2
    reason: Params have changed since last execution: Params have changed since last execution: before: 1 now: 2
    wildcards: model=tiny-base, arm=bridge, seed=0
    resources: mem_mb=32000, tmpdir=/tmp
[Sat Nov 21 03:31:35 2026]
rule grpo:
    input: tiny-base/bridge/0/sft/stage.json
    reason: Missing output files: x; Input files updated by another job: y
    wildcards: model=tiny-base, arm=bridge, seed=0
rule all:
    input: b/0.txt
    reason: Input files updated by another job: b/0.txt
Job stats:
"""


def test_a_dry_run_is_read_job_by_job():
    jobs = read_plan(DRY_RUN)
    assert [job.stage for job in jobs] == ["sft", "grpo"]
    assert dict(jobs[0].wildcards) == {"model": "tiny-base", "arm": "bridge", "seed": "0"}
    assert [job.reason for job in jobs] == ["code, recipe or model changed", "not made yet"]


def test_the_plan_says_what_is_cached_and_how_long_the_rest_takes():
    todo = [Job("grpo", (), "not made yet")] * 2
    lines = describe(todo, {"sft": 2, "grpo": 3}, Estimate({"grpo": {"": 700.0}}), 2)
    assert "2 jobs to run, 3 cached; about 11 min 40 s on 2 cores" in lines[0]
    assert lines[1].split() == "sft 0 to run 2 cached".split() and "not made yet" in lines[2]
    assert "no earlier run" in describe(todo, {"grpo": 3}, Estimate({}), 2)[0]
    assert describe([], {"grpo": 3}, Estimate({}), 2)[0].startswith("0 jobs to run, 3 cached; about 0 s")


def test_a_stage_that_was_never_timed_does_not_hide_what_is_known():
    todo = [Job("grpo", (("arm", "bridge"),), ""), Job("tables", (), "")]
    line = describe(todo, {"grpo": 1, "tables": 1}, Estimate({"grpo": {"bridge": 60.0}}), 2)[0]
    assert line.endswith("about 1 min 0 s on 2 cores, without tables, never timed yet")


def test_the_published_times_of_the_book_are_enough_for_an_estimate():
    estimate = read_estimate(ROOT / "results" / "cpu" / "timings.json")
    for name in ("main", "arms", "full"):
        jobs = [Job(stage, (("arm", run.arm),), "") for stage, run in make_grid("cpu", name).jobs()]
        assert estimate.total(jobs, 2) is not None and set(estimate.untimed(jobs)) <= {"tables"}


def test_estimates_come_from_earlier_times_only(tmp_path):
    times = [("sft", "bridge", 10), ("sft", "bridge", 30), ("sft", "pp", 100), ("problems", "", 5)]
    _write_times(tmp_path / "timings.json", times)
    estimate = read_estimate(tmp_path / "timings.json")
    bridge, pp, other, problems = (Job(stage, (("arm", arm),), "") for stage, arm in
                                   (("sft", "bridge"), ("sft", "pp"), ("sft", "rc"), ("problems", "")))
    assert [estimate.of(job) for job in (bridge, pp, other, problems)] == [20, 100, 60, 5]
    assert estimate.of(Job("problems", (), "")) == 5 and estimate.of(Job("grpo", (), "")) is None
    assert estimate.total([bridge] * 4, cores=2) == 40 and estimate.total([bridge, pp], cores=8) == 100
    assert estimate.total([bridge, Job("grpo", (), "")], 1) == 20 and estimate.total([Job("grpo", (), "")], 1) is None
    assert estimate.total([], 2) == 0 and read_estimate(tmp_path / "none.json") == Estimate({})
    _write_times(tmp_path / "own.json", [("sft", "bridge", 90)])
    own = read_estimate(tmp_path / "timings.json", tmp_path / "own.json")
    assert (own.of(bridge), own.of(pp)) == (90, 100)


def test_times_of_another_recipe_are_no_estimate():
    alike = {name: make_grid("cpu", name).costs_as_home for name in GRIDS}
    assert {name for name, same in alike.items() if not same} == {"dyval", "depth", "retest", "longer", "dose", "range"}


def test_a_slow_machine_is_slow_for_the_other_arms_too():
    estimate = Estimate({"sft": {"bridge": 20.0, "pp": 100.0}, "grpo": {"bridge": 7.0}})
    assert estimate.updated("sft", "bridge", 30.0).seconds == {"sft": {"bridge": 30.0, "pp": 150.0},
                                                               "grpo": {"bridge": 7.0}}
    assert Estimate({}).updated("sft", "pp", 9.0).seconds == {"sft": {"pp": 9.0}}


def _write_times(path, times):
    path.write_text(json.dumps([dict(zip(("stage", "arm", "wall_s"), row, strict=True)) for row in times]))


def test_progress_is_one_line_per_start_and_end():
    said = []
    todo = [Job("sft", (("arm", arm),), "") for arm in ("vanilla", "bridge")]
    progress = Progress(todo, Estimate({}), 1, said.append)
    progress.hear({"event": "started", "job": "sft bridge seed 0", "stage": "sft", "resumed": True})
    progress.hear({"event": "finished", "job": "sft bridge seed 0", "stage": "sft", "arm": "bridge", "wall_s": 61.0,
                   "peak_mb": 800})
    progress.hear({"event": "failed", "job": "sft vanilla seed 0", "stage": "sft", "message": "loss is nan"})
    assert "started   sft bridge seed 0 (resumed)" in said[0]
    assert "in 1 min 1 s, 800 MB; 1 of 2 done, about 1 min 1 s left" in said[1]
    assert "FAILED" in said[2] and "loss is nan" in said[2]


def test_the_time_left_says_what_it_leaves_out():
    said = []
    todo = [Job(stage, (("arm", arm),), "") for stage in ("sft", "grpo") for arm in ("vanilla", "bridge")]
    progress = Progress(todo, Estimate({}), 1, said.append)
    for stage in ("sft", "grpo"):
        progress.hear({"event": "finished", "job": stage, "stage": stage, "arm": "bridge", "wall_s": 60.0,
                       "peak_mb": 800})
    assert said[0].endswith("1 of 4 done, about 1 min 0 s left, without grpo, never timed yet")
    assert said[1].endswith("2 of 4 done, about 2 min 0 s left")


# --- folders and locks -----------------------------------------------------------------------------------------------

def test_work_begun_by_the_same_key_is_kept_and_by_another_is_removed(tmp_path):
    assert prepare(tmp_path, "one") is False
    (tmp_path / "partial").mkdir()
    (tmp_path / "stage.json").write_text("{}")
    assert prepare(tmp_path, "one") is True
    assert (tmp_path / "partial").exists() and not (tmp_path / "stage.json").exists()
    assert prepare(tmp_path, "two") is False
    assert not (tmp_path / "partial").exists()


def test_a_stage_is_known_by_its_files_and_not_by_times_and_logs(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"1")
    first = contents(tmp_path)
    for name in ("log.txt", "timing.json", "begun.json", "sft.ipynb", ".lock"):
        (tmp_path / name).write_text("x")
    assert contents(tmp_path) == first and list(first) == ["model/weights"]


def test_only_one_driver_and_jobs_notice_when_it_is_gone(tmp_path):
    with drive(tmp_path) as value:
        token, path = value.split(":", 1)
        assert driver_lives(token, Path(path)) and not driver_lives("other", Path(path))
        with pytest.raises(Busy, match="in use by another process .process"), hold(Path(path), "the run"):
            pass
    assert not driver_lives(token, Path(path))


KILLED_DRIVER = """
import subprocess, sys, time, os
from pathlib import Path
from workflow.locks import DRIVER, drive
code = "import time, workflow.locks as l; l.follow_driver(.05); print('on', flush=True); time.sleep(60)"
with drive(Path(sys.argv[1])) as value:
    job = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {DRIVER: value}, stdout=subprocess.PIPE)
    job.stdout.readline()
    print(job.pid, flush=True)
    time.sleep(60)
"""


def test_a_job_ends_when_its_driver_is_killed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED_DRIVER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT)
    job = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{job}").exists() and _state(job) != "Z":
        assert time.monotonic() < deadline, "the job outlived its driver"
        time.sleep(0.05)
    with drive(tmp_path):
        pass


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "Z"


# --- grid, checks, publishing ----------------------------------------------------------------------------------------

def test_the_grid_has_every_cell_once():
    grid = make_grid("cpu")
    counts = Counter(stage for stage, _ in grid.jobs())
    assert counts == {"problems": 3, "base": 1, "sft": 6, "measure": 6, "grpo": 6, "evaluate": 6, "lines": 6,
                      "tables": 1}
    assert set(grid.arms) < set(make_grid("cpu", "full").arms)
    for name in grids_of("paper"):
        folders = [STAGES[stage].folder(run) for stage, run in make_grid("paper", name).jobs()]
        assert len(set(folders)) == len(folders)


def test_grids_share_their_cells_and_keep_their_tables_apart():
    tables = {name: make_grid("cpu", name).jobs()[-1] for name in GRIDS}
    folders = {name: STAGES[stage].folder(run) for name, (stage, run) in tables.items()}
    whole = ("main", "arms", "full")
    assert len({folders[name] for name in whole}) == 1 and len(set(folders.values())) == len(GRIDS) - 2
    assert [make_grid("cpu", name).results for name in GRIDS] == ["", "", "", *EXPERIMENTS]
    assert set(make_grid("cpu").arms) < set(make_grid("cpu", "arms").arms) < set(make_grid("cpu", "full").arms)
    bridge = {name: {STAGES[stage].folder(run) for stage, run in make_grid("cpu", name).jobs() if stage == "grpo"}
              for name in GRIDS}
    assert len(bridge["main"] & bridge["probability"]) == 6 and bridge["passes"] == bridge["through"] == bridge["main"]


def test_the_grid_of_bases_shares_the_first_models_cells_and_makes_its_tables_once():
    main, bases = ({(stage, run) for stage, run in make_grid("cpu", name).jobs()} for name in ("main", "bases"))
    assert {pair for pair in main if pair[0] in ("sft", "grpo", "evaluate")} < bases
    assert Counter(run.model for stage, run in bases if stage == "grpo") == dict.fromkeys(
        ("models/tiny-base", "models/plain-base", "models/wide-base", "models/small-base"), 6)
    assert [run.model for stage, run in bases if stage == "tables_bases"] == ["models/tiny-base"]


def test_the_grid_of_another_task_has_cells_of_its_own_and_joins_the_results_of_its_profile():
    grid = make_grid("cpu", "dyval")
    assert grid == make_grid("cpu-dyval", "dyval") and (grid.profile.name, grid.home) == ("cpu-dyval", "cpu")
    assert grid.profile.seeds == CPU.seeds and grid.profile.task.task == "dyval_arithmetic"
    assert not ({run for _, run in grid.jobs()} & {run for _, run in make_grid("cpu").jobs()})
    assert make_grid("cpu", "dyval:bridge").kept == ["results/cpu/dyval"]
    cluster = ROOT / "workflow" / "profiles" / "slurm"
    for name in ("gpu", "paper"):  # its jobs ask a scheduler for a card, like those of the profile that it joins
        assert "gpu=1" in Snake(make_grid(name, "dyval"), ROOT / "runs", 1, cluster=cluster).command()
    with pytest.raises(ValueError, match="'cpu-dyval' belongs to the results of 'cpu': PROFILE=cpu GRID=dyval"):
        make_grid("cpu-dyval")


def test_the_grid_of_further_seeds_has_cells_of_its_own_and_joins_the_results_of_its_profile():
    grid = make_grid("cpu", "seeds")
    assert (grid.profile.name, grid.home, grid.results) == ("cpu-seeds", "cpu", "seeds")
    trained = {(run.arm, run.seed) for stage, run in grid.jobs() if stage == "grpo"}
    assert trained == {(arm, seed) for arm in ("vanilla", "pp", "rc", "bridge", "subgoal") for seed in (3, 4)}
    assert make_grid("cpu", "seeds:bridge").kept == ["results/cpu/seeds"]


def test_arms_of_rollouts_are_selected_and_all_others_drawn():
    jobs = make_grid("smoke", "rejection").jobs()
    assert {run.arm for stage, run in jobs if stage == "select"} == {"rejection", "rejection_bridge"}
    assert {run.arm for stage, run in jobs if stage == "sft"} == {"vanilla", "bridge"}
    select = next(run for stage, run in jobs if stage == "select")
    assert STAGES["select"].folder(select) == select.sft_model.parent


def test_bad_names_are_told_with_the_good_ones():
    with pytest.raises(ValueError, match="unknown profile 'tiny'; choose one of smoke, cpu"):
        make_grid("tiny")
    with pytest.raises(ValueError, match="unknown grid 'big'; choose one of main, arms, full"):
        make_grid("smoke", "big")
    with pytest.raises(ValueError, match="'test'.*test_id"):
        Run("smoke").problems("test")


def test_the_command_refuses_bad_input_with_exit_code_2_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(driver, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(driver, "ROOT", copy_code(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    for options, told in ((["--profile", "nope"], "unknown profile 'nope'"),
                          (["--profile", "smoke", "--grid", "x"], "unknown grid"),
                          (["--profile", "smoke", "--cluster", "no"], "no Snakemake profile"),
                          (["--profile", "smoke"], "models/tiny-base does not exist; run `make base BASE=tiny-base`")):
        assert driver.main(["reproduce", *options]) == 2
        assert told in capsys.readouterr().err
    assert driver.main(["book", "--profile", "smoke"]) == 2
    assert "run `make reproduce PROFILE=smoke` first" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "_toc.yml"])


def model_folder(root, *files):
    folder = root / "models" / "tiny-base"
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).write_bytes(b"x" * 1000)
    return folder


def test_an_incomplete_model_is_told_part_by_part(tmp_path):
    model_folder(tmp_path, "config.json")
    with pytest.raises(ValueError, match=r"lacks weights \(model.saf.*\), a tokenizer \(tok.*\); run `make base BASE="):
        check_model("models/tiny-base", tmp_path)
    model_folder(tmp_path, "model.safetensors", "tokenizer.json")
    check_model("models/tiny-base", tmp_path)


def test_a_hub_model_without_network_or_cache_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="not in the local cache and HF_HUB_OFFLINE is set"):
        check_model("Qwen/Qwen2.5-3B", tmp_path)
    (tmp_path / "models--Qwen--Qwen2.5-3B" / "snapshots").mkdir(parents=True)
    check_model("Qwen/Qwen2.5-3B", tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    check_model("Qwen/Qwen2.5-1.5B", tmp_path)


def test_a_grid_of_bases_needs_further_ones(tmp_path):
    check_compared(make_grid("cpu", "bases"), tmp_path)
    check_compared(make_grid("paper", "main"), tmp_path)
    with pytest.raises(ValueError, match="GRID=bases compares .* the profile 'paper' names no further ones"):
        check_compared(make_grid("paper", "bases"), tmp_path)
    with pytest.raises(ValueError, match="run `make base BASE=plain-base`"):
        check_model("models/plain-base", tmp_path)


def test_everything_wrong_is_told_at_once(tmp_path, monkeypatch):
    copy_code(tmp_path)
    cell = "profile = ''\nmodel = ''\narm = ''\nsede = 0\nruns = ''"
    write_notebook(tmp_path / "notebooks" / "grid" / "sft.ipynb", cell)
    monkeypatch.setattr("workflow.checks.SPARE_BYTES", 10**18)
    with pytest.raises(ValueError, match="(?s)'seed'.*'sede'.*make base.*not enough disk space"):
        check_all(make_grid("smoke"), tmp_path, tmp_path / "runs", 2)


def test_disk_space_grows_with_the_model_and_the_grid(tmp_path):
    model_folder(tmp_path, "model.safetensors")
    smoke, cpu = (bytes_needed(make_grid(name), tmp_path, 2) for name in ("smoke", "cpu"))
    assert cpu - smoke == 1000 * 2 * (6 - 2)
    assert model_bytes("Qwen/Qwen2.5-1.5B", tmp_path) == 6e9 and slug("Qwen/Qwen2.5-1.5B") == "Qwen2.5-1.5B"


def test_the_headline_figure_stands_beside_the_results(tmp_path):
    figures, results = tmp_path / "figures", tmp_path / "results" / "smoke"
    figures.mkdir()
    results.mkdir(parents=True)
    for content in (b"first", b"second"):
        (figures / "accuracy.png").write_bytes(content)
        target = publish_headline(figures, results)
        assert target == tmp_path / "results" / "accuracy-smoke.png" and target.read_bytes() == content
    assert not list(results.iterdir())


def test_published_tables_are_those_of_the_run_and_nothing_is_rewritten(tmp_path):
    grid = make_grid("smoke")
    tables = tmp_path / "runs" / "smoke" / "tiny-base" / "tables"
    results = tmp_path / "results" / "smoke"
    tables.mkdir(parents=True)
    results.mkdir(parents=True)
    (results / "old.csv").write_text("gone")
    (tables / "main.csv").write_text("a\n1\n")
    (tables / "main.provenance.json").write_text("{}")
    (tables.parent / "base").mkdir()
    (tables.parent / "base" / "timing.json").write_text('{"stage": "base", "wall_s": 2.0}')
    assert publish(grid, tmp_path, Path("runs"), results) == [results / "main.csv"]
    stamp = (results / "main.csv").stat().st_mtime_ns
    assert publish(grid, tmp_path, Path("runs"), results) == []
    assert (results / "main.csv").stat().st_mtime_ns == stamp
    assert sorted(p.name for p in results.iterdir()) == ["main.csv", "main.provenance.json", "timings.json"]
    assert json.loads((results / "timings.json").read_text())[0]["wall_s"] == 2.0


def test_times_of_a_grid_stand_beside_its_tables_and_outlast_a_run_of_some_arms(tmp_path):
    results = tmp_path / "results" / "smoke"
    (results / "seeds").mkdir(parents=True)

    def timed(arm, seconds):
        folder = tmp_path / "runs" / "smoke-seeds" / "tiny-base" / arm / "1" / "grpo"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "timing.json").write_text(json.dumps({"stage": "grpo", "arm": arm, "seed": 1, "model": "models/x",
                                                        "wall_s": seconds}))

    def published(grid):
        publish(make_grid("smoke", grid), tmp_path, Path("runs"), results)
        return {record["arm"]: record["wall_s"] for record in json.loads((results / "seeds/timings.json").read_text())}

    timed("bridge", 2.0)
    assert published("seeds") == {"bridge": 2.0}
    (tmp_path / "runs" / "smoke-seeds" / "tiny-base" / "bridge" / "1" / "grpo" / "timing.json").unlink()
    timed("pp", 3.0)
    assert published("seeds:pp") == {"bridge": 2.0, "pp": 3.0}
    timed("pp", 4.0)
    assert published("seeds:pp") == {"bridge": 2.0, "pp": 4.0} and not (results / "timings.json").exists()


def test_a_home_that_takes_no_cache_is_left_alone(tmp_path, monkeypatch):
    snake = Snake(make_grid("smoke"), tmp_path, 2)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert snake._environment()["XDG_CACHE_HOME"].startswith(str(tmp_path))
    monkeypatch.setattr("os.access", lambda path, mode: True)
    assert "XDG_CACHE_HOME" not in snake._environment()


# --- chapters --------------------------------------------------------------------------------------------------------

def small_book(root, cell="profile = 'cpu'\nfigures_dir = ''", body="1"):
    """A repository whose book has one page and one chapter."""
    (root / "_toc.yml").write_text("root: book/index\nparts:\n- chapters:\n  - file: notebooks/a\n  - file: book/b\n")
    (root / "results" / "smoke").mkdir(parents=True, exist_ok=True)
    (root / "results" / "smoke" / "main.csv").write_text("a\n1\n")
    write_notebook(root / "notebooks" / "a.ipynb", cell, body)
    return Book(root, "smoke", lambda line: None)


def test_chapters_are_the_notebooks_of_the_contents_and_get_what_they_ask_for(tmp_path):
    book = small_book(tmp_path)
    assert book.chapters == [tmp_path / "notebooks" / "a.ipynb"]
    assert book.parameters(book.chapters[0]) == {"profile": "smoke", "figures_dir": "figures"}
    book.check()
    with pytest.raises(ValueError, match="not given 'results'"):
        small_book(tmp_path, "profile = ''\nresults = ''").check()


def test_a_book_without_tables_says_how_to_get_them(tmp_path):
    book = small_book(tmp_path)
    book.check_results()
    (tmp_path / "results" / "smoke" / "main.csv").unlink()
    with pytest.raises(ValueError, match="make reproduce PROFILE=smoke"):
        book.check_results()


@pytest.mark.slow
def test_chapters_and_pages_are_made_again_only_when_something_they_show_has_changed(tmp_path, monkeypatch):
    rendered = []

    def render(self, out):
        rendered.append(1)
        (out / "_build" / "html").mkdir(parents=True)
        (out / "_build" / "html" / "index.html").write_text("page")

    monkeypatch.setattr(Book, "_render", render)
    book, said = small_book(tmp_path, body="open('figures/f.png', 'w').write(profile)"), []
    book.say = said.append
    assert book.make().read_text() == "page" and len(rendered) == 1 and len(said) == 2
    assert (book.source / "figures" / "f.png").read_text() == "smoke"
    (tmp_path / "results" / "smoke" / "main.csv").touch()
    book.make()
    assert len(rendered) == 1 and len(said) == 2
    (tmp_path / "results" / "smoke" / "main.csv").write_text("a\n2\n")
    book.make()
    assert len(rendered) == 2 and len(said) == 4


def test_the_slurm_profile_gives_every_option_a_value_that_snakemake_takes():
    settings = yaml.safe_load((ROOT / "workflow" / "profiles" / "slurm" / "config.yaml").read_text())
    assert settings["executor"] == "slurm"
    assert set(settings["set-resources"]) <= set(STAGES)
    assert Grid(SMOKE).models == {"tiny-base": "models/tiny-base"} and os.environ["HF_HUB_OFFLINE"] == "1"
