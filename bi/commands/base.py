"""``bi base``: remake a base model of the book."""

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
                          help="Which base: tiny-base, plain-base, wide-base, small-base, range-base, dyval-base or "
                               "gpu-base.")
    ] = "tiny-base",
    seed: Annotated[int, typer.Option(help="Seed of the corpus and of the initialisation.")] = 0,
    behaviors: Annotated[float | None, typer.Option(
        min=0.0, max=1.0, help="Share of worked problems in the corpus that hold a behaviour; the recipe's by default."
    )] = None,
) -> None:
    """Train a base model of the book from scratch, measure it, and write it with its card.

    A quarter of an hour to half an hour on a core that multiplies bfloat16, an hour on one that does not; gpu-base is
    larger, reads English and needs a GPU. An interrupted run continues from OUT.partial.

    \b
    bi base --out models/tiny-base
    bi base --name small-base --out models/small-base
    """
    prepare_torch()
    from bi.evaluation.base_card import make_base
    from bi.training.policy import default_device
    from bi.training.pretrain import BASES, GPU_BASES

    known = BASES | GPU_BASES
    if name not in known:
        raise ValueError(f"unknown base model {name!r}; choose one of {', '.join(known)}")
    if name in GPU_BASES and default_device().type == "cpu":
        raise ValueError(f"{name} needs a GPU, and none is here; models/tiny-base is the base of book size")
    recipe = replace(known[name], seed=seed)
    if behaviors is not None:
        recipe = replace(recipe, corpus=replace(recipe.corpus, behaviors=behaviors))
    make_base(recipe, out)
    say(f"base model in {out}; its card is {out / 'README.md'}")
