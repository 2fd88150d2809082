import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from training_cases import Killed, killed_in, save_compact_policy, sft_rows

from bi.recipes import PROFILES, SFTRecipe
from bi.training import checkpoints
from bi.training.policy import encode_completion, encode_prompt, load_policy
from bi.training.sampler import sample
from bi.training.sft import IGNORED, build_sft_trainer, encode_rows, micro_batches, sft_config, train_sft
from bi.training.tiny import save_policy, tiny_policy

NUMBERS = [str(n) for n in range(23)]
WORDS = [*NUMBERS, *[f"D{n}" for n in range(12)], *[f"V{n}" for n in range(12)], *"+ * = . ? ! :".split()]
RECIPE = SFTRecipe(epochs=3, batch_size=4, learning_rate=1e-2, max_length=64, micro_batch_size=2, save_every=2)


def make_rows(count):
    return [{"id": f"r{i}", "prompt": f"D{i % 12} {i % 23} + {i * 5 % 23} . ? D{i % 12} :",
             "completion": f"D{i % 12} {i % 23} + {i * 5 % 23} = V{i % 12} {i * 6 % 23} . ! {i * 6 % 23}"}
            for i in range(count)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_policy(tiny_policy(WORDS, hidden_size=32), str(tmp_path_factory.mktemp("base") / "tiny"))


@pytest.fixture(scope="module")
def uninterrupted(base, tmp_path_factory):
    return train_sft(base, make_rows(9), RECIPE, 0, tmp_path_factory.mktemp("sft") / "run", progress=False)


def same_run(one, other):
    assert (one / "history.csv").read_bytes() == (other / "history.csv").read_bytes()
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in other.iterdir())


def test_four_rows_are_learnt_by_heart(base, tmp_path):
    rows = make_rows(4)
    recipe = SFTRecipe(epochs=50, batch_size=4, learning_rate=2e-2, max_length=64, micro_batch_size=4, save_every=1000)
    policy = load_policy(train_sft(base, rows, recipe, 0, tmp_path / "run", progress=False), device="cpu")
    prompts = [encode_prompt(policy.tokenizer, row["prompt"]) for row in rows]
    said = sample(policy.model, prompts, 1, max_new_tokens=30, temperature=0, eos_id=policy.eos_ids,
                  pad_id=policy.pad_id)
    assert said.ids == [encode_completion(policy.tokenizer, row["completion"]) for row in rows]


def test_real_problems_lower_their_loss(tmp_path):
    base, rows = save_compact_policy(tmp_path / "base"), sft_rows(12)
    recipe = SFTRecipe(epochs=12, batch_size=6, learning_rate=1e-2, max_length=512, micro_batch_size=6, save_every=1000)
    losses = pd.read_csv(train_sft(base, rows, recipe, 0, tmp_path / "run", progress=False) / "history.csv")["loss"]
    assert losses.iloc[-1] < 0.6 * losses.iloc[0]


def test_the_loss_sees_the_completion_and_its_eos_only(base):
    policy = load_policy(base, device="cpu")
    row, = encode_rows(policy.tokenizer, make_rows(1))
    prompt = encode_prompt(policy.tokenizer, make_rows(1)[0]["prompt"])
    assert row["input_ids"][:len(prompt)] == prompt
    assert row["labels"] == [IGNORED] * len(prompt) + row["input_ids"][len(prompt):]
    assert row["labels"][-1] == policy.tokenizer.eos_token_id


def test_the_trainers_gradient_is_that_of_the_completions_mean_log_likelihood(base, tmp_path):
    policy = load_policy(base, device="cpu")
    args = sft_config(RECIPE, tmp_path, seed=0)
    trainer = build_sft_trainer(policy, make_rows(3), args)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(3)])
    trainer.compute_loss(policy.model.train(), dict(batch)).backward()
    got = [p.grad.clone() for p in policy.model.parameters()]
    policy.model.zero_grad()
    total, tokens = 0.0, 0
    for row in encode_rows(policy.tokenizer, make_rows(3)):
        n_prompt = row["labels"].count(IGNORED)
        ids = torch.tensor([row["input_ids"]])
        logprobs = policy.model(ids).logits[0, n_prompt - 1:-1].log_softmax(-1)
        total = total - logprobs.gather(1, ids[0, n_prompt:, None]).sum()
        tokens += ids.shape[1] - n_prompt
    (total / tokens).backward()
    for mine, parameter in zip(got, policy.model.parameters(), strict=True):
        assert torch.allclose(mine, parameter.grad, atol=1e-6)


