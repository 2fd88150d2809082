"""Memory by arithmetic: parameters agree with the library's count, and each part grows with what it stands for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from bi.memory import (
    GPU_SHAPES,
    PAPER_SHAPES,
    RECOMPUTED_ABOVE,
    ROWS_AT_ONCE,
    Shape,
    activation_bytes,
    fitting_table,
    grpo_needs,
    influence_gb,
    largest_micro_batch,
    needs_table,
    profile_trainings,
)
from bi.recipes import get_profile
from bi.training.policy import CHECKPOINTING_PARAMETERS
from bi.training.pretrain import GPU_BASES
from bi.training.sampler import GPU_ROWS

SMALL = Shape(64, 96, 3, 4, 2, 100)


@pytest.mark.parametrize(("shape", "kind"), [
    (SMALL, "llama"), (replace(SMALL, tied=False), "llama"), (replace(SMALL, bias=True), "qwen2"),
    (PAPER_SHAPES["Qwen/Qwen2.5-1.5B"], "qwen2"), (PAPER_SHAPES["meta-llama/Llama-3.2-1B-Instruct"], "llama"),
])
def test_parameters_are_those_that_the_library_counts(shape: Shape, kind: str) -> None:
    config = AutoConfig.for_model(kind, hidden_size=shape.hidden, intermediate_size=shape.intermediate,
                                  num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
                                  num_key_value_heads=shape.kv_heads, vocab_size=shape.vocabulary,
                                  tie_word_embeddings=shape.tied)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_limits_are_those_of_training_and_sampling() -> None:
    assert RECOMPUTED_ABOVE == CHECKPOINTING_PARAMETERS and max(GPU_ROWS) == ROWS_AT_ONCE


def test_recomputed_activations_are_the_inputs_of_the_layers() -> None:
    large = PAPER_SHAPES["Qwen/Qwen2.5-1.5B"]
    assert activation_bytes(large, 10) == 10 * large.layers * large.hidden * 2
    assert activation_bytes(SMALL, 10) > 10 * SMALL.layers * SMALL.hidden * 2


def test_the_profiles_shapes_are_of_the_models_that_they_name() -> None:
    assert set(PAPER_SHAPES) == {model.name for model in get_profile("paper").models}
    sizes = [shape.parameters for shape in GPU_SHAPES.values()]
    assert 25e6 <= sizes[0] < sizes[1] <= 110e6, "profile gpu is for 25 to 100 M parameters"
    name, recipe = get_profile("gpu").models[0].name, GPU_BASES["gpu-base"]
    assert name == f"models/{recipe.name}"
    assert GPU_SHAPES[recipe.name] == Shape(recipe.hidden, recipe.feed_forward, recipe.layers, recipe.heads,
                                            recipe.kv_heads, recipe.corpus.pieces)


def test_two_moments_of_a_step_are_made_of_their_parts() -> None:
    recipe = get_profile("gpu").grpo
    needs = grpo_needs(SMALL, recipe)
    kept = needs["weights"] + needs["Adam's moments"] + needs["reference"]
    assert needs["training"] == pytest.approx(kept + needs["gradient"] + needs["activations"] + needs["scores"])
    assert needs["sampling"] == pytest.approx(kept + needs["sampler's weights"] + needs["cache"])
    assert grpo_needs(SMALL, replace(recipe, beta=0.0))["reference"] == 0
    wider = grpo_needs(SMALL, replace(recipe, micro_batch_size=2 * recipe.micro_batch_size))
    assert wider["scores"] == pytest.approx(2 * needs["scores"]) and wider["cache"] == needs["cache"]


def test_the_largest_micro_batch_fits_and_the_next_one_does_not() -> None:
    shape, recipe = PAPER_SHAPES["Qwen/Qwen2.5-1.5B"], get_profile("paper").grpo
    most = largest_micro_batch(shape, recipe, 80)
    assert most > 0
    assert grpo_needs(shape, replace(recipe, micro_batch_size=most))["training"] <= 80
    assert grpo_needs(shape, replace(recipe, micro_batch_size=most + 1))["training"] > 80
    assert largest_micro_batch(shape, recipe, 1) == 0


def test_tables_hold_every_training_of_both_profiles_with_its_own_recipe() -> None:
    trainings = profile_trainings()
    needs, fits = needs_table(trainings), fitting_table(trainings, (24, 80))
    assert len(trainings) == len(GPU_SHAPES) + len(PAPER_SHAPES) and list(needs.index) == list(fits.index)
    for name, one in trainings.items():
        assert one.recipe == get_profile("gpu" if name.startswith("gpu") else "paper").grpo
        assert needs.loc[name, "training"] == grpo_needs(one.shape, one.recipe)["training"]
        assert fits.loc[name, "recipe"] == one.recipe.micro_batch_size
        assert fits.loc[name, "24 GB"] == largest_micro_batch(one.shape, one.recipe, 24) <= fits.loc[name, "80 GB"]


def test_influence_keeps_two_halves_of_two_sets_of_prompts() -> None:
    recipe = get_profile("gpu").influence
    assert influence_gb(SMALL, recipe) == pytest.approx(4 * recipe.prompts * SMALL.parameters * 4 / 1e9)
