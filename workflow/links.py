"""Links of the built book: inside it each must lead to a file and, behind ``#``, to a place in it; others are listed.

Nothing is fetched. An address outside the book is an address that a reader may find gone, so all of them can be seen
with the pages that name them, but only links inside the book can be judged without a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bi.files import atomic_write

LINKING = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src"}
NOT_FOLLOWED = ("mailto", "data", "javascript")
TEMPLATE = "webpack-macros.html"  # what the theme's own pages are made from, left by it beside its scripts


@dataclass
class PageLinks:
    """What one page holds: targets as written, and the names (``id``, ``a name``) that can be linked to."""

    targets: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    """Collects the links of a page while it is fed."""

    def __init__(self) -> None:
        super().__init__()
        self.found = PageLinks()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element links to and what it can be linked by."""
        given = dict(attrs)
        self.found.names |= {name for name in (given.get("id"), given.get("name") if tag == "a" else None) if name}
        target = given.get(LINKING.get(tag, ""))
        if target is not None:
            self.found.targets.append(target.strip())


@dataclass(frozen=True)
class Report:
    """``broken``: a sentence each. ``external``: address -> pages that name it. ``checked``: links inside the book."""

    broken: tuple[str, ...]
    external: dict[str, tuple[str, ...]]
    checked: int

    def text(self) -> str:
        """The list of addresses outside the book, by address."""
        return "".join(f"{address}\n    {', '.join(pages)}\n" for address, pages in sorted(self.external.items()))


def read_links(page: Path) -> PageLinks:
    """Links and names of one HTML file."""
    reader = _Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader.found


def check_links(folder: Path) -> Report:
    """Check every HTML page below ``folder``; raises ``ValueError`` if there is none."""
    pages = {path.resolve(): read_links(path) for path in sorted(folder.rglob("*.html"))
             if not path.name.endswith(TEMPLATE)}
    if not pages:
        raise ValueError(f"{folder} holds no HTML pages; build the book first with `make book`")
    root, broken, external, checked = folder.resolve(), [], {}, 0
    for path, found in pages.items():
        name = path.relative_to(root).as_posix()
        for target in dict.fromkeys(found.targets):
            kind = urlsplit(target).scheme
            if kind in NOT_FOLLOWED:
                continue
            if kind or target.startswith("//"):
                external.setdefault(target, []).append(name)
                continue
            checked += 1
            broken += [f"{name}: {target} {problem}" for problem in _problems(path, target, root, pages)]
    return Report(tuple(broken), {address: tuple(names) for address, names in external.items()}, checked)


def _problems(page: Path, target: str, root: Path, pages: dict[Path, PageLinks]) -> Iterator[str]:
    """What is wrong with a link inside the book."""
    parts = urlsplit(target)
    place = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if parts.path.startswith("/"):
        yield "begins at the root of a server, where the book need not be"
    elif not place.is_relative_to(root):
        yield "leads out of the book's folder"
    elif place.is_dir():
        yield "is a folder, which opens no page without a server"
    elif not place.is_file():
        yield "does not exist"
    elif parts.fragment and place in pages and unquote(parts.fragment) not in pages[place].names:
        yield f"has no place called {unquote(parts.fragment)!r}"


def write_external(report: Report, path: Path) -> None:
    """Write the list of addresses outside the book."""
    with atomic_write(path) as file:
        file.write(report.text())
