"""The door: every stage of the corridor as a command, ``bi STAGE`` or ``python -m bi STAGE``.

Nothing heavy is imported here or when a command is described: torch comes in with the first command that needs it.
"""

from __future__ import annotations

from typing import Annotated

import typer

import bi
from bi.commands.base import base
from bi.commands.data import data
from bi.commands.door import Door
from bi.commands.evaluate import evaluate
from bi.commands.inject import inject
from bi.commands.measure import influence, rollouts
from bi.commands.select import select
from bi.commands.step_test import step_test
from bi.commands.sweep import sweep
from bi.commands.train import grpo, sft

EPILOG = """\b
From problems to a verdict, on files:
  bi data --arm bridge --rows 2000 --out runs/bridge.jsonl
  bi data --prompts-only --split rl --rows 4000 --out runs/rl.jsonl
  bi sft --model models/tiny-base --data runs/bridge.jsonl --out runs/sft
  bi rollouts --model runs/sft --data runs/rl.jsonl --limit 64 --out runs/rl.parquet
  bi influence runs/sft runs/rl.parquet --out runs/influence
  bi grpo --model runs/sft --data runs/rl.jsonl --out runs/grpo
  bi eval runs/rl.parquet --out runs/accuracy.csv
"""

app = typer.Typer(
    name="bi",
    cls=Door,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bi {bi.__version__}")
        raise typer.Exit


COMMANDS = {
    "data": (data, "Write problems, with or without chains of thought."),
    "inject": (inject, "Put behaviours into chains of thought."),
    "sft": (sft, "Fine-tune a checkpoint on chains of thought."),
    "rollouts": (rollouts, "Sample completions of prompts and judge them."),
    "select": (select, "Keep the prompts that a checkpoint solves sometimes."),
    "influence": (influence, "Measure what one gradient step would do."),
    "step-test": (step_test, "Take real steps and compare with the prediction."),
    "grpo": (grpo, "Train a checkpoint by reinforcement learning."),
    "eval": (evaluate, "Turn rollouts into numbers with intervals."),
    "base": (base, "Train a base model of the book anew."),
    "sweep": (sweep, "Try recipes on development problems."),
}


@app.callback()
def door(
    debug: Annotated[bool, typer.Option("--debug", envvar="BI_DEBUG", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")]
    = False,
) -> None:
    """Behaviour injection: make SFT data, train, sample, measure co-influence and evaluate, stage by stage.

    Results go to --out, progress to stderr. Bad input ends with one line and exit code 2, and nothing is written.
    """


for name, (command, short) in COMMANDS.items():
    app.command(name, short_help=short)(command)


def main() -> None:
    """The ``bi`` command."""
    app()


if __name__ == "__main__":
    main()
