"""The command by hand: what each stage writes, that it is what the owners of the stages make, and that it repeats."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bi.__main__ import app
from bi.augmentation.arm import DRAWN_ARMS
from bi.augmentation.arms import build_problems, build_rows
from bi.recipes import get_profile

COLUMNS = ["id", "problem_id", "task", "arm", "wording", "prompt", "completion", "answer", "n_ops", "n_reflection",
           "n_analysis", "n_subgoal"]
SMOKE = ("--profile", "smoke")
STAGES = ("data", "inject", "sft", "rollouts", "select", "influence", "step-test", "grpo", "eval", "base", "sweep")


def bi(*words: object):
    """Run the command and return its result; a traceback of ours fails the test."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeed(*words: object):
    result = bi(*words)
    assert result.exit_code == 0, result.stderr
    return result


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_stage_has_a_help_text_with_an_example() -> None:
    listed = succeed("--help").stdout
    for stage in STAGES:
        assert f"\n  {stage} " in listed
        text = succeed(stage, "--help").stdout
        assert f"\n  bi {stage} " in text and "--out" in text


def test_the_door_opens_without_torch() -> None:
    code = "import sys, bi.__main__; print([m for m in ('torch', 'pandas', 'numpy', 'datasets') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_data_writes_the_rows_that_the_arm_has(tmp_path: Path) -> None:
    profile = get_profile("smoke")
    succeed("data", "--arm", "bridge", "--rows", 5, *SMOKE, "--seed", 3, "--out", tmp_path / "a.jsonl")
    problems = build_problems(profile.task, "sft", 5, 3)
    assert rows_of(tmp_path / "a.jsonl") == build_rows(problems, "bridge", profile.task, profile.rates, 3)
    assert list(rows_of(tmp_path / "a.jsonl")[0]) == COLUMNS


def test_arms_hold_the_same_problems_row_by_row(tmp_path: Path) -> None:
    for arm in ("vanilla", "bridge"):
        succeed("data", "--arm", arm, "--rows", 5, *SMOKE, "--out", tmp_path / f"{arm}.jsonl")
    vanilla, bridge = rows_of(tmp_path / "vanilla.jsonl"), rows_of(tmp_path / "bridge.jsonl")
    assert [row["prompt"] for row in vanilla] == [row["prompt"] for row in bridge]
    assert all(row["n_reflection"] + row["n_analysis"] + row["n_subgoal"] == 0 for row in vanilla)
    assert sum(row["n_analysis"] for row in bridge) > 0


def test_every_arm_that_is_drawn_can_be_written_and_is_reported(tmp_path: Path) -> None:
    ask = ("--rows", 6, *SMOKE, "--min-ops", 4, "--max-ops", 5, "--analysis", 1)
    rows = {}
    for arm in DRAWN_ARMS:
        said = succeed("data", "--arm", arm, *ask, "--out", tmp_path / f"{arm}.jsonl").stderr
        rows[arm] = rows_of(tmp_path / f"{arm}.jsonl")
        assert f"{len(rows[arm])} rows of " in said and "words of completions; " in said
    assert len(rows["pp"]) == len(rows["rc"]) == 4 * len(rows["vanilla"]) == 24
    assert rows["vanilla_tokens"][:6] == [{**row, "id": row["id"].replace("vanilla-", "vanilla_tokens-"),
                                           "arm": "vanilla_tokens"} for row in rows["vanilla"]]
    assert len(rows["vanilla_tokens"]) > 6
    succeed("data", "--arm", "vanilla_tokens", *ask, "--exclude", tmp_path / "rc.jsonl", "--out", tmp_path / "o.jsonl")
    others = [row["problem_id"] for row in rows_of(tmp_path / "o.jsonl")]
    assert len(set(others)) == len(others) and not set(others) & {row["problem_id"] for row in rows["rc"]}


