import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from training_cases import compact_policy, prompt_rows, sft_rows

from bi.training import rollouts as module
from bi.training.policy import encode_completion
from bi.training.reward import score
from bi.training.rollouts import judge, load_rollouts, make_rollouts, save_rollouts

ROWS = prompt_rows(5)


@pytest.fixture(scope="module")
def policy():
    return compact_policy(initializer_range=0.3)


def roll(policy, rows=ROWS, k=3, **changes):
    settings = dict(max_new_tokens=20, seed=0, progress=False)
    return make_rollouts(policy, rows, k, **{**settings, **changes})


def test_every_prompt_has_exactly_k_rollouts(policy):
    table = roll(policy)
    assert table["problem_id"].tolist() == [row["problem_id"] for row in ROWS for _ in range(3)]
    assert table["sample"].tolist() == [0, 1, 2] * 5
    assert table["n_tokens"].tolist() == [len(ids) for ids in table["completion_ids"]]
    assert set(map(type, table["completion_ids"].iloc[0])) == {int}


def test_logprob_is_the_sum_over_a_full_forward(policy):
    for row in roll(policy, temperature=0.7).itertuples():
        ids = torch.tensor([row.prompt_ids + row.completion_ids])
        with torch.no_grad():
            logprobs = policy.model(ids).logits[0, len(row.prompt_ids) - 1:-1].log_softmax(-1)
        total = logprobs.gather(1, torch.tensor(row.completion_ids)[:, None]).sum().item()
        assert row.logprob == pytest.approx(total, abs=1e-4 * row.n_tokens)


def test_rewards_are_the_verifiers(policy):
    for row, source in zip(roll(policy).itertuples(), [row for row in ROWS for _ in range(3)], strict=True):
        verdict = score(row.completion, source["prompt"], source["wording"])
        assert (row.reward, row.strict, row.format) == (verdict.reward, verdict.strict, verdict.format)
        assert pd.isna(row.first_error) if verdict.first_error is None else row.first_error == verdict.first_error


def test_the_ids_of_a_right_completion_are_rewarded(policy):
    for row in sft_rows(10):
        text, verdict = judge(policy, encode_completion(policy.tokenizer, row["completion"]), row, format_reward=0.05)
        assert text == row["completion"]
        assert verdict.reward == 1.05 and verdict.strict and verdict.first_error is None
        assert [getattr(verdict, f"n_{name}") for name in ("reflection", "analysis", "subgoal")] == [
            row["n_reflection"], row["n_analysis"], row["n_subgoal"]]


def test_rollouts_of_a_problem_do_not_depend_on_the_others(policy):
    whole, part = roll(policy), roll(policy, ROWS[3:4])
    mine = whole[whole["problem_id"] == ROWS[3]["problem_id"]]
    assert mine["completion_ids"].tolist() == part["completion_ids"].tolist()


def test_seed_and_purpose_name_the_noise(policy):
    table = roll(policy)
    assert roll(policy).equals(table)
    for change in (dict(seed=1), dict(purpose="evaluation")):
        assert roll(policy, **change)["completion_ids"].tolist() != table["completion_ids"].tolist()


def test_a_table_survives_the_disk(policy, tmp_path):
    table = roll(policy)
    save_rollouts(table, tmp_path / "rollouts.parquet")
    assert load_rollouts(tmp_path / "rollouts.parquet").equals(table)


def test_a_killed_run_completes_its_table_with_the_same_bytes(policy, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_ROWS", 6)
    whole = roll(policy, out=tmp_path / "whole.parquet")
    asked, draw = [], module.sample

    def sample_and_count(model, prompts, k, **settings):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(prompts))
        return draw(model, prompts, k, **settings)

    monkeypatch.setattr(module, "sample", sample_and_count)
    with pytest.raises(KeyboardInterrupt):
        roll(policy, out=tmp_path / "killed.parquet")
    assert asked == [2, 2] and not (tmp_path / "killed.parquet").exists()
    asked.clear()
    assert roll(policy, out=tmp_path / "killed.parquet").equals(whole)
    assert asked == [1]  # the two finished chunks are not sampled again
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not (tmp_path / "killed.parquet.partial").exists()


def test_a_finished_table_is_not_sampled_again_but_another_one_is(policy, tmp_path, monkeypatch):
    path = tmp_path / "rollouts.parquet"
    first = roll(policy, out=path)
    with monkeypatch.context() as patched:
        patched.setattr(module, "sample", None)
        assert roll(policy, out=path).equals(first)
    assert len(roll(policy, k=2, out=path)) == 10
    assert len(pq.read_table(path)) == 10


def test_chunks_of_another_run_are_not_used(policy, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_ROWS", 6)
    work = tmp_path / "rollouts.parquet.partial"
    work.mkdir()
    (work / "identity").write_bytes(b"another")
    (work / "chunk-00000.parquet").write_bytes(b"not parquet")
    assert roll(policy, out=tmp_path / "rollouts.parquet").equals(roll(policy))


@pytest.mark.parametrize(("rows", "message"), [
    ([], "rows is empty"),
    ([{**ROWS[0], "prompt": 3}], "row 0: column 'prompt' is 3"),
    ([ROWS[0], ROWS[0]], "row 1: problem_id .* was used before"),
    ([{**ROWS[0], "problem_id": "far", "prompt": "1 " * 600}], "row far: 600 tokens, more than the context"),
])
def test_bad_rows_are_named_before_sampling(policy, tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        roll(policy, rows, out=tmp_path / "rollouts.parquet")
    assert not list(tmp_path.iterdir())


def test_bad_numbers_and_bad_files_are_named(policy, tmp_path):
    with pytest.raises(ValueError, match="k is 0"):
        roll(policy, k=0)
    with pytest.raises(ValueError, match="do not exist"):
        load_rollouts(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("x")
    with pytest.raises(ValueError, match="no parquet"):
        load_rollouts(tmp_path / "text.parquet")
    pd.DataFrame({"reward": np.ones(2)}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="lack the columns problem_id"):
        load_rollouts(tmp_path / "other.parquet")
