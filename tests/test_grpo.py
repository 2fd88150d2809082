import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from training_cases import compact_policy, killed_in, prompt_rows, save_compact_policy

from bi.recipes import PROFILES, GRPORecipe
from bi.training import checkpoints, grpo_trainer
from bi.training.grpo import build_grpo_trainer, check_prompts, grpo_config, prompt_order, train_grpo
from bi.training.grpo_trainer import sample_kl
from bi.training.policy import load_policy
from bi.training.reward import Score
from bi.training.shared_prompt import can_share, shared_logprobs
from bi.training.tiny import save_policy

ROWS = prompt_rows(7)
RECIPE = GRPORecipe(prompts=3, rollouts=4, steps=5, learning_rate=1e-2, epsilon=1.0, beta=0.0, max_prompt_length=200,
                    max_completion_length=12, micro_batch_size=4, save_every=2)


def judge_by_first_token(policy, ids, row, format_reward=0.0):
    """Stands for the verifier where a random policy must be right now and then: right if the first id is even."""
    right = ids[0] % 2 == 0
    return "", Score(answer=right, format=True, strict=right, first_error=None if right else "answer",
                     error_operations=0, n_reflection=len(ids), n_analysis=1, n_subgoal=2,
                     reward=float(right) + format_reward)


@pytest.fixture(autouse=True)
def even_is_right(monkeypatch):
    monkeypatch.setattr(grpo_trainer, "judge", judge_by_first_token)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_compact_policy(tmp_path_factory.mktemp("base") / "tiny", initializer_range=0.2)


@pytest.fixture(scope="module")
def uninterrupted(base, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo_trainer, "judge", judge_by_first_token)
        return train_grpo(base, ROWS, RECIPE, 0, tmp_path_factory.mktemp("grpo") / "run", progress=False)


def same_run(one, other):
    for name in ("history.csv", "rollout_accuracy.csv", "model.safetensors", "complete.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def one_step(base, folder, monkeypatch=None, *, prepare=None, rows=ROWS, **changes):
    """One update by plain gradient descent at rate 1 through TRL's loop.

    Returns the policy before it, the gradient (weights before minus weights after), the rollouts by the trainer's
    sampler, and the trainer.
    """
    recipe = dataclasses.replace(RECIPE, steps=1, learning_rate=1.0, max_grad_norm=1e9, **changes)
    policy = load_policy(base, device="cpu")
    args = grpo_config(recipe, folder, seed=0)
    args.optim = "sgd"
    plain = [{name: row[name] for name in ("problem_id", "prompt", "wording")} for row in rows]
    trainer = build_grpo_trainer(policy, plain, check_prompts(policy, plain, recipe), recipe, args)
    if prepare:
        prepare(trainer)
    drawn, draw = [], trainer.draw

    def draw_and_keep(prompts):
        drawn.append(draw(prompts))
        return drawn[-1]

    trainer.draw = draw_and_keep
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    trainer.train()
    gradient = {name: before[name] - weight for name, weight in policy.model.state_dict().items()}
    return load_policy(base, device="cpu"), gradient, drawn[0], trainer


def logprob(model, prompt, ids):
    logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1:-1]
    return logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None]).sum()


def advantages_by_hand(completions, group):
    rewards = np.array([ids[0] % 2 == 0 for ids in completions], dtype=float).reshape(-1, group)
    return ((rewards - rewards.mean(1, keepdims=True)) / (rewards.std(1, ddof=1, keepdims=True) + 1e-4)).ravel()


def gradient_by_hand(policy, drawn, weights):
    """-(1/B) sum_i weight_i A_i grad log pi(o_i|q_i), one rollout at a time."""
    advantages = advantages_by_hand(drawn["completion_ids"], RECIPE.rollouts)
    assert 0 < (advantages != 0).sum() < len(advantages) or (advantages != 0).any()
    total = sum(-float(a * w) * logprob(policy.model, prompt, ids) for a, w, prompt, ids in
                zip(advantages, weights, drawn["prompt_ids"], drawn["completion_ids"], strict=True))
    (total / len(advantages)).backward()
    return {name: parameter.grad for name, parameter in policy.model.named_parameters()}


