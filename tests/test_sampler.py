import numpy as np
import pytest
import torch

from bi.training import decoder
from bi.training.decoder import GroupDecoder, why_unsupported
from bi.training.policy import prepare_model
from bi.training.sampler import _compaction, choose, noise, row_keys, sample
from bi.training.tiny import tiny_policy

WORDS = [f"w{i}" for i in range(37)]
PROMPTS = [[5, 9, 3, 7], [4, 4, 8, 30, 12, 11, 10, 6], [20], [21, 7, 9]]
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
MODELS = {
    "llama": dict(architecture="llama"),
    "llama tied": dict(architecture="llama", tie_word_embeddings=True),
    "llama with biases": dict(architecture="llama", attention_bias=True, mlp_bias=True),
    "llama all heads": dict(architecture="llama", num_key_value_heads=4, head_dim=8),
    "llama rope llama3": dict(architecture="llama", rope_parameters=LLAMA3),
    "llama rope linear": dict(architecture="llama", rope_parameters=LINEAR),
    "qwen2": dict(architecture="qwen2"),
    "gpt2 (generic)": dict(architecture="gpt2"),
    "llama rope dynamic (generic)": dict(architecture="llama", rope_parameters={
        "rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}),
}


@pytest.fixture(autouse=True)
def short_cache_blocks(monkeypatch):
    """Completions of 24 tokens then grow the cache as long ones do."""
    monkeypatch.setattr(decoder, "BLOCK", 8)


@pytest.fixture(params=MODELS)
def policy(request):
    made = tiny_policy(WORDS, **MODELS[request.param], initializer_range=0.3)
    assert (why_unsupported(made.model) is not None) == ("generic" in request.param)
    with torch.no_grad():  # norms and biases are 1 and 0 at the start: fill them, or a mistake with them would not show
        generator = torch.Generator().manual_seed(3)
        for parameter in made.model.parameters():
            if parameter.dim() == 1:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return made


def draw(policy, prompts=PROMPTS, k=3, **changes):
    settings = dict(max_new_tokens=24, temperature=0.8, eos_id=policy.eos_ids, pad_id=policy.pad_id)
    return sample(policy.model, prompts, k, **{**settings, **changes})


def reference_logprobs(policy, prompt, ids, temperature=1.0):
    with torch.no_grad():
        logits = policy.model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1:-1]
    return (logits / temperature).log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]


def test_greedy_equals_generate_token_by_token(policy):
    ours = draw(policy, k=2, temperature=0.0)
    for index, prompt in enumerate(PROMPTS):
        ids = torch.tensor([prompt])
        theirs = policy.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24,
                                       eos_token_id=list(policy.eos_ids), pad_token_id=policy.pad_id)
        assert ours.ids[2 * index] == ours.ids[2 * index + 1] == theirs[0, len(prompt):].tolist()


