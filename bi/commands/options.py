"""Options that several commands share, each worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bi.processes import MOST
from bi.recipes import PROFILES

DEFAULT_PROFILE = "cpu"

Profile = Annotated[str, typer.Option(
    help=f"Where the defaults of this command come from: {', '.join(PROFILES)}.", metavar="NAME")]
Seed = Annotated[int, typer.Option(min=0, help="Seed: same seed and options, same result.")]
NumProc = Annotated[int, typer.Option(
    min=1, max=MOST, help="Processes that work side by side; the result is the same to the byte.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace --out if it exists.")]
Model = Annotated[str, typer.Option(
    metavar="FOLDER|NAME", help="Starting checkpoint: a Hugging Face folder, or a hub name.")]
TrainData = Annotated[Path, typer.Option(
    "--data", metavar="FILE", help="JSON Lines with prompt and completion (made by `bi data --arm NAME`).")]
PromptData = Annotated[Path, typer.Option(
    "--data", metavar="FILE",
    help="JSON Lines with problem_id, prompt, answer and wording (made by `bi data --prompts-only`).")]
Limit = Annotated[int | None, typer.Option(min=1, help="Use only the first rows of --data, this many.")]
OutFolder = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the result goes.")]
OutFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the result goes.")]
