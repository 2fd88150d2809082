"""Rollouts of a grid that nobody trained: right answers, and damaged ones that look like a model's."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
from mutation_cases import mutated

from bi.augmentation.arms import build_problems, build_rows, prompt_row
from bi.augmentation.wording import get_wording
from bi.evaluation.before_after import OUTCOMES
from bi.recipes import get_profile
from bi.runs import SPLITS, Run
from bi.tasks.problem import Problem

STAGES = {"sft": 0, "rl": 1}


def write_rollouts(runs: Path, *, profile: str = "smoke", problems: int = 26, drop: int = 0) -> list[Run]:
    """Two samples of each problem and stage for two arms and two seeds; the first samples pass through all outcomes.

    Without the last ``drop`` problems after RL.
    """
    recipe = get_profile(profile)
    drawn = build_problems(recipe.task, "test_id", problems, seed=0)
    rows = {arm: build_rows(drawn, arm, recipe.task, recipe.rates, seed=0) for arm in ("vanilla", "bridge")}
    model = recipe.models[0].name
    runs_of = [Run(profile, model, arm, seed, str(runs)) for arm in rows for seed in (3, 4)]
    for run in runs_of:
        for stage, place in STAGES.items():
            table = []
            for index, (problem, row) in enumerate(zip(drawn, rows[run.arm], strict=True)):
                good = list(OUTCOMES.values())[index % 4][place]
                wrong = damaged(row["completion"], problem, recipe.task.wording, f"{run.arm} {stage} {index}")
                for sample, text in ((1, wrong), (0, row["completion"] if good else wrong)):
                    verdict = get_wording(recipe.task.wording).verdict(text, problem)
                    table.append({**prompt_row(problem, recipe.task), "sample": sample, "completion": text,
                                  "answer": verdict.answer, "first_error": verdict.first_error})
            for split in SPLITS:
                run.rollouts(stage, split).parent.mkdir(parents=True, exist_ok=True)
                frame = pd.DataFrame(table[: len(table) - (2 * drop if stage == "rl" else 0)])
                frame.to_parquet(run.rollouts(stage, split))
    return runs_of


def damaged(completion: str, problem: Problem, wording: str, name: str) -> str:
    """``completion`` with changes that cost it the right answer."""
    rng, words = random.Random(name), completion.split(" ")
    while True:
        text = " ".join(mutated(words, rng))
        if not get_wording(wording).verdict(text, problem).answer and text.isprintable():
            return text