def test_the_papers_data_take_one_line(tmp_path: Path) -> None:
    succeed("data", "--task", "igsm", "--arm", "bridge", "--rows", 3, "--min-ops", 15, "--max-ops", 20, "--wording",
            "english", *SMOKE, "--seed", 0, "--out", tmp_path / "data.jsonl")
    for row in rows_of(tmp_path / "data.jsonl"):
        assert 15 <= row["n_ops"] <= 20 and row["wording"] == "english"
        assert row["prompt"].startswith("The number of each ") and f"\\boxed{{{row['answer']}}}" in row["completion"]


@pytest.mark.parametrize(("split", "ops"), [("rl", {2, 3}), ("test_id", {3}), ("test_ood", {4})])
def test_prompts_only_takes_the_operations_of_the_split(tmp_path: Path, split: str, ops: set[int]) -> None:
    succeed("data", "--prompts-only", "--split", split, "--rows", 8, *SMOKE, "--out", tmp_path / "p.jsonl")
    rows = rows_of(tmp_path / "p.jsonl")
    assert len(rows) == 8 and {row["n_ops"] for row in rows} <= ops
    assert list(rows[0]) == [name for name in COLUMNS if name not in ("arm", "completion") and name[:3] not in
                             ("n_r", "n_a", "n_s")]


def test_a_range_of_operations_counts_for_the_split_asked_for(tmp_path: Path) -> None:
    cases = {("--min-ops", 5): {5}, ("--max-ops", 2): {2}, ("--min-ops", 2, "--max-ops", 4): {2, 3, 4}}
    for options, ops in cases.items():
        succeed("data", "--prompts-only", "--split", "test_id", *options, "--rows", 12, *SMOKE, "--out",
                tmp_path / "p.jsonl", "--overwrite")
        assert {row["n_ops"] for row in rows_of(tmp_path / "p.jsonl")} == ops


def test_excluded_problems_do_not_come_and_the_others_stay(tmp_path: Path) -> None:
    ask = ("data", "--prompts-only", "--split", "test_id", *SMOKE, "--out")
    succeed(*ask, tmp_path / "all.jsonl", "--rows", 6)
    succeed(*ask, tmp_path / "two.jsonl", "--rows", 2)
    succeed(*ask, tmp_path / "rest.jsonl", "--rows", 4, "--exclude", tmp_path / "two.jsonl")
    whole = rows_of(tmp_path / "all.jsonl")
    assert rows_of(tmp_path / "two.jsonl") == whole[:2] and rows_of(tmp_path / "rest.jsonl") == whole[2:]


def test_rates_given_replace_the_profiles(tmp_path: Path) -> None:
    succeed("data", "--arm", "bridge", "--rows", 20, *SMOKE, "--reflection", 1, "--analysis", "0,0",
            "--subgoal", 0, "--out", tmp_path / "a.jsonl")
    rows = rows_of(tmp_path / "a.jsonl")
    assert sum(row["n_reflection"] for row in rows) > 5
    assert all(row["n_analysis"] == row["n_subgoal"] == 0 for row in rows)


def test_two_processes_with_other_hash_seeds_write_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for hash_seed in ("1", "2"):
        out = tmp_path / f"{hash_seed}.jsonl"
        command = [sys.executable, "-m", "bi", "data", "--arm", "bridge", "--rows", "30", "--wording", "english",
                   *SMOKE, "--out", str(out)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True, capture_output=True)
        written.append(out.read_bytes())
    assert written[0] == written[1] and len(written[0]) > 10_000


@pytest.mark.parametrize("wording", ["compact", "english"])
def test_injecting_into_vanilla_rows_gives_the_bridge_rows(tmp_path: Path, wording: str) -> None:
    for arm in ("vanilla", "bridge"):
        succeed("data", "--arm", arm, "--rows", 8, *SMOKE, "--wording", wording, "--out",
                tmp_path / f"{arm}.jsonl")
    succeed("inject", tmp_path / "vanilla.jsonl", "--out", tmp_path / "injected.jsonl")
    injected, bridge = rows_of(tmp_path / "injected.jsonl"), rows_of(tmp_path / "bridge.jsonl")
    assert injected == [{**row, "id": row["id"].replace("bridge", "vanilla")} for row in bridge]


