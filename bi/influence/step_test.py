"""Does the predicted change of accuracy come true? One optimiser step on a real policy, predicted and then measured.

Training prompts are sorted into a set of high and a set of low co-influence with held-out prompts, at the same
accuracy profile (:func:`bi.influence.steps.matched_sets`). From one checkpoint, one step is taken on each set, with
plain gradient ascent and with Adam, in several sizes. If co-influence is what makes prompts teach each other, the step
on the high set moves accuracy more, by as much as predicted, though both sets are solved equally often.

Nothing is measured on rollouts that had a say before: the sets and the step sizes are chosen on one group of held-out
prompts, the change is predicted and measured on another; the prediction uses rollouts of its own, the measurement
others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bi.evaluation.intervals import bootstrap_mean, numpy_stream
from bi.files import atomic_write
from bi.influence.adam import AdamState, adam_step
from bi.influence.advantages import Weighting
from bi.influence.gradients import GroupGradients, group_gradients
from bi.influence.steps import (
    fresh_changes,
    importance_changes,
    matched_sets,
    moved,
    predicted_changes,
    sequence_logprobs,
)
from bi.recipes import StepTestRecipe
from bi.training.rollouts import make_rollouts

Rows = Sequence[Mapping[str, Any]]
CHANGES = ("predicted", "importance", "fresh")


@dataclass(frozen=True)
class Bench:
    """What all steps share: gradients of the training prompts, target gradients to choose by and to predict with, and
    the rollouts to measure with (their log-probabilities under the checkpoint in ``stored``)."""

    train: GroupGradients
    select: GroupGradients
    target: GroupGradients
    rollouts: pd.DataFrame
    stored: list[Any]
    draw: Callable[[], pd.DataFrame]


def check_rows(train: Rows, targets: Rows, recipe: StepTestRecipe) -> None:
    """Raise ``ValueError`` unless there are enough prompts, all of them different."""
    needed = recipe.select_prompts + recipe.target_prompts
    for name, rows, least in (("train", train, recipe.train_prompts), ("target", targets, needed)):
        if len(rows) < least:
            raise ValueError(f"{name}: {len(rows)} prompts, the step test needs {least}; give more, or change the "
                             "recipe")
    both = {r["problem_id"] for r in train[: recipe.train_prompts]} & {r["problem_id"] for r in targets[:needed]}
    if both:
        raise ValueError(f"target: problem {sorted(both)[0]!r} is a training prompt too; held-out prompts are needed")


def prepare(policy: Any, train: Rows, targets: Rows, recipe: StepTestRecipe, *, max_new_tokens: int, seed: int,
            work: Path, say: Callable[[str], None] = print) -> Bench:
    """Sample (kept in ``work``, so that a second call is quick) and differentiate."""
    check_rows(train, targets, recipe)
    held = {"select": targets[: recipe.select_prompts],
            "target": targets[recipe.select_prompts : recipe.select_prompts + recipe.target_prompts]}

    def draw(rows: Rows, k: int, purpose: str, out: Path | None) -> pd.DataFrame:
        return make_rollouts(policy, rows, k, max_new_tokens=max_new_tokens, seed=seed, purpose=f"step test {purpose}",
                             out=out)

    plan = {"train": (train[: recipe.train_prompts], recipe.train_rollouts), "select": (held["select"],
            recipe.select_rollouts), "predict": (held["target"], recipe.predict_rollouts)}
    gradients = {}
    for name, (rows, k) in plan.items():
        rollouts = draw(rows, k, name, work / f"{name}.parquet")
        # targets: unbiased for grad alpha and halved nowhere, since training and target prompts differ
        gradients[name] = group_gradients(policy, rollouts, weighting=Weighting(scheme="grpo"))
        say(f"{name}: {gradients[name].describe()}")
    measured = draw(held["target"], recipe.measure_rollouts, "measure", work / "measure.parquet")
    return Bench(gradients["train"], gradients["select"], gradients["predict"], measured,
                 sequence_logprobs(policy, measured),
                 lambda: draw(held["target"], recipe.measure_rollouts, "measure", None))


def direction(train: GroupGradients, rows: np.ndarray, optimiser: str) -> np.ndarray:
    """u (P,) of one step on the training prompts ``rows``: their mean group gradient, or Adam's first step on it."""
    gradient = train.parts[0][rows].mean(0, dtype=np.float64)
    if optimiser == "sgd":
        return gradient
    if optimiser != "adam":
        raise ValueError(f"optimiser {optimiser!r} is unknown; choose sgd or adam")
    return adam_step(AdamState.fresh(gradient.size), gradient).direction(gradient)


def training_sets(bench: Bench, recipe: StepTestRecipe) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """The sets of high and of low influence, and a table of all training prompts.

    Its columns: ``problem_id``, ``correct``, ``n``, ``score`` (accuracy added to the prompts of ``select`` by a step of
    size 1 on this prompt), ``set``.
    """
    train = bench.train
    scores = predicted_changes_by_prompt(bench.select, train)
    correct = np.rint(train.mean * train.counts).astype(int)
    telling = np.flatnonzero(train.informative)  # the others have no gradient and would dilute both sets alike
    sets = {name: telling[rows] for name, rows in
            matched_sets(scores[telling], correct[telling], recipe.share).items()}
    labels = np.full(len(scores), "", dtype=object)
    for name, rows in sets.items():
        labels[rows] = name
    return sets, pd.DataFrame({"problem_id": train.ids, "correct": correct, "n": train.counts, "score": scores,
                               "set": labels})


def predicted_changes_by_prompt(target: GroupGradients, train: GroupGradients) -> np.ndarray:
    """Mean over target prompts of < grad alpha(q), grad J(q') >, (M_train,)."""
    mean = target.accuracy_gradients().mean(0, dtype=np.float64)
    return np.array([float(mean @ row) for row in train.parts[0]])


