"""Files that are complete or absent: write aside, rename when done.

A process may be killed at any moment. Whatever it was writing then carries a temporary name, so a file or folder that
has its final name is complete. Leftovers of dead processes are removed by the next writer of the same name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_MARK = ".writing-"


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file beside ``path`` for writing and rename it to ``path`` when the block ends well.

    ``mode`` is ``"w"`` (UTF-8, ``\\n`` line ends) or ``"wb"``. If the block raises, ``path`` is left as it was and the
    temporary file is removed. Parent folders are made. Raises ``ValueError`` for another mode.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode is {mode!r}; atomic_write takes 'w' or 'wb'")
    path = Path(path)
    aside = _aside(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(aside, mode, **text) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Make a folder beside ``path``, hand it out to be filled, and rename it to ``path`` when the block ends well.

    A folder already at ``path`` is replaced. If the block raises, ``path`` is left as it was and the temporary folder
    is removed.
    """
    path = Path(path)
    aside = _aside(path)
    old = aside.with_name(aside.name + "-old")
    aside.mkdir()
    try:
        yield aside
        if path.is_dir():
            os.rename(path, old)
        os.rename(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if old.exists() and not path.exists():
            os.rename(old, path)
        shutil.rmtree(old, ignore_errors=True)


def require_space(path: str | Path, n_bytes: int) -> None:
    """Raise ``OSError`` (no space left) if the device that holds ``path`` has less than ``n_bytes`` free.

    ``path`` need not exist: its nearest existing parent decides. Call it before long work.
    """
    place = Path(path).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < n_bytes:
        raise OSError(
            errno.ENOSPC,
            f"not enough disk space for {path}: {_megabytes(n_bytes)} needed, {_megabytes(free)} free; "
            "free some space or choose another folder",
        )


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def _aside(path: Path) -> Path:
    """A temporary name in the folder of ``path`` for this process, after removing what dead writers left there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}{_MARK}"
    for entry in path.parent.iterdir():
        if entry.name.startswith(prefix) and not _alive(entry.name[len(prefix):].split("-")[0]):
            _recover(entry, path)
    return path.parent / f"{prefix}{os.getpid()}"


def _recover(entry: Path, path: Path) -> None:
    """Remove a dead writer's leftover; an ``-old`` folder goes back if its replacement never got its name."""
    if entry.name.endswith("-old") and not path.exists():
        os.rename(entry, path)
    elif entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def _alive(pid: str) -> bool:
    """Whether the process with this number runs (a name that holds no number counts as alive: not ours)."""
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
