"""Nothing is fetched while the book is read: MathJax comes from an installed package, and Thebe is left out.

Jupyter Book always loads Thebe (live code over a public server) and points it at a content network. The book has no use
for it, so its scripts are taken from the pages.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

PACKAGE = "sphinx-mathjax-offline"  # the hyphens are the name of the importable folder, not a slip
SCRIPT = "tex-svg-full.js"  # one file: every TeX extension, glyphs as paths, hence no font to fetch
TARGET = "mathjax"


def mathjax_source() -> Path:
    """The MathJax script inside the installed package; raises ``ExtensionError`` that says what to install."""
    spec = importlib.util.find_spec(PACKAGE)
    script = Path(spec.origin).parent / "static" / "mathjax" / SCRIPT if spec and spec.origin else None
    if script is None or not script.is_file():
        raise ExtensionError(f"MathJax for offline reading not found: install {PACKAGE} (see constraints.txt)")
    return script


def configure(config: Config) -> None:
    """Point Sphinx at the bundled script; without its menu, whose entries would load further files."""
    config.mathjax_path = f"{TARGET}/{SCRIPT}"
    config.mathjax3_config = {
        "options": {"enableMenu": False},
        "svg": {"fontCache": "local", "mtextInheritFont": True},
    }


def copy_mathjax(app: Sphinx) -> None:
    """Put the script into the output before any page is written (pages carry its checksum)."""
    if app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / TARGET
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(mathjax_source(), folder / SCRIPT)


def drop_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take the scripts and styles of Thebe out of a page."""
    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context.get(kind, []) if not _is_thebe(asset)]


def _is_thebe(asset: Any) -> bool:
    body = getattr(asset, "attributes", {}).get("body") or ""
    return "thebe" in str(getattr(asset, "filename", asset)) or "THEBE" in body


def setup(app: Sphinx) -> None:
    """Copy when the builder is known; clean each page after the extensions have added to it."""
    app.connect("builder-inited", copy_mathjax)
    app.connect("html-page-context", drop_thebe, priority=900)
