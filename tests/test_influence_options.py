"""Every option is its equation: subsets of parameters, length factors, the KL term, number formats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from influence_cases import make_model, make_rollouts
from test_influence_enumeration import COMPLETIONS, enumerated, transformer

from bi.influence.advantages import Weighting
from bi.influence.gradients import group_gradients, rollout_gradients
from bi.influence.kernel import cosine_gram
from bi.influence.likelihood import completion_logprobs, token_logprobs
from bi.influence.per_step import accuracy_matrix
from bi.influence.subsets import model_of, named_subset, parameter_count

# parameters

def test_the_last_blocks_are_named_by_their_number() -> None:
    model = make_model()
    names = [name for name, _ in named_subset(model, "last:1")]
    assert names and all(name.startswith("model.layers.1.") for name in names)
    assert parameter_count(model, "last:2") == parameter_count(model, r"model\.layers\.")
    assert [n for n, _ in named_subset(make_model("gpt2"), "last:1")][0].startswith("transformer.h.1.")
    with pytest.raises(ValueError, match="asks for 3 blocks, the model has 2"):
        named_subset(model, "last:3")
    with pytest.raises(ValueError, match="is no regular expression"):
        named_subset(model, "layers(")


class LoRA(torch.nn.Module):
    """A linear layer with a low-rank addition, its matrices named as in the library peft."""

    def __init__(self, base: torch.nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.base_layer = base
        weight = base.weight
        self.lora_A = torch.nn.ParameterDict({"default": torch.nn.Parameter(torch.randn(rank, base.in_features,
                                                                                        dtype=weight.dtype))})
        self.lora_B = torch.nn.ParameterDict({"default": torch.nn.Parameter(torch.randn(base.out_features, rank,
                                                                                        dtype=weight.dtype))})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base_layer(x) + x @ self.lora_A["default"].T @ self.lora_B["default"].T


class Wrapper(torch.nn.Module):
    """As an adapter library wraps a model."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def get_base_model(self) -> torch.nn.Module:
        return self.inner


def test_the_adapters_of_lora_are_a_subset_inside_their_wrapper() -> None:
    model, rollouts = make_model(), make_rollouts(prompts=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for block in model.model.layers:
            block.self_attn.q_proj = LoRA(block.self_attn.q_proj)
    assert model_of(Wrapper(model)) is model
    adapters = group_gradients(Wrapper(model), rollouts, parameters="lora")
    assert adapters.parts.shape[2] == parameter_count(model, "lora") == 2 * (2 * 16 + 16 * 2)
    everything, places, start = group_gradients(model, rollouts).full(), [], 0
    for name, p in model.named_parameters():
        places += list(range(start, start + p.numel())) if "lora_" in name else []
        start += p.numel()
    assert np.abs(adapters.full() - everything[:, places]).max() < 1e-12 * np.abs(everything).max()


# length factors

def test_a_constant_length_factor_divides_by_it() -> None:
    model, rollouts = make_model(), make_rollouts()
    plain = group_gradients(model, rollouts).full()
    divided = group_gradients(model, rollouts, weighting=Weighting(length_norm="constant", length_constant=40)).full()
    assert 40 * divided == pytest.approx(plain)
    for bad in ({"length_norm": "constant"}, {"length_constant": 4.0},
                {"length_norm": "constant", "length_constant": 0.0}):
        with pytest.raises(ValueError, match="length_constant"):
            Weighting(**bad)


# the KL term

def flat(model: torch.nn.Module, value: torch.Tensor) -> np.ndarray:
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(model.parameters()))]).numpy()


def reference_policy() -> torch.nn.Module:
    other = transformer()
    with torch.random.fork_rng():
        torch.manual_seed(5)
        for parameter in other.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    return other


def exact_penalty_gradient(model: torch.nn.Module, other: torch.nn.Module, estimator: str) -> np.ndarray:
    """Gradient of sum over visited states s of KL(pi_ref || pi)(s) for k3, of KL(pi || pi_ref)(s) for k2.

    States are visited as pi visits them, held fixed; the sum runs over every next token of every state.
    """
    total = torch.zeros((), dtype=torch.float64)
    for length in range(3):
        for state in {tuple(completion[:length]) for completion in COMPLETIONS}:
            following = [[*state, token] for token in range(4)]
            ours = token_logprobs(model, [0], following)
            theirs = token_logprobs(other, [0], following)[:, -1].detach()
            visited = ours[0, :-1].sum().exp().detach()
            p = ours[:, -1]
            divergence = theirs.exp() @ (theirs - p) if estimator == "k3" else p.exp() @ (p - theirs)
            total = total + visited * divergence
    return flat(model, total)


