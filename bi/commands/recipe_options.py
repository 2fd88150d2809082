"""Recipe fields as command-line options: one table says what a field means and which values it may take.

The defaults are not here: they are the profile's (:mod:`bi.recipes`). A command gets one option for each
field in the table of its recipe, and a value given there replaces the profile's.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import typer

from bi.commands.options import DEFAULT_PROFILE
from bi.recipes import (
    ANALYSIS_LEVELS,
    BehaviorRates,
    EvalRecipe,
    GRPORecipe,
    SFTRecipe,
    StepTestRecipe,
    get_profile,
)

Recipe = TypeVar("Recipe")
LOSSES = ("grpo", "dapo", "bnpo", "dr_grpo")
SCALES = ("group", "batch", "none")
SCHEDULERS = ("constant", "constant_with_warmup", "linear", "cosine")


@dataclass(frozen=True)
class Field:
    """What one recipe field means and may hold: at least ``low`` (more than ``low`` if ``above``), at most ``high``,
    or one of ``choices``. ``named``: values that can be given by name."""

    meaning: str
    low: float = 0
    high: float = math.inf
    above: bool = False
    choices: tuple[str, ...] = ()
    named: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)

    def check(self, name: str, value: Any) -> None:
        """Raise ``ValueError`` naming the option, the value and the allowed range."""
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{option_name(name)} is {value!r}; choose one of {', '.join(self.choices)}")
            return
        for number in value if isinstance(value, tuple) else (value,):
            inside = self.low < number if self.above else self.low <= number
            if not (inside and number <= self.high and math.isfinite(number)):
                raise ValueError(f"{option_name(name)} is {number}; it must be {self.range}")

    @property
    def range(self) -> str:
        """The allowed values in words."""
        low = f"{'more than' if self.above else 'at least'} {self.low:g}"
        return low if self.high == math.inf else f"{low} and at most {self.high:g}"


SFT_FIELDS = {
    "epochs": Field("passes over the data", 1),
    "batch_size": Field("rows of one optimiser step", 1),
    "learning_rate": Field("learning rate of AdamW", above=True),
    "scheduler": Field("learning-rate schedule", choices=SCHEDULERS),
    "betas": Field("AdamW's two decay rates, separated by a comma", high=0.99999),
    "weight_decay": Field("AdamW's weight decay"),
    "max_length": Field("longest row (prompt and completion) in tokens", 2),
    "micro_batch_size": Field("rows of one backward pass; changes memory, not the result", 1),
    "save_every": Field("optimiser steps between checkpoints", 1),
}
GRPO_FIELDS = {
    "prompts": Field("prompts of one step", 1),
    "rollouts": Field("rollouts of one prompt (the group)", 2),
    "steps": Field("policy updates", 1),
    "learning_rate": Field("learning rate of AdamW", above=True),
    "temperature": Field("sampling temperature", above=True),
    "epsilon": Field("clip range of the probability ratio", above=True),
    "beta": Field("weight of the KL term (0: none, no reference policy in memory)"),
    "max_prompt_length": Field("longest prompt in tokens; a longer one stops the run", 1),
    "max_completion_length": Field("longest completion in tokens; a longer one is cut", 1),
    "loss_type": Field("TRL's loss", choices=LOSSES),
    "scale_rewards": Field("what advantages are divided by (TRL's names)", choices=SCALES),
    "max_grad_norm": Field("gradients are scaled down to this norm", above=True),
    "format_reward": Field("extra reward for the answer format"),
    "max_sample_kl": Field("leave out samples whose KL to the reference exceeds this", above=True),
    "micro_batch_size": Field("rollouts of one backward pass; changes memory, not the result", 1),
    "save_every": Field("steps between checkpoints", 1),
}
RATE_FIELDS = {
    "reflection": Field("probability of reflection before a step", high=1),
    "redundant": Field("probability that reflection starts on a node the answer does not need", high=1),
    "analysis": Field("probabilities of analysis for 0, 1, 2, ... parents, separated by commas, or level0 (never) to "
                      "level4 (always)", high=1,
                      named={f"level{level}": rates for level, rates in enumerate(ANALYSIS_LEVELS)}),
    "subgoal": Field("probability of subgoal computation at a step", high=1),
    "strict": Field("reflect only on locked nodes"),
}
EVAL_FIELDS = {
    "samples": Field("completions of each prompt", 1),
    "temperature": Field("sampling temperature; 0 takes the likeliest token"),
    "batch_size": Field("completions sampled at once; less needs less memory", 1),
}
STEP_FIELDS = {
    "train_prompts": Field("training prompts to choose the sets from", 2),
    "train_rollouts": Field("rollouts of a training prompt", 2),
    "select_prompts": Field("held-out prompts that choose the sets and the step sizes", 1),
    "select_rollouts": Field("rollouts of each of them", 2),
    "target_prompts": Field("other held-out prompts, on which the change is predicted and measured", 1),
    "predict_rollouts": Field("rollouts of each of them for the prediction", 2),
    "measure_rollouts": Field("further rollouts of each of them for the measurement", 2),
    "gains": Field("step sizes: accuracies that the better set should add, separated by commas", high=1, above=True),
    "share": Field("share of the prompts of one rollout accuracy that belongs to each set", high=0.5, above=True),
}
STAGES = {SFTRecipe: "sft", GRPORecipe: "grpo", BehaviorRates: "rates", EvalRecipe: "evaluation",
          StepTestRecipe: "step_test"}
TABLES: dict[type, Mapping[str, Field]] = {
    SFTRecipe: SFT_FIELDS,
    GRPORecipe: GRPO_FIELDS,
    BehaviorRates: RATE_FIELDS,
    EvalRecipe: EVAL_FIELDS,
    StepTestRecipe: STEP_FIELDS,
}


def option_name(field: str) -> str:
    """``learning_rate`` as it is typed: ``--learning-rate``."""
    return "--" + field.replace("_", "-")


def takes(recipe: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command so that every field of ``recipe`` becomes an option.

    The options given arrive in the command's ``changes`` parameter, a dict that :func:`replace_fields` takes.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        kept = [parameter for name, parameter in signature.parameters.items() if name != "changes"]
        options = [_parameter(recipe, name, field) for name, field in TABLES[recipe].items()]

        def run(**given: Any) -> None:
            changes = {name: given.pop(name) for name in TABLES[recipe]}
            command(changes={name: value for name, value in changes.items() if value is not None}, **given)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = signature.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*kept, *options]}
        return run

    return decorate


def _parameter(recipe: type, name: str, field: Field) -> inspect.Parameter:
    """The command's parameter for one field; ``None`` means that it was not given."""
    kind = _single_type(typing.get_type_hints(recipe)[name])
    metavar = "|".join(field.choices) or None
    if typing.get_origin(kind) is tuple:
        kind, metavar = str, "LIST"
    names = [] if kind is bool else [option_name(name)]
    option = typer.Option(*names, help=_help(recipe, name, field), show_default=False, metavar=metavar)
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _single_type(kind: Any) -> Any:
    """The type of a field, without ``None``."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _help(recipe: type, name: str, field: Field) -> str:
    default = getattr(getattr(get_profile(DEFAULT_PROFILE), STAGES[recipe]), name)
    shown = ",".join(f"{number:g}" for number in default) if isinstance(default, tuple) else default
    return f"{field.meaning[0].upper()}{field.meaning[1:]}. [{DEFAULT_PROFILE}: {'off' if default is None else shown}]"


def replace_fields(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """``recipe`` with ``changes`` (as :func:`takes` collects them) put in; raises ``ValueError`` for a bad value."""
    table, hints = TABLES[type(recipe)], typing.get_type_hints(type(recipe))
    values = {}
    for name, value in changes.items():
        kind = _single_type(hints[name])
        value = table[name].named.get(value, value) if isinstance(value, str) else value
        values[name] = _numbers(name, value, kind) if isinstance(value, str) and _is_tuple(kind) else value
        table[name].check(name, values[name])
    return dataclasses.replace(recipe, **values)  # type: ignore[type-var]


def _is_tuple(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple


def _numbers(name: str, text: str, kind: Any) -> tuple[float, ...]:
    """The numbers of ``0.9,0.95``; as many as the field's type holds."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        shown = f"{option_name(name)} is {text!r}"
        raise ValueError(f"{shown}; give numbers separated by commas, such as 0.1,0.4") from None
    expected = typing.get_args(kind)
    if Ellipsis not in expected and len(numbers) != len(expected):
        raise ValueError(f"{option_name(name)} has {len(numbers)} numbers; it needs {len(expected)}")
    return numbers