def test_a_finished_run_holds_model_history_and_what_it_was(base, uninterrupted):
    history = pd.read_csv(uninterrupted / "history.csv")
    assert history["step"].tolist() == list(range(1, 10))  # 9 rows in batches of 4: three updates an epoch
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert list(history) == ["step", "epoch", "loss", "token_accuracy", "entropy", "grad_norm", "lr"]
    assert (history["lr"] == RECIPE.learning_rate).all()
    assert json.loads((uninterrupted / "complete.json").read_text())["stage"] == "sft"
    assert not uninterrupted.with_name("run.partial").exists()
    config, old = (json.loads((Path(p) / "config.json").read_text()) for p in (uninterrupted, base))
    assert config == old


def test_the_same_call_again_does_nothing_and_another_run_is_refused(base, uninterrupted):
    before = (uninterrupted / "model.safetensors").stat().st_mtime_ns
    assert train_sft(base, make_rows(9), RECIPE, 0, uninterrupted, progress=False) == uninterrupted
    assert (uninterrupted / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="another seed; remove it"):
        train_sft(base, make_rows(9), RECIPE, 1, uninterrupted, progress=False)
    with pytest.raises(ValueError, match="another rows"):
        train_sft(base, make_rows(8), RECIPE, 0, uninterrupted, progress=False)


def test_the_same_seed_gives_the_same_bits(base, uninterrupted, tmp_path):
    same_run(uninterrupted, train_sft(base, make_rows(9), RECIPE, 0, tmp_path / "again", progress=False))
    other = train_sft(base, make_rows(9), RECIPE, 1, tmp_path / "other", progress=False)
    assert (other / "model.safetensors").read_bytes() != (uninterrupted / "model.safetensors").read_bytes()