@pytest.mark.parametrize("estimator", ["k3", "k2"])
def test_the_kl_term_lowers_the_divergence_that_its_docstring_names(estimator: str) -> None:
    model, other = transformer(), reference_policy()
    rollouts = enumerated(model).query("problem_id == '0'")
    with_kl, without = (group_gradients(model, rollouts, reference=other, weighting=Weighting(
        scheme="dr_grpo", kl=beta, kl_estimator=estimator)).full()[0] for beta in (0.3, 0.0))
    exact = -0.3 * exact_penalty_gradient(model, other, estimator)
    assert np.abs(with_kl - without - exact).max() < 1e-10 * np.abs(exact).max()


@pytest.mark.parametrize(("length_norm", "split"), [("none", "halves"), ("sequence", "none"), ("token", "halves")])
def test_the_kl_term_is_the_derivative_of_the_penalty_that_trainers_add(length_norm: str, split: str) -> None:
    model, rollouts = make_model(), make_rollouts(prompts=3)
    other = make_model()
    for parameter in other.parameters():
        parameter.data *= 1.05
    weighting = Weighting(kl=0.2, length_norm=length_norm)
    plain = group_gradients(model, rollouts, weighting=Weighting(length_norm=length_norm)).full()
    result = group_gradients(model, rollouts, weighting=weighting, reference=other, split=split)
    model.eval()
    other.eval()
    for row, (_, group) in enumerate(rollouts.groupby("problem_id", sort=False)):
        prompt, completions = group["prompt_ids"].iloc[0], list(group["completion_ids"])
        lengths = torch.tensor([len(c) for c in completions]).double()
        gap = (token_logprobs(other, prompt, completions) - token_logprobs(model, prompt, completions))
        factor = {"none": torch.ones(6), "sequence": 1 / lengths, "token": 1 / lengths.mean().expand(6)}
        penalty = ((gap.exp() - gap - 1).sum(1) * factor[length_norm]).mean()
        expected = plain[row] - 0.2 * flat(model, penalty)
        assert np.abs(result.full()[row] - expected).max() < 1e-10 * np.abs(expected).max()
    assert np.abs(result.full()[result.ids.index("q2")]).max() > 0  # one outcome only: the KL term alone
    assert "kl 0.2 (k3)" in result.describe() and "KL term alone" in result.describe()


def test_a_kl_term_without_its_reference_or_in_accuracy_units_is_refused() -> None:
    model, rollouts = make_model(), make_rollouts()
    with pytest.raises(ValueError, match="needs the reference policy"):
        group_gradients(model, rollouts, weighting=Weighting(kl=0.1))
    with pytest.raises(ValueError, match="not split by outcome"):
        group_gradients(model, rollouts, weighting=Weighting(kl=0.1), reference=model, split="outcomes")
    gradients = group_gradients(model, rollouts, weighting=Weighting(kl=0.1), reference=model, split="halves")
    with pytest.raises(ValueError, match="accuracy units"):
        gradients.accuracy_gradients()
    with pytest.raises(ValueError, match="accuracy units"):
        accuracy_matrix(gradients, gradients, 0.1)


# number formats

def test_bfloat16_passes_keep_the_direction() -> None:
    model, rollouts = make_model(dtype=torch.float32), make_rollouts()
    exact = group_gradients(model, rollouts).full()
    fast = group_gradients(model, rollouts, autocast=torch.bfloat16).full()
    told = [i for i, row in enumerate(exact) if row.any()]
    assert fast.dtype == np.float32
    assert np.diagonal(cosine_gram(exact[told], fast[told])).min() > 0.998
    assert not np.array_equal(exact, fast)


def test_what_half_precision_keeps_of_the_parameters_ends_with_the_call() -> None:
    """Parameters are cast once a call; the next call, after a step or an error, sees them as they are."""
    model, other, rollouts = make_model(dtype=torch.float32), make_model(dtype=torch.float32), make_rollouts()

    def gradients(model: torch.nn.Module) -> np.ndarray:
        return group_gradients(model, rollouts, autocast=torch.bfloat16).full()

    before = gradients(model)
    with torch.no_grad():
        for each in (model, other):
            for parameter in each.parameters():
                parameter.mul_(1.5)
    after = gradients(model)
    assert np.array_equal(after, gradients(other)) and not np.allclose(after, before, rtol=0.1)
    with torch.no_grad():
        model.lm_head.weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        gradients(model)
    model.load_state_dict(other.state_dict())
    assert np.array_equal(gradients(model), after)


def test_memory_does_not_grow_with_the_number_of_rollouts() -> None:
    """No more than a micro-batch of rollouts is ever inside the model."""
    model, rollouts = make_model(dtype=torch.float32), make_rollouts(prompts=1, count=40)
    tokens: list[int] = []
    model.get_input_embeddings().register_forward_hook(lambda _, inputs, output: tokens.append(inputs[0].numel()))
    group_gradients(model, rollouts, micro_batch_size=4)
    assert len(tokens) > 10 and max(tokens) <= 4 * max(map(len, rollouts["completion_ids"]))
    assert rollout_gradients(model, rollouts.iloc[:3]).shape == (3, parameter_count(model))
    assert completion_logprobs(model, [1], [[2, 3]]).shape == (1,)