def assert_equal_gradients(one, other, tolerance=2e-6):
    largest = max(gradient.abs().max() for gradient in other.values())
    assert largest > 1e-3
    for name, gradient in other.items():
        assert (one[name] - gradient).abs().max() < tolerance * max(1, largest), name


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo"])
def test_an_update_is_the_sum_over_prompts_of_the_group_gradients(base, tmp_path, loss_type):
    """The gradient identity: TRL's update is the advantage-weighted grad log pi, with 1/|o| ("grpo") or 1/L."""
    policy, gradient, drawn, _ = one_step(base, tmp_path, loss_type=loss_type)
    lengths = np.array([len(ids) for ids in drawn["completion_ids"]])
    assert len(set(lengths)) > 1
    weights = 1 / lengths if loss_type == "grpo" else np.full(len(lengths), 1 / RECIPE.max_completion_length)
    assert_equal_gradients(gradient, gradient_by_hand(policy, drawn, weights))


@pytest.mark.parametrize("size", [2, 3, 12])
def test_micro_batches_make_the_same_update_as_one_batch(base, tmp_path, size):
    *_, drawn, _ = result = one_step(base, tmp_path / "a", micro_batch_size=4)
    other = one_step(base, tmp_path / "b", micro_batch_size=size)
    assert other[2] == drawn
    assert_equal_gradients(result[1], other[1], 1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_shared_prompts_and_skipped_gradients_make_the_update_of_stock_trl(base, tmp_path, beta):
    def stock(trainer):
        trainer.shares_prompts = False
        if beta:
            trainer.ref_model.lm_head.weight.data.mul_(1.1)

    def ours(trainer):
        assert trainer.shares_prompts
        if beta:
            trainer.ref_model.lm_head.weight.data.mul_(1.1)

    one = one_step(base, tmp_path / "a", prepare=ours, beta=beta)
    other = one_step(base, tmp_path / "b", prepare=stock, beta=beta)
    assert one[2] == other[2]
    assert_equal_gradients(one[1], other[1])
    mine, theirs = one[3].state.log_history[0], other[3].state.log_history[0]
    for key in ("entropy", "grad_norm", "reward", "frac_reward_zero_std", *(["kl"] if beta else [])):
        assert mine[key] == pytest.approx(theirs[key], abs=1e-5), key


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_shared_logprobs_are_those_of_separate_forwards(architecture):
    from trl.trainer.utils import add_fused_lm_head

    policy = compact_policy(architecture=architecture, initializer_range=0.3)
    assert can_share(policy.model)
    plain = compact_policy(architecture=architecture, initializer_range=0.3).model
    add_fused_lm_head(policy.model, temperature=0.7, outputs=("log_probs", "entropy"))
    rng = np.random.default_rng(0)
    prompts = [rng.integers(3, 90, size=n).tolist() for n in (5, 9, 1)]
    rows = [(prompts[at], rng.integers(3, 90, size=n).tolist()) for at, n in
            ((0, 4), (0, 7), (1, 1), (1, 3), (1, 7), (2, 2))]
    ids = torch.tensor([[0] * (9 - len(p)) + p + c + [0] * (7 - len(c)) for p, c in rows])
    mask = torch.tensor([[0] * (9 - len(p)) + [1] * len(p + c) + [0] * (7 - len(c)) for p, c in rows])
    logprobs, entropies = shared_logprobs(policy.model, ids, mask, 7)
    for row, (prompt, completion) in enumerate(rows):
        logits = plain(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1:-1] / 0.7
        expected = logits.log_softmax(-1).gather(1, torch.tensor(completion)[:, None])[:, 0]
        n = len(completion)
        assert torch.allclose(logprobs[row, :n], expected, atol=1e-5)
        assert torch.allclose(entropies[row, :n], torch.distributions.Categorical(logits=logits).entropy(), atol=1e-5)
        assert (logprobs[row, n:] == 0).all()


def test_samples_far_from_the_reference_leave_the_loss(base, tmp_path):
    """max_sample_kl between the samples' divergences: the update is that of the samples below it."""
    def shift_reference(trainer):
        trainer.ref_model.lm_head.weight.data.mul_(1.5)

    seen = {}

    def probe(trainer):
        shift_reference(trainer)
        generate = trainer._generate_and_score_completions

        def keep(inputs):
            seen.update(generate(inputs))
            return dict(seen)

        trainer._generate_and_score_completions = keep

    one_step(base, tmp_path / "a", prepare=probe, beta=1e-7, max_sample_kl=1e9)
    divergence = sample_kl(seen["sampling_per_token_logps"], seen["ref_per_token_logps"], seen["completion_mask"])
    limit = float(divergence.median())
    kept = (divergence <= limit).numpy()
    assert 0 < kept.sum() < len(kept)
    policy, gradient, drawn, trainer = one_step(base, tmp_path / "b", prepare=shift_reference, beta=1e-7,
                                                max_sample_kl=limit)
    lengths = np.array([len(ids) for ids in drawn["completion_ids"]])
    assert_equal_gradients(gradient, gradient_by_hand(policy, drawn, kept / lengths))
    assert trainer.state.log_history[0]["masked"] == pytest.approx(1 - kept.mean())


def test_sample_kl_estimates_the_divergence():
    """Its expectation under the policy is KL(policy || reference), by enumeration of a three-token vocabulary."""
    policy, reference = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    values = torch.stack([sample_kl(policy[t].log()[None, None], reference[t].log()[None, None], torch.ones(1, 1))[0]
                          for t in range(3)])
    assert (policy * values).sum() == pytest.approx(float((policy * (policy / reference).log()).sum()), abs=1e-6)
    pair = sample_kl(torch.zeros(1, 3), torch.tensor([[1.0, 1.0, 99.0]]), torch.tensor([[1, 1, 0]]))
    assert pair[0] == pytest.approx(np.e - 2, abs=1e-6)


def test_a_finished_run_records_every_step_and_prompt(base, uninterrupted):
    history = pd.read_csv(uninterrupted / "history.csv")
    counts = pd.read_csv(uninterrupted / "rollout_accuracy.csv")
    assert history["step"].tolist() == [1, 2, 3, 4, 5]
    assert list(counts) == ["step", "problem_id", "n", "correct"] and (counts["n"] == 4).all()
    by_step = counts.groupby("step")[["correct", "n"]].sum()
    assert (by_step["correct"] / by_step["n"]).tolist() == pytest.approx(history["rollout_accuracy"].tolist())
    assert history["reward"].tolist() == pytest.approx(history["rollout_accuracy"].tolist())
    informative = counts.groupby("step").apply(lambda step: ((step["correct"] % 4) == 0).mean())
    assert informative.tolist() == pytest.approx(history["frac_reward_zero_std"].tolist())
    assert history["n_reflection"].tolist() == pytest.approx(history["completion_length"].tolist())
    assert (history["sampler_gap"].dropna() < 1e-5).all() and history["sampler_gap"].notna().any()
    assert (history["lr"] == RECIPE.learning_rate).all() and history["kl"].isna().all()
    order = [ROWS[at]["problem_id"] for at in prompt_order(7, 3, 5, 0)]
    assert counts["problem_id"].tolist() == order
    assert list(pd.read_csv(uninterrupted / "timings.csv")) == ["step", "seconds", "generate_seconds"]
    config, old = (json.loads((Path(p) / "config.json").read_text()) for p in (uninterrupted, base))
    assert config == old
    assert not uninterrupted.with_name("run.partial").exists()


def test_the_policy_learns_what_is_rewarded(base, tmp_path):
    recipe = dataclasses.replace(RECIPE, steps=25, rollouts=8, micro_batch_size=24, max_completion_length=4,
                                 save_every=100)
    history = pd.read_csv(train_grpo(base, ROWS, recipe, 0, tmp_path / "run", progress=False) / "history.csv")
    assert history["reward"].iloc[-3:].mean() > history["reward"].iloc[:3].mean() + 0.3


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(base, uninterrupted, tmp_path):
    same_run(uninterrupted, train_grpo(base, ROWS, RECIPE, 0, tmp_path / "again", progress=False))
    other = train_grpo(base, ROWS, RECIPE, 1, tmp_path / "other", progress=False)
    assert (other / "model.safetensors").read_bytes() != (uninterrupted / "model.safetensors").read_bytes()


@pytest.mark.parametrize("step", [1, 4, 5])
def test_a_run_killed_in_a_step_continues_with_the_same_bits(base, uninterrupted, tmp_path, step):
    with killed_in(step):
        train_grpo(base, ROWS, RECIPE, 0, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    same_run(uninterrupted, train_grpo(base, ROWS, RECIPE, 0, tmp_path / "run", progress=False))


@pytest.mark.parametrize("step", [0, 3, 5])
def test_a_policy_kept_on_the_way_is_the_end_of_a_shorter_run(base, uninterrupted, tmp_path, step):
    """Kept policies change nothing, are those of runs that end there, and survive a kill (at ``step``; 0: none)."""
    if step:
        with killed_in(step):
            train_grpo(base, ROWS, RECIPE, 0, tmp_path / "run", keep_every=2, progress=False)
    run = train_grpo(base, ROWS, RECIPE, 0, tmp_path / "run", keep_every=2, progress=False)
    same_run(uninterrupted, run)
    kept = [checkpoints.kept_policy(run, n) for n in (2, 4)]
    assert sorted((run / checkpoints.KEPT).iterdir()) == kept
    for n, policy in zip((2, 4), kept, strict=True):
        shorter = train_grpo(base, ROWS, dataclasses.replace(RECIPE, steps=n), 0, tmp_path / f"to-{n}", progress=False)
        assert (shorter / "model.safetensors").read_bytes() == (policy / "model.safetensors").read_bytes()
        load_policy(policy)


KILLED_RUN = """
import sys
sys.path.insert(0, {tests!r})
from bi.training import grpo_trainer
from test_grpo import RECIPE, ROWS, judge_by_first_token
import dataclasses
grpo_trainer.judge = judge_by_first_token
from bi.training.grpo import train_grpo
train_grpo({base!r}, ROWS, dataclasses.replace(RECIPE, steps=40, save_every=3), 0, sys.argv[1], progress=False)
"""


@pytest.mark.slow
def test_kill_9_and_resume_gives_the_same_bits(base, tmp_path):
    command = [sys.executable, "-c", KILLED_RUN.format(tests=str(Path(__file__).parent), base=base)]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    for _ in range(2):
        process = subprocess.Popen([*command, str(tmp_path / "killed")])
        work, seen = tmp_path / "killed.partial", set()
        while process.poll() is None:
            found = {path.name for path in work.glob("checkpoint-*")}
            if seen and found - seen:
                os.kill(process.pid, signal.SIGKILL)
                break
            seen = seen or found
            time.sleep(0.01)
        assert process.wait() == -signal.SIGKILL
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    same_run(tmp_path / "whole", tmp_path / "killed")


TWO_PROCESSES = """
import dataclasses, sys
sys.path.insert(0, {tests!r})
from bi.recipes import SFTRecipe
from bi.training import grpo_trainer
from bi.training.grpo import train_grpo
from bi.training.sft import train_sft
from test_grpo import RECIPE, ROWS, judge_by_first_token
from training_cases import sft_rows
grpo_trainer.judge = judge_by_first_token
recipe = SFTRecipe(epochs=2, batch_size=4, learning_rate=1e-2, max_length=200, micro_batch_size=2, save_every=2)
sft = train_sft({base!r}, sft_rows(9), recipe, 0, sys.argv[1] + "/sft", progress=False)
train_grpo(sft, ROWS, dataclasses.replace(RECIPE, prompts=2, micro_batch_size=2), 0, sys.argv[1] + "/grpo")
"""


@pytest.mark.slow
def test_two_processes_train_one_model(base, tmp_path):
    """Every rollout is counted once, whichever process sampled it."""
    script = tmp_path / "run.py"
    script.write_text(TWO_PROCESSES.format(tests=str(Path(__file__).parent), base=base))
    subprocess.run([sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", str(script), str(tmp_path)],
                   check=True, timeout=300)
    history = pd.read_csv(tmp_path / "grpo" / "history.csv")
    counts = pd.read_csv(tmp_path / "grpo" / "rollout_accuracy.csv")
    assert len(counts) == 10 and (counts["n"] == 4).all()
    assert (counts.groupby("step")["correct"].sum() / 8).tolist() == pytest.approx(history["rollout_accuracy"].tolist())


def test_a_full_disk_keeps_the_complete_checkpoint(base, uninterrupted, tmp_path, monkeypatch):
    def fail_at_step_4(self, output_dir):
        if self.state.global_step == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        super(checkpoints.RunCallbacks, self)._save_rng_state(output_dir)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.RunCallbacks, "_save_rng_state", fail_at_step_4, raising=False)
        with pytest.raises(OSError, match="no space left on the device.*continues from checkpoint-2"):
            train_grpo(base, ROWS, RECIPE, 0, tmp_path / "run", progress=False)
    same_run(uninterrupted, train_grpo(base, ROWS, RECIPE, 0, tmp_path / "run", progress=False))


def test_weights_that_are_not_finite_stop_the_run(base, tmp_path):
    policy = load_policy(base, device="cpu")
    policy.model.lm_head.weight.data[5] = float("nan")
    with pytest.raises(FloatingPointError, match="not finite"):
        train_grpo(save_policy(policy, str(tmp_path / "broken")), ROWS, RECIPE, 0, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("changes", "rows", "message"), [
    (dict(prompts=8), ROWS, "7 rows do not fill a step of 8 prompts"),
    (dict(max_prompt_length=5), ROWS, r"row \w+: \d+ tokens, more than the max_prompt_length"),
    (dict(rollouts=1), ROWS, "rollouts is 1"),
    (dict(temperature=0.0), ROWS, "temperature is 0.0"),
    (dict(max_sample_kl=0.1), ROWS, "max_sample_kl is 0.1 but beta is 0"),
    (dict(), [{**ROWS[0], "prompt": ""}] * 3, "column 'prompt' is ''"),
])
def test_bad_recipes_and_rows_are_refused_before_training(base, tmp_path, changes, rows, message):
    with pytest.raises(ValueError, match=message):
        train_grpo(base, rows, dataclasses.replace(RECIPE, **changes), 0, tmp_path / "run", progress=False)
    assert not list(tmp_path.iterdir())


def test_every_pass_has_an_order_of_its_own_and_no_prompt_twice():
    order = prompt_order(7, 3, 5, 0)
    assert len(order) == 15
    first, second = order[:6], order[6:12]
    assert len(set(first)) == len(set(second)) == 6 and first != second
    assert prompt_order(7, 3, 3, 0) == order[:9] and prompt_order(7, 3, 5, 1) != order


@pytest.mark.parametrize(("profile", "model"), [(name, model.name) for name, profile in PROFILES.items()
                                                for model in profile.models])
def test_every_profile_builds_its_config_for_every_model(profile, model, tmp_path):
    recipe = PROFILES[profile].grpo_for(model)
    args = grpo_config(recipe, tmp_path, seed=2)
    batch = recipe.prompts * recipe.rollouts
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == batch == args.generation_batch_size
    assert args.steps_per_generation == args.gradient_accumulation_steps and args.num_iterations == 1
    for name in ("temperature", "epsilon", "beta", "loss_type", "scale_rewards", "max_grad_norm", "learning_rate",
                 "max_completion_length"):
        assert getattr(args, name) == getattr(recipe, name), name
    assert (args.max_steps, args.num_generations, args.save_steps) == (recipe.steps, recipe.rollouts, recipe.save_every)
    assert args.lr_scheduler_type == "constant" and args.warmup_steps == 0 and args.seed == 2


def test_the_papers_llama_recipe_is_complete():
    recipe = PROFILES["paper"].grpo_for("meta-llama/Llama-3.2-1B-Instruct")
    assert (recipe.format_reward, recipe.beta, recipe.max_grad_norm, recipe.max_sample_kl) == (0.05, 0.01, 0.2, 0.15)
