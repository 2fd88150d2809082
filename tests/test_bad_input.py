"""Bad input: one clear line on stderr, exit code 2, no traceback, and nothing written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bi.__main__ import app

SMOKE = ("--profile", "smoke")
ROW = {"id": "r0", "problem_id": "p0", "task": "igsm", "wording": "compact", "prompt": "%23 D1 3 . D2 N1 + 4 . ? N2 :",
       "completion": "D1 3 = V1 3 . D2 3 + 4 = V2 7 . ! 7", "answer": "7", "n_ops": 2}


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below ``folder`` with its bytes (``None`` for a folder)."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def refuse(folder: Path, *words: object) -> str:
    """The error line of a command that must fail, having checked how it fails; ``folder`` must stay as it was."""
    before = contents(folder)
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "Traceback" not in result.stderr
    assert contents(folder) == before
    lines = result.stderr.strip().splitlines()
    assert sum(line.lower().startswith("error: ") for line in lines) == 1
    return lines[-1]


def write_rows(path: Path, *rows: dict | str) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def words() -> list[str]:
    return sorted(set(f"{ROW['prompt']} {ROW['completion']}".split()))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Path:
    """A model folder with a context of 64 tokens."""
    from bi.training.tiny import save_policy, tiny_policy

    return Path(save_policy(tiny_policy(words, max_position_embeddings=64), str(tmp_path_factory.mktemp("m") / "tiny")))


@pytest.mark.parametrize(("options", "said"), [
    (("--arm", "brigde"), "unknown arm 'brigde'; choose one of vanilla, bridge"),
    (("--arm", "bridge", "--profile", "laptop"), "unknown profile 'laptop'; choose one of smoke, cpu, gpu, paper"),
    (("--arm", "bridge", "--task", "sudoku"), "unknown task 'sudoku'; choose one of igsm"),
    (("--arm", "bridge", "--wording", "latin"), "unknown wording 'latin'; choose one of compact, english"),
    (("--prompts-only", "--split", "exam"), "unknown split 'exam'; choose one of sft, rl"),
    (("--arm", "bridge", "--min-ops", 9, "--max-ops", 3), "min_ops=9 and max_ops=3: give 1 <= min_ops <= max_ops"),
    (("--arm", "bridge", "--min-ops", 0), "min_ops=0"),
    (("--arm", "bridge", "--max-ops", 31), "max_ops=31: the generator reaches 30 operations; ask for fewer"),
    (("--arm", "bridge", "--max-ops", 25), "names=24: too few for max_ops=25"),
    (("--prompts-only", "--rows", 0), "Invalid value for '--rows'"),
    (("--prompts-only", "--rows", "many"), "Invalid value for '--rows'"),
    (("--prompts-only", "--split", "test_id", "--min-ops", 1, "--max-ops", 1, "--rows", 40), "ask for fewer rows"),
    (("--arm", "bridge", "--reflection", 1.5), "--reflection is 1.5; it must be at least 0 and at most 1"),
    (("--arm", "bridge", "--analysis", "often"), "--analysis is 'often'; give numbers separated by commas"),
    (("--arm", "bridge", "--prompts-only"), "--arm NAME for chains of thought, or --prompts-only"),
    ((), "--arm NAME for chains of thought, or --prompts-only"),
    (("--arm", "rejection"), "arm 'rejection' is made of a checkpoint's rollouts; make its rows with `bi select`"),
    (("--prompts-only", "--tokenizer", "x"), "--prompts-only writes no completions to count"),
    (("--prompts-only", "--subgoal", 1), "--prompts-only writes no chains of thought"),
    (("--arm", "bridge", "--exclude", "absent.jsonl"), "absent.jsonl does not exist"),
    (("--arm", "bridge", "--seed", -1), "Invalid value for '--seed'"),
    (("--arms", "bridge"), "No such option: --arms"),
])
def test_data_refuses(tmp_path: Path, options: tuple, said: str) -> None:
    profile = () if "--profile" in options else SMOKE
    assert said in refuse(tmp_path, "data", *options, *profile, "--out", tmp_path / "x.jsonl")


@pytest.mark.parametrize(("options", "said"), [
    (("--behaviors", "reflexion"), "--behaviors is 'reflexion'; choose from reflection, analysis, subgoal"),
    (("--behaviors", ""), "--behaviors is ''"),
    (("--behaviors", "analysis", "--subgoal", 1), "--behaviors leaves subgoal out"),
    (("--rate", 2), "it must be at least 0 and at most 1"),
    (("--wording", "latin"), "unknown wording 'latin'"),
])
def test_inject_refuses(tmp_path: Path, options: tuple, said: str) -> None:
    source = write_rows(tmp_path / "a.jsonl", ROW)
    assert said in refuse(tmp_path, "inject", source, *options, "--out", tmp_path / "x.jsonl")


def test_an_unknown_stage_is_refused(tmp_path: Path) -> None:
    assert "No such command 'dta'" in refuse(tmp_path, "dta")


@pytest.mark.parametrize("stage", ["inject", "sft", "rollouts", "grpo"])
@pytest.mark.parametrize(("line", "said"), [
    ("{'prompt': 'a'}", "line 2: not JSON"),
    ({"prompt": "a"}, "line 2: lacks the column "),
    ({**ROW, "prompt": 5}, "line 2: column 'prompt' holds a whole number (5), not text"),
])
def test_a_bad_row_is_named_with_file_and_line(tmp_path: Path, stage: str, line: dict | str, said: str) -> None:
    source = write_rows(tmp_path / "a.jsonl", ROW, line)
    given = (source,) if stage == "inject" else ("--model", "models/tiny-base", "--data", source)
    error = refuse(tmp_path, stage, *given, "--out", tmp_path / "x")
    assert error.startswith(f"error: {source}, {said}")


@pytest.mark.parametrize("stage", ["rollouts", "grpo"])
@pytest.mark.parametrize(("change", "said"), [
    ({"prompt": "What is 3 + 4?"}, "line 2: compact question does not end in"),
    ({"wording": "latin"}, "line 2: unknown wording 'latin'"),
    ({"answer": "8"}, "line 2: column 'answer' is '8', but the answer of its prompt is 7"),
    ({"problem_id": "p0"}, "line 2: problem_id 'p0' was already used on line 1"),
])
def test_a_prompt_that_cannot_be_judged_is_found_before_sampling(tmp_path, stage: str, change: dict, said: str) -> None:
    source = write_rows(tmp_path / "a.jsonl", ROW, {**ROW, "problem_id": "p1", **change})
    error = refuse(tmp_path, stage, "--model", "models/tiny-base", "--data", source, "--out", tmp_path / "x")
    assert error.startswith(f"error: {source}, {said}")


@pytest.mark.parametrize("stage", ["sft", "rollouts", "grpo"])
@pytest.mark.parametrize(("lost", "said"), [
    ("*.safetensors", "has no weights"),
    ("tokenizer*", "has no tokenizer"),
    ("config.json", "has no config.json"),
    ("*", "has no config.json"),
    ("", "does not exist"),
])
def test_a_model_folder_that_lacks_a_part_is_refused(tmp_path, tiny: Path, stage: str, lost: str, said: str) -> None:
    source, model = write_rows(tmp_path / "a.jsonl", ROW), tmp_path / "model"
    if lost:
        shutil.copytree(tiny, model)
        for path in model.glob(lost):
            path.unlink()
    error = refuse(tmp_path, stage, "--model", model, "--data", source, *SMOKE, "--out", tmp_path / "x")
    assert str(model) in error and said in error


def test_a_missing_base_model_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_rows(tmp_path / "a.jsonl", ROW)
    error = refuse(tmp_path, "sft", "--model", "models/tiny-base", "--data", source, "--out", "x")
    assert "models/tiny-base" in error and "`make base`" in error


@pytest.mark.parametrize("stage", ["sft", "rollouts", "grpo"])
def test_a_prompt_longer_than_the_context_is_refused(tmp_path: Path, tiny: Path, stage: str) -> None:
    prompt = f"%23 D1 3 . D2 N1 {'+ 4 ' * 40}. ? N2 :"
    long = {**ROW, "id": "r1", "problem_id": "p1", "prompt": prompt, "answer": str((3 + 40 * 4) % 23)}
    source = write_rows(tmp_path / "a.jsonl", ROW, long)
    one = ("--prompts", 1) if stage == "grpo" else ()
    error = refuse(tmp_path, stage, "--model", tiny, "--data", source, *SMOKE, *one, "--out", tmp_path / "x")
    assert ("p1" in error or "r1" in error) and "context of the model" in error


@pytest.mark.parametrize(("stage", "option", "said"), [
    ("sft", ("--epochs", 0), "--epochs is 0; it must be at least 1"),
    ("sft", ("--learning-rate", -1), "--learning-rate is -1.0; it must be more than 0"),
    ("grpo", ("--rollouts", 1), "--rollouts is 1; it must be at least 2"),
    ("rollouts", ("--samples", 0), "--samples is 0; it must be at least 1"),
])
def test_a_setting_out_of_range_is_refused_before_any_work(tmp_path, stage: str, option: tuple, said: str) -> None:
    given = ("--model", "absent", "--data", "absent.jsonl")
    assert said in refuse(tmp_path, stage, *given, *option, "--out", tmp_path / "x")


@pytest.fixture
def full_disk(tmp_path: Path):
    """A folder on a device of 64 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("mounting a tmpfs is not permitted here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_a_checkpoint_that_does_not_fit_on_the_device_is_refused(full_disk: Path, tiny: Path, stage: str) -> None:
    source = write_rows(full_disk / "a.jsonl", ROW)
    options = ("--prompts", 1, "--steps", 1) if stage == "grpo" else ()
    error = refuse(full_disk, stage, "--model", tiny, "--data", source, *SMOKE, *options, "--out", full_disk / "x")
    assert "space" in error and "free some space" in error


def test_data_that_do_not_fit_on_the_device_leave_nothing(full_disk: Path) -> None:
    error = refuse(full_disk, "data", "--arm", "bridge", "--rows", 300, *SMOKE, "--out", full_disk / "x.jsonl")
    assert "No space left on device" in error


class TestOut:
    """Where a result may not go."""

    def test_an_existing_file_is_kept(self, tmp_path: Path) -> None:
        out = write_rows(tmp_path / "a.jsonl", ROW)
        error = refuse(tmp_path, "data", "--prompts-only", *SMOKE, "--out", out)
        assert "already exists" in error and "--overwrite" in error

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        assert "is a folder" in refuse(tmp_path, "data", "--prompts-only", *SMOKE, "--out", tmp_path, "--overwrite")

    def test_a_file_is_no_parent(self, tmp_path: Path) -> None:
        file = write_rows(tmp_path / "a.jsonl", ROW)
        error = refuse(tmp_path, "data", "--prompts-only", *SMOKE, "--out", file / "b.jsonl")
        assert "is a file, not a folder" in error

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody can write")
    def test_a_folder_that_takes_nothing_is_named(self, tmp_path: Path) -> None:
        error = refuse(tmp_path, "data", "--prompts-only", *SMOKE, "--out", "/proc/here/a.jsonl")
        assert "/proc/here/a.jsonl cannot be written" in error

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_without_permission_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "locked").mkdir(mode=0o500)
        error = refuse(tmp_path, "data", "--prompts-only", *SMOKE, "--out", tmp_path / "locked" / "a.jsonl")
        assert "cannot be written: Permission denied" in error

    def test_a_device_is_never_replaced(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        words = ("data", "--prompts-only", *SMOKE, "--out", tmp_path / "pipe", "--overwrite")
        assert "no ordinary file" in refuse(tmp_path, *words)

    @pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
    def test_a_folder_with_other_things_is_never_replaced(self, tmp_path: Path, overwrite: tuple) -> None:
        source = write_rows(tmp_path / "a.jsonl", ROW)
        for stage in ("sft", "grpo"):
            refuse(tmp_path, stage, "--model", "absent", "--data", source, "--out", tmp_path, *overwrite)


@pytest.mark.parametrize(("content", "said"), [
    (None, "do not exist"), (b"", "no parquet"), (b"PAR1nonsensePAR1", "no parquet"),
])
def test_tables_that_are_no_rollouts_are_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    table = tmp_path / "r.parquet"
    if content is not None:
        table.write_bytes(content)
    for given in (("eval", table), ("influence", "models/tiny-base", table)):
        error = refuse(tmp_path, *given, "--out", tmp_path / "x")
        assert str(table) in error and said in error


def test_the_traceback_comes_on_request_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bi", "data", "--arm", "none", "--out", str(tmp_path / "x")]
    plain = subprocess.run(command, capture_output=True, text=True)
    assert plain.returncode == 2 and plain.stderr.startswith("error: unknown arm") and plain.stderr.count("\n") == 1
    shown = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "BI_DEBUG": "1"})
    assert shown.returncode != 0 and "Traceback" in shown.stderr and "unknown arm" in shown.stderr


@pytest.mark.parametrize(("error", "code", "said"), [
    (KeyboardInterrupt(), 130, "interrupted"),
    (FloatingPointError("loss is nan: training has diverged"), 2, "error: loss is nan: training has diverged"),
    (OSError(28, "No space left on device", "x.jsonl"), 2, "error: x.jsonl: No space left on device"),
    (ValueError("two\n   lines"), 2, "error: two lines"),
])
def test_what_stops_a_stage_is_said_in_one_line(tmp_path, monkeypatch, error, code: int, said: str) -> None:
    def stop(*_: object) -> None:
        raise error

    monkeypatch.setattr("bi.commands.data.split_told", stop)
    result = CliRunner().invoke(app, ["data", "--prompts-only", *SMOKE, "--out", str(tmp_path / "x")])
    assert result.exit_code == code and result.stderr.splitlines()[-1].startswith(said)


def test_a_mistake_of_ours_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bi.commands.data.split_told", lambda *_: 1 / 0)
    result = CliRunner().invoke(app, ["data", "--prompts-only", *SMOKE, "--out", str(tmp_path / "x")])
    assert isinstance(result.exception, ZeroDivisionError)
