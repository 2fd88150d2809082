"""The book's own Sphinx extension: offline assets, theme options, and what keeps the book honest.

``provenance``   a box under a figure: where its numbers come from (:mod:`bi_book.provenance`)
``implemented``  the function and the test of a displayed equation (:mod:`bi_book.equations`)
``sidecars``     the table of every result file with its run (:mod:`bi_book.provenance`)
``defined``      a role: a name in the code, looked up and linked to a page with its source (:mod:`bi_book.sources`)
dark figures     ``NAME.png`` is paired with ``NAME-dark.png`` (:mod:`bi_book.figures`)

Everything that is missing (a sidecar, a table, a figure's dark half, a function, a test) is a warning, and the strict
build (``-W``) makes a warning an error: the book tests its own completeness.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from bi_book import accessibility, equations, figures, offline, provenance, sources

SMOKE = "This copy shows the profile smoke: tiny runs that prove the plumbing. Its figures claim nothing."
LIVE = ("live.js", "live_math.js", "graph_steps.js", "group_gradient.js", "completions.js")
"""Scripts of the parts that can be played with, in the order in which they need each other."""
STATIC = Path(__file__).resolve().parents[2] / "_static"


def theme_options(options: dict[str, Any]) -> dict[str, Any]:
    """The theme's options: what `_config.yml` gave, one search box, and buttons only where there is an address."""
    chosen = dict(options)
    chosen["navbar_persistent"] = []
    chosen["show_toc_level"] = 2
    chosen["use_fullscreen_button"] = False
    public = bool(chosen.get("repository_url"))
    chosen["use_repository_button"] = public
    chosen["use_issues_button"] = public
    if public:
        launch = dict(chosen.get("launch_buttons") or {})
        launch.setdefault("colab_url", "https://colab.research.google.com")
        launch.setdefault("binderhub_url", "https://mybinder.org")
        chosen["launch_buttons"] = launch
    else:
        chosen["launch_buttons"] = {}
        chosen.pop("repository_url", None)
    return chosen


def configure(app: Sphinx, config: Config) -> None:
    """Set what `_config.yml` cannot say without replacing the defaults."""
    config.bi_profile = os.environ.get("BI_PROFILE", config.bi_profile)
    results = os.environ.get("BI_RESULTS") or Path(app.srcdir) / "results" / config.bi_profile
    config.bi_results = str(results)
    config.html_theme_options = theme_options(config.html_theme_options)
    if config.bi_profile == "smoke":
        config.html_theme_options["announcement"] = SMOKE
    config.html_context = {"default_mode": "auto", **config.html_context}
    config.html_static_path.append(str(STATIC))
    offline.configure(config)


def one_page_like_many(app: Sphinx) -> None:
    """Let the builder of one long page write every node that the builder of many pages can write.

    Sphinx takes an extension's ways of writing HTML for every kind of HTML only as long as no other extension has
    named the long page on its own, and one of those used here does.
    """
    writers = app.registry.translation_handlers
    if "singlehtml" in writers:
        writers["singlehtml"] = {**writers.get("html", {}), **writers["singlehtml"]}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives; see the module docstring."""
    app.add_config_value("bi_profile", "cpu", "env")
    app.add_config_value("bi_results", "", "env")
    app.connect("config-inited", configure)
    app.connect("builder-inited", one_page_like_many)
    for style in ("book.css", "live.css"):
        app.add_css_file(style)
    app.add_js_file("book.js")
    for script in LIVE:
        app.add_js_file(script, loading_method="defer")
    for part in (offline, provenance, equations, figures, accessibility, sources):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
