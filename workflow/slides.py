"""``make slides``: one page of slides a chapter, made from the built book, to show from a folder without a network.

What a slide shows is chosen by rule, not by hand: claims, definitions, equations, short code, figures, tables and
exercises as they stand in the chapter, and of each paragraph its first sentence; the whole text is in the notes.
Numbers are those of the book, since they come from its pages.
"""

from __future__ import annotations

import argparse
import html
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import yaml
from bs4 import BeautifulSoup, NavigableString, Tag

from bi.files import atomic_folder
from bi.notebook import NotebookError
from workflow.book import Book
from workflow.locks import Busy
from workflow.snake import WorkflowError
from workflow.stages import ROOT

LOOKS = Path("book") / "teaching"
LEFT_OUT = ("Sources",)
PARTS_LEFT_OUT = ("Back matter", "Teaching")
FULL, LINE, WIDOW = 11.0, 75, 1.5  # lines on a slide, letters on a line, and what a last sentence may exceed
LONGEST_CODE, LONGEST_OUTPUT = 26, 16
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="slides.css">
<script>window.MathJax = {{options: {{enableMenu: false}}, svg: {{fontCache: "local"}}}};</script>
{scripts}
</head>
<body>
<main>
{body}
</main>
{bar}
</body>
</html>
"""
SCRIPTS = '<script defer src="mathjax.js"></script>\n<script defer src="slides.js"></script>'
BAR = """<nav id="bar" aria-label="Slides"><span class="where" aria-live="polite"></span>
<button type="button" class="text">Notes (n)</button>
<button type="button" class="back">Back</button> <button type="button" class="next">Next</button></nav>"""


@dataclass(frozen=True)
class Block:
    """A piece of a chapter: the HTML that is shown, about how many lines it takes, and what goes to the notes.

    A ``point`` becomes an item of a list, together with the points beside it.
    """

    shown: str
    weight: float
    note: str = ""
    point: bool = False


@dataclass
class Slide:
    """One screen: a heading and its blocks."""

    heading: str
    blocks: list[Block] = field(default_factory=list)

    def has_room(self, block: Block) -> bool:
        """Whether ``block`` still fits."""
        shown = [each.weight for each in self.blocks if each.shown]
        return not shown or sum(shown) + block.weight <= FULL + WIDOW * block.point

    def html(self) -> str:
        """The slide as a section, the chapter's own words folded as notes."""
        parts = [f"<h2>{html.escape(self.heading)}</h2>"]
        for point, group in groupby((block for block in self.blocks if block.shown), key=lambda block: block.point):
            shown = "\n".join(f"<li>{block.shown}</li>" if point else block.shown for block in group)
            parts.append(f'<ul class="points">\n{shown}\n</ul>' if point else shown)
        notes = "".join(block.note for block in self.blocks)
        parts += [f'<details class="notes"><summary>Notes</summary>{notes}</details>'] * bool(notes)
        return '<section class="slide">' + "\n".join(parts) + "</section>"


def make_slides(book: Path, out: Path, contents: list[tuple[str, str]], looks: Path) -> Path:
    """Write a page of slides for each of ``contents`` (part, page) from the built ``book``, and an index of them.

    ``looks`` holds the style and the script. Returns the index; ``ValueError`` names a page that the book lacks.
    """
    with atomic_folder(out) as folder:
        (folder / "images").mkdir()
        for name in ("slides.css", "slides.js"):
            shutil.copyfile(looks / name, folder / name)
        scripts = sorted((book / "_static" / "mathjax").glob("*.js"))
        if not scripts:
            raise ValueError(f"{book} holds no MathJax; build it with `make book`")
        shutil.copyfile(scripts[0], folder / "mathjax.js")
        titles = [(part, name, _write_deck(book, folder, part, name)) for part, name in contents]
        (folder / "index.html").write_text(_index(titles), encoding="utf-8")
    return out / "index.html"


def _write_deck(book: Path, folder: Path, part: str, name: str) -> str:
    """Write the slides of one page; returns its title."""
    path = book / f"{name}.html"
    if not path.is_file():
        raise ValueError(f"the book has no page {name}; build it with `make book`")
    article = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").select_one("article.bd-article")
    if article is None or article.h1 is None:
        raise ValueError(f"{path} is no page of the book")
    for image in article.find_all("img"):
        source = path.parent / str(image["src"])
        if source.is_file():
            shutil.copyfile(source, folder / "images" / source.name)
        image["src"] = f"images/{source.name}"
    title, slides = make_deck(article)
    body = f'<section class="slide"><p class="part">{html.escape(part)}</p><h1>{html.escape(title)}</h1></section>\n'
    body += "\n".join(slide.html() for slide in slides)
    (folder / f"{_stem(name)}.html").write_text(
        PAGE.format(title=html.escape(title), scripts=SCRIPTS, body=body, bar=BAR), encoding="utf-8")
    return title


