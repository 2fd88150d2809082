"""The exercises as the pages of the book hold them: statement, solution in words, solution in code.

Their one home is the page (words) and ``book/exercises`` (code); course notebooks are made from both, so that they
cannot disagree with the book. Roles that only the book understands are written out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pybtex.database import parse_file

from bi.course import Exercise
from bi.notebook import read_cells

_STATEMENT = r"```\{{exercise-start\}}\n:label: {0}\n```\n(.*?)\n```\{{exercise-end\}}"
_SOLUTION = r"```\{{solution-start\}} {0}\n:class: dropdown\n```\n(.*?)\n```\{{solution-end\}}"
_CODE = re.compile(r"```\{literalinclude\} (\S+)\n:pyobject: (\S+)\n.*?```\n?", re.S)
_COLON = re.compile(r":\s*\n(?=```\{literalinclude\})")
_ROLE = re.compile(r"\{(?P<role>[\w:]+)\}`(?P<target>[^`]+)`")
_LINK = re.compile(r"\[(?P<text>[^]]*)\]\((?P<target>[^)\s]+)\)")
_SHORT_LISTS = {1: "{0}", 2: "{0} and {1}"}


@dataclass(frozen=True)
class Told:
    """An exercise for people: ``statement`` and ``solution`` as plain Markdown (the code is in :class:`Code`)."""

    statement: str
    solution: str


class Pages:
    """All pages of the book, as text."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in the table of contents, in reading order."""
        toc = yaml.safe_load((self.root / "_toc.yml").read_text(encoding="utf-8"))
        return (toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"]))

    @cached_property
    def texts(self) -> dict[str, str]:
        """Markdown of every page (of a notebook: its Markdown cells)."""
        return {name: _markdown(self.root, name) for name in self.names}

    @cached_property
    def _works(self) -> dict[str, tuple[str, str]]:
        return {key: _authors_year(entry) for key, entry in
                parse_file(str(self.root / "book" / "references.bib")).entries.items()}

    def title(self, name: str) -> str:
        """A page's title."""
        found = re.search(r"^# (.+)$", self.texts[name], flags=re.M)
        if found is None:
            raise ValueError(f"{name} has no title")
        return found[1]

    def told(self, exercise: Exercise) -> Told:
        """Statement and solution of an exercise; ``ValueError`` naming the page if they are not there."""
        parts = []
        for kind, pattern in (("statement", _STATEMENT), ("solution", _SOLUTION)):
            found = re.search(pattern.format(exercise.label), self.texts[exercise.chapter], flags=re.S)
            if found is None:
                raise ValueError(f"{exercise.chapter} has no {kind} of {exercise.label}")
            parts.append(self.plain(_CODE.sub("\n", _COLON.sub(".\n", found[1] + "\n")), exercise.chapter))
        return Told(*parts)

    def plain(self, text: str, page: str) -> str:
        """``text`` of ``page`` as Markdown that Jupyter shows: citations and links in words, equations written out.

        Raises ``ValueError`` for a role that cannot be written out.
        """
        equations: list[str] = []

        def write(match: re.Match[str]) -> str:
            role, target = match["role"], match["target"]
            if role in ("cite", "cite:p", "cite:t"):
                works = [self._works[key.strip()] for key in target.split(",")]
                told = ["{} ({})" if role == "cite:t" else "{}, {}"] * len(works)
                words = "; ".join(form.format(*work) for form, work in zip(told, works, strict=True))
                return words if role == "cite:t" else f"({words})"
            if role == "eq":
                equations.append(self._equation(target))
                return f"equation ({target})"
            raise ValueError(f"{page}: the role {match[0]} cannot be written into a notebook")

        words = _LINK.sub(lambda match: self._link(match, page), _ROLE.sub(write, text)).strip()
        return "\n\n".join((words, *dict.fromkeys(equations)))

    def _equation(self, label: str) -> str:
        for text in self.texts.values():
            found = re.search(rf"```\{{math\}}\n:label: {re.escape(label)}\n(.*?)\n```", text, flags=re.S)
            if found:
                return f"$$\n\\begin{{aligned}}\n{found[1]}\n\\end{{aligned}}\n\\tag{{{label}}}\n$$"
        raise ValueError(f"no page has an equation {label}")

    def _link(self, match: re.Match[str], page: str) -> str:
        target = match["target"]
        if target.startswith("http"):
            return match[0]
        name = target.lstrip("/") if target.startswith("/") else f"{page.rpartition('/')[0]}/{target}"
        return match["text"] or f"*{self.title(name)}*"


def _markdown(root: Path, name: str) -> str:
    notebook = root / f"{name}.ipynb"
    if not notebook.is_file():
        return (root / f"{name}.md").read_text(encoding="utf-8")
    return "\n\n".join("".join(cell["source"]) for cell in read_cells(notebook) if cell["cell_type"] == "markdown")


def _authors_year(entry: Any) -> tuple[str, str]:
    """``("Cen et al.", "2025")``."""
    names = [" ".join((*person.prelast_names, *person.last_names)) for person in entry.persons["author"]]
    authors = _SHORT_LISTS.get(len(names), "{0} et al.").format(*names)
    return authors.replace("{", "").replace("}", ""), entry.fields["year"]


class Code:
    """The solutions of one chapter, ``book/exercises/NAME.py``, cut into what is given, asked for and needed."""

    def __init__(self, path: Path) -> None:
        self.path, self.text = path, path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)
        self.places = {name: node for node in self.tree.body for name in _defined(node)}

    def imports(self) -> str:
        """Its import lines."""
        found = [node for node in self.tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        return "\n".join(self._source(node) for node in found
                         if not (isinstance(node, ast.ImportFrom) and node.module == "__future__"))

    def starter(self, name: str) -> str:
        """A function, or class, without its insides: signature, documentation, and what raises until it is written."""
        node = self.places[name]
        if isinstance(node, ast.FunctionDef):
            return "\n".join(_hollow(node, self.text))
        lines = self._source(node).splitlines()
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
        out, at = [], first
        for method in methods:
            out += lines[at - first:method.lineno - first] + _hollow(method, self.text)
            at = (method.end_lineno or 0) + 1
        return "\n".join(out)

    def solution(self, names: Sequence[str], known: Sequence[str]) -> str:
        """The code of ``names`` with all of the module that it needs, in the order of the file, but for ``known``."""
        wanted: dict[str, None] = {}
        for name in names:
            wanted |= dict.fromkeys(self._needed(name))
        needed = set(wanted) - set(known)
        nodes = [node for node in self.tree.body if needed.intersection(_defined(node))]
        return "\n\n\n".join(self._source(node) for node in nodes)

    def _needed(self, name: str) -> Iterator[str]:
        yield name
        for node in ast.walk(self.places[name]):
            if isinstance(node, ast.Name) and node.id in self.places and node.id != name:
                yield from self._needed(node.id)

    def _source(self, node: ast.stmt) -> str:
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        return "\n".join(self.text.splitlines()[first - 1:node.end_lineno])


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _hollow(function: ast.FunctionDef, text: str) -> list[str]:
    """Lines of a function with its documentation and nothing else inside."""
    lines = text.splitlines()
    begin = function.body[0]
    told = isinstance(begin, ast.Expr) and isinstance(begin.value, ast.Constant)
    end = begin.end_lineno if told else begin.lineno - 1
    indent = " " * begin.col_offset
    return [*lines[function.lineno - 1:end], f"{indent}raise NotImplementedError  # yours"]
