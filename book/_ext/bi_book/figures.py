"""Every figure twice: ``/figures/NAME.png`` in light mode and print, ``/figures/NAME-dark.png`` in dark mode.

Authors write one ordinary figure; the pairing happens here, so caption, number and alternative text have one home.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
FOLDER = "/figures/"


def dark_name(uri: str) -> str:
    """``/figures/a.png`` -> ``/figures/a-dark.png``."""
    path = PurePosixPath(uri)
    return str(path.with_name(f"{path.stem}-dark{path.suffix}"))


class DarkPairs(SphinxTransform):
    """Add the dark half next to each image of the figures folder."""

    default_priority = 700

    def apply(self) -> None:
        """Pair the images of one document, and ask for alternative text."""
        for image in list(self.document.findall(nodes.image)):
            if image["uri"].startswith(FOLDER):
                self.pair(image)

    def pair(self, image: nodes.image) -> None:
        """Insert the dark half after ``image``; a missing one, or missing alternative text, is a warning."""
        if not image.get("alt"):
            LOGGER.warning("%s has no alternative text (:alt:)", image["uri"], location=image)
        uri = dark_name(image["uri"])
        if not (Path(self.app.srcdir) / uri.lstrip("/")).is_file():
            LOGGER.warning("%s has no dark half %s; save figures with bi.figures.save", image["uri"], uri,
                           location=image)
            return
        dark = image.deepcopy()
        dark["uri"] = uri
        dark["ids"], dark["names"] = [], []
        # not the theme's only-light and only-dark: those hide the caption that the two halves share
        image["classes"] = [*image["classes"], "in-light", "dark-light"]
        dark["classes"] = [*dark["classes"], "in-dark", "dark-light"]
        image.parent.insert(image.parent.index(image) + 1, dark)


def setup(app: Sphinx) -> None:
    """Register the transform."""
    app.add_transform(DarkPairs)
