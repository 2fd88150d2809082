"""What must hold before anything starts: models, notebooks, disk space. Everything wrong is told at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from bi.files import require_space
from workflow.keys import kept_results
from workflow.stages import Grid, check_notebooks

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
SPARE_BYTES = 200_000_000


def check_all(grid: Grid, root: Path, runs: Path, cores: int) -> None:
    """Raise ``ValueError`` that lists everything which would stop the run later; nothing is written."""
    problems = []
    checks: list[Callable[[], None]] = [lambda: check_notebooks(grid, root), lambda: check_compared(grid, root)]
    checks += [lambda name=name: check_model(name, root) for name in grid.models.values()]
    checks += [lambda: require_space(runs, bytes_needed(grid, root, cores))]
    for check in checks:
        try:
            check()
        except (ValueError, OSError) as error:
            problems.append(error.strerror if isinstance(error, OSError) and error.strerror else str(error))
    if problems:
        raise ValueError("\n".join(problems))


def check_compared(grid: Grid, root: Path) -> None:
    """Raise ``ValueError`` for a grid over bases and sizes of a profile that names no further ones, or that neither
    runs nor finds what it compares with: the first base, or any of its arms."""
    profile = grid.profile
    if grid.plan.bases and not (profile.bases and profile.sizes.ops):
        raise ValueError(f"GRID={grid.name} compares bases and sizes of problems, and the profile {profile.name!r} "
                         "names no further ones; set its bases and sizes in bi/recipes.py")
    if grid.kept:
        needed = grid.every[:1] if grid.plan.bases else grid.every
        kept_results(grid, root, [key for key in needed if key not in grid.running])


def check_model(name: str, root: Path) -> None:
    """Raise ``ValueError`` if a local model is not complete, or a model on the hub cannot be had without a network."""
    folder = root / name
    if is_local(name):
        lacks = missing_parts(folder)
        if lacks:
            raise ValueError(f"the base model {name} {lacks}; run `make base BASE={Path(name).name}` if it is one of "
                             "the book's own, or put a complete model there")
    elif os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") and not _in_cache(name):
        raise ValueError(f"the model {name} is not in the local cache and HF_HUB_OFFLINE is set; unset it, or download "
                         "the model first")


def is_local(name: str) -> bool:
    """Whether a model name means a folder of this repository."""
    return name.startswith(("models/", "./", "/"))


def missing_parts(folder: Path) -> str:
    """What a model folder lacks, in words; empty if nothing."""
    if not folder.is_dir():
        return "does not exist"
    lacks = [] if (folder / "config.json").is_file() else ["config.json"]
    lacks += [] if any(any(folder.glob(pattern)) for pattern in WEIGHTS) else ["weights (model.safetensors)"]
    lacks += [] if any((folder / name).is_file() for name in TOKENIZERS) else ["a tokenizer (tokenizer.json)"]
    return f"lacks {', '.join(lacks)}" if lacks else ""


def _in_cache(name: str) -> bool:
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return (hub / f"models--{name.replace('/', '--')}" / "snapshots").is_dir()


def bytes_needed(grid: Grid, root: Path, cores: int) -> int:
    """Disk space of a full run: two checkpoints a cell; for each job at work two resume points with AdamW's state."""
    needed = SPARE_BYTES
    for name in grid.models.values():
        size = model_bytes(name, root)
        cells = len(grid.arms) * len(grid.profile.seeds)
        needed += size * (2 * cells + 6 * min(cores, cells))
    return needed


def model_bytes(name: str, root: Path) -> int:
    """Size of a model's weights: as on disk, or for a hub name from the parameter count in it (``1.5B``), four bytes
    each; 0 if neither is known."""
    if is_local(name):
        return sum(path.stat().st_size for pattern in WEIGHTS for path in (root / name).glob(pattern))
    count = re.search(r"(\d+(?:\.\d+)?)B\b", name)
    return int(float(count[1]) * 4e9) if count else 0
