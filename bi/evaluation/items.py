"""Right answers problem by problem, in one row a cell: what every table of differences can be made from again.

A cell is a policy on problems of one size. Its row holds how many of its samples are right on each problem, one
character a problem (``0`` to ``9``, then ``a`` to ``z``), the problems in the order of their keys.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bi.provenance import sidecar
from bi.recipes import Profile, digest

CELL = ("base", "arm", "seed", "stage", "size")
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MADE = ("commit", "dirty", "hardware", "libraries")
"""What is kept about where the rows of a base come from, of :func:`bi.provenance.provenance`."""


def packed_counts(counts: pd.DataFrame) -> pd.DataFrame:
    """A row a cell out of :func:`bi.evaluation.metrics.cell_counts`: what it is, ``problems``, ``samples``, ``right``.

    ``problems`` is a digest of the keys, so that cells of other problems cannot be taken for pairs. Raises
    ``ValueError`` for a cell with unequal numbers of samples, or more than 35.
    """
    rows = []
    for cell, part in counts.groupby(list(CELL), sort=False):
        ordered, samples = part.sort_values("problem_id"), set(part["n"])
        if len(samples) != 1 or max(samples) >= len(DIGITS):
            raise ValueError(f"{dict(zip(CELL, cell, strict=True))}: {sorted(samples)} samples a problem; sample every "
                             f"problem equally often, at most {len(DIGITS) - 1} times")
        rows.append({**dict(zip(CELL, cell, strict=True)), "problems": digest(list(ordered["problem_id"])),
                     "samples": samples.pop(), "right": "".join(DIGITS[number] for number in ordered["correct"])})
    return pd.DataFrame(rows, columns=[*CELL, "problems", "samples", "right"])


def unpacked_counts(items: pd.DataFrame) -> pd.DataFrame:
    """The inverse of :func:`packed_counts`, with problems called by their digest and their place in it."""
    parts = []
    for row in items.to_dict("records"):
        places = range(len(row["right"]))
        parts.append(pd.DataFrame({
            **{name: row[name] for name in CELL}, "problem_id": [f"{row['problems']}-{place:05}" for place in places],
            "n": row["samples"], "correct": [DIGITS.index(digit) for digit in row["right"]],
        }))
    return pd.concat(parts, ignore_index=True)


def cells_digest(recipe: Profile) -> str:
    """Digest of all that decides a cell: the profile's recipes, whichever bases it compares."""
    return digest(dataclasses.replace(recipe, note="", bases=()))


@dataclasses.dataclass(frozen=True)
class Kept:
    """Results of bases that were measured before, from a folder of published tables.

    ``made``: where the rows of each base come from (:data:`MADE`).
    """

    items: pd.DataFrame
    conditions: pd.DataFrame
    made: Mapping[str, Mapping[str, Any]]

    def joined(self, name: str, table: pd.DataFrame, bases: Sequence[str]) -> pd.DataFrame:
        """``table`` and the kept rows of ``bases`` that it has none of, in the order of ``bases``."""
        new = set(table["base"])
        parts = [table if base in new else getattr(self, name) for base in bases]
        found = [part[part["base"] == base] for part, base in zip(parts, bases, strict=True)]
        return pd.concat([part for part in found if len(part)], ignore_index=True)


def read_kept(folder: str | Path, recipe: Profile, needed: Sequence[str] = ()) -> Kept:
    """What ``folder`` holds of earlier bases; nothing at all if it holds no items, or is the empty string.

    Raises ``ValueError`` where the rows were made with another recipe, or where one of the bases ``needed`` is missing.
    """
    path, told = Path(folder) / "items.csv", "run `make reproduce GRID=bases` for all of them"
    kept = Kept(pd.DataFrame(columns=["base"]), pd.DataFrame(columns=["base"]), {})
    if folder and path.is_file():
        facts = json.loads(sidecar(path).read_text(encoding="utf-8"))
        if facts["cells"] != cells_digest(recipe):
            raise ValueError(f"{path} was made with another recipe than the present one; {told}")
        kept = Kept(pd.read_csv(path, dtype={"right": str}, keep_default_na=False),
                    pd.read_csv(path.with_name("conditions.csv")), facts["made"])
    missing = [base for base in needed if base not in kept.made]
    if missing:
        raise ValueError(f"{folder} has no results of {', '.join(missing)}; name what is missing in GRID=bases:..., or "
                         f"{told}")
    return kept