@pytest.mark.parametrize("step", [1, 4, 7])
def test_a_run_killed_at_a_checkpoint_continues_with_the_same_bits(base, uninterrupted, tmp_path, step):
    """Killed while step ``step`` is being logged: before, at and between checkpoints, and in a later epoch."""
    with killed_in(step):
        train_sft(base, make_rows(9), RECIPE, 0, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    assert [p.name for p in checkpoints.checkpoints(tmp_path / "run.partial")] == (
        [f"checkpoint-{(step - 1) // 2 * 2}"] if step > 2 else [])
    same_run(uninterrupted, train_sft(base, make_rows(9), RECIPE, 0, tmp_path / "run", progress=False))


def test_a_half_written_checkpoint_does_not_count(base, uninterrupted, tmp_path, monkeypatch):
    def die(self, output_dir):
        raise Killed

    monkeypatch.setattr(checkpoints.RunCallbacks, "_save_rng_state", die, raising=False)
    with pytest.raises(Killed):
        train_sft(base, make_rows(9), RECIPE, 0, tmp_path / "run", progress=False)
    monkeypatch.undo()
    half = tmp_path / "run.partial" / "checkpoint-2"
    assert (half / "model.safetensors").exists() and checkpoints.last_complete(half.parent) is None
    assert not half.exists()
    same_run(uninterrupted, train_sft(base, make_rows(9), RECIPE, 0, tmp_path / "run", progress=False))


def test_work_left_by_a_different_run_is_not_continued(base, uninterrupted, tmp_path):
    work = tmp_path / "run.partial"
    (work / "checkpoint-4").mkdir(parents=True)
    (work / "checkpoint-4" / checkpoints.MARKER).write_text("4\n")
    (work / "identity.json").write_text(json.dumps({"stage": "sft", "seed": 99}))
    same_run(uninterrupted, train_sft(base, make_rows(9), RECIPE, 0, tmp_path / "run", progress=False))


@pytest.mark.slow
def test_kill_9_and_resume_gives_the_same_bits(base, tmp_path):
    rows = make_rows(60)
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    code = ("import json, sys; from bi.recipes import SFTRecipe; from bi.training.sft import train_sft; "
            f"train_sft({base!r}, json.load(open({str(tmp_path / 'rows.json')!r})), "
            "SFTRecipe(epochs=6, batch_size=4, learning_rate=1e-2, max_length=64, micro_batch_size=2, save_every=7), "
            "3, sys.argv[1])")
    command = [sys.executable, "-c", code]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    for _ in range(3):
        process = subprocess.Popen([*command, str(tmp_path / "killed")])
        work, seen = tmp_path / "killed.partial", set()
        while process.poll() is None:
            found = {p.name for p in work.glob("checkpoint-*")}
            if seen and found - seen:
                os.kill(process.pid, signal.SIGKILL)
                break
            seen = seen or found
            time.sleep(0.01)
        process.wait()
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    same_run(tmp_path / "whole", tmp_path / "killed")


def test_a_loss_that_is_not_finite_stops_the_run(base, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(base, broken)
    policy = load_policy(broken, device="cpu")
    policy.model.lm_head.weight.data[0, 0] = float("nan")
    save_policy(policy, str(broken))
    with pytest.raises(FloatingPointError, match="loss is nan at step 0.*lower learning_rate"):
        train_sft(broken, make_rows(4), RECIPE, 0, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_said_clearly_and_keeps_the_complete_checkpoint(base, uninterrupted, tmp_path, monkeypatch):
    def fail_at_step_4(self, output_dir):
        if self.state.global_step == 4:
            raise RuntimeError("PytorchStreamWriter failed: No space left on device")
        super(checkpoints.RunCallbacks, self)._save_rng_state(output_dir)

    monkeypatch.setattr(checkpoints.RunCallbacks, "_save_rng_state", fail_at_step_4, raising=False)
    with pytest.raises(OSError, match="no space left on the device.*continues from checkpoint-2") as caught:
        train_sft(base, make_rows(9), RECIPE, 0, tmp_path / "run", progress=False)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert [p.name for p in checkpoints.checkpoints(tmp_path / "run.partial")] == ["checkpoint-2"]
    same_run(uninterrupted, train_sft(base, make_rows(9), RECIPE, 0, tmp_path / "run", progress=False))


@pytest.mark.parametrize(("error", "full"), [
    (OSError(errno.ENOSPC, "x"), True), (OSError(errno.EDQUOT, "x"), True), (OSError(errno.EACCES, "x"), False),
    (RuntimeError("I/O error: No space left on device (os error 28)"), True), (RuntimeError("shapes differ"), False)])
def test_a_full_disk_is_told_from_other_errors(tmp_path, error, full):
    message = "no space left on the device while writing" if full else str(error)[-5:]
    with pytest.raises(OSError if full else type(error), match=message), checkpoints.clear_disk_errors(tmp_path):
        raise error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("write", [
    lambda handle: torch.save(torch.zeros(300_000), handle),
    lambda handle: handle.write(b"x" * 100_000),
    lambda handle: pq.write_table(pa.table({"x": np.arange(300_000)}), handle),
], ids=["torch", "text", "parquet"])
def test_what_libraries_say_of_a_full_disk_is_understood(tmp_path, write):
    """Through a handle: given the path, pyarrow would remove the device after its failure."""
    with pytest.raises(OSError, match="no space left on the device while writing"), \
            checkpoints.clear_disk_errors(tmp_path), open("/dev/full", "wb") as handle:
        write(handle)


def test_too_little_space_is_noticed_before_training(base, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(OSError, match="space"):
        train_sft(base, make_rows(4), RECIPE, 0, tmp_path / "run", progress=False)
    assert not list((tmp_path / "run.partial").glob("checkpoint-*"))


@pytest.mark.parametrize(("rows", "message"), [
    ([], "rows is empty"),
    ([{"id": "a", "prompt": "D1 1 :", "completion": ""}], "row a: column 'completion' is ''"),
    ([{"prompt": None, "completion": "! 1"}], "row 0: column 'prompt' is None"),
    ([{"id": "long", "prompt": "1 " * 60, "completion": "! 1 2 3 4"}], "row long: 66 tokens, more than the max_length"),
    ([{"id": "far", "prompt": "1 " * 260, "completion": "! 1"}], "row far: 263 tokens, more than the context"),
])
def test_bad_rows_are_named(base, tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        train_sft(base, rows, RECIPE, 0, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("sizes", "expected"), [
    ((128, 8, 1), (8, 16)), ((128, 8, 2), (8, 8)), ((20, 8, 1), (5, 4)), ((6, 8, 1), (6, 1)), ((7, 4, 1), (1, 7))])
def test_micro_batches_make_up_the_batch(sizes, expected):
    assert micro_batches(*sizes) == expected
    assert expected[0] * expected[1] * sizes[2] == sizes[0]


def test_a_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(ValueError, match="multiple of the processes"):
        micro_batches(5, 1, 2)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_builds_its_config(name, tmp_path):
    recipe = PROFILES[name].sft
    args = sft_config(recipe, tmp_path, seed=3, device="cpu")
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == recipe.batch_size
    assert (args.learning_rate, args.num_train_epochs, args.max_length) == (recipe.learning_rate, recipe.epochs,
                                                                            recipe.max_length)
    assert (args.adam_beta1, args.adam_beta2, args.weight_decay) == (*recipe.betas, recipe.weight_decay)
    assert args.lr_scheduler_type == recipe.scheduler and args.warmup_steps == 0 and args.seed == 3
    assert not args.bf16 and args.use_cpu
