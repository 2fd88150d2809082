"""What a chapter notebook needs besides figures: its tables, and its numbers handed to the book.

Numbers reach the prose by name only (:func:`hand_over`, ``{glue:text}`` in the page), so a text cannot disagree with
the table that it was written from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bi.evaluation.kept import TEXTS
from bi.provenance import sidecar

COMMANDS = "commands.csv"
COURSE = "course.csv"
EXPERIMENTS = ("probability", "rejection", "tokens", "passes", "through", "bases", "dyval", "depth", "seeds",
               "retest", "longer", "dose", "range")
"""Grids whose tables stand in a folder of their own below the profile's."""
UNMEASURED = "not measured yet"


def read_table(results_dir: str | Path, name: str) -> pd.DataFrame:
    """The table ``name`` of a results folder; ``ValueError`` naming the file and the remedy where it is missing.

    A name with a folder, such as ``influence/bias``, stands beside the profile's folder: it belongs to no profile. One
    that begins with ``models/`` stands in the card of a base model, one that begins with one of :data:`EXPERIMENTS` in
    the profile's folder.
    """
    path = table_path(results_dir, name)
    if not path.is_file():
        grid = name.partition("/")[0]
        remedy = f"make reproduce PROFILE={Path(results_dir).name}" if "/" not in name else f"git checkout {path}"
        remedy = f"make reproduce PROFILE={Path(results_dir).name} GRID={grid}" if grid in EXPERIMENTS else remedy
        raise ValueError(f"{path} does not exist; make it with `{remedy}`")
    return pd.read_csv(path, dtype=TEXTS)


def table_path(results_dir: str | Path, name: str) -> Path:
    """Where the table ``name`` is (see :func:`read_table`)."""
    place = Path(results_dir)
    if name.startswith("models/"):
        place = place.parent.parent
    elif "/" in name and name.partition("/")[0] not in EXPERIMENTS:
        place = place.parent
    return place / f"{name}.csv"


def read_if_made(results_dir: str | Path, name: str) -> pd.DataFrame | None:
    """The table ``name`` (:func:`read_table`), or ``None`` for an experiment that has not been run."""
    return read_table(results_dir, name) if table_path(results_dir, name).is_file() else None


def command_facts(results_dir: str | Path) -> dict[str, str]:
    """Wall time, peak memory, commit and machine of the three commands, as texts for the pages.

    Reads ``commands.csv`` beside the profiles' folders, which ``book/measure.py`` writes. A command that nobody has
    measured is :data:`UNMEASURED`: the first run on a new machine has to end before its time is known.
    """
    path = Path(results_dir).parent / COMMANDS
    rows = pd.read_csv(path, dtype=str).set_index("command").to_dict("index") if path.is_file() else {}
    facts = {}
    for word in ("test", "reproduce", "book"):
        row = rows.get(f"make {word}", {})
        facts |= {f"{fact}_{word}": row.get(fact, UNMEASURED) for fact in ("commit", "machine")}
        facts[f"time_{word}"] = time_text(float(row["wall_s"])) if row else UNMEASURED
        facts[f"memory_{word}"] = f"{float(row['peak_gb']):.1f} GB" if pd.notna(row.get("peak_gb")) else UNMEASURED
    return facts


def course_facts(results_dir: str | Path) -> dict[str, str]:
    """Processor time of checks of exercises and commands of the lab, as texts: ``check_ex_orders``, ``lab_own``.

    Reads ``course.csv`` beside the profiles' folders, which ``python -m workflow.course time`` writes, and its record
    (``machine_course``). ``ValueError`` naming the file if it is missing.
    """
    path = Path(results_dir).parent / COURSE
    if not path.is_file():
        raise ValueError(f"{path} does not exist; make it with `python -m workflow.course time`")
    rows, record = pd.read_csv(path), json.loads(sidecar(path).read_text(encoding="utf-8"))
    checks = rows[rows["kind"].isin(("pencil", "code"))]
    words = rows["kind"].replace({"pencil": "check", "code": "check"}) + "_" + rows["item"].str.replace("-", "_")
    facts = dict(zip(words, map(_brief, rows["cpu_s"]), strict=True))
    machine = record["hardware"]
    memory = f"{machine['memory_gb']} GB of memory"
    return facts | {"n_exercises": str(len(checks)), "checks_total": _brief(checks["cpu_s"].sum()),
                    "checks_longest": _brief(checks["cpu_s"].max()),
                    "lab_total": time_text(rows.loc[rows["kind"] == "lab", "cpu_s"].sum()),
                    "machine_course": f"{machine['cores']} cores ({machine['cpu']}), {memory}"}


def _brief(seconds: float) -> str:
    """Seconds for people, down to a tenth."""
    if seconds < 0.1:
        return "under 0.1 s"
    return f"{seconds:.1f} s" if seconds < 10 else time_text(seconds)


def read_stage_times(results_dir: str | Path) -> pd.DataFrame:
    """Jobs, mean and total wall time of each stage of a profile: columns ``stage, jobs, mean_s, total_s, peak_mb``.

    Reads ``timings.json`` of the results folder, in the order in which stages first appear.
    """
    path = Path(results_dir) / "timings.json"
    if not path.is_file():
        raise ValueError(f"{path} does not exist; make it with `make reproduce PROFILE={Path(results_dir).name}`")
    jobs = pd.read_json(path)
    grouped = jobs.groupby("stage", sort=False)
    return grouped.agg(jobs=("wall_s", "size"), mean_s=("wall_s", "mean"), total_s=("wall_s", "sum"),
                       peak_mb=("peak_mb", "max")).reset_index()


def hand_over(numbers: Mapping[str, Any]) -> None:
    """Make each value, a number or a text, available to the pages under its name; pages say the format.

    ``ValueError`` for a number that is not finite: a page could not show it, and would not say why.
    """
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in numbers.items()}
    for name, value in plain.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"number {name!r} is {value}; hand over a text that says why it is missing")
    from myst_nb import glue

    for name, value in plain.items():
        glue(name, value, display=False)


def time_text(seconds: float) -> str:
    """Seconds for people: ``42 s``, ``7 min``, ``1 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