def run_step_test(policy: Any, train: Rows, targets: Rows, recipe: StepTestRecipe, *, max_new_tokens: int, seed: int,
                  work: Path, say: Callable[[str], None] = print) -> dict[str, pd.DataFrame]:
    """Tables by name: ``steps``, ``step_contrasts`` (:func:`contrasts`) and ``step_prompts`` (:func:`training_sets`).

    One row of ``steps`` per set, optimiser and size; changes are means over the target prompts, in probability, with
    95% bootstrap intervals over them (``_low``, ``_high``): ``predicted``; ``importance`` and ``fresh``, measured
    (:mod:`bi.influence.steps`); ``gap_importance`` and ``gap_fresh``, measured minus predicted, paired by prompt.
    ``effective``: mean effective share of the stored rollouts. ``needed_importance``, ``needed_fresh``,
    ``needed_independent``: rollouts that would show the change with a standard error of a quarter of it (without common
    random numbers for the last). ``work`` keeps rollouts and finished steps; a run that was stopped goes on from there.
    """
    bench = prepare(policy, train, targets, recipe, max_new_tokens=max_new_tokens, seed=seed, work=work, say=say)
    sets, prompts = training_sets(bench, recipe)
    rows, changes = [], []
    for optimiser in recipe.optimisers:
        directions = {name: direction(bench.train, chosen, optimiser) for name, chosen in sets.items()}
        slope = predicted_changes(bench.select, directions["high"]).mean()
        if not slope > 0:
            raise ValueError(f"optimiser {optimiser}: the prompts of high influence are predicted to lower accuracy; "
                             "measure more prompts")
        for gain in recipe.gains:
            for name, chosen in sets.items():
                lr = gain / slope
                place = work / f"step-{optimiser}-{gain:g}-{name}.json"
                if not place.is_file():
                    row, found = measure_step(policy, bench, lr * directions[name], recipe, seed)
                    head = {"set": name, "optimiser": optimiser, "gain": gain}
                    more = {"lr": lr, "prompts": len(chosen), "train_accuracy": bench.train.mean[chosen].mean()}
                    with atomic_write(place) as handle:
                        json.dump({"head": head, "row": more | row, "changes": found.to_dict("list")}, handle)
                kept = json.loads(place.read_text(encoding="utf-8"))
                rows.append(kept["head"] | kept["row"])
                changes.append(pd.DataFrame(kept["changes"]).assign(**kept["head"]))
                say("{optimiser} {set} {gain:g}: predicted {predicted:+.4f}, importance {importance:+.4f}, fresh "
                    "{fresh:+.4f}".format(**rows[-1]))
    differences = contrasts(pd.concat(changes, ignore_index=True), seed, recipe.bootstrap)
    return {"steps": pd.DataFrame(rows), "step_contrasts": differences, "step_prompts": prompts}


def contrasts(changes: pd.DataFrame, seed: int, resamples: int) -> pd.DataFrame:
    """High minus low: how much more the step on the set of high influence adds, paired by target prompt.

    ``changes``: rows ``set, optimiser, gain, problem_id`` and the three changes. Rows ``optimiser, gain, how, value,
    low, high, n`` with 95% bootstrap intervals over target prompts; ``how`` is ``predicted``, ``importance`` or
    ``fresh``.
    """
    rows = []
    for (optimiser, gain), part in changes.groupby(["optimiser", "gain"], sort=False):
        wide = part.pivot(index="problem_id", columns="set", values=list(CHANGES))
        for how in CHANGES:
            i = bootstrap_mean((wide[how]["high"] - wide[how]["low"]).to_numpy(),
                               numpy_stream(seed, "step contrast", how), resamples=resamples)
            rows.append({"optimiser": optimiser, "gain": gain, "how": how, "value": i.value, "low": i.low,
                         "high": i.high, "n": i.n})
    return pd.DataFrame(rows)


def measure_step(policy: Any, bench: Bench, shift: np.ndarray, recipe: StepTestRecipe,
                 seed: int) -> tuple[dict[str, float], pd.DataFrame]:
    """Predict the change by ``shift``, move the policy, measure, and move it back: a row, and the changes by prompt."""
    predicted = predicted_changes(bench.target, shift)
    with moved(policy, shift):
        weighted = importance_changes(policy, bench.stored, bench.rollouts)
        after = bench.draw()
    fresh = fresh_changes(bench.rollouts, after)
    values = {"predicted": predicted, "importance": weighted["change"], "fresh": fresh["change"],
              "gap_importance": weighted["change"] - predicted, "gap_fresh": fresh["change"] - predicted}
    row: dict[str, float] = {"step_norm": float(np.linalg.norm(shift)), "n": len(predicted)}
    for name, changes in values.items():
        i = bootstrap_mean(changes, numpy_stream(seed, "step test", name), resamples=recipe.bootstrap)
        row |= {name: i.value, f"{name}_low": i.low, f"{name}_high": i.high}
    row["effective"] = float(weighted["effective"].mean() / recipe.measure_rollouts)
    row["same"] = float(fresh["same"].mean())
    total = len(predicted) * recipe.measure_rollouts
    for name, variances, change in (("importance", weighted["variance"], row["importance"]),
                                    ("fresh", fresh["variance"], row["fresh"]),
                                    ("independent", fresh["independent"], row["fresh"])):
        noise = variances.sum() / len(predicted) ** 2  # variance of the mean over these prompts
        row[f"needed_{name}"] = float(total * noise / (change / 4) ** 2) if change else float("inf")
    by_prompt = {name: np.asarray(values[name]) for name in CHANGES}
    return row, pd.DataFrame({"problem_id": fresh["problem_id"], **by_prompt})
