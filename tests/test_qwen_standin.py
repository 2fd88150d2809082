"""A tiny random Qwen2 with a byte tokenizer and Qwen's chat template goes through every stage by the same code."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from training_cases import prompt_rows, sft_rows
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

from bi.recipes import GRPORecipe, SFTRecipe, TaskRecipe
from bi.training.decoder import why_unsupported
from bi.training.grpo import train_grpo
from bi.training.policy import decode_completion, encode_completion, encode_prompt, format_prompt, load_policy
from bi.training.rollouts import judge, make_rollouts
from bi.training.sft import train_sft

TASK = TaskRecipe(wording="english", train_ops=(2, 3), id_ops=(3, 3), ood_ops=(4, 4), sft_rows=6, rl_prompts=4,
                  test_problems=2)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({letter: index for index, letter in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>", pad_token="<|endoftext|>",
                                        additional_special_tokens=["<|im_start|>", "<|im_end|>"])
    tokenizer.chat_template = CHATML
    model = AutoModelForCausalLM.from_config(Qwen2Config(
        vocab_size=len(tokenizer) + 5, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=None, tie_word_embeddings=True,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"), initializer_range=0.2))
    folder = str(tmp_path_factory.mktemp("qwen") / "standin")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_the_prompt_is_qwens_chat_with_the_system_prompt(base):
    policy = load_policy(base, device="cpu")
    row = prompt_rows(1, TASK)[0]
    text = format_prompt(policy.tokenizer, row["prompt"])
    assert text.startswith("<|im_start|>system\n") and text.endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert row["prompt"] in text
    assert policy.tokenizer.decode(encode_prompt(policy.tokenizer, row["prompt"])) == text
    assert policy.eos_ids == tuple(policy.tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"]))
    assert why_unsupported(policy.model) is None


def test_english_completions_are_read_back_from_their_tokens(base):
    policy = load_policy(base, device="cpu")
    for row in sft_rows(4, task=TASK):
        ids = encode_completion(policy.tokenizer, row["completion"])
        assert decode_completion(policy.tokenizer, ids) == row["completion"]
        assert judge(policy, ids, row)[1].strict


def test_sft_rollouts_and_grpo_run_on_it(base, tmp_path):
    sft = train_sft(base, sft_rows(6, task=TASK), SFTRecipe(epochs=1, batch_size=4, learning_rate=1e-3,
                    micro_batch_size=2, save_every=1, max_length=4096), 0, tmp_path / "sft", progress=False)
    rows = prompt_rows(4, TASK)
    table = make_rollouts(load_policy(sft, device="cpu"), rows, 2, max_new_tokens=8, progress=False)
    assert len(table) == 8
    recipe = GRPORecipe(prompts=2, rollouts=2, steps=2, learning_rate=1e-3, max_prompt_length=2048,
                        max_completion_length=8, micro_batch_size=2, save_every=1, format_reward=0.05, beta=0.01,
                        max_sample_kl=0.15)
    done = load_policy(train_grpo(sft, rows, recipe, 0, tmp_path / "grpo", progress=False), device="cpu")
    assert type(done.model).__name__ == "Qwen2ForCausalLM" and done.tokenizer.chat_template == CHATML
