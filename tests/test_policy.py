import json
import shutil

import pytest
import torch

from bi.training import policy as policy_module
from bi.training.policy import (
    SYSTEM_PROMPT,
    check_lengths,
    decode_completion,
    encode_completion,
    encode_prompt,
    fingerprint,
    format_prompt,
    load_policy,
)
from bi.training.tiny import CHATML, save_policy, tiny_policy, word_tokenizer

WORDS = "D1 D2 N1 N2 V1 V2 1 2 3 + = . ? ! :".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_policy(tiny_policy(WORDS), str(tmp_path_factory.mktemp("policy") / "model"))


def test_a_saved_policy_loads_with_equal_weights_in_float32_on_a_cpu(folder):
    loaded, original = load_policy(folder, device="cpu"), tiny_policy(WORDS)
    assert loaded.dtype == torch.float32 and not loaded.model.training
    for name, weight in original.model.state_dict().items():
        assert torch.equal(weight, loaded.model.state_dict()[name])


def test_compact_text_survives_encoding_and_decoding(folder):
    tokenizer = load_policy(folder, device="cpu").tokenizer
    text = "D1 1 + 2 = V1 3 . ! 3"
    ids = encode_completion(tokenizer, text)
    assert ids[-1] == tokenizer.eos_token_id and len(ids) == len(text.split()) + 1
    assert decode_completion(tokenizer, ids) == text


def test_prompts_without_a_chat_template_are_left_alone():
    tokenizer = tiny_policy(WORDS).tokenizer
    assert format_prompt(tokenizer, "D1 1 . ? N1 :") == "D1 1 . ? N1 :"
    assert len(encode_prompt(tokenizer, "D1 1 . ? N1 :")) == 6


def test_a_chat_template_wraps_the_prompt_and_asks_for_the_answer_format():
    tokenizer = tiny_policy([*WORDS, *SYSTEM_PROMPT.split(), "system", "user", "assistant"],
                            chat_template=CHATML).tokenizer
    text = format_prompt(tokenizer, "D1 1 . ? N1 :")
    assert text.startswith("<|im_start|> system") and text.rstrip().endswith("<|im_start|> assistant")
    assert "D1 1 . ? N1 :" in text and "\\boxed{}" in text and "<think>" in text
    ids = encode_prompt(tokenizer, "D1 1 . ? N1 :")
    assert tokenizer.unk_token_id not in ids
    assert ids.count(tokenizer.convert_tokens_to_ids("<|im_start|>")) == 3


def test_eos_ids_start_with_the_tokenizers_own():
    policy = tiny_policy(WORDS)
    policy.model.generation_config.eos_token_id = [7, policy.tokenizer.eos_token_id]
    assert policy.eos_ids == (policy.tokenizer.eos_token_id, 7)


@pytest.mark.parametrize(("missing", "message"), [
    ("config.json", "no config.json"),
    ("model.safetensors", "no weights"),
    ("tokenizer.json", "no tokenizer"),
])
def test_an_incomplete_folder_is_refused_by_what_it_lacks(folder, tmp_path, missing, message):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    (copy / missing).unlink()
    with pytest.raises(ValueError, match=message):
        load_policy(copy)


def test_a_missing_base_says_how_to_make_it():
    with pytest.raises(ValueError, match="make base"):
        load_policy("models/no-such-base")


def test_a_missing_folder_is_not_taken_for_a_hub_name(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        load_policy(tmp_path / "nowhere")


def test_a_tokenizer_of_another_model_is_refused(folder, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    tiny_policy([*WORDS, *map(str, range(100, 200))]).tokenizer.save_pretrained(copy)
    with pytest.raises(ValueError, match="do not belong together"):
        load_policy(copy, device="cpu")


def test_a_tokenizer_without_eos_is_refused(folder, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    settings = json.loads((copy / "tokenizer_config.json").read_text())
    settings.pop("eos_token")
    (copy / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="no eos token"):
        load_policy(copy, device="cpu")


def test_check_lengths_names_the_row():
    check_lengths([("a", 3), ("b", 5)], 5, "context")
    with pytest.raises(ValueError, match=r"row b: 6 tokens, more than the context \(5\)"):
        check_lengths([("a", 3), ("b", 6)], 5, "context")


def test_the_fingerprint_follows_the_weights_and_nothing_else(folder, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    (copy / "history.csv").write_text("step,loss\n")
    for name in ("complete.json", "recipe.json", "overlap.provenance.json"):
        (copy / name).write_text("{}")
    assert fingerprint(copy) == fingerprint(folder)
    save_policy(tiny_policy(WORDS, seed=1), str(copy))
    assert fingerprint(copy) != fingerprint(folder)


def test_large_models_recompute_activations(monkeypatch):
    config = tiny_policy(WORDS).model.config
    assert not policy_module.needs_checkpointing(config)
    monkeypatch.setattr(policy_module, "CHECKPOINTING_PARAMETERS", 100)
    assert policy_module.needs_checkpointing(config)


def test_words_that_the_tokenizer_does_not_know_are_refused():
    tokenizer = word_tokenizer(["yes", "no"])
    assert encode_completion(tokenizer, "yes no")[-1] == tokenizer.eos_token_id
    for encode in (encode_prompt, encode_completion):
        with pytest.raises(ValueError, match="does not know every word of 'yes perhaps'"):
            encode(tokenizer, "yes perhaps")