def test_logprobs_equal_a_full_forward(policy):
    ours = draw(policy)
    for row, ids in enumerate(ours.ids):
        prompt = PROMPTS[row // 3]
        assert np.abs(reference_logprobs(policy, prompt, ids).numpy() - ours.logprobs[row]).max() < 1e-4
        assert np.abs(reference_logprobs(policy, prompt, ids, 0.8).numpy() - ours.sampling_logprobs[row]).max() < 1e-4
        assert [len(part[row]) for part in (ours.logprobs, ours.entropies)] == [len(ids)] * 2


def test_rows_do_not_depend_on_their_batch(policy):
    together = draw(policy)
    keys = row_keys((0, "sample"), range(4), 3)
    for index in range(4):
        alone = draw(policy, [PROMPTS[index]], keys=keys[3 * index:3 * index + 3], batch_rows=1)
        assert alone.ids == together.ids[3 * index:3 * index + 3]


def test_the_same_call_gives_the_same_bits():
    policy = tiny_policy(WORDS)
    assert draw(policy) == draw(policy)
    assert draw(policy, seed=1).ids != draw(policy).ids


def test_rows_end_with_eos_or_at_the_limit():
    policy = tiny_policy(WORDS, initializer_range=0.02)
    ours = draw(policy, k=40, temperature=1.0)
    eos = policy.eos_ids[0]
    assert 0 < sum(ours.finished) < len(ours.ids)
    for ids, finished in zip(ours.ids, ours.finished, strict=True):
        assert eos not in ids[:-1] and (ids[-1] == eos) == finished
        assert finished or len(ids) == 24


def test_rows_stop_unfinished_at_the_end_of_the_context():
    policy = tiny_policy(WORDS, max_position_embeddings=12)
    ours = draw(policy, eos_id=999)
    assert [len(ids) for ids in ours.ids[::3]] == [8, 4, 11, 9]
    assert not any(ours.finished)


def test_sampled_frequencies_are_the_models_probabilities():
    """4,000 one-token samples against the exact next-token distribution (chi-square, 38 cells, five sigma)."""
    policy = tiny_policy(WORDS, initializer_range=0.5)
    ours = draw(policy, [PROMPTS[0]], k=4000, max_new_tokens=1, temperature=0.7)
    counts = np.bincount([ids[0] for ids in ours.ids], minlength=40)
    with torch.no_grad():
        expected = (policy.model(torch.tensor([PROMPTS[0]])).logits[0, -1] / 0.7).softmax(-1).numpy() * 4000
    seen = expected > 5
    statistic = ((counts - expected)[seen] ** 2 / expected[seen]).sum()
    assert statistic < seen.sum() + 5 * np.sqrt(2 * seen.sum())


def test_choose_inverts_the_distribution_function():
    logits = torch.tensor([[0.2, 0.5, 0.3]]).log().repeat(4, 1)
    drawn = choose(logits, 1.0, torch.tensor([0.0, 0.19, 0.69, 0.71], dtype=torch.float64))
    assert drawn.tokens.tolist() == [0, 0, 1, 2]
    assert torch.allclose(drawn.logprobs.exp(), torch.tensor([0.2, 0.2, 0.5, 0.3]))
    assert torch.allclose(drawn.entropies, torch.distributions.Categorical(logits=logits).entropy())


def test_noise_is_uniform_and_belongs_to_its_row():
    first, second = noise([1, 2], 5), noise([2], 3)
    assert first.shape == (2, 5) and (first[1, :3] == second[0]).all()
    assert (first >= 0).all() and (first < 1).all() and not (first[0] == first[1]).any()


def test_compaction_keeps_every_live_row_once():
    live = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.bool)
    groups, (members, alive) = _compaction(live)
    assert groups.tolist() == [0, 2] and alive.tolist() == [[True, True], [True, False]]
    kept = {(int(g), int(m)) for g, row, on in zip(groups, members, alive, strict=True)
            for m, a in zip(row, on, strict=True) if a}
    assert kept == {(0, 0), (0, 3), (2, 1)}
    assert _compaction(torch.ones(2, 3, dtype=torch.bool)) is None


def test_the_decoder_reads_the_weights_of_its_moment():
    policy = tiny_policy(WORDS)
    before = draw(policy)
    with torch.no_grad():
        policy.model.lm_head.weight += torch.randn(policy.model.lm_head.weight.shape)
    assert draw(policy).logprobs != before.logprobs


@pytest.mark.parametrize(("changes", "message"), [
    (dict(prompts=[]), "empty"),
    (dict(prompts=[[]]), "no tokens"),
    (dict(prompts=[[5] * 256]), "256 tokens but the model reads 256"),
    (dict(max_new_tokens=0), "max_new_tokens"),
    (dict(temperature=-1.0), "temperature"),
    (dict(eos_id=()), "eos_ids"),
    (dict(keys=[1, 2]), "keys has 2"),
])
def test_bad_requests_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        draw(tiny_policy(WORDS), **changes)


def test_models_that_the_decoder_cannot_compute_say_why():
    model = tiny_policy(WORDS, architecture="gpt2").model
    with pytest.raises(ValueError, match="GPT2LMHeadModel"):
        GroupDecoder(model)
    sliding = tiny_policy(WORDS, architecture="qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=0)
    assert why_unsupported(prepare_model(sliding.model, sliding.tokenizer)) == "sliding-window attention"
