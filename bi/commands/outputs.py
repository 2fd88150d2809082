"""Where results go: checked before any work, and never half written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_out(path: Path, *, overwrite: bool) -> None:
    """Raise ``ValueError`` when ``path`` exists (and ``overwrite`` is off) or cannot be created.

    Nothing stays behind: a nameless file is made and dropped in the nearest existing folder above ``path``.
    """
    if os.path.lexists(path) and not overwrite:
        raise ValueError(f"--out {path} already exists; choose another path, or replace it with --overwrite")
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise ValueError(f"--out {path} cannot be written: {parent} is a file, not a folder; choose another path")
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise ValueError(f"--out {path} cannot be written: {error.strerror} in {parent}; choose another path") from None


def check_file_out(path: Path, *, overwrite: bool) -> None:
    """:func:`check_out` for a result that is one file: only another file is ever replaced."""
    if path.is_dir():
        raise ValueError(f"--out {path} is a folder; give the name of a file in it")
    if path.exists() and not path.is_file():
        raise ValueError(f"--out {path} is no ordinary file; choose another path")
    check_out(path, overwrite=overwrite)


def check_folder_out(path: Path, *, overwrite: bool, mark: str) -> None:
    """:func:`check_out` for a result that is a folder.

    With ``overwrite`` the old folder must hold ``mark``, a file that the same command writes, so that a mistyped
    ``--out`` cannot delete something else.
    """
    check_out(path, overwrite=overwrite)
    if os.path.lexists(path) and not (path / mark).exists():
        raise ValueError(f"--out {path} was not written by this command (it has no {mark}); choose another path")


def check_run_folder(path: Path, *, overwrite: bool, mark: str) -> None:
    """:func:`check_folder_out` for a training run, which may go on in its folder: a finished run or an empty folder
    may be there. Whether it is the same run is for the stage to find out."""
    finished = (path / mark).is_file()
    empty = path.is_dir() and next(path.iterdir(), None) is None
    check_folder_out(path, overwrite=overwrite or finished or empty, mark="" if empty else mark)


def remove_old(path: Path) -> None:
    """Remove the folder that ``--overwrite`` replaces; called when all checks are done and work begins."""
    if path.is_dir():
        shutil.rmtree(path)


@contextmanager
def leaves_nothing(out: Path) -> Iterator[None]:
    """Around a training stage: on an error its work folder is removed, unless it holds checkpoints to go on from."""
    work = out.with_name(out.name + ".partial")
    try:
        yield
    except (ValueError, OSError):
        if work.is_dir() and not any(work.glob("checkpoint-*")):
            shutil.rmtree(work)
        raise


def names_of(files: list[Path], option: str) -> dict[str, Path]:
    """A name for each file, its own without the ending; raises ``ValueError`` if two are alike."""
    names = {path.stem: path for path in files}
    if len(names) < len(files):
        raise ValueError(f"{option}: two files have the same name ({', '.join(path.name for path in files)}); their "
                         "names label the rows of the result, so give them different ones")
    return names
