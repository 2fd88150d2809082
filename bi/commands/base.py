"""``bi base``: remake the book-size base model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bi.commands.door import prepare_torch, say


def base(
    out: Annotated[Path, typer.Option(help="Folder of the base model; replaced when the new one is complete.")],
    seed: Annotated[int, typer.Option(help="Seed of the corpus and of the initialisation.")] = 0,
) -> None:
    """Train the book-size base model from scratch, measure it, and write it with its card.

    Takes about half an hour on one core. An interrupted run continues from OUT.partial.

    \b
    bi base --out models/tiny-base
    """
    prepare_torch()
    from bi.evaluation.base_model import make_base
    from bi.training.pretrain import BaseRecipe

    make_base(BaseRecipe(seed=seed), out)
    say(f"base model in {out}; its card is {out / 'README.md'}")
