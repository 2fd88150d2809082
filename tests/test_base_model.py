"""The base models' corpus, training and card: right documents apart from the splits, packing that isolates documents,
training that resumes to the same bits, a card that says what was measured."""

import dataclasses
import hashlib
import json

import pytest
import torch
from torch.utils.data import DataLoader

from bi.augmentation.arms import build_problems
from bi.commands.base import base
from bi.evaluation.base_card import MAX_BYTES, _overlap, base_profile, corpus_facts, make_base
from bi.evaluation.base_model import held_out_problems, measure_base
from bi.recipes import CPU, CPU_DYVAL, GPU, get_profile
from bi.streams import stream
from bi.tasks.problem import in_corpus_half
from bi.training.corpus import KINDS, CorpusRecipe, DyvalCorpusRecipe, EnglishCorpusRecipe, wide_results
from bi.training.policy import decode_completion, encode_completion, load_policy
from bi.training.pretrain import (
    BASES,
    GPU_BASES,
    BaseRecipe,
    LargeBaseRecipe,
    _Steps,
    batch,
    corpus,
    make_model,
    make_tokenizer,
    pack,
    packed_loss,
    passes_format,
    reading_processes,
    step_documents,
    train_base,
)
from bi.training.reward import score
from bi.training.tiny import piece_tokenizer

TINY = BaseRecipe(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=32, steps=8, rows=2, compiled=False)
TASKS = pytest.mark.parametrize("kind", [CorpusRecipe, DyvalCorpusRecipe])
ENGLISH = LargeBaseRecipe(
    hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=32, steps=6, rows=2, width=768, context=1024, compiled=False,
    corpus=EnglishCorpusRecipe(max_ops=(1, 3), pieces=400, sample=20))
COUNTS = ("n_reflection", "n_analysis", "n_subgoal")


def documents(recipe, count):
    every = corpus(dataclasses.replace(TINY, steps=count, corpus=recipe))
    return [next(every) for _ in range(count)]


@TASKS
def test_documents_are_right_and_of_every_kind(kind):
    found = documents(kind(), 300)
    assert {text.kind for text in found} == set(KINDS)
    assert all(score(text.completion, text.prompt, kind.wording).strict for text in found)
    known = make_tokenizer(dataclasses.replace(TINY, corpus=kind())).get_vocab()
    assert all(set(text.prompt.split() + text.completion.split()) <= set(known) for text in found)


def test_trees_grow_and_have_all_the_operators():
    recipe = DyvalCorpusRecipe()
    levels = {progress: {recipe.config("solve", progress, stream("test", place)).max_depth for place in range(40)}
              for progress in (0.0, 0.3, 0.5, 1.0)}
    assert levels == {0.0: {2}, 0.3: {3}, 0.5: {3, 4}, 1.0: {3, 4}}
    drills = [text.completion.split() for text in documents(recipe, 400) if text.kind == "arithmetic"]
    assert {word for words in drills for word in words} >= {"+", "-", "*", "/", "^2", "sqrt"}
    assert list(wide_results("D1 ( 2 ^2 ) + 3 = V1 7 . D2 2 ^2 = V2 4 . ! 4")) == [9]


@TASKS
def test_behaviours_stand_in_their_stated_share_and_nowhere_else(kind):
    found = documents(kind(behaviors=0.5), 600)
    for text in found:
        verdict = score(text.completion, text.prompt, kind.wording)
        held = {name for name in COUNTS if getattr(verdict, name)}
        assert held <= ({f"n_{text.behavior}"} if text.behavior else set())
    solved = [text for text in found if text.kind == "solve"]
    share = sum(text.behavior is not None for text in solved) / len(solved)
    assert abs(share - 0.5) < 4 * (0.25 / len(solved)) ** 0.5
    assert not any(text.behavior for text in documents(kind(behaviors=0.0), 200))


def test_only_results_of_several_operations_in_one_step_lose_their_loss():
    for text in documents(CorpusRecipe(wide_results=0.0, behaviors=0.3), 300):
        words = text.completion.split()
        for place in text.silent:
            assert words[place - 1].startswith("V") and words[place - 2] == "="
            step = " ".join(words[:place - 2]).replace(";", "=").replace(".", "=").split("=")[-1].split()
            assert sum(word in "+-*" for word in step) >= 2
        if text.behavior == "subgoal":
            assert not text.silent
    assert not any(text.silent for text in documents(CorpusRecipe(wide_results=1.0), 100))


