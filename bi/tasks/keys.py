"""A compact set of canonical keys, so that drawing many distinct problems needs little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

_FIRST = 1024  # slots; a power of two, as their number stays


class KeySet:
    """Keys of problems (16 hex digits) as 64-bit numbers in an open-addressed table: 16 to 32 bytes a key.

    A Python set of the same strings takes five times as much. Keys are digests already, so their low bits are the hash.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        """Start with ``keys``, each 16 hex digits (``ValueError`` for another text)."""
        self._slots = array("Q", bytes(8 * _FIRST))
        self._count = 0
        self._zero = False  # 0 marks an empty slot, so this key is kept apart
        for key in keys:
            self.add(key)

    def add(self, key: str) -> None:
        """Put ``key`` in; nothing happens if it is in already."""
        number = _number(key)
        if number == 0:
            self._zero = True
            return
        at = _place(self._slots, number)
        if self._slots[at]:
            return
        self._slots[at] = number
        self._count += 1
        if 2 * self._count > len(self._slots):
            self._grow()

    def __contains__(self, key: str) -> bool:
        number = _number(key)
        return self._slots[_place(self._slots, number)] != 0 if number else self._zero

    def __len__(self) -> int:
        return self._count + self._zero

    def __iter__(self) -> Iterator[str]:
        if self._zero:
            yield f"{0:016x}"
        yield from (f"{number:016x}" for number in self._slots if number)

    def _grow(self) -> None:
        larger = array("Q", bytes(16 * len(self._slots)))
        for number in self._slots:
            if number:
                larger[_place(larger, number)] = number
        self._slots = larger


def _number(key: str) -> int:
    if len(key) != 16:
        raise ValueError(f"{key!r} is no canonical key of a problem: 16 hex digits are needed")
    return int(key, 16)


def _place(slots: array[int], number: int) -> int:
    """Where ``number`` stands, or the empty slot where it belongs."""
    last = len(slots) - 1
    at = number & last
    while slots[at] not in (0, number):
        at = (at + 1) & last
    return at
