"""Recipe fields as options: every field has one, the profile's value stays unless another is given, ranges hold."""

from __future__ import annotations

import dataclasses

import pytest

from bi.commands.recipe_options import TABLES, option_name, replace_fields
from bi.recipes import ANALYSIS_LEVELS, PROFILES, BehaviorRates, GRPORecipe, SFTRecipe


@pytest.mark.parametrize("recipe", [SFTRecipe, GRPORecipe, BehaviorRates])
def test_every_field_of_a_recipe_is_an_option(recipe: type) -> None:
    assert list(TABLES[recipe]) == [field.name for field in dataclasses.fields(recipe)]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_profiles_themselves_pass_the_checks(profile) -> None:
    grpo = [profile.grpo_for(model.name) for model in profile.models]
    recipes = [profile.sft, profile.rates, profile.evaluation, *grpo]
    for recipe in recipes:
        for name, field in TABLES[type(recipe)].items():
            if getattr(recipe, name) is not None:
                field.check(name, getattr(recipe, name))


def test_without_changes_a_recipe_is_the_profiles() -> None:
    assert replace_fields(PROFILES["cpu"].sft, {}) == PROFILES["cpu"].sft


def test_changes_replace_only_what_they_name() -> None:
    changed = replace_fields(SFTRecipe(), {"epochs": 7, "betas": "0.5,0.6"})
    assert changed == dataclasses.replace(SFTRecipe(), epochs=7, betas=(0.5, 0.6))
    assert replace_fields(BehaviorRates(), {"analysis": "0,1"}).analysis == (0.0, 1.0)
    assert replace_fields(BehaviorRates(), {"analysis": "level3"}).analysis == ANALYSIS_LEVELS[3]


@pytest.mark.parametrize(("recipe", "field", "value", "words"), [
    (SFTRecipe(), "epochs", 0, "--epochs is 0; it must be at least 1"),
    (SFTRecipe(), "learning_rate", 0.0, "--learning-rate is 0.0; it must be more than 0"),
    (SFTRecipe(), "learning_rate", float("nan"), "--learning-rate is nan"),
    (SFTRecipe(), "weight_decay", float("inf"), "--weight-decay is inf"),
    (SFTRecipe(), "betas", "0.9", "--betas has 1 numbers; it needs 2"),
    (SFTRecipe(), "betas", "0.9,x", "--betas is '0.9,x'; give numbers separated by commas"),
    (SFTRecipe(), "betas", "0.9,1.5", "--betas is 1.5; it must be at least 0 and at most 0.99999"),
    (SFTRecipe(), "scheduler", "cosinus", "--scheduler is 'cosinus'; choose one of constant"),
    (GRPORecipe(), "rollouts", 1, "--rollouts is 1; it must be at least 2"),
    (GRPORecipe(), "loss_type", "ppo", "--loss-type is 'ppo'; choose one of grpo"),
    (GRPORecipe(), "max_sample_kl", -1.0, "--max-sample-kl is -1.0; it must be more than 0"),
    (BehaviorRates(), "reflection", 1.1, "--reflection is 1.1; it must be at least 0 and at most 1"),
])
def test_a_value_out_of_range_is_named_with_the_range(recipe, field: str, value: object, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        replace_fields(recipe, {field: value})
    assert words in str(caught.value)


def test_options_are_spelt_with_dashes() -> None:
    assert option_name("learning_rate") == "--learning-rate"
