"""TRL's ``GRPOTrainer`` with the sampler of this package and nothing of its loss changed.

Seams, from the widest to the narrowest:

- ``rollout_func`` receives the prompts of a step and returns token ids with their log-probabilities: prompts are
  encoded where SFT encodes them and :mod:`bi.training.sampler` samples. (``_generate_single_turn`` is private, gets
  prompts that TRL has tokenised, and has no log-probabilities to give without vLLM.)
- ``_prepare_inputs`` keeps the rollouts of a prompt together where TRL shuffles them.
- ``_get_per_token_logps_and_entropies`` encodes the prompt of a group once. Rows whose advantage is 0 need no gradient
  when there is no KL term: what the sampler knows of them stands in for a forward pass.
- ``_generate_and_score_completions`` takes samples out of the loss whose KL to the reference is too large.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from bi.training.checkpoints import RunCallbacks
from bi.training.policy import Policy
from bi.training.rollouts import judge
from bi.training.sampler import row_keys, sample
from bi.training.shared_prompt import can_share, shared_logprobs

METRICS = ("strict", "format", "n_reflection", "n_analysis", "n_subgoal")


class Judge:
    """TRL's reward function: scores completions and keeps, for the step's record, who was right on which problem."""

    __name__ = "reward"

    def __init__(self, policy: Policy, format_reward: float) -> None:
        """``format_reward`` is added for an answer in the right format."""
        self.policy, self.format_reward = policy, format_reward
        self.outcomes: list[tuple[str, bool]] = []

    def __call__(self, prompts: list[str], completion_ids: list[list[int]], problem_id: list[str],
                 wording: list[str], log_metric: Any, **_: Any) -> list[float]:
        """The reward of each completion."""
        rows = [{"prompt": prompt, "wording": words} for prompt, words in zip(prompts, wording, strict=True)]
        scores = [judge(self.policy, ids, row, self.format_reward)[1]
                  for ids, row in zip(completion_ids, rows, strict=True)]
        right = [score.answer and score.format for score in scores]
        self.outcomes = list(zip(problem_id, right, strict=True))
        log_metric("rollout_accuracy", sum(right) / len(right))
        for name in METRICS:
            log_metric(name, sum(getattr(score, name) for score in scores) / len(scores))
        return [score.reward for score in scores]

    def counts(self) -> list[tuple[str, int, int]]:
        """``(problem_id, n, correct)`` of the last step over all processes, in the order of the prompts."""
        table: dict[str, list[bool]] = defaultdict(list)
        for problem, right in gather_object(self.outcomes):
            table[problem].append(right)
        return [(problem, len(rights), sum(rights)) for problem, rights in table.items()]


class RolloutGRPOTrainer(RunCallbacks, GRPOTrainer):
    """GRPO with this package's sampler, reward and records; see the module for the seams."""

    def __init__(self, policy: Policy, prompts: Mapping[str, list[int]], args: GRPOConfig, dataset: Dataset, *,
                 format_reward: float = 0.0, max_sample_kl: float | None = None) -> None:
        """``prompts`` maps prompt texts to token ids; ``dataset`` has one row per prompt and step."""
        self.policy, self.prompts, self.max_sample_kl = policy, prompts, max_sample_kl
        self.judge = Judge(policy, format_reward)
        self.entropies: list[list[float]] = []
        self.micro_batch: dict[str, Tensor] | None = None
        super().__init__(model=policy.model, reward_funcs=self.judge, args=args, train_dataset=dataset,
                         processing_class=policy.tokenizer, rollout_func=_roll)
        # A cache cannot be kept where activations are recomputed, and DDP wants one forward pass through its wrapper.
        self.shares_prompts = args.world_size == 1 and not args.gradient_checkpointing and can_share(policy.model)

    def draw(self, prompts: Sequence[str]) -> dict[str, list[Any]]:
        """Sample one completion for each of ``prompts`` (each stands there once per rollout)."""
        began, k = time.perf_counter(), int(self.num_generations)
        first = self.accelerator.process_index * len(prompts)
        places = range(first, first + len(prompts))
        keys = [row_keys((self.args.seed, "grpo", self.state.global_step), [prompt], 1, place % k)[0]
                for prompt, place in zip(prompts, places, strict=True)]
        whole = all(prompts[at] == prompts[at // k * k] for at in range(len(prompts))) and len(prompts) % k == 0
        k = k if whole else 1
        ids = [self.prompts[prompt] for prompt in prompts[::k]]
        on_gpu = self.accelerator.device.type == "cuda"
        drawn = sample(self.accelerator.unwrap_model(self.model), ids, k, max_new_tokens=self.max_completion_length,
                       temperature=self.temperature, eos_id=self.eos_token_ids, pad_id=self.policy.pad_id, keys=keys,
                       dtype=torch.bfloat16 if on_gpu else None)
        self.entropies = drawn.entropies
        self._metrics["train"]["generate_seconds"].append(time.perf_counter() - began)
        return {"prompt_ids": [self.prompts[prompt] for prompt in prompts], "completion_ids": drawn.ids,
                "logprobs": drawn.sampling_logprobs}

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Add the counts per problem to the step's record."""
        if "loss" in logs:
            logs["problems"] = self.judge.counts()
        super().log(logs, start_time)

    def progress_note(self, logs: Mapping[str, Any]) -> str:
        """Reward and length of the last step."""
        return f"reward {logs['reward']:.2f}, {logs['completions/mean_length']:.0f} tokens"

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """TRL's method without its shuffle: a micro-batch holds whole groups, and no global random state is used."""
        every = int(self.args.steps_per_generation)
        if self._step % every == 0 or self._buffered_inputs is None:
            self._buffered_inputs = split_tensor_dict(self._generate_and_score_completions(generation_batch), every)
        return self._buffered_inputs[self._step % every]

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Tensor]:
        """Rollouts with rewards and advantages; samples too far from the reference are taken out of the loss."""
        batch = super()._generate_and_score_completions(inputs)
        batch["sampling_entropies"] = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(row, device=batch["completion_mask"].device) for row in self.entropies], batch_first=True)
        if self.max_sample_kl is not None:
            divergence = sample_kl(batch["sampling_per_token_logps"], batch["ref_per_token_logps"],
                                   batch["completion_mask"])
            kept = divergence <= self.max_sample_kl
            batch["tool_mask"] = batch["completion_mask"] * kept[:, None].to(batch["completion_mask"].dtype)
            self._metrics["train"]["masked"].append(1 - kept.float().mean().item())
        return batch

    def _compute_loss(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        self.micro_batch = inputs
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self.micro_batch = None

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, batch_size: int | None = None,
        compute_entropy: bool = False, compute_aux_loss: bool = False, **media: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Log-probabilities and entropies of the completions, with each prompt encoded once where the model allows."""
        other = compute_aux_loss or any(value is not None for value in media.values())
        if other or not self.shares_prompts or input_ids.shape[1] - logits_to_keep < 2:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size=batch_size,
                compute_entropy=compute_entropy, compute_aux_loss=compute_aux_loss, **media)
        quiet = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        logps, entropies = torch.zeros((2, len(input_ids), logits_to_keep), device=input_ids.device)
        if self.micro_batch is not None and self.beta == 0:
            quiet = self.micro_batch["advantages"] == 0
            logps, entropies = self.micro_batch["sampling_per_token_logps"], self.micro_batch["sampling_entropies"]
        for rows in (~quiet).nonzero()[:, 0].split(batch_size or len(input_ids)):
            if not len(rows):
                continue
            with self.accelerator.autocast():
                found = shared_logprobs(model, input_ids[rows], attention_mask[rows], logits_to_keep)
            logps = logps.index_copy(0, rows, found[0].to(logps.dtype))
            entropies = entropies if found[1] is None else entropies.index_copy(0, rows, found[1].to(entropies.dtype))
        if self.micro_batch is not None:
            gaps = (logps.detach() - self.micro_batch["sampling_per_token_logps"])[~quiet].abs().sum()
            tokens = self.micro_batch["completion_mask"][~quiet].sum()
            self._metrics["train"]["sampler_gap"].append((gaps / tokens).item())
        if torch.is_grad_enabled() and not logps.requires_grad:  # all quiet: the backward pass must still run
            logps = logps + 0 * next(model.parameters()).flatten()[0]
        return logps, entropies if compute_entropy else None, None


def _roll(prompts: list[str], trainer: RolloutGRPOTrainer) -> dict[str, list[Any]]:
    """TRL's ``rollout_func``."""
    return trainer.draw(prompts)


def sample_kl(logps: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens of each sample of the low-variance estimate of KL(policy || reference), ``(B,)``.

    The estimate of a token is ``exp(d) - d - 1`` with ``d = log reference - log policy`` (Schulman's k3), the one that
    TRL's KL term uses.
    """
    gap = (reference - logps).masked_fill(mask == 0, 0.0)
    return (gap.exp() - gap - 1).sum(1) / mask.sum(1).clamp(min=1)
