"""Who may write where: one driver per profile, one job per stage folder, and no job without its driver.

The locks belong to open files, so the system releases them when a process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

DRIVER = "BI_DRIVER"
"""Environment variable of the jobs that must die with their driver: ``<token>:<lock file>``."""


class Busy(RuntimeError):
    """Someone else holds the lock; the message says where."""


@contextmanager
def hold(path: Path, what: str, wait_s: float = 0.0) -> Iterator[IO[str]]:
    """Hold the lock file ``path``; raise :class:`Busy` about ``what`` if another process keeps it over ``wait_s``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as handle:
        deadline = time.monotonic() + wait_s
        while not _try_lock(handle):
            if time.monotonic() >= deadline:
                handle.seek(0)
                holder = handle.read().strip() or "unknown"
                raise Busy(f"{what} is in use by another process ({holder}); wait for it or stop it")
            time.sleep(0.2)
        yield handle


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def drive(folder: Path) -> Iterator[str]:
    """Be the only driver of the runs in ``folder``; yields the value of :data:`DRIVER` for its jobs."""
    path = folder / ".driver.lock"
    with hold(path, f"`make reproduce` in {folder}", wait_s=2.0) as handle:
        token = uuid.uuid4().hex
        handle.truncate(0)
        handle.write(f"process {os.getpid()}, {token}")
        handle.flush()
        yield f"{token}:{path.absolute()}"


def follow_driver(poll_s: float = 0.5) -> None:
    """End this process when the driver that started it is gone (nothing to do for a job without one)."""
    value = os.environ.get(DRIVER)
    if value:
        token, _, path = value.partition(":")
        threading.Thread(target=_watch, args=(token, Path(path), poll_s), daemon=True).start()


def _watch(token: str, path: Path, poll_s: float) -> None:
    while driver_lives(token, path):
        time.sleep(poll_s)
    os._exit(75)


def driver_lives(token: str, path: Path) -> bool:
    """Whether the driver with ``token`` still holds its lock."""
    try:
        with open(path, encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return path.read_text(encoding="utf-8").endswith(token)
    except OSError:
        return False
    return False


@contextmanager
def one_gpu(folder: Path, count: int) -> Iterator[None]:
    """Give this process one of ``count`` GPUs that no other job in ``folder`` uses.

    Nothing to do below two, or without a driver on this machine: a cluster hands out GPUs itself.
    """
    if count < 2 or DRIVER not in os.environ:
        yield
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")
    with ExitStack() as held:
        while not any(_claim(folder, device, held) for device in visible):
            time.sleep(1.0)
        yield


def _claim(folder: Path, device: str, held: ExitStack) -> bool:
    """Take one GPU if it is free, until ``held`` closes."""
    try:
        held.enter_context(hold(folder / f".gpu-{device}.lock", f"GPU {device}"))
    except Busy:
        return False
    os.environ["CUDA_VISIBLE_DEVICES"] = device
    return True
