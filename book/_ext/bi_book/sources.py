"""The ``defined`` role: a name in the code, looked up and linked to a page with the source around it.

    {defined}`bi.influence.per_step.influence_matrix`

The pages, one for each module that some role names, are part of the book, so the links work without a network.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole
from sphinx.util.osutil import relative_uri

LOGGER = logging.getLogger(__name__)
REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = "code"
ANCHOR = re.compile(r'<a id="(line-\d+)"[^>]*></a>')


@dataclass(frozen=True)
class Place:
    """Where a name is defined: the module's file in the repository, and the line (1 for the module itself)."""

    file: str
    line: int


class source_link(nodes.Inline, nodes.TextElement):
    """A link to the source; attributes ``file`` and ``line``, the text is the name."""


@lru_cache(maxsize=256)
def _lines(path: Path) -> dict[str, int]:
    """The line of every function, class, constant and field that the Python file ``path`` defines, by dotted name."""
    found: dict[str, int] = {}

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found[prefix + node.name] = node.lineno
                if isinstance(node, ast.ClassDef):
                    walk(node.body, f"{prefix}{node.name}.")
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            found.update({prefix + t.id: node.lineno for t in targets if isinstance(t, ast.Name)})

    walk(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


def find(root: Path, dotted: str) -> Place | None:
    """Where the dotted name of a module, or of something in one, is defined under ``root``; ``None`` if nowhere."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        base = root.joinpath(*parts[:cut])
        path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
        if path is not None:
            name = ".".join(parts[cut:])
            line = _lines(path).get(name) if name else 1
            return None if line is None else Place(path.relative_to(root).as_posix(), line)
    return None


class Defined(SphinxRole):
    """The role; a name that is defined nowhere is a warning."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """A link, or the bare name behind a warning."""
        place = find(REPOSITORY, self.text)
        if place is None:
            LOGGER.warning("defined: the code has no %s", self.text, location=self.get_location())
            return [nodes.literal(self.text, self.text)], []
        return [source_link(self.text, self.text, file=place.file, line=place.line)], []


def page_name(file: str) -> str:
    """The page of a source file, without its ending: ``bi/streams.py`` is shown by ``code/bi/streams``."""
    return f"{FOLDER}/{file.removesuffix('.py')}"


def visit_html(self: Any, node: source_link) -> None:
    """Write the link, its text as code that breaks behind a dot where it has to."""
    here = self.builder.get_target_uri(self.builder.current_docname)
    target = relative_uri(here, f"{page_name(node['file'])}.html")
    self.body.append(f'<a class="reference internal" href="{target}#line-{node["line"]}">'
                     '<code class="docutils literal notranslate"><span class="pre">'
                     f'{escape(node.astext()).replace(".", ".<wbr>")}</span></code></a>')
    raise nodes.SkipNode


def visit_plain(self: Any, node: source_link) -> None:
    """Other builders show the name as code."""
    self.visit_literal(nodes.literal())


def depart_plain(self: Any, node: source_link) -> None:
    """Close the code."""
    self.depart_literal(nodes.literal())


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for every file that a link of the book leads to."""
    named = {node["file"] for document in sorted(app.env.found_docs)
             for node in app.env.get_doctree(document).findall(source_link)}
    for file in sorted(named):
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        code = app.builder.highlighter.highlight_block(text, "python", lineanchors="line")  # type: ignore[attr-defined]
        # the highlighter makes its anchors links without a name, which screen readers read out, line by line
        code = ANCHOR.sub(r'<span id="\1"></span>', code)
        body = f"<h1>{escape(file)}</h1>\n{code}"
        yield page_name(file), {"title": file, "body": body, "parents": []}, "page.html"


def setup(app: Sphinx) -> None:
    """Register the role, its node and the pages."""
    app.add_node(source_link, html=(visit_html, None), latex=(visit_plain, depart_plain),
                 text=(visit_plain, depart_plain))
    app.add_role("defined", Defined())
    app.connect("html-collect-pages", source_pages)
