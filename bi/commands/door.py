"""How the commands talk and fail: progress and one-line errors on stderr, exit code 2, a traceback only on request."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from typer.core import TyperGroup

BAD_INPUT = 2
INTERRUPTED = 130


class Door(TyperGroup):
    """The group of all commands: turns the errors that users can mend into one line."""

    def invoke(self, ctx: typer.Context) -> object:
        """Run the command; ``ValueError`` and ``OSError`` (bad input, missing files, a full disk) end with code 2."""
        try:
            return super().invoke(ctx)
        except (ValueError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            say(f"error: {one_line(error)}")
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            say("interrupted; if there is a checkpoint, the same command goes on from it")
            raise typer.Exit(INTERRUPTED) from None


def one_line(error: BaseException) -> str:
    """The message of ``error`` on one line; for an ``OSError`` the file and the reason, without its number."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(text.split()) or type(error).__name__


def say(line: str) -> None:
    """One line for people, on stderr; stdout is for results."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(total: int | None, unit: str) -> Iterator[Callable[[], None]]:
    """A bar on stderr that the handed-out function moves by one; silent where nobody watches (no terminal)."""
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", disable=None, leave=False, file=sys.stderr) as bar:
        yield lambda: bar.update() and None


def one_thread() -> None:
    """One thread a process, unless the environment says otherwise; torch reads this when it is first imported.

    It is fastest where several processes share the cores, and it makes equal seeds give equal bits.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
