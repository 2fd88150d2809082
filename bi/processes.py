"""Work spread over processes: results in the order of the items, in bounded memory, with nobody left behind."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeAlias

MOST = 256
"""Processes that one command may start."""
_CHUNK, _AHEAD = 32, 4  # items that a process gets at a time, and chunks in hand for each process

Spread: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""What ``map`` is for one function and one iterable, which may be endless."""


@contextmanager
def workers(count: int, chunk: int = _CHUNK) -> Iterator[Spread]:
    """A ``map`` by ``count`` processes, in order; with one it is ``map`` itself.

    A process gets ``chunk`` items at a time: many small ones, or one large one. Items are read as results are taken,
    never more than four chunks a process ahead. Function, items and results must be
    picklable. A ``ValueError`` or ``OSError`` of the function comes where its result would have come. If this process
    is killed, the others end too. Raises ``ValueError`` for a count that is not 1 to :data:`MOST`, and ``OSError`` when
    one of the others is killed.
    """
    if not 1 <= count <= MOST:
        raise ValueError(f"{count} processes were asked for; give 1 to {MOST}, best as many as there are cores")
    if count == 1:
        yield map
        return
    pool = ProcessPoolExecutor(count, initializer=_end_with_parent)
    try:
        yield lambda function, items: _spread(pool, _AHEAD * count, chunk, function, items)
    except BrokenProcessPool:
        raise OSError("a process was killed, perhaps for want of memory; try again with fewer of them") from None
    except KeyboardInterrupt:  # the others were interrupted as well: nobody waits for them, or for what they say
        for process in multiprocessing.active_children():
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _spread(pool: ProcessPoolExecutor, ahead: int, chunk: int, function: Callable, items: Iterable) -> Iterator[Any]:
    left = iter(items)
    chunks = iter(lambda: list(islice(left, chunk)), [])
    waiting: deque[Future] = deque(pool.submit(_results, function, some) for some in islice(chunks, ahead))
    try:
        while waiting:
            done, error = waiting.popleft().result()
            waiting.extend(pool.submit(_results, function, some) for some in islice(chunks, 1))
            yield from done
            if error is not None:
                raise error
    finally:
        for future in waiting:
            future.cancel()


def _results(function: Callable, items: list) -> tuple[list, Exception | None]:
    """The results up to the first error, and that error: what one process alone would have found in this order."""
    done = []
    try:
        for item in items:
            done.append(function(item))
    except (ValueError, OSError) as error:
        return done, error
    return done, None


def _end_with_parent() -> None:
    """Watch the parent: one that is killed cannot tell its processes to end, and they would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
