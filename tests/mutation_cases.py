"""Damaged completions: what a model may write that no trace gives."""

import random
from collections.abc import Sequence


def mutated(words: Sequence[str], rng: random.Random) -> list[str]:
    """``words`` with one to four changes: cut off, a word replaced by another, repeated, or made of random bytes."""
    found = list(words)
    for _ in range(rng.randint(1, 4)):
        where, change = rng.randrange(len(found)), rng.randrange(4)
        if change == 0:
            del found[where:]
            found = found or ["x"]
        elif change == 1:
            found[where] = rng.choice(words)
        elif change == 2:
            found.insert(where, found[where])
        else:
            found[where] = bytes(rng.randrange(256) for _ in range(3)).decode("latin-1")
    return found