@pytest.mark.parametrize(("options", "arm", "present"), [
    (("--behaviors", "reflection", "--rate", 1), "reflection", {"n_reflection"}),
    (("--behaviors", "subgoal,analysis", "--rate", 1), "exploitation", {"n_analysis", "n_subgoal"}),
    (("--behaviors", "reflection,subgoal", "--rate", 1), "reflection+subgoal", {"n_reflection", "n_subgoal"}),
    (("--rate", 0), "bridge", set()),
    (("--rate", 0, "--analysis", "1"), "bridge", {"n_analysis"}),
])
def test_inject_takes_behaviours_and_rates(tmp_path: Path, options: tuple, arm: str, present: set[str]) -> None:
    succeed("data", "--arm", "bridge", "--rows", 12, *SMOKE, "--min-ops", 5, "--out", tmp_path / "a.jsonl")
    succeed("inject", tmp_path / "a.jsonl", *options, "--out", tmp_path / "b.jsonl")
    before, after = rows_of(tmp_path / "a.jsonl"), rows_of(tmp_path / "b.jsonl")
    assert {name for row in after for name in COLUMNS[-3:] if row[name]} == present
    assert {row["arm"] for row in after} == {arm}
    kept = [name for name in COLUMNS if name not in ("arm", "completion", *COLUMNS[-3:])]
    assert [[row[name] for name in kept] for row in after] == [[row[name] for name in kept] for row in before]


def test_inject_keeps_columns_that_it_does_not_know(tmp_path: Path) -> None:
    succeed("data", "--arm", "vanilla", "--rows", 1, *SMOKE, "--out", tmp_path / "a.jsonl")
    row = rows_of(tmp_path / "a.jsonl")[0]
    own = {"source": "mine", "prompt": row["prompt"], "completion": row["completion"], "tags": ["x"]}
    (tmp_path / "own.jsonl").write_text(json.dumps(own) + "\n")
    succeed("inject", tmp_path / "own.jsonl", "--wording", "compact", "--out", tmp_path / "b.jsonl")
    result = rows_of(tmp_path / "b.jsonl")[0]
    assert list(result) == [*own, "n_reflection", "n_analysis", "n_subgoal"]
    assert (result["source"], result["tags"]) == ("mine", ["x"])


def test_unread_rows_are_listed_and_stop_the_run_unless_they_are_kept(tmp_path: Path) -> None:
    source, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    succeed("data", "--arm", "vanilla", "--rows", 3, *SMOKE, "--out", source)
    good = rows_of(source)
    bad = [{**good[0], "prompt": "What is 1 + 1?"}, {**good[1], "completion": good[2]["completion"]}]
    source.write_text("".join(json.dumps(row) + "\n" for row in [good[0], bad[0], good[1], bad[1]]))
    stopped = bi("inject", source, "--out", out)
    assert stopped.exit_code == 2 and not out.exists()
    assert f"unread: {source}, line 2: " in stopped.stderr and f"unread: {source}, line 4: " in stopped.stderr
    assert "2 rows of" in stopped.stderr and "--keep-unread" in stopped.stderr
    kept = succeed("inject", source, "--keep-unread", "--out", out)
    assert "2 rows copied unread" in kept.stderr
    assert [rows_of(out)[index] for index in (1, 3)] == bad and len(rows_of(out)) == 4


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model over the compact wording."""
    from bi.augmentation.compact import vocabulary
    from bi.training.tiny import save_policy, tiny_policy

    policy = tiny_policy(vocabulary(24, 23), max_position_embeddings=512)
    return Path(save_policy(policy, str(tmp_path_factory.mktemp("base") / "tiny")))


@pytest.fixture(scope="module")
def corridor(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every stage has run once, each on what the one before has written."""
    place = tmp_path_factory.mktemp("corridor")
    succeed("data", "--arm", "bridge", "--rows", 8, *SMOKE, "--out", place / "sft.jsonl")
    succeed("data", "--prompts-only", "--rows", 8, *SMOKE, "--out", place / "rl.jsonl")
    succeed("sft", "--model", base, "--data", place / "sft.jsonl", *SMOKE, "--batch-size", 4, "--epochs", 2, "--out",
            place / "sft")
    for model, name in ((place / "sft", "train"), (place / "sft", "again")):
        succeed("rollouts", "--model", model, "--data", place / "rl.jsonl", *SMOKE, "--samples", 4, "--limit", 6,
                "--max-new-tokens", 12, "--out", place / f"{name}.parquet")
    succeed("data", "--arm", "vanilla_tokens", "--rows", 4, *SMOKE, "--tokenizer", base, "--out", place / "long.jsonl")
    succeed("influence", place / "sft", place / "train.parquet", *SMOKE, "--target", place / "again.parquet", "--out",
            place / "influence")
    succeed("grpo", "--model", place / "sft", "--data", place / "rl.jsonl", *SMOKE, "--steps", 1, "--rollouts", 2,
            "--max-completion-length", 12, "--out", place / "grpo")
    succeed("eval", place / "train.parquet", place / "again.parquet", *SMOKE, "--out", place / "accuracy.csv")
    return place


