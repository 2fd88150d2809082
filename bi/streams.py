"""Named random streams: every draw in the project comes from a generator made here.

A stream is named by what it is for, ``stream(seed, "sft", index)``, and the name is hashed. Neighbouring seeds and
indices give unrelated streams (``seed + index`` would overlap), and the result does not depend on the process or on
``PYTHONHASHSEED``.
"""

from __future__ import annotations

import hashlib
import random


def stream_seed(*names: int | str) -> int:
    """A 128-bit integer that depends on every element of ``names`` and on nothing else."""
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
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
