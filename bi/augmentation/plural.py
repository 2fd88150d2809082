"""The English wording in correct grammar: what is counted stands in the plural, its owner in the singular.

The public form of iGSM names items in the singular everywhere (``How many Fig does each Oak Crate have?``). That is a
format, so :class:`bi.augmentation.english.EnglishWording` keeps it; this wording says ``How many Figs does each Oak
Crate have?`` and is otherwise the same, sentence by sentence. Plurals are a function of the vocabulary, checked to be
reversible, so reading inverts writing here too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bi.augmentation.english import EnglishWording
from bi.augmentation.reading import Reading
from bi.augmentation.trace import Step
from bi.tasks.problem import Problem
from bi.tasks.vocabulary import WORLDS, World

_IRREGULAR = {"Louse": "Lice"}


def plural(name: str) -> str:
    """``Oak Crate`` -> ``Oak Crates``, ``Map Library`` -> ``Map Libraries``: the last word takes the plural."""
    *rest, last = name.split(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif re.search(r"(?:s|x|z|ch|sh)\Z", last):
        last += "es"
    elif re.search(r"[^aeiou]y\Z", last):
        last = last[:-1] + "ies"
    else:
        last += "s"
    return " ".join((*rest, last))


class PluralWording(EnglishWording):
    """English sentences with items in the plural; ``ValueError`` for worlds in which a plural is another name."""

    name = "english_plural"

    def __init__(self, worlds: Sequence[World] = WORLDS) -> None:
        super().__init__(worlds)
        items = [name for world in worlds for name in (*world.place, *world.category_layer, *world.layer_names)]
        self._plural = {name: plural(name) for name in items}
        self._singular = {many: one for one, many in self._plural.items()}
        doubled = set(self._plural).intersection(self._singular)
        if doubled or len(self._singular) < len(self._plural):
            which = sorted(doubled)[0] if doubled else "of two names"
            raise ValueError(f"the plural {which!r} is not unique; rename one of the items")
        self._to_plural, self._to_singular = _items(self._plural), _items(self._singular)

    def prompt(self, problem: Problem) -> str:
        """The question with items in the plural."""
        return _swap(super().prompt(problem), self._to_plural, self._plural)

    def read_problem(self, prompt: str) -> Problem:
        """Inverse of :meth:`prompt`; raises ``ValueError`` that quotes the sentence that cannot be read."""
        return super().read_problem(_swap(prompt, self._to_singular, self._singular))

    def line(self, step: Step, problem: Problem, values: Mapping[str, int], symbols: dict[str, str]) -> str:
        """One bullet with items in the plural."""
        return _swap(super().line(step, problem, values, symbols), self._to_plural, self._plural)

    def read(self, completion: str) -> Reading:
        """What the completion says; the names in it are those of the problem, in the singular."""
        return super().read(_swap(completion, self._to_singular, self._singular))


def _items(forms: Mapping[str, str]) -> re.Pattern[str]:
    """Where an item is named: behind an owner, or behind ``How many``; the longest name that fits."""
    names = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.compile(rf"(?<=(?:'s|ny) )(?:{names})(?![\w'])")


def _swap(text: str, pattern: re.Pattern[str], forms: Mapping[str, str]) -> str:
    return pattern.sub(lambda found: forms[found[0]], text)
