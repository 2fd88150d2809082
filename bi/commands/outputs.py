"""Where results go: checked before any work, and never half written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def check_out(path: Path, *, overwrite: bool) -> None:
    """Raise ``ValueError`` when ``path`` exists (and ``overwrite`` is off) or cannot be created.

    Nothing is written: the nearest existing folder above ``path`` is asked whether it would take it.
    """
    if os.path.lexists(path) and not overwrite:
        raise ValueError(f"--out {path} already exists; choose another path, or replace it with --overwrite")
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise ValueError(f"--out {path} cannot be written: {parent} is a file, not a folder; choose another path")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ValueError(f"--out {path} cannot be written: no permission in {parent}; choose another path")


def check_file_out(path: Path, *, overwrite: bool) -> None:
    """:func:`check_out` for a result that is one file: a folder in its place is never replaced."""
    if path.is_dir():
        raise ValueError(f"--out {path} is a folder; give the name of a file, such as {path / 'data.jsonl'}")
    check_out(path, overwrite=overwrite)


def check_folder_out(path: Path, *, overwrite: bool, mark: str) -> None:
    """:func:`check_out` for a result that is a folder.

    With ``overwrite`` the old folder must hold ``mark``, a file that the same command writes, so that a mistyped
    ``--out`` cannot delete something else.
    """
    check_out(path, overwrite=overwrite)
    if os.path.lexists(path) and not (path / mark).is_file():
        raise ValueError(f"--out {path} was not written by this command (it has no {mark}); choose another path")


def remove_old(path: Path) -> None:
    """Remove the folder that ``--overwrite`` replaces; called when all checks are done and work begins."""
    if path.is_dir():
        shutil.rmtree(path)
