"""Mends what an automatic checker (axe-core) finds in pages that other packages write."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

# docutils calls the bibliography a list, but its entries are no list items: the role is wrong for screen readers
LIST, PLAIN = '<div role="list" class="citation-list">', '<div class="citation-list">'


def mend(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Correct the body of one page."""
    if "body" in context:
        context["body"] = context["body"].replace(LIST, PLAIN)


def setup(app: Sphinx) -> None:
    """Mend each page before it is written."""
    app.connect("html-page-context", mend)
