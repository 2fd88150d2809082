"""The tables of the chapters on co-influence, made one at a time into ``results/influence/``.

    python -m workflow.influence_tables bias      # estimators on an enumerable policy; two minutes
    python -m workflow.influence_tables sketch    # sketches of the base model's gradients; two minutes
    python -m workflow.influence_tables steps     # predicted against measured changes; 20 minutes a checkpoint
    python -m workflow.influence_tables steps --profile cpu --arms vanilla,bridge --seeds 0,1

``steps`` starts from the checkpoints that ``make reproduce`` has left in ``runs/`` and keeps what it has sampled and
measured beside them: stopped, it goes on where it was. Every table has its provenance beside it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pandas as pd

from bi.progress import Progress
from bi.provenance import provenance, spent, write_table
from bi.recipes import PROFILES, digest, get_profile
from bi.runs import TIMING, Run
from workflow.stages import ROOT

PLACE = ROOT / "results" / "influence"
BIAS = {"seeds": list(range(96)), "sizes": [4, 8, 16, 32]}
SKETCH = {"sizes": [*(2**n for n in range(8, 20, 2)), 2**19, 2**20], "prompts": 48, "rollouts": 8, "seeds": [0, 1, 2]}


def main(argv: list[str] | None = None) -> int:
    """Make one table (or the two of ``steps``); returns the exit code."""
    options = _parser().parse_args(argv)
    makers: dict[str, Callable[[argparse.Namespace], None]] = {"bias": bias, "sketch": sketch, "steps": steps}
    try:
        makers[options.table](options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def bias(options: argparse.Namespace) -> None:
    """``bias.csv``: :func:`bi.influence.experiments.bias_table`."""
    from bi.influence.experiments import bias_table

    began, line = time.monotonic(), Progress(len(BIAS["seeds"]), "policy")
    table = bias_table(BIAS["seeds"], BIAS["sizes"], progress=lambda done, _: line.update(done))
    _write("bias", table, time.monotonic() - began, "any", BIAS["seeds"], BIAS)


def sketch(options: argparse.Namespace) -> None:
    """``sketch.csv``: :func:`bi.influence.experiments.sketch_table` on gradients of the profile's base model."""
    from bi.influence.experiments import sketch_table
    from bi.training.policy import load_policy
    from bi.training.rollouts import make_rollouts

    profile, began = get_profile(options.profile), time.monotonic()
    policy = load_policy(ROOT / profile.models[0].name, device="cpu")
    rollouts = make_rollouts(policy, _prompts(profile, "rl", SKETCH["prompts"]), SKETCH["rollouts"],
                             max_new_tokens=profile.grpo.max_completion_length, purpose="sketch")
    table = sketch_table(policy, rollouts, SKETCH["sizes"], SKETCH["seeds"])
    _write("sketch", table, time.monotonic() - began, profile.name, SKETCH["seeds"], SKETCH)


def steps(options: argparse.Namespace) -> None:
    """``steps.csv``, ``step_contrasts.csv``, ``step_prompts.csv``: :func:`bi.influence.step_test.run_step_test`."""
    from bi.influence.step_test import run_step_test
    from bi.training.policy import load_policy

    profile, wall_s = get_profile(options.profile), 0.0
    recipe, model, seeds = profile.step_test, profile.models[0].name, [int(s) for s in options.seeds.split(",")]
    cells = [Run(profile.name, model, arm, seed, options.runs) for arm in options.arms.split(",") for seed in seeds]
    missing = [str(run.sft_model) for run in cells if not run.sft_model.is_dir()]
    if missing:
        raise ValueError(f"{missing[0]} does not exist; make it with `make reproduce PROFILE={profile.name}`")
    frames: dict[str, list[pd.DataFrame]] = {}
    for run in cells:
        work = run.folder("step_test") / digest([recipe, profile.task, _fingerprint(run)])
        work.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        found = run_step_test(
            load_policy(run.sft_model), _prompts(profile, "rl", recipe.train_prompts, run.seed),
            _prompts(profile, "dev_id", recipe.select_prompts + recipe.target_prompts), recipe,
            max_new_tokens=profile.grpo_for(model).max_completion_length, seed=run.seed, work=work)
        wall_s += spent(work / TIMING, time.monotonic() - began)
        for name, table in found.items():
            frames.setdefault(name, []).append(table.assign(arm=run.arm, seed=run.seed))
    for name, tables in frames.items():
        _write(name, pd.concat(tables, ignore_index=True), wall_s, profile.name, seeds, recipe,
               checkpoints={f"{run.arm} {run.seed}": _fingerprint(run) for run in cells})


def _fingerprint(run: Run) -> str:
    from bi.training.policy import fingerprint

    return fingerprint(run.sft_model)


def _prompts(profile: Any, split: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Prompts of the profile's task; held-out ones do not depend on the seed."""
    from bi.augmentation.arms import build_problems, prompt_row

    return [prompt_row(problem, profile.task) for problem in build_problems(profile.task, split, count, seed)]


def _write(name: str, table: pd.DataFrame, wall_s: float, profile: str, seeds: list[int], recipe: Any,
           **more: Any) -> None:
    facts = provenance(profile, seeds, digest(recipe), wall_s, root=ROOT, **more)
    print(write_table(PLACE / f"{name}.csv", table, facts).relative_to(ROOT))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workflow.influence_tables", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("bias", "sketch", "steps"))
    parser.add_argument("--profile", default="cpu", help=f"one of {', '.join(PROFILES)} (default: cpu)")
    parser.add_argument("--arms", default="vanilla,bridge", help="arms of the step test (default: vanilla,bridge)")
    parser.add_argument("--seeds", default="0", help="seeds of the step test (default: 0)")
    parser.add_argument("--runs", default="runs", help="folder of the runs (default: runs)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
