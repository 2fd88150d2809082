"""The same problem told twice, with what the second telling adds or changes marked word by word.

A change is underlined and bold, and every line says in a word what it is, so that it can be read without colour, in
print, and in a terminal, where brackets stand around the words that are new.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from bi.augmentation.behavior import Behavior
from bi.augmentation.trace import Trace, draw_phrases, plain_trace
from bi.augmentation.wording import Wording
from bi.streams import stream
from bi.tasks.problem import Problem


@dataclass(frozen=True)
class ComparedLine:
    """One line of the second telling: its words with whether they are new, and whether it has a line to go with."""

    words: tuple[tuple[str, bool], ...]
    added: bool

    @property
    def mark(self) -> str:
        """``new``, ``changed`` or nothing."""
        if self.added:
            return "new"
        return "changed" if any(new for _, new in self.words) else ""


@dataclass(frozen=True)
class Comparison:
    """Lines of the second telling; shown as HTML in a notebook and as plain text elsewhere."""

    lines: tuple[ComparedLine, ...]

    def __repr__(self) -> str:
        return "\n".join(f"{line.mark:8}{_join(line.words, '[', ']')}" for line in self.lines)

    def _repr_html_(self) -> str:
        items = "".join(f'<li><span class="changes-mark">{line.mark or "same"}</span> '
                        f"<span>{_join(_escaped(line), '<ins>', '</ins>')}</span></li>" for line in self.lines)
        return f'<ol class="changes">{items}</ol>'


@dataclass(frozen=True)
class Example:
    """A problem, its plain trace, and that trace with each of some behaviours alone, by name."""

    problem: Problem
    plain: Trace
    told: Mapping[str, Trace]


def first_showing(behaviors: Sequence[Behavior], problems: Iterable[Problem], phrases: int, seed: int = 0) -> Example:
    """The first of ``problems`` in which each of ``behaviors``, injected alone, occurs; ``ValueError`` if none is.

    Steps keep their phrase (one of ``phrases``) when a behaviour comes in, so that a comparison shows nothing else.
    """
    for problem in problems:
        key = problem.key()
        plain = draw_phrases(plain_trace(problem, stream(seed, "order", key)), phrases, stream(seed, "phrases", key))
        told = {b.name: b.inject(plain, problem, stream(seed, "example", b.name, key)) for b in behaviors}
        if all(any(map(b.in_step, told[b.name].steps)) for b in behaviors):
            return Example(problem, plain, told)
    raise ValueError(f"no problem shows all of {', '.join(b.name for b in behaviors)}; give more problems, or higher "
                     "rates")


def compare(before: Trace, after: Trace, problem: Problem, wording: Wording) -> Comparison:
    """``after`` against ``before``, traces of the same ``problem``.

    A step is compared with the step of ``before`` that solves the same quantity; the first one, if there are several.
    Steps without one are new, and so is every further step on that quantity.
    """
    told = zip(before.steps, wording.lines(before, problem), strict=True)
    waiting = {step.name: line for step, line in told if step.kind == "solve"}
    compared = []
    for step, line in zip(after.steps, wording.lines(after, problem), strict=True):
        compared.append(_compare_line(waiting.pop(step.name, None) if step.kind == "solve" else None, line))
    return Comparison(tuple(compared))


def _compare_line(old: str | None, line: str) -> ComparedLine:
    words = line.split(" ")
    if old is None:
        return ComparedLine(tuple((word, True) for word in words), added=True)
    marked = [True] * len(words)
    for block in SequenceMatcher(None, old.split(" "), words, autojunk=False).get_matching_blocks():
        marked[block.b : block.b + block.size] = [False] * block.size
    return ComparedLine(tuple(zip(words, marked, strict=True)), added=False)


def _escaped(line: ComparedLine) -> tuple[tuple[str, bool], ...]:
    return tuple((html.escape(word), new) for word, new in line.words)


def _join(words: tuple[tuple[str, bool], ...], opening: str, closing: str) -> str:
    """The words with spaces between them; neighbouring new ones share one pair of marks."""
    parts: list[str] = []
    for index, (word, new) in enumerate(words):
        begins = new and (index == 0 or not words[index - 1][1])
        ends = new and (index == len(words) - 1 or not words[index + 1][1])
        parts.append(f"{opening if begins else ''}{word}{closing if ends else ''}")
    return " ".join(parts)