def test_stages_take_what_the_stages_before_them_write(corridor: Path) -> None:
    from bi.training.policy import load_policy

    for model in ("sft", "grpo"):
        assert load_policy(corridor / model, device="cpu").context == 512
    assert len((corridor / "sft" / "history.csv").read_text().splitlines()) == 1 + 2 * 2
    assert len((corridor / "grpo" / "history.csv").read_text().splitlines()) == 1 + 1
    left = {path.name for path in corridor.iterdir()}
    files = {"sft.jsonl", "rl.jsonl", "long.jsonl", "train.parquet", "again.parquet", "accuracy.csv"}
    assert left == files | {"sft", "grpo", "influence"}


def test_rollouts_repeat_byte_for_byte(corridor: Path) -> None:
    assert (corridor / "train.parquet").read_bytes() == (corridor / "again.parquet").read_bytes()


def test_select_keeps_prompts_that_are_solved_sometimes_or_right_completions(corridor: Path, tmp_path: Path) -> None:
    from bi.training.rollouts import load_rollouts, save_rollouts

    rollouts = load_rollouts(corridor / "train.parquet")
    ids = rollouts["problem_id"].unique()
    some = rollouts["problem_id"].isin(ids[1:3]) & rollouts["sample"].isin((1, 2))
    right = rollouts["problem_id"].eq(ids[0]) | some
    made = rollouts.assign(answer=right, format=right, completion=[f"! {sample // 3}" for sample in rollouts["sample"]])
    save_rollouts(made, tmp_path / "r.parquet")
    said = succeed("select", tmp_path / "r.parquet", *SMOKE, "--out", tmp_path / "rl.jsonl").stderr
    assert "2 rows of 2 prompts" in said and "of 6 in all (3 never solved, 1 always)" in said
    prompts = {row["problem_id"]: row for row in rows_of(corridor / "rl.jsonl")}
    assert rows_of(tmp_path / "rl.jsonl") == [prompts[name] for name in ids[1:3]]
    succeed("select", tmp_path / "r.parquet", *SMOKE, "--completions", 9, "--out", tmp_path / "sft.jsonl")
    rows = rows_of(tmp_path / "sft.jsonl")
    assert [list(row) for row in rows] == [COLUMNS] * 2, "equal completions count once"
    assert [row["id"] for row in rows] == [f"rejection-{name}-1" for name in ids[1:3]]
    assert {row["arm"] for row in rows} == {"rejection"}
    none = bi("select", tmp_path / "r.parquet", *SMOKE, "--above", 0.6, "--out", tmp_path / "x.jsonl")
    assert none.exit_code == 2 and "none of 6 prompts has an accuracy between 0.6 and 1" in none.stderr


def test_eval_writes_what_the_metrics_say(corridor: Path) -> None:
    import pandas as pd

    from bi.evaluation.metrics import accuracy_table
    from bi.training.rollouts import load_rollouts

    rollouts = load_rollouts(corridor / "train.parquet")
    assert len(rollouts) == 6 * 4
    table = pd.read_csv(corridor / "accuracy.csv")
    assert list(table) == ["rollouts", "metric", "value", "low", "high", "n", "method"]
    found = table[table["rollouts"] == "train"].set_index("metric")["value"]
    expected = accuracy_table(rollouts, (1, 2)).set_index("metric")["value"]
    assert dict(found) == pytest.approx(dict(expected))
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()