def make_deck(article: Tag) -> tuple[str, list[Slide]]:
    """Title and slides of a chapter's article."""
    _clean(article)
    first, slides = _need(article.h1), []
    title = first.get_text(" ", strip=True)
    for heading in (first, *article.select("section > h2")):
        words = heading.get_text(" ", strip=True)
        if words in LEFT_OUT:
            continue
        if words == "Exercises":
            for exercise in article.select("div.exercise"):
                slides += _pack("Exercise", [Block(_inner(exercise), FULL)])
        else:
            slides += _pack(words, [block for part in _need(heading.parent).find_all(recursive=False)
                                    for block in _blocks(part)])
    return title, slides


def _need(tag: Tag | None) -> Tag:
    """``tag``, which the book's pages always have."""
    if tag is None:
        raise ValueError("a page of the book has changed its form; workflow/slides.py must follow")
    return tag


def _clean(article: Tag) -> None:
    """Take out what belongs to the book's pages: anchors, links inside, identifiers."""
    for anchor in article.select("a.headerlink, div.implemented, p.provenance-links"):
        anchor.decompose()
    for link in article.find_all("a"):
        if not str(link.get("href", "")).startswith("http"):
            link.unwrap()
    for tag in article.find_all(id=True):
        del tag["id"]


def _blocks(part: Tag) -> Iterator[Block]:
    """What a slide shows of one element of a section."""
    classes = set(part.get("class") or [])
    if part.name == "section":  # below a chapter: a section, with slides of its own; below a section: a part of it
        for child in [] if part.h2 else part.find_all(recursive=False):
            yield from _blocks(child)
    elif part.name == "h3":
        yield Block(str(part), 1.5)
    elif part.name == "p":
        yield Block(_first_sentence(part), 2.0, str(part), point=True)
    elif "claim" in classes:
        yield Block(_inner(part), _lines(part))
    elif part.name in ("ul", "ol", "dl"):
        yield Block(str(part), _lines(part))
    elif part.name == "figure":
        yield Block(_figure(part), FULL - 2.0)  # leaves room for one sentence
    elif "math" in classes:
        yield Block(f'<div class="equation">{part.decode_contents()}</div>', 2.5)
    elif "proof" in classes:
        if {"definition", "proposition"} & classes:
            yield Block(f'<div class="box">{_inner(part)}</div>', _lines(part) + 1.5)
        else:
            yield Block("", 0.0, str(part))
    elif any(name.startswith("highlight-") for name in classes):
        yield from _code(part)
    elif part.find("table"):
        yield from _tables(part)
    elif "cell" in classes:
        yield from _outputs(part)


def _code(part: Tag) -> Iterator[Block]:
    lines = part.get_text().strip("\n").split("\n")
    if len(lines) <= LONGEST_CODE:
        yield Block(f"<pre><code>{html.escape(chr(10).join(lines))}</code></pre>", 0.55 * len(lines) + 1)


def _tables(part: Tag) -> Iterator[Block]:
    """Tables, in pieces of a screen each, with their head over every piece."""
    for table in part.find_all("table"):
        head = str(table.thead or "")
        rows = [row for row in table.find_all("tr") if row.parent is not table.thead]
        taken: list[Tag] = []
        for row in rows:
            if taken and _height([*taken, row]) > FULL - 1.5:
                yield Block(f'<div class="scroll"><table>{head}{_joined(taken)}</table></div>', FULL)
                taken = []
            taken.append(row)
        yield Block(f'<div class="scroll"><table>{head}{_joined(taken)}</table></div>', _height(taken) + 1)


