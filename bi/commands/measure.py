"""``bi rollouts``, ``bi influence`` and ``bi eval``: what a checkpoint does, as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bi.commands import options
from bi.commands.door import count_up, prepare_torch, say, show
from bi.commands.outputs import check_file_out, check_folder_out, leaves_nothing, names_of
from bi.commands.prompts import read_prompts
from bi.commands.recipe_options import Field, replace_fields, takes
from bi.recipes import EvalRecipe, get_profile

if TYPE_CHECKING:
    import pandas as pd

    from bi.influence.adam import AdamState
    from bi.training.policy import Policy


@takes(EvalRecipe)
def rollouts(
    model: options.Model,
    data: options.PromptData,
    out: options.OutFile,
    limit: options.Limit = None,
    max_new_tokens: Annotated[int | None, typer.Option(
        min=1, help="Longest completion in tokens; by default GRPO's max_completion_length.")] = None,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
    changes: Any = None,
) -> None:
    """Sample completions of each prompt, judge them, and write one row per completion (parquet).

    A row holds the text, the verdict (answer, format, strict, first_error), the reward, the behaviours, the token ids
    and the log-probability. Sampling that was stopped goes on when the same command is given again.

    \b
    bi rollouts --model runs/x --data test.jsonl --samples 16 --out r.parquet
    """
    defaults = get_profile(profile)
    recipe = replace_fields(defaults.evaluation, changes)
    check_file_out(out, overwrite=overwrite)
    rows = read_prompts(data, limit)
    prepare_torch()
    from bi.training.policy import load_policy
    from bi.training.rollouts import make_rollouts

    longest = max_new_tokens or defaults.grpo.max_completion_length
    with leaves_nothing(out):
        table = make_rollouts(load_policy(model), rows, recipe.samples, max_new_tokens=longest, seed=seed,
                              temperature=recipe.temperature, batch_rows=recipe.batch_size, out=out)
    right, cut = table["answer"].mean(), 1 - table["finished"].mean()
    say(f"{out}: {recipe.samples} completions of {len(rows)} prompts; {right:.1%} are right, {cut:.1%} were cut after "
        f"{longest} tokens")


TABLE, PROMPTS, ARRAYS, FIGURE = "influence.csv", "prompts.csv", "influence.npz", "influence.png"
FRESH = "fresh"
MISMATCH = 0.05
"""Nats a token by which a log-probability may differ from the recorded one (bfloat16 stays well below)."""


def influence(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The checkpoint that made the rollouts.")],
    rollouts: Annotated[Path, typer.Argument(metavar="ROLLOUTS", help="Rollouts of the training prompts (parquet).")],
    out: options.OutFolder,
    target: Annotated[list[Path] | None, typer.Option(
        metavar="FILE", help="Rollouts of prompts that should improve; may be repeated. The training prompts "
                             "themselves are always one target.")] = None,
    estimator: Annotated[str, typer.Option(
        metavar="halves|distinct|naive", help="A prompt with itself: by split halves of its rollouts, not "
                                              "at all, or naively (biased).")] = "halves",
    scheme: Annotated[str, typer.Option(metavar="grpo|dr_grpo|rloo", help="How rewards become advantages.")] = "grpo",
    std: Annotated[str, typer.Option(metavar="population|sample", help="The deviation that grpo divides by.")] =
    "population",
    length_norm: Annotated[str, typer.Option(
        metavar="none|sequence|token", help="What a completion's gradient is divided by; only 'none' has accuracy "
                                            "units.")] = "none",
    kl: Annotated[float, typer.Option(
        min=0, help="Weight of the KL term, with --reference; there are no accuracy units then.")] = 0.0,
    reference: Annotated[str | None, typer.Option(
        metavar="FOLDER|NAME", help="The policy that the KL term holds on to.")] = None,
    adam: Annotated[str | None, typer.Option(
        metavar="FOLDER", help="Use Adam's inner product, with the optimiser state in this training checkpoint, or "
                               f"'{FRESH}': the state before the first step.")] = None,
    sketch: Annotated[int | None, typer.Option(
        min=1, metavar="K", help="Keep K numbers of each gradient, where all do not fit into memory; 1048576 leaves an "
                                 "error of .001 in a cosine.")] = None,
    lr: Annotated[float | None, typer.Option(
        help="Step size of one gradient step; by default the learning rate of GRPO.")] = None,
    parameters: Annotated[str | None, typer.Option(
        metavar="CHOICE", help="Only some parameters: last:K (the last K blocks), lora (adapters), or a regular "
                               "expression on names; by default the profile's choice.")] = None,
    seed: options.Seed = 0,
    profile: options.Profile = options.DEFAULT_PROFILE,
    overwrite: options.Overwrite = False,
) -> None:
    """Measure per-step influence: what one policy-gradient step on ROLLOUTS does to each target.

    --out gets influence.csv (a number a row, with its interval), prompts.csv (what each training prompt does for each
    target), influence.npz (the matrices of prompt pairs) and influence.png. The rollouts must come from MODEL itself.

    \b
    bi influence runs/sft runs/rl.parquet --target runs/test.parquet --out runs/influence
    """
    recipe = get_profile(profile)
    Field("step size", above=True).check("lr", lr := lr if lr is not None else recipe.grpo.learning_rate)
    check_folder_out(out, overwrite=overwrite, mark=TABLE)
    check_choice("--estimator", estimator, ("halves", "distinct", "naive"))
    if (kl > 0) != (reference is not None):
        raise ValueError(f"--kl is {kl:g} and --reference {reference!r}; a KL term needs both, no KL term neither")
    prepare_torch()
    from bi.influence.advantages import Weighting
    from bi.training.rollouts import load_rollouts

    weighting = Weighting(scheme=scheme, std=std, length_norm=length_norm, kl=kl,
                          temperature=recipe.grpo.temperature)

    train = load_rollouts(rollouts)
    targets = {name: load_rollouts(path) for name, path in names_of(target or [], "--target").items()}
    import numpy as np

    from bi import influence_figures
    from bi.files import atomic_folder
    from bi.influence.report import influence_report
    from bi.influence.sketch import Sketch
    from bi.training.policy import load_policy

    policy = load_policy(model)
    chosen = parameters or recipe.influence.parameters
    state = adam_state(adam, policy, chosen)
    for path, table in zip([rollouts, *(target or [])], [train, *targets.values()], strict=True):
        check_origin(policy, table, path)
    report = influence_report(policy, train, targets, lr=lr, seed=seed, resamples=recipe.influence.bootstrap,
                              parameters=chosen, estimator=estimator, weighting=weighting, adam=state,
                              reference=load_policy(reference) if reference else None,
                              sketch=Sketch(size=sketch, seed=seed) if sketch else None,
                              progress=count_up("prompt gradients"))
    with atomic_folder(out) as folder:
        report.table.to_csv(folder / TABLE, index=False, lineterminator="\n")
        report.prompts.to_csv(folder / PROMPTS, index=False, lineterminator="\n")
        np.savez(folder / ARRAYS, **report.arrays)
        influence_figures.save(lambda: influence_figures.influence_by_prompt(report.prompts), folder / FIGURE)
    for name, note in report.notes.items():
        say(f"{name}: {note}")
    show(report.table[["target", "metric", "value", "low", "high", "n", "unit"]])
    say(f"{out}: {TABLE}, {PROMPTS}, {ARRAYS} and {FIGURE}")


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ``ValueError`` naming the option unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{option} is {value!r}; choose one of {', '.join(choices)}")


def adam_state(source: str | None, policy: Policy, parameters: str | None) -> AdamState | None:
    """The optimiser state that ``--adam`` names: of a training checkpoint, before the first step, or none."""
    from bi.influence.adam import AdamState, load_adam_state
    from bi.influence.subsets import parameter_count

    if source is None:
        return None
    if source == FRESH:
        return AdamState.fresh(parameter_count(policy, parameters))
    return load_adam_state(source, policy, parameters)


def check_origin(policy: Policy, rollouts: pd.DataFrame, path: Path) -> None:
    """Raise ``ValueError`` when the first group of ``rollouts`` was not sampled from ``policy``.

    Influence is on-policy: the recorded log-probabilities must be those that the policy gives.
    """
    import torch

    from bi.influence.groups import check_groups
    from bi.influence.likelihood import completion_logprobs

    group = check_groups(rollouts, policy.model)[0]
    recorded = rollouts[rollouts["problem_id"] == group.problem_id].sort_values("sample")["logprob"].to_numpy()
    with torch.inference_mode():
        found = completion_logprobs(policy.model, group.prompt, group.completions).double().cpu().numpy()
    gap = abs(found - recorded).sum() / group.lengths.sum()
    if not gap <= MISMATCH:
        raise ValueError(f"{path}: its log-probabilities differ from the model's by {gap:.2g} nats a token; these are "
                         "not rollouts of this checkpoint, make them with `bi rollouts --model` of the same folder")