def test_influence_names_its_targets_after_their_files(corridor: Path) -> None:
    import numpy as np
    import pandas as pd

    table = pd.read_csv(corridor / "influence" / "influence.csv")
    assert list(dict.fromkeys(table["target"])) == ["train", "again"]
    assert np.load(corridor / "influence" / "influence.npz")["again_objective"].shape == (6, 6)
    prompts = pd.read_csv(corridor / "influence" / "prompts.csv")
    assert prompts.groupby("target", sort=False).size().to_dict() == {"train": 6, "again": 6}
    assert (corridor / "influence" / "influence.png").read_bytes().startswith(b"\x89PNG")


def test_influence_takes_its_options_or_says_what_it_takes(corridor: Path, base: Path, tmp_path: Path) -> None:
    import pandas as pd

    given = ("influence", corridor / "sft", corridor / "train.parquet", *SMOKE, "--out", tmp_path / "x")
    succeed(*given, "--adam", "fresh", "--scheme", "rloo", "--estimator", "distinct", "--parameters", "last:1")
    table = pd.read_csv(tmp_path / "x" / "influence.csv")
    assert set(table["estimator"]) == {"distinct"} and "momentum_accuracy" in set(table["metric"])
    succeed(*given, "--overwrite", "--kl", 0.1, "--reference", base, "--sketch", 256)
    assert "mean_accuracy" not in set(pd.read_csv(tmp_path / "x" / "influence.csv")["metric"])
    for words, told in ((("--adam", corridor / "sft"), "holds no optimizer.pt"),
                        (("--estimator", "best"), "choose one of halves"), (("--scheme", "ppo"), "scheme 'ppo'"),
                        (("--sketch", 64, "--adam", "fresh"), "leave out the sketch"), (("--kl", 0.1), "needs both"),
                        (("--parameters", "last:9"), "the model has")):
        result = bi(*given, "--overwrite", *words)
        assert result.exit_code == 2 and told in result.stderr, result.stderr


def test_the_step_test_says_what_it_lacks_before_any_work(corridor: Path, tmp_path: Path) -> None:
    given = ("step-test", corridor / "sft", "--train", corridor / "rl.jsonl", *SMOKE, "--out", tmp_path / "x")
    few = bi(*given, "--target", corridor / "rl.jsonl")
    assert few.exit_code == 2 and "8 prompts, the step test needs 16" in few.stderr
    same = bi(*given, "--target", corridor / "rl.jsonl", "--train-prompts", 8)
    assert same.exit_code == 2 and "is a training prompt too" in same.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_not_run_again_and_another_does_not_replace_it(corridor: Path, base: Path) -> None:
    given = ("--model", base, "--data", corridor / "sft.jsonl", "--out", corridor / "sft")
    words = ("sft", *given, *SMOKE, "--batch-size", 4, "--epochs", 2)
    before = {path.name: path.stat().st_mtime_ns for path in (corridor / "sft").iterdir()}
    assert "nothing to do" in succeed(*words).stderr
    other = bi(*words, "--seed", 1)
    assert other.exit_code == 2 and "another seed" in other.stderr
    assert before == {path.name: path.stat().st_mtime_ns for path in (corridor / "sft").iterdir()}


def test_rollouts_of_another_checkpoint_are_refused(corridor: Path, base: Path, tmp_path: Path) -> None:
    from bi.training.rollouts import load_rollouts, save_rollouts

    rollouts = load_rollouts(corridor / "train.parquet")
    save_rollouts(rollouts.assign(logprob=rollouts["logprob"] - rollouts["n_tokens"]), tmp_path / "off.parquet")
    result = bi("influence", corridor / "sft", tmp_path / "off.parquet", *SMOKE, "--out", tmp_path / "x")
    assert result.exit_code == 2 and "not rollouts of this checkpoint" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["off.parquet"]
