"""The ``implemented`` directive: a displayed equation names its function and its test, and both are looked up.

    ```{implemented} eq-group-gradient
    :function: bi.influence.gradients.group_gradients
    :test: tests/test_gradients.py::test_group_gradient_equals_enumeration
    ```
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOGGER = logging.getLogger(__name__)
REPOSITORY = Path(__file__).resolve().parents[3]


@lru_cache(maxsize=256)
def _names(path: Path) -> frozenset[str]:
    """Dotted names of the functions and classes that the Python file ``path`` defines."""
    found: set[str] = set()

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(prefix + node.name)
                walk(node.body, f"{prefix}{node.name}.")

    walk(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return frozenset(found)


def function_problem(root: Path, dotted: str) -> str | None:
    """What is wrong with the dotted name of a function under ``root``, or ``None``."""
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        path = root.joinpath(*parts[:cut]).with_suffix(".py")
        if path.is_file():
            name = ".".join(parts[cut:])
            return None if name in _names(path) else f"{path.relative_to(root)} defines no {name}"
    return f"no module for {dotted}"


def check_problem(root: Path, test: str) -> str | None:
    """What is wrong with ``tests/file.py::test_name`` under ``root``, or ``None``."""
    file, _, name = test.partition("::")
    if not name:
        return f"{test} is not of the form tests/file.py::test_name"
    if not (root / file).is_file():
        return f"no file {file}"
    return None if name.replace("::", ".") in _names(root / file) else f"{file} defines no {name}"


class Implemented(SphinxDirective):
    """One line under an equation: its number, its function, its tests."""

    required_arguments = 1
    option_spec: ClassVar = {"function": directives.unchanged_required, "test": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Check both names, then say them."""
        label = self.arguments[0]
        functions = self.options.get("function", "").split()
        tests = self.options.get("test", "").split()
        problems = [function_problem(REPOSITORY, name) for name in functions]
        problems += [check_problem(REPOSITORY, name) for name in tests]
        if not functions or not tests:
            problems.append("both :function: and :test: are needed")
        for problem in filter(None, problems):
            LOGGER.warning("equation %s: %s", label, problem, location=self.get_location())
        return [self._line(label, functions, tests)]

    def _line(self, label: str, functions: list[str], tests: list[str]) -> nodes.Node:
        text = f"Equation {{eq}}`{label}` in code: " + ", ".join(f"{{defined}}`{name}`" for name in functions)
        text += "; tested by " + ", ".join(f"`{name.partition('::')[2]}` in `{name.partition('::')[0]}`"
                                          for name in tests) + "."
        box = nodes.container(classes=["implemented"])
        children, messages = self.parse_inline(text)
        box += nodes.paragraph(text, "", *children, *messages)
        return box


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("implemented", Implemented)