def _height(rows: list[Tag]) -> float:
    """About how many lines of a slide the rows of a table take; a cell breaks after some thirty letters."""
    longest = (max(len(cell.get_text()) for cell in row.find_all(["td", "th"])) for row in rows)
    return sum(0.8 + 0.55 * (letters // 34) for letters in longest)


def _joined(rows: list[Tag]) -> str:
    return "<tbody>" + "".join(map(str, rows)) + "</tbody>"


def _outputs(part: Tag) -> Iterator[Block]:
    """Short printed outputs; drawings and long texts stay in the book."""
    for output in part.select(".cell_output pre"):
        lines = output.get_text().strip("\n").split("\n")
        if len(lines) <= LONGEST_OUTPUT and max(map(len, lines)) <= 110:
            yield Block(f"<pre>{html.escape(chr(10).join(lines))}</pre>", 0.55 * len(lines) + 1)


def _figure(part: Tag) -> str:
    """The picture for the reader's colours, its caption, and the run that it comes from."""
    light, dark = _need(part.select_one("img.in-light") or part.img), part.select_one("img.in-dark")
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark["src"]}">' if dark else ""
    picture = f'<picture>{source}<img src="{light["src"]}" alt="{html.escape(str(light.get("alt", "")))}"></picture>'
    caption = _need(part.select_one("figcaption p")).decode_contents()
    run = part.find_next_sibling("details", class_="provenance")
    told = f" ({html.escape(_run_line(run))})" if run else ""
    return f"<figure>{picture}<figcaption>{caption}{told}</figcaption></figure>"


def _run_line(run: Tag) -> str:
    return re.sub(r"^Provenance\s*", "", _need(run.summary).get_text(" ", strip=True))


def _first_sentence(paragraph: Tag) -> str:
    """HTML of a paragraph up to the end of its first sentence, mathematics and emphasis kept whole."""
    kept: list[str] = []
    for child in paragraph.children:
        if isinstance(child, NavigableString):
            found = re.search(r"[.!?:](?=\s|$)", child)
            if found:
                return ("".join(kept) + html.escape(child[:found.end()])).rstrip(":") + ("" if found[0] != ":" else ".")
            kept.append(html.escape(child))
        else:
            kept.append(str(child))
    return "".join(kept)


def _inner(part: Tag) -> str:
    """The contents of an admonition, its title first, without the theme's wrappers."""
    title = part.find("p", class_="admonition-title", recursive=False)
    name = title.get_text(" ", strip=True) if title else ""
    if title:
        title.decompose()
    body = "".join(str(child) for child in part.children)
    body = re.sub(r"</?section[^>]*>", "", body)
    return (f'<p class="name">{html.escape(name)}</p>' if name else "") + body


def _lines(part: Tag) -> float:
    return sum(1 + len(item.get_text()) / LINE for item in part.find_all(["li", "p", "dd"]) or [part])


def _pack(heading: str, blocks: list[Block]) -> Iterator[Slide]:
    """Slides under one heading; a block that does not fit begins the next one."""
    slide = Slide(heading)
    for block in blocks:
        if block.shown and not slide.has_room(block):
            yield slide
            slide = Slide(f"{heading} (continued)")
        slide.blocks.append(block)
    if any(block.shown for block in slide.blocks):
        yield slide


def _index(titles: list[tuple[str, str, str]]) -> str:
    """The page that leads to all decks, by part."""
    parts = [f"<h2>{html.escape(part)}</h2>\n<ul>" + "".join(
        f'<li><a href="{_stem(name)}.html">{html.escape(title)}</a></li>' for _, name, title in group) + "</ul>"
        for part, group in groupby(titles, key=lambda entry: entry[0])]
    keys = "<p>Arrow keys turn the slides; <kbd>n</kbd> shows the notes, <kbd>a</kbd> all slides at once.</p>"
    body = f'<section class="slide"><h1>Slides</h1>\n{keys}\n' + "\n".join(parts) + "</section>"
    return PAGE.format(title="Slides", scripts="", body=body, bar="")


def _stem(name: str) -> str:
    return name.rpartition("/")[2].replace("-", "_")


def contents_of(root: Path) -> list[tuple[str, str]]:
    """Part and name of every chapter in the table of contents that has slides."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [(part["caption"], chapter["file"]) for part in toc["parts"] if part["caption"] not in PARTS_LEFT_OUT
            for chapter in part["chapters"]]


def main(argv: list[str] | None = None) -> int:
    """Render the book where it is not up to date, then its slides; 0 done, 1 a chapter failed, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m workflow.slides", description="Slides from the chapters.")
    parser.add_argument("--profile", default="cpu", help="whose results the book shows (default: cpu)")
    options = parser.parse_args(argv)
    try:
        book = Book(ROOT, options.profile)
        book.check_results()
        book.check()
        book.make()
        page = make_slides(book.html, book.place / "slides", contents_of(ROOT), ROOT / LOOKS)
    except (WorkflowError, NotebookError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (ValueError, OSError, Busy) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"the slides are {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
