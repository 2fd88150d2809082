"""Where a table comes from: code, recipe, seeds, hardware, libraries and time, beside every table.

A sidecar holds no host name and no path, so it can be published. Tables hold no times, so that they are the same bytes
when a run is interrupted and resumed; times are in the sidecar.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bi.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

LIBRARIES = ("torch", "transformers", "trl", "datasets", "accelerate", "tokenizers", "numpy", "pandas")
CODE = ("bi", "notebooks", "workflow", "models", "constraints.txt")
ROOT = Path(__file__).resolve().parents[1]


def provenance(
    profile: str,
    seeds: Iterable[int],
    recipe_digest: str,
    wall_s: float | None = None,
    *,
    root: Path = ROOT,
    **more: Any,
) -> dict[str, Any]:
    """What was run, on what, with what: plain data for a sidecar.

    ``recipe_digest`` is :func:`bi.recipes.digest` of what decided the numbers; ``more`` is kept as it is (plain data).
    """
    return {
        "profile": profile,
        "seeds": list(seeds),
        "recipe": recipe_digest,
        **code_state(root),
        "hardware": hardware(),
        "libraries": library_versions(),
        "wall_s": None if wall_s is None else round(wall_s, 1),
        **more,
    }


def spent(record: Path, seconds: float) -> float:
    """Add ``seconds`` to those that earlier calls of the same work have left in ``record``; returns the sum.

    For work that is stopped and goes on, whose last call alone would understate it. A call that was killed left none.
    """
    before = json.loads(record.read_text(encoding="utf-8"))["wall_s"] if record.is_file() else 0.0
    write_json(record, {"wall_s": round(before + seconds, 1)})
    return before + seconds


def code_state(root: Path = ROOT) -> dict[str, Any]:
    """``commit`` and ``dirty``: whether code, notebooks or models differ from that commit (``None`` outside git)."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--", *CODE))}


def _git(root: Path, *arguments: str) -> str | None:
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def hardware() -> dict[str, Any]:
    """Processor model, usable cores, memory in GB and the names of the GPUs."""
    return {
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "gpus": gpu_names(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def vector_units() -> str:
    """What the processor multiplies with, such as ``AVX2``; with ``AMX`` behind it where it has units for matrices."""
    import torch  # most of what needs provenance has not asked for it

    told, kind = Path("/proc/cpuinfo"), torch.backends.cpu.get_cpu_capability()
    return f"{kind} AMX" if told.is_file() and "amx_tile" in told.read_text(encoding="utf-8") else kind


@cache
def gpu_names() -> list[str]:
    """Names of the NVIDIA GPUs, asked without importing torch."""
    if shutil.which("nvidia-smi") is None:
        return []
    done = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide numbers, as installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def sidecar(table: str | Path) -> Path:
    """The provenance file of a table: ``main.csv`` has ``main.provenance.json``."""
    return Path(table).with_suffix(".provenance.json")


def write_table(path: str | Path, frame: pd.DataFrame, facts: Mapping[str, Any]) -> Path:
    """Write ``frame`` as CSV (see :func:`write_csv`) and ``facts`` (see :func:`provenance`) beside it, table last."""
    write_json(sidecar(path), {**facts, "rows": len(frame)})
    return write_csv(path, frame)


def write_csv(path: str | Path, frame: pd.DataFrame) -> Path:
    """Write ``frame`` as CSV (:func:`csv_text`), whole or not at all."""
    with atomic_write(path) as handle:
        handle.write(csv_text(frame))
    return Path(path)


def csv_text(frame: pd.DataFrame) -> str:
    """``frame`` as CSV. Equal frames give equal text: no index, ``\\n`` line ends, floats with ten significant digits.
    """
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.10g")


def write_json(path: str | Path, data: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    with atomic_write(path) as handle:
        handle.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
