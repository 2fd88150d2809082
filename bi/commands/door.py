"""How the commands talk and fail: one-line errors on stderr, exit code 2, a traceback only on request."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from bi.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

BAD_INPUT = 2
INTERRUPTED = 130


class Door(TyperGroup):
    """The group of all commands: turns the errors that users can mend into one line."""

    def invoke(self, ctx: typer.Context) -> object:
        """Run the command and end with code 2 on the errors that stages raise on purpose.

        They are ``ValueError`` (bad input), ``OSError`` (missing files, a full disk) and ``FloatingPointError``
        (training has diverged). Anything else is a mistake of ours and shows its traceback.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of stdout has seen enough; typer ends quietly
        except (ValueError, OSError, FloatingPointError) as error:
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


def count_up(label: str) -> Callable[[int, int], None]:
    """A progress function ``(done, total)`` for stages that learn their total as they begin."""
    bars: list[Progress] = []

    def report(done: int, total: int) -> None:
        if not bars:
            bars.append(Progress(total, label))
        bars[0].update(done)

    return report


def show(table: pd.DataFrame) -> None:
    """Print a table for people on stdout, aligned, with four digits; ``-`` where there is no number."""
    print(table.to_string(index=False, na_rep="-", float_format=lambda number: f"{number:.4g}"))


def prepare_torch() -> None:
    """Settings for a command that is about to import torch: one thread a process, and no chatter of libraries.

    One thread is fastest where several processes share the cores, and it makes equal seeds give equal bits; the
    environment may say otherwise (torch reads it when it is first imported).
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", category=FutureWarning)