@TASKS
def test_corpus_and_splits_share_no_problem_for_any_seed(kind):
    assert all(in_corpus_half(text.key) for text in documents(kind(), 200) if text.kind != "arithmetic")
    profile = CPU if kind is CorpusRecipe else CPU_DYVAL
    task = dataclasses.replace(profile.task, rl_prompts=30, test_problems=10)
    for seed in (0, 1):
        for split in ("sft", "rl", "dev_id", "test_ood"):
            assert not any(in_corpus_half(problem.key()) for problem in build_problems(task, split, 20, seed))
    held_out = held_out_problems(dataclasses.replace(TINY, corpus=kind()), 3, 20)
    assert held_out[0].task == profile.task.task and not any(in_corpus_half(problem.key()) for problem in held_out)


def test_an_english_corpus_is_right_and_apart_from_the_splits_of_its_profile():
    found = documents(EnglishCorpusRecipe(behaviors=0.5, max_ops=(1, 4)), 60)
    assert {text.kind for text in found} == {"lookup", "solve", "dense"} and not any(text.silent for text in found)
    assert all(score(text.completion, text.prompt, "english").strict for text in found)
    assert all(in_corpus_half(text.key) for text in found) and any(text.behavior for text in found)
    task = dataclasses.replace(GPU.task, train_ops=(1, 4), id_ops=(4, 4), ood_ops=(5, 5), test_problems=5)
    held = build_problems(task, "test_id", 5, 0) + held_out_problems(ENGLISH, 4, 5)
    assert GPU.task.apart and not any(in_corpus_half(problem.key()) for problem in held)
    assert base_profile(ENGLISH.corpus) is GPU and base_profile(DyvalCorpusRecipe()) is CPU_DYVAL
    assert base_profile(BASES["range-base"].corpus) is get_profile("cpu-range") and base_profile(CorpusRecipe()) is CPU


def test_pieces_give_every_text_back_and_are_the_same_again():
    texts = list(ENGLISH.corpus.texts(0))
    tokenizer = make_tokenizer(ENGLISH)
    again = piece_tokenizer(texts, ENGLISH.corpus.pieces)
    assert tokenizer.get_vocab() == again.get_vocab() and len(tokenizer) == ENGLISH.corpus.pieces
    for text in (*texts[:4], "Schrödinger's  number,\nis 1207"):
        ids = encode_completion(tokenizer, text)
        assert ids[-1] == tokenizer.eos_token_id and decode_completion(tokenizer, ids) == text
        assert ids == encode_completion(again, text)
    digits = {ids for word, ids in tokenizer.get_vocab().items() if set(word) & set("0123456789")}
    assert len(digits) == 10


def test_rows_of_pieces_are_filled_by_their_tokens_in_any_process():
    packed = batch(ENGLISH, make_tokenizer(ENGLISH), 2)
    assert packed.count == sum(map(len, step_documents(ENGLISH, 2))) and packed.ids.shape == (2, 768)
    assert (packed.documents > 0).float().mean() > 0.5
    read = DataLoader(_Steps(ENGLISH, make_tokenizer(ENGLISH)), batch_size=None, sampler=range(2, 4), num_workers=1)
    assert torch.equal(next(iter(read)).ids, packed.ids)


def test_the_corpus_is_the_same_from_several_processes(monkeypatch):
    alone = list(corpus(ENGLISH))
    monkeypatch.setattr("bi.training.pretrain.default_device", lambda: torch.device("cuda"))
    monkeypatch.setattr("bi.training.pretrain.usable_cores", lambda: 3)
    assert reading_processes(torch.device("cuda")) == 2 and reading_processes(torch.device("cpu")) == 1
    assert list(corpus(ENGLISH)) == alone


def test_fused_attention_gives_the_loss_of_the_written_one():
    tokenizer = make_tokenizer(ENGLISH)
    packed = batch(ENGLISH, tokenizer, 0)
    losses = {}
    for recipe in (ENGLISH, BaseRecipe(**{field.name: getattr(ENGLISH, field.name)
                                          for field in dataclasses.fields(ENGLISH)})):
        model = make_model(recipe, tokenizer)
        losses[model.config._attn_implementation] = packed_loss(model.model, model.lm_head, packed).item()
    assert losses["sdpa"] == pytest.approx(losses["eager"], rel=1e-3)


