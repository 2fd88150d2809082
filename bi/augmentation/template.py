"""Sentences with fields, read back in one pass.

A regular expression with several lazy fields tries every way to share the text between them, and the time for that
grows with a power of the length. Here a field ends where the literal behind it first occurs, so reading is linear; a
sentence whose field holds that literal is not read, and no sentence of ours is such a one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST = 4000
"""No sentence of ours has this many characters; a longer one is not read."""


@dataclass(frozen=True)
class Form:
    """A field: the literal that it always begins with, and the pattern of what may follow."""

    pattern: re.Pattern[str]
    lead: str = ""


class Template:
    """A sentence such as ``Let {symbol} be {quantity}.``; ``forms`` says what its fields look like.

    Two fields with a single space between them are told apart at the *last* space of their common text.
    """

    def __init__(self, text: str, forms: Mapping[str, Form]) -> None:
        literals, names = re.split(r"\{\w+\}", text), re.findall(r"\{(\w+)\}", text)
        literals = [literal + forms[name].lead for literal, name in zip(literals, names, strict=False)] + literals[-1:]
        if not names or not all(literals[1:]) or " " not in literals[0]:
            raise ValueError(f"the template {text!r} needs fields, a word before them, and a literal behind each")
        self._first = literals[0]
        self._patterns = {name: forms[name].pattern for name in names}
        self._groups: list[tuple[list[str], str]] = [([], "")]
        for name, literal in zip(names, literals[1:], strict=True):
            self._groups[-1][0].append(name)
            if literal != " ":
                self._groups[-1] = (self._groups[-1][0], literal)
                self._groups.append(([], ""))
        self._groups.pop()

    @property
    def opening(self) -> str:
        """The first word of every such sentence."""
        return self._first.split(" ", 1)[0]

    def match(self, sentence: str) -> dict[str, str] | None:
        """The fields of ``sentence``, or ``None`` if it is no such sentence; linear in its length."""
        if not sentence.startswith(self._first) or len(sentence) > LONGEST:
            return None
        found: dict[str, str] = {}
        at = len(self._first)
        for index, (names, literal) in enumerate(self._groups):
            last = index == len(self._groups) - 1
            end = len(sentence) - len(literal) if last else sentence.find(literal, at)
            if end < at or not sentence.startswith(literal, end):
                return None
            parts = sentence[at:end].rsplit(" ", len(names) - 1) if len(names) > 1 else [sentence[at:end]]
            if len(parts) != len(names):
                return None
            found.update(zip(names, parts, strict=True))
            at = end + len(literal)
        return found if all(self._patterns[name].fullmatch(field) for name, field in found.items()) else None
