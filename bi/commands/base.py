"""``bi base``: remake the book-size base model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bi.commands.door import prepare_torch, say


def base(
    out: Annotated[Path, typer.Option(help="Folder of the base model; replaced when the new one is complete.")],
    name: Annotated[
        str, typer.Option(metavar="NAME",
                          help="Which base: tiny-base, plain-base, wide-base, small-base or dyval-base.")
    ] = "tiny-base",
    seed: Annotated[int, typer.Option(help="Seed of the corpus and of the initialisation.")] = 0,
    behaviors: Annotated[float | None, typer.Option(
        min=0.0, max=1.0, help="Share of worked problems in the corpus that hold a behaviour; the recipe's by default."
    )] = None,
) -> None:
    """Train a base model of the book from scratch, measure it, and write it with its card.

    A quarter of an hour to half an hour on a core that multiplies bfloat16, an hour on one that does not. An
    interrupted run continues from OUT.partial.

    \b
    bi base --out models/tiny-base
    bi base --name small-base --out models/small-base
    """
    prepare_torch()
    from bi.evaluation.base_card import make_base
    from bi.training.pretrain import BASES

    if name not in BASES:
        raise ValueError(f"unknown base model {name!r}; choose one of {', '.join(BASES)}")
    recipe = replace(BASES[name], seed=seed)
    if behaviors is not None:
        recipe = replace(recipe, corpus=replace(recipe.corpus, behaviors=behaviors))
    make_base(recipe, out)
    say(f"base model in {out}; its card is {out / 'README.md'}")
