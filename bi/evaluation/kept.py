"""Results that stay when a run adds to them: a grid may run one arm, or one base, and take the rest from its tables.

Right answers problem by problem are kept in one row a cell, so that every difference can be made again with its pairs.
A cell is a policy on problems of one size. Its row holds how many of its samples are right on each problem, one
character a problem (``0`` to ``9``, then ``a`` to ``z``), the problems in the order of their keys.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from bi.provenance import csv_text
from bi.recipes import Profile, digest

CELL = ("base", "arm", "seed", "stage", "size")
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
TEXTS = {"right": str}
"""Columns of published tables that look like numbers and are none (for ``pandas.read_csv``)."""
MADE = ("commit", "dirty", "hardware", "libraries")
"""What is kept about where rows come from, of :func:`bi.provenance.provenance`."""


def packed_counts(counts: pd.DataFrame, cell: Sequence[str] = CELL) -> pd.DataFrame:
    """A row a cell out of :func:`bi.evaluation.metrics.cell_counts`: what it is, ``problems``, ``samples``, ``right``.

    ``cell``: the columns that say what it is. ``problems`` is a digest of the keys, so that cells of other problems
    cannot be taken for pairs. Raises ``ValueError`` for a cell with unequal numbers of samples, or more than 35.
    """
    rows = []
    for values, part in counts.groupby(list(cell), sort=False):
        this = dict(zip(cell, values, strict=True))
        ordered, samples = part.sort_values("problem_id"), set(part["n"])
        if len(samples) != 1 or max(samples) >= len(DIGITS):
            raise ValueError(f"{this}: {sorted(samples)} samples a problem; sample every "
                             f"problem equally often, at most {len(DIGITS) - 1} times")
        rows.append({**this, "problems": digest(list(ordered["problem_id"])),
                     "samples": samples.pop(), "right": "".join(DIGITS[number] for number in ordered["correct"])})
    return pd.DataFrame(rows, columns=[*cell, "problems", "samples", "right"])


def unpacked_counts(items: pd.DataFrame, cell: Sequence[str] = CELL) -> pd.DataFrame:
    """The inverse of :func:`packed_counts`, with problems called by their digest and their place in it."""
    parts = []
    for row in items.to_dict("records"):
        places = range(len(row["right"]))
        parts.append(pd.DataFrame({
            **{name: row[name] for name in cell}, "problem_id": [f"{row['problems']}-{place:05}" for place in places],
            "n": row["samples"], "correct": [DIGITS.index(digit) for digit in row["right"]],
        }))
    return pd.concat(parts, ignore_index=True)


def cells_digest(recipe: Profile) -> str:
    """Digest of all that decides a cell: the profile's recipes, whichever arms and bases it compares."""
    return digest(dataclasses.replace(recipe, note="", arms=(), bases=()))


_read = partial(pd.read_csv, keep_default_na=False)


@dataclasses.dataclass(frozen=True)
class Kept:
    """Published tables whose rows of some arms, or bases, are used again.

    ``column``: ``arm`` or ``base``. ``places``: the folder that has the rows of each. ``made``: where they come from
    (:data:`MADE`).
    """

    column: str
    places: Mapping[str, Path]
    made: Mapping[str, Mapping[str, Any]]

    def rows(self, name: str, key: str) -> pd.DataFrame:
        """The rows of ``key`` in the table ``name``, as texts; none where it is not kept, or the table has none of it.
        """
        path = self.places[key] / f"{name}.csv" if key in self.places else None
        if path is None or not path.is_file():
            return pd.DataFrame(columns=[self.column])
        table = _read(path, dtype=str)
        return table[table[self.column] == key]

    def joined(self, name: str, table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        """``table`` and the kept rows of those ``keys`` that it has none of, in the order of ``keys``.

        Rows of ``table`` that belong to none of them (the base model among arms) come first. Where nothing is kept,
        this is ``table`` as it is.
        """
        if not self.places:
            return table
        here = _read(StringIO(csv_text(table)), dtype=str)  # texts, so that rows are written as they were
        own = here[self.column]
        parts = [here[~own.isin(list(keys))]]
        parts += [here[own == key] if (own == key).any() else self.rows(name, key) for key in keys]
        return _read(StringIO(csv_text(pd.concat(parts, ignore_index=True))), dtype=TEXTS)

    def facts(self, keys: Iterable[str], ran: Sequence[str]) -> dict[str, Any]:
        """For the provenance of joined tables: what ``ran`` now, and where the rows of the others come from."""
        return {"ran": list(ran), "kept": {key: self.made[key] for key in keys if key not in ran and key in self.made}}


def read_kept(folders: Sequence[str | Path], column: str, recipe: Profile, needed: Sequence[str] = ()) -> Kept:
    """What ``folders`` hold of earlier arms or bases; of those that several hold, the first one's.

    Raises ``ValueError`` where the rows were made with another recipe, or where one of ``needed`` is in no folder.
    """
    places: dict[str, Path] = {}
    made: dict[str, Mapping[str, Any]] = {}
    for folder in reversed([Path(folder) for folder in folders]):
        for path in sorted(folder.glob("*.provenance.json"))[:1]:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts.get("cells") != cells_digest(recipe):
                raise ValueError(f"the tables in {folder} were made with another recipe than the present one, or do "
                                 "not say with which; run the whole grid, without a colon in GRID")
            found = facts["kept"] | dict.fromkeys(facts["ran"], {part: facts[part] for part in MADE})
            places |= dict.fromkeys(found, folder)
            made |= found
    missing = [key for key in needed if key not in made]
    if missing:
        raise ValueError(f"no results of {', '.join(missing)} in {' or '.join(map(str, folders))}; name what is "
                         "missing behind the colon of GRID, or run the whole grid, without a colon")
    return Kept(column, places, made)