def test_corpus_facts_count_what_a_second_pass_finds():
    task = dataclasses.replace(CPU.task, sft_rows=20, rl_prompts=30, test_problems=10)
    contents, overlap = corpus_facts(TINY, task)
    whole = contents[contents["behavior"] == ""].set_index("kind")
    found = list(corpus(TINY))
    for kind in set(whole.index):
        assert whole.loc[kind, "documents"] == sum(text.kind == kind for text in found)
    assert whole.drop("arithmetic")["held_out"].sum() == 0 < whole.loc["arithmetic", "held_out"]
    assert overlap["in_corpus"].sum() == 0 and overlap.groupby("split")["n"].sum()["sft"] == 20
    seen = {problem.key() for problem in build_problems(task, "rl", 1, 0)}
    assert _overlap(seen, task, 0)["in_corpus"].sum() == 1


def test_rows_hold_whole_documents_and_a_step_is_a_function_of_its_number():
    rows = step_documents(TINY, 3)
    assert rows == step_documents(TINY, 3) != step_documents(TINY, 4)
    packed = batch(TINY, make_tokenizer(TINY), 3)
    assert packed.count == sum(map(len, rows)) == sum(int(row.max()) for row in packed.documents)
    first = rows[0][0]
    size = len(first.prompt.split()) + len(first.completion.split()) + 1
    assert int((packed.documents[0] == 1).sum()) == size
    assert int((packed.labels[0, :size] != -100).sum()) == len(first.completion.split()) + 1 - len(first.silent)
    with pytest.raises(ValueError, match="width is 4"):
        pack([[([1, 2, 3], [4, 5], ())]], 4, 0)


@pytest.mark.parametrize(("known", "format"), [
    ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, torch.float32), ({"avx512_bf16": True}, torch.bfloat16),
    ({"amx_bf16": True}, torch.bfloat16), ({"neon": True, "bf16": True}, torch.bfloat16), ({}, torch.float32)])
def test_a_processor_that_would_emulate_bfloat16_is_not_asked_to(monkeypatch, known, format):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert passes_format(torch.device("cpu")) == format
    assert passes_format(torch.device("cuda")) == torch.bfloat16
    seen = []
    model = make_model(TINY, make_tokenizer(TINY))
    model.lm_head.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    packed_loss(model.model, model.lm_head, batch(TINY, make_tokenizer(TINY), 0)).backward()
    assert seen == [format]


def test_packed_documents_do_not_see_one_another():
    tokenizer = make_tokenizer(TINY)
    model = make_model(TINY, tokenizer)
    pairs = [([5, 6, 7], [8, 9], ()), ([10, 11], [12, 13, 14, 15], (3,)), ([6, 6], [7], ())]

    def loss(rows):
        return packed_loss(model.model, model.lm_head, pack(rows, 16, 0)).item()

    together = loss([pairs])
    tokens = [len(answer) - len(silent) for _, answer, silent in pairs]
    apart = sum(loss([[pair]]) * count for pair, count in zip(pairs, tokens, strict=True)) / sum(tokens)
    assert together == pytest.approx(apart, rel=2e-2)  # bfloat16 products
    assert loss([[pairs[0], pairs[1]]]) == pytest.approx(loss([[pairs[1], pairs[0]]]), rel=2e-2)


def test_loss_of_packed_rows_is_that_of_the_plain_model():
    tokenizer = make_tokenizer(TINY)
    model = make_model(TINY, tokenizer)
    prompt, answer = [5, 6, 7, 8], [9, 10, 11]
    ids = torch.tensor([prompt + answer])
    labels = torch.tensor([[-100] * 4 + answer])
    plain = model(input_ids=ids, labels=labels).loss.item()
    found = packed_loss(model.model, model.lm_head, pack([[(prompt, answer, ())]], 12, 0)).item()
    assert found == pytest.approx(plain, rel=2e-2)


@pytest.mark.parametrize("recipe", [TINY, ENGLISH], ids=["compact", "english"])
def test_interrupted_training_continues_with_the_same_bits(tmp_path, monkeypatch, recipe):
    whole, history = train_base(recipe, tmp_path / "whole")

    class Killed(Exception):
        pass

    def stop(self, done, note=""):
        if done == 5:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("bi.training.pretrain.Progress.update", stop)
        with pytest.raises(Killed):
            train_base(recipe, tmp_path / "cut", save_every=2)
    resumed, again = train_base(recipe, tmp_path / "cut", save_every=2)
    assert history[["loss", "tokens", "documents"]].equals(again[["loss", "tokens", "documents"]])
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


