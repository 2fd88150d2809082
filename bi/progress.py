"""Progress of long work: one line that renews itself on a terminal, sparse lines in a log, with an estimate."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

TERMINAL_EVERY, LOG_EVERY = 0.2, 30.0  # seconds between two updates


class Progress:
    """Reports ``done`` of ``total`` units of work called ``label`` on ``stream`` (standard error).

    The estimate of the time left counts only what was done since the first call, so a resumed run does not boast.
    """

    def __init__(
        self,
        total: int,
        label: str,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock; nothing is written before the first ``update``."""
        self.total, self.label, self.clock = total, label, clock
        self.stream = stream if stream is not None else sys.stderr
        self.live = self.stream.isatty()
        self.started = self.written = clock()
        self.first: int | None = None
        self.open = False

    def update(self, done: int, note: str = "") -> None:
        """Say that ``done`` units are finished; ``note`` is shown behind the estimate."""
        now = self.clock()
        if self.first is None:
            self.first, self.started = max(0, done - 1), min(self.started, now)
        due = now - self.written >= (TERMINAL_EVERY if self.live else LOG_EVERY)
        if done >= self.total or due or (self.live and not self.open):
            self.written = now
            self._write(self._line(done, now, note), last=done >= self.total)

    def close(self) -> None:
        """End an unfinished line on a terminal."""
        if self.open:
            self.stream.write("\n")
            self.stream.flush()
            self.open = False

    def _line(self, done: int, now: float, note: str) -> str:
        elapsed, units = now - self.started, done - (self.first or 0)
        parts = [f"{self.label} {done}/{self.total}"]
        if done >= self.total:
            parts.append(f"done in {duration(elapsed)}")
        elif units > 0:
            parts.append(f"{duration((self.total - done) * elapsed / units)} left")
        return ", ".join([*parts, note] if note else parts)

    def _write(self, line: str, last: bool) -> None:
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write("\r" + line[:width].ljust(width) + ("\n" if last else ""))
            self.open = not last
        else:
            self.stream.write(line + "\n")
        self.stream.flush()


def duration(seconds: float) -> str:
    """``7 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
