"""The base model's corpus and card: right plain documents, overlap counted, training that resumes to the same bits."""

import dataclasses

import pytest
import torch

from bi.augmentation.arms import build_problems
from bi.evaluation.base_model import corpus_overlap
from bi.recipes import CPU
from bi.training.corpus import KINDS, document
from bi.training.pretrain import BaseRecipe, train_base
from bi.training.reward import score

TINY = BaseRecipe(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=32, documents=32, batch=4)


def test_documents_are_right_plain_and_of_every_kind():
    documents = [document(TINY.corpus, 0, index, index / 200) for index in range(200)]
    assert {text.kind for text in documents} == set(KINDS)
    for text in documents:
        verdict = score(text.completion, text.prompt, "compact")
        assert verdict.strict and not (verdict.n_reflection or verdict.n_analysis or verdict.n_subgoal)


def test_overlap_counts_problems_of_the_corpus_by_key():
    task = dataclasses.replace(CPU.task, sft_rows=20, rl_prompts=60, test_problems=20)
    recipe = dataclasses.replace(TINY, documents=3200)
    table = corpus_overlap(recipe, task)
    keys = {document(recipe.corpus, 0, index, index // 4 / 800).key for index in range(3200)}
    problems = build_problems(task, "rl", 60, 0)
    expected = sum(problem.key() in keys for problem in problems)
    assert table[table["split"] == "rl"][["in_corpus", "n"]].sum().tolist() == [expected, 60]
    assert expected > 0


def test_interrupted_training_continues_with_the_same_bits(tmp_path, monkeypatch):
    whole, history = train_base(TINY, tmp_path / "whole")

    class Killed(Exception):
        pass

    def stop(self, done, note=""):
        if done == 5:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("bi.training.pretrain.Progress.update", stop)
        with pytest.raises(Killed):
            train_base(TINY, tmp_path / "cut", save_every=2)
    resumed, again = train_base(TINY, tmp_path / "cut", save_every=2)
    assert history["loss"].tolist() == again["loss"].tolist()
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name