def test_a_base_of_trees_is_measured_by_levels(tmp_path):
    recipe = dataclasses.replace(TINY, steps=2, corpus=DyvalCorpusRecipe())
    accuracy, anatomy = measure_base(train_base(recipe, tmp_path)[0], recipe, problems=4)
    assert list(accuracy) == ["n_levels", "metric", "value", "low", "high", "n"]
    assert set(anatomy["n_levels"]) == {2, 3, 4}
    assert accuracy.loc[accuracy["metric"] == "strict", "n"].tolist() == [4, 4, 4]


def test_measure_counts_lines_and_first_errors(tmp_path):
    policy, _ = train_base(dataclasses.replace(TINY, steps=2), tmp_path)
    accuracy, anatomy = measure_base(policy, TINY, problems=8, sizes=(1, 3))
    assert set(accuracy["n_ops"]) == {1, 3} and accuracy["value"].between(0, 1).all()
    whole = anatomy[anatomy["operations"] == 0].groupby("n_ops")["share"].sum()
    strict = accuracy[accuracy["metric"] == "strict"].set_index("n_ops")["value"]
    assert (whole + strict).tolist() == pytest.approx([1.0, 1.0])


def test_a_base_for_a_gpu_is_refused_without_one(tmp_path, monkeypatch):
    monkeypatch.setenv("BI_DEVICE", "cpu")
    with pytest.raises(ValueError, match="gpu-base needs a GPU, and none is here"):
        base(tmp_path / "base", "gpu-base")
    assert not set(GPU_BASES) & set(BASES)


@pytest.mark.slow
def test_an_english_base_is_written_with_its_card(tmp_path, monkeypatch):
    few = dataclasses.replace(GPU.task, sft_rows=10, rl_prompts=10, test_problems=5)
    monkeypatch.setattr("bi.evaluation.base_card.GPU", dataclasses.replace(GPU, task=few))
    monkeypatch.setattr(EnglishCorpusRecipe, "longest", 40)
    monkeypatch.setattr(EnglishCorpusRecipe, "sizes", (1, 2))
    make_base(dataclasses.replace(ENGLISH, name="gpu-base", steps=2), tmp_path / "base")
    card = (tmp_path / "base" / "README.md").read_text()
    assert "problems in English" in card and "make base BASE=gpu-base" in card and "circles" not in card
    assert "Byte-level pieces" in card and "profile `gpu`" in card and "nan" not in card
    policy = load_policy(tmp_path / "base")
    assert decode_completion(policy.tokenizer, encode_completion(policy.tokenizer, "so 12 < 3")) == "so 12 < 3"


@pytest.mark.slow
def test_a_base_is_written_with_its_card(tmp_path, monkeypatch):
    monkeypatch.setattr("bi.evaluation.base_card.CPU", dataclasses.replace(
        CPU, task=dataclasses.replace(CPU.task, sft_rows=20, rl_prompts=30, test_problems=10)))
    recipe = dataclasses.replace(TINY, name="tiny-base")
    make_base(recipe, tmp_path / "base")
    card = (tmp_path / "base" / "README.md").read_text()
    assert "| 8 |" in card and "make base" in card and "nan" not in card
    assert not (tmp_path / "base.partial").exists()
    assert json.loads((tmp_path / "base" / "recipe.json").read_text())["steps"] == 8


@pytest.mark.parametrize("name", BASES)
def test_weights_in_the_repository_are_small_and_of_their_recipe(name):
    from pathlib import Path

    folder = Path(__file__).resolve().parents[1] / "models" / name
    if not (folder / "model.safetensors").is_file():
        pytest.skip(f"models/{name} is not in this checkout")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_BYTES
    recipe = json.loads(json.dumps(dataclasses.asdict(BASES[name])))
    assert json.loads((folder / "recipe.json").read_text()) == recipe
    overlap = (folder / "overlap.csv").read_text().splitlines()[1:]
    assert overlap and all(line.split(",")[2] == "0" for line in overlap)


def test_the_corpus_is_that_of_the_committed_weights():
    """`make base` remakes models/tiny-base only as long as not one document changes."""
    recipe = BASES["tiny-base"]
    state = hashlib.sha256()
    for step in (0, 8, 3000, 11_999):
        for row in step_documents(recipe, step):
            for text in row:
                state.update(f"{text.kind}|{text.prompt}|{text.completion}|{text.silent}|{text.behavior}\n".encode())
    assert state.hexdigest()[:16] == "bfa50d0193e97906"
