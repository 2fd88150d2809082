"""The tasks by name: how each is configured, drawn, and worded. Nothing here imports torch."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bi.tasks import dyval, igsm
from bi.tasks.problem import Problem


@dataclass(frozen=True)
class Task:
    """One kind of problem.

    ``config`` makes its frozen config out of keyword arguments, ``size`` names the two that bound its size (inclusive),
    ``fixed`` are arguments that make it this task, ``generate`` draws a problem, ``wordings`` lists the wordings that
    it can be written in, those for small models with ``compact`` problems.
    """

    config: type
    generate: Callable[[Any, random.Random], Problem]
    size: tuple[str, str]
    wordings: tuple[str, ...]
    fixed: tuple[tuple[str, Any], ...] = ()

    @property
    def options(self) -> frozenset[str]:
        """Names of the config's fields that may be chosen."""
        names = {field.name for field in dataclasses.fields(self.config)}
        return frozenset(names - {name for name, _ in self.fixed})

    def configure(self, size: tuple[int, int], options: Iterable[tuple[str, Any]]) -> Any:
        """The config; a bound of the size among ``options`` replaces that of ``size``. ``ValueError`` if it is bad."""
        return self.config(**{**dict(zip(self.size, size, strict=True)), **dict(options), **dict(self.fixed)})


def _dyval(kind: str, *wordings: str) -> Task:
    size = ("min_depth", "max_depth")
    return Task(dyval.DyvalConfig, dyval.generate, size, ("dyval", *wordings), (("kind", kind),))


TASKS = {
    "igsm": Task(igsm.IGSMConfig, igsm.generate, ("min_ops", "max_ops"), ("compact", "english", "english_plural")),
    "dyval_arithmetic": _dyval("arithmetic", "dyval_compact"),
    "dyval_boolean": _dyval("boolean"),
    "dyval_deductive": _dyval("deductive"),
}


def get_task(name: str) -> Task:
    """The task called ``name``; raises ``ValueError`` that lists the known ones."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; choose one of {', '.join(TASKS)}")
    return TASKS[name]


def split_options(options: Iterable[tuple[str, Any]], split: str | None) -> dict[str, Any]:
    """The options that hold for ``split``.

    One called ``ood.redundant`` holds for splits that are, or end in, ``ood`` (``test_ood``), and goes before a plain
    ``redundant`` there.
    """
    plain, own = {}, {}
    for name, value in options:
        where, _, option = name.rpartition(".")
        if not where:
            plain[option] = value
        elif split is not None and where in (split, split.rsplit("_", 1)[-1]):
            own[option] = value
    return plain | own
