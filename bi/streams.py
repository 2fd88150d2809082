"""Named random streams: every draw in the project comes from a generator made here.

A stream is named by what it is for, ``stream(seed, "sft", index)``, and the name is hashed. Neighbouring seeds and
indices give unrelated streams (``seed + index`` would overlap), and the result does not depend on the process or on
``PYTHONHASHSEED``.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")


def stream_seed(*names: int | str) -> int:
    """A 128-bit integer that depends on every element of ``names`` and on nothing else."""
    text = "\x1f".join([f"{type(name).__name__}:{name}" for name in names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def stream(*names: int | str) -> random.Random:
    """A generator of its own for the purpose that ``names`` describe, for example ``stream(0, "sft", 17)``."""
    return random.Random(stream_seed(*names))


def below(rng: random.Random, n: int) -> int:
    """A whole number from 0 to ``n - 1``: what ``rng.randrange(n)`` draws, without its checks (``n`` must be > 0).

    Written out because generation spends a fifth of its time in them; the test compares the two draw by draw.
    """
    bits = n.bit_length()
    drawn = rng.getrandbits(bits)
    while drawn >= n:
        drawn = rng.getrandbits(bits)
    return drawn


def between(rng: random.Random, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high`` (not below ``low``): what ``rng.randint`` draws (:func:`below`)."""
    count = high - low + 1
    bits = count.bit_length()
    drawn = rng.getrandbits(bits)
    while drawn >= count:
        drawn = rng.getrandbits(bits)
    return low + drawn


def draws(rng: random.Random, n: int, count: int) -> list[int]:
    """``count`` whole numbers from 0 to ``n - 1``, each drawn like :func:`below`."""
    getrandbits, bits, found = rng.getrandbits, n.bit_length(), []
    for _ in range(count):
        drawn = getrandbits(bits)
        while drawn >= n:
            drawn = getrandbits(bits)
        found.append(drawn)
    return found


@lru_cache(maxsize=256)
def _downwards(size: int) -> tuple[tuple[int, int], ...]:
    """The last place of ``size``, ``size - 1``, ..., 1 places, each time with the bits of their number."""
    return tuple([(left - 1, left.bit_length()) for left in range(size, 0, -1)])


def shuffle(rng: random.Random, items: list[Any]) -> None:
    """Shuffle ``items`` in place as ``rng.shuffle`` does (:func:`below`)."""
    getrandbits = rng.getrandbits
    for last, bits in _downwards(len(items))[:-1]:
        drawn = getrandbits(bits)
        while drawn > last:
            drawn = getrandbits(bits)
        items[last], items[drawn] = items[drawn], items[last]


def sample(rng: random.Random, population: Sequence[T], count: int) -> list[T]:
    """``count`` different ones of ``population`` as ``rng.sample`` draws them (:func:`below`).

    Up to the size from which the library draws by another method, which is left to it, as are its errors.
    """
    size = len(population)
    if count > size or (size > 21 and (count <= 5 or size > 21 + 4 ** math.ceil(math.log(3 * count, 4)))):
        return rng.sample(population, count)
    getrandbits, pool, chosen = rng.getrandbits, list(population), []
    for last, bits in islice(_downwards(size), count):
        drawn = getrandbits(bits)
        while drawn > last:
            drawn = getrandbits(bits)
        chosen.append(pool[drawn])
        pool[drawn] = pool[last]
    return chosen
