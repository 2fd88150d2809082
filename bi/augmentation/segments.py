"""Which behaviour a token of a completion belongs to, and whether the line that it stands in is right.

Lines are sorted by what they do: ``plain`` computation, computation after an ``analysis``, with a ``subgoal``, with
both, ``reflection``, ``recall``, ``unreadable``. Tokens have two kinds more: ``restating`` (the definition that an
analysis repeats) and ``answer`` (all that comes behind the last line, the end included).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bi.augmentation.reading import Line, has_subgoal
from bi.augmentation.verdict import StepVerdict

COMPUTING = ("plain", "analysis", "subgoal", "analysis+subgoal")
LINE_KINDS = (*COMPUTING, "reflection", "recall", "unreadable")
TOKEN_KINDS = (*LINE_KINDS, "restating", "answer")
_BEHIND = re.compile(r" ?\.?\n?")
_READ = {"reflect": "reflection", "recall": "recall"}


@dataclass(frozen=True)
class Segment:
    """Characters ``start`` to ``end`` of a completion, which are of one ``kind`` (:data:`TOKEN_KINDS`)."""

    kind: str
    start: int
    end: int


def line_kind(line: Line) -> str:
    """One of :data:`LINE_KINDS`; a line of an added behaviour is called by its own kind."""
    if line.kind != "solve":
        return _READ.get(line.kind, line.kind)
    held = ["analysis"] * (line.restated is not None) + ["subgoal"] * has_subgoal(line)
    return "+".join(held) or "plain"


def segments(completion: str, lines: Sequence[Line]) -> list[Segment]:
    """``completion`` cut into segments without gaps, from the ``lines`` that were read from it.

    What a wording writes around a line's text belongs to the line. In a computation with analysis the definition is
    ``restating``: all up to the last ``;`` of the line, else its first sentence, and what stands above it.
    """
    found, position = [], 0
    for line in lines:
        start = completion.find(line.claim, position)
        if start < 0:  # the reader has changed the text (white space, say): the line cannot be located
            continue
        end, kind = start + len(line.claim), line_kind(line)
        match = _BEHIND.match(completion, end)
        behind = match.end() if match else end
        if line.kind == "solve" and line.restated is not None:
            cut = start + _restated_length(line.claim)
            cut = max(cut if cut > start else 0, start if completion[position:start].strip(" -\n") else 0)
            if cut > position:
                found.append(Segment("restating", position, cut))
                position = cut
        if behind > position:
            found.append(Segment(kind, position, behind))
            position = behind
    if position < len(completion):
        found.append(Segment("answer", position, len(completion)))
    return found


def _restated_length(claim: str) -> int:
    """How many characters of a computation repeat the definition."""
    if ";" in claim:
        return claim.rindex(";") + 1
    return claim.find(". ") + 1


def kinds_at(places: Sequence[int], cut: Sequence[Segment]) -> list[str]:
    """The kind of each character position; behind the last segment it is ``answer``."""
    kinds, index = [], 0
    for place in places:
        while index < len(cut) and cut[index].end <= place:
            index += 1
        kinds.append(cut[index].kind if index < len(cut) else "answer")
    return kinds


def judged(steps: Sequence[StepVerdict]) -> Iterator[tuple[str, bool, bool]]:
    """Kind of every line, whether all lines before it are right (then it is judged), and whether it is right itself.

    Behind a slip nothing is judged, so that one wrong number does not count against all that uses it.
    """
    fine = True
    for step in steps:
        yield line_kind(step.line), fine, fine and step.error is None
        fine = fine and step.error is None
