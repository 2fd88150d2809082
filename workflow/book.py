"""The last steps: chapter notebooks on the published tables, then the strictly built book.

Both are skipped when nothing that they read has changed; what they read is hashed, so the times of files do not matter.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from bi.files import atomic_folder, atomic_write, file_digest
from bi.notebook import check_parameters, parameters_of, run_notebook
from bi.processes import workers
from bi.progress import duration
from bi.provenance import usable_cores
from bi.recipes import digest
from workflow.locks import hold
from workflow.pdf import find_browser, print_pdf
from workflow.snake import WorkflowError, environment, last_lines
from workflow.sources import code_digest

SOURCES = ("book", "bi", "tests", "workflow", "_config.yml", "_toc.yml", "CITATION.cff")
BESIDE = ("results/commands.csv", "results/course.csv", "results/course.provenance.json", "results/influence",
          "results/benchmarks", "results/sweep", "models")  # tables that belong to no profile
DATA = "book/data"
MOST_CHAPTERS = 8
"""Chapters that run at a time, whatever the cores: each may take some 600 MB of memory."""
STRICT = ("--all", "-W", "-n", "--keep-going")


@dataclass(frozen=True)
class Chapter:
    """A chapter that has to run, ``key`` being the digest of all it reads; see :meth:`Book.make`."""

    notebook: Path
    parameters: Mapping[str, str]
    key: str
    place: Path
    source: Path


def run_chapter(chapter: Chapter) -> float:
    """Execute one chapter and set its mark; returns the seconds that it took."""
    begin, name = time.monotonic(), chapter.notebook.stem
    with open(chapter.place / f"{name}.log", "w", encoding="utf-8") as log:
        run_notebook(chapter.notebook, chapter.source / "notebooks" / chapter.notebook.name, chapter.parameters,
                     cwd=chapter.source, failed=chapter.place / "failed" / chapter.notebook.name, log=log)
    _mark(chapter.place, _chapter_mark(chapter.notebook), chapter.key)
    return time.monotonic() - begin


class Book:
    """The book of one profile: its chapters, the folder it is made in, and where it ends up."""

    def __init__(self, root: Path, profile: str, say: Callable[[str], None] = print, cores: int | None = None) -> None:
        """``root`` is the repository, ``say`` gets one line for each thing that is made anew.

        ``cores``: chapters at a time, by default as many as there are cores, :data:`MOST_CHAPTERS` at most.
        """
        self.root, self.profile, self.say = root, profile, say
        self.cores = min(cores or usable_cores(), MOST_CHAPTERS)
        self.place = root / "_build" / profile
        self.source = self.place / "source"
        self.html = self.place / "html"
        self.results = root / "results" / profile
        self.shown = [self.results, *(root / name for name in BESIDE)]

    @property
    def chapters(self) -> list[Path]:
        """Notebooks that the table of contents names."""
        names = _files(yaml.safe_load((self.root / "_toc.yml").read_text(encoding="utf-8")))
        return [self.root / f"{name}.ipynb" for name in names if name.startswith("notebooks/")]

    def check(self) -> None:
        """Raise ``ValueError`` unless every chapter exists and asks for nothing that the engine does not know."""
        for chapter in self.chapters:
            check_parameters(chapter, self.parameters(chapter))

    def parameters(self, chapter: Path) -> dict[str, str]:
        """What a chapter is given: the profile, where its tables are and where its figures go, as far as it asks."""
        known = {"profile": self.profile, "results_dir": f"results/{self.profile}", "figures_dir": "figures"}
        asked = parameters_of(chapter)
        return {name: value for name, value in known.items() if name in asked}

    def check_results(self) -> None:
        """Raise ``ValueError`` if there are no tables to render from."""
        if not (self.results / "main.csv").is_file():
            raise ValueError(f"results/{self.profile}/main.csv does not exist; run `make reproduce "
                             f"PROFILE={self.profile}` first, or restore results/{self.profile} from git")

    def make(self) -> Path:
        """Run the chapters and build the HTML; returns its first page."""
        with hold(self.place / ".lock", f"the book in {self.place}", wait_s=60):
            self._stage()
            self._run()
            self._build()
        return self.html / "index.html"

    def pdf(self) -> Path:
        """Build the book, then all pages as one, and print that; returns the PDF.

        Raises ``ValueError`` before any work where there is no browser to print with.
        """
        browser, target = find_browser(), self.place / "book.pdf"
        self.make()
        with hold(self.place / ".lock", f"the book in {self.place}", wait_s=60):
            key = (self.place / ".book.key").read_text(encoding="utf-8")
            if self._is("pdf", key) and target.is_file():
                return target
            begin = time.monotonic()
            with tempfile.TemporaryDirectory(dir=self.place) as folder:
                self._render(Path(folder), "--builder", "singlehtml")
                made = Path(folder) / "_build" / "singlehtml"
                page = (made / "book" / "index.html").replace(made / "index.html")  # its paths are those from the top
                print_pdf(page, target, browser)
            _mark(self.place, "pdf", key)
            self.say(f"PDF printed in {duration(time.monotonic() - begin)}")
        return target

    def _stage(self) -> None:
        """A source folder whose chapters are executed copies and all else links."""
        for name in ("notebooks", "figures"):
            (self.source / name).mkdir(parents=True, exist_ok=True)
        for name in (*SOURCES, "results", "models"):
            link = self.source / name
            if not link.is_symlink() and (self.root / name).exists():
                link.symlink_to(os.path.relpath(self.root / name, link.parent))

    def _run(self) -> None:
        """Execute the chapters whose code, text or tables have changed since, several at a time."""
        tables = self._contents([*self.shown, self.root / DATA])
        keys = {path: digest([file_digest(path), code_digest(path, self.root), tables]) for path in self.chapters}
        todo = [Chapter(path, self.parameters(path), key, self.place, self.source) for path, key in keys.items()
                if not (self._is(_chapter_mark(path), key) and (self.source / "notebooks" / path.name).is_file())]
        with workers(max(1, min(self.cores, len(todo))), chunk=1) as spread:
            for chapter, seconds in zip(todo, spread(run_chapter, todo), strict=True):
                self.say(f"chapter {chapter.notebook.stem} in {duration(seconds)}")

    def _build(self) -> None:
        """Render all pages if anything shown has changed since; a warning is an error."""
        begin = time.monotonic()
        made = [self.source / "notebooks", self.source / "figures", *self.shown]
        key = digest(self._contents([self.root / name for name in SOURCES] + made))
        if self._is("book", key) and (self.html / "index.html").is_file():
            return
        with atomic_folder(self.html) as folder:
            self._render(folder / "render")
            for entry in (folder / "render" / "_build" / "html").iterdir():
                os.rename(entry, folder / entry.name)
            shutil.rmtree(folder / "render")
        _mark(self.place, "book", key)
        self.say(f"book built in {duration(time.monotonic() - begin)}")

    def _render(self, out: Path, *more: str) -> None:
        command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(self.source),
                   "--path-output", str(out), *STRICT, *more]
        env = environment() | {"BI_PROFILE": self.profile, "BI_RESULTS": str(self.results), "BI_REPO": str(self.root)}
        done = subprocess.run(command, cwd=self.source, env=env, capture_output=True, text=True)
        text = done.stdout + done.stderr
        with atomic_write(self.place / "book.log") as handle:
            handle.write(text)
        if done.returncode != 0:
            told = [line for line in text.splitlines() if "WARNING" in line or "ERROR" in line]
            raise WorkflowError("the book does not build:\n" + ("\n".join(dict.fromkeys(told)) or last_lines(text)))

    def _contents(self, places: Iterable[Path]) -> dict[str, str]:
        """Digests of all files in ``places`` by their path in the repository, caches apart."""
        files = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*")))]
        kept = [path for path in files if path.is_file() and "__pycache__" not in path.parts]
        return {path.relative_to(self.root).as_posix(): file_digest(path) for path in kept}

    def _is(self, name: str, key: str) -> bool:
        path = self.place / f".{name}.key"
        return path.is_file() and path.read_text(encoding="utf-8") == key


def _mark(place: Path, name: str, key: str) -> None:
    """Say that ``name`` is made from what ``key`` is the digest of."""
    with atomic_write(place / f".{name}.key") as handle:
        handle.write(key)


def _chapter_mark(notebook: Path) -> str:
    return f"chapter-{notebook.stem}"


def _files(toc: object) -> list[str]:
    """All file names in a table of contents, in order."""
    if isinstance(toc, dict):
        own = [str(toc[key]) for key in ("root", "file") if key in toc]
        return own + [name for value in toc.values() for name in _files(value)]
    return [name for entry in toc for name in _files(entry)] if isinstance(toc, list) else []

