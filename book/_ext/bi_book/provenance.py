"""Where a figure's numbers come from: the ``provenance`` box, the ``sidecars`` table, and the tables to download.

    ```{provenance} main curves
    :notebook: notebooks/two_arms
    ```

reads ``results/<profile>/main.provenance.json`` (and that of each further table), and offers the CSV beside it. A
missing file, or a sidecar without a field that the reader needs, is a warning that says how to mend it.
"""

from __future__ import annotations

import csv
import html
import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

from bi.chapter import EXPERIMENTS, table_path

LOGGER = logging.getLogger(__name__)
NEEDED = ("profile", "seeds", "recipe", "commit", "hardware", "libraries", "wall_s")
TABLES = "_static/tables"
RECORD = ".provenance.json"


class Incomplete(ValueError):
    """A sidecar or table that the book needs is missing or lacks a field."""


def read_sidecar(results: Path, table: str) -> dict[str, Any]:
    """The provenance of ``table``; raises :class:`Incomplete` naming the file, the field and the remedy.

    A table with a folder in its name, such as ``influence/bias``, stands beside the profile's folder; one whose name
    begins with ``models/`` is part of a base model's card.
    """
    results = place_of(results, table)
    path = results / f"{table}{RECORD}"
    remedy = f"run `make reproduce PROFILE={results.name}` or restore it from git"
    if not (results / f"{table}.csv").is_file():
        raise Incomplete(f"{results / table}.csv does not exist; {remedy}")
    if not path.is_file():
        raise Incomplete(f"{path} does not exist; {remedy}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Incomplete(f"{path} is not JSON ({error}); {remedy}") from None
    missing = [name for name in NEEDED if name not in record]
    if missing:
        raise Incomplete(f"{path} lacks {', '.join(missing)}; {remedy}")
    return {**record, "table": table}


def place_of(results: Path, table: str) -> Path:
    """The folder that the name of ``table`` starts from."""
    return table_path(results, table).parents[table.count("/")]


def tables_beside(results: Path) -> list[str]:
    """Names of all tables that have a record and do not stand in the profile's folder itself."""
    places = [(results.parent, "influence/*"), (results.parent, "benchmarks/*"),
              (results.parent, "sweep/*/*"), (results.parent.parent, "models/*/*")]
    places += [(results, f"{name}/*") for name in EXPERIMENTS]
    return [path.relative_to(root).as_posix().removesuffix(RECORD)
            for root, pattern in places for path in sorted(root.glob(pattern + RECORD))]


def duration(seconds: float) -> str:
    """Seconds for people: ``42 s``, ``7 min``, ``3.1 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def sample_size(results: Path, table: str) -> str:
    """What the column ``n`` of a table says, for example ``300`` or ``256–4800``; empty without such a column."""
    with (place_of(results, table) / f"{table}.csv").open(newline="", encoding="utf-8") as handle:
        values = [float(row["n"]) for row in csv.DictReader(handle) if row.get("n")]
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"


def hardware_text(hardware: dict[str, Any]) -> str:
    """The hardware field as one line, for example ``Xeon, 2 cores, 8 GB, no GPU, Linux x86_64``."""
    gpus = hardware.get("gpus") or ["no GPU"]
    parts = [hardware.get("cpu"), f"{hardware.get('cores')} cores", f"{hardware.get('memory_gb')} GB", *gpus,
             hardware.get("system")]
    return ", ".join(str(part) for part in parts if part)


def library_text(record: dict[str, Any]) -> str:
    """Names and versions in one line."""
    return ", ".join(f"{name} {version}" for name, version in record["libraries"].items())


def commit_text(record: dict[str, Any]) -> str:
    """The commit in short, and whether the code differed from it."""
    if not record["commit"]:
        return "not known (outside git)"
    return str(record["commit"])[:7] + ("+changes" if record.get("dirty") else "")


def kept_text(record: dict[str, Any]) -> str:
    """Which rows the run took from earlier results, and from which commit; empty where it made all of them."""
    commits: dict[str, list[str]] = {}
    for name, facts in record.get("kept", {}).items():
        commits.setdefault(commit_text(facts), []).append(name)
    return "; ".join(f"{', '.join(names)} at {commit}" for commit, names in commits.items())


def time_text(record: dict[str, Any]) -> str:
    """The run time in words; empty where none was measured."""
    return "" if record["wall_s"] is None else duration(float(record["wall_s"]))


def rows_of(record: dict[str, Any], n: str) -> list[tuple[str, str]]:
    """Label and text of each line of the box."""
    rows = [
        ("Profile", str(record["profile"])),
        ("Seeds", ", ".join(map(str, record["seeds"]))),
        ("n", n),
        ("Commit", commit_text(record)),
        ("Kept from earlier", kept_text(record)),
        ("Recipe", str(record["recipe"])),
        ("Run time", time_text(record)),
        ("Hardware", hardware_text(record["hardware"])),
    ]
    return [(label, text) for label, text in rows if text]


class provenance_box(nodes.General, nodes.Element):
    """A folded box; attributes ``records`` (list of sidecars), ``sizes`` (n of each) and ``notebook`` (document)."""


class sidecar_table(nodes.General, nodes.Element):
    """One row per result file; attributes as in :class:`provenance_box`."""


class _FromSidecars(SphinxDirective):
    """Shared reading: sidecars of the named tables, with warnings instead of exceptions."""

    @property
    def results(self) -> Path:
        return Path(self.config.bi_results)

    def read(self, tables: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """Records and sample sizes of the tables that are complete."""
        records, sizes = [], []
        for table in tables:
            self.env.note_dependency(str(place_of(self.results, table) / f"{table}{RECORD}"))
            try:
                records.append(read_sidecar(self.results, table))
                sizes.append(sample_size(self.results, table))
            except Incomplete as error:
                LOGGER.warning("provenance: %s", error, location=self.get_location())
        return records, sizes


class Provenance(_FromSidecars):
    """``{provenance} table ...``: the box under a figure.

    With ``:optional:`` a table that the profile does not have is left out without a warning, for parts of a page that
    say so themselves.
    """

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"notebook": directives.unchanged, "optional": directives.flag}

    def run(self) -> list[nodes.Node]:
        """One box for all tables named."""
        names = self.arguments[0].split()
        if "optional" in self.options:
            names = [name for name in names if (place_of(self.results, name) / f"{name}.csv").is_file()]
        records, sizes = self.read(names)
        if not records:
            return []
        return [provenance_box(records=records, sizes=sizes, notebook=self.options.get("notebook", ""))]


class Sidecars(_FromSidecars):
    """``{sidecars}``: every table of this profile with seeds, commit and run time, then the hardware and libraries."""

    def run(self) -> list[nodes.Node]:
        """Read every sidecar of the results folder."""
        names = sorted(path.name.removesuffix(RECORD) for path in self.results.glob(f"*{RECORD}"))
        names += tables_beside(self.results)
        if not names:
            LOGGER.warning("provenance: %s holds no *.provenance.json; run `make reproduce PROFILE=%s`",
                           self.results, self.results.name, location=self.get_location())
        records, sizes = self.read(names)
        return [sidecar_table(records=records, sizes=sizes)]


def _uri(translator: Any, target: str) -> str:
    """Address of ``target`` (relative to the book's root) as seen from the page being written."""
    builder = translator.builder
    return relative_uri(builder.get_target_uri(builder.current_docname), target)


def _download(translator: Any, target: str) -> str:
    name = target.rpartition("/")[2]
    return f'<a href="{_uri(translator, target)}" download>{name}</a>'


def _pairs(rows: list[tuple[str, str]]) -> str:
    return "".join(f"<dt>{html.escape(label)}</dt><dd>{html.escape(text)}</dd>" for label, text in rows)


def _sizes(tables: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Lines that name the tables of one run and their sample sizes."""
    return [("Table", ", ".join(f"{table} (n = {n})" if n else table for table, n in tables))]


def _versions(record: dict[str, Any]) -> str:
    return (f'<details class="provenance-versions"><summary>Library versions</summary>'
            f"<p>{html.escape(library_text(record))}</p></details>")


def summary_line(record: dict[str, Any], n: str) -> str:
    """The line that is always visible."""
    seeds = record["seeds"]
    parts = [f"profile {record['profile']}", f"{len(seeds)} seed{'s' * (len(seeds) != 1)}", f"n = {n}" if n else "",
             f"commit {commit_text(record)}", time_text(record)]
    return " · ".join(filter(None, parts))


def visit_box_html(self: Any, node: provenance_box) -> None:
    """Write the box."""
    first, size = node["records"][0], node["sizes"][0]
    links = [_download(self, f"{TABLES}/{record['table']}.csv") for record in node["records"]]
    notebook = node["notebook"]
    if notebook:
        links.append(f'<a href="{_uri(self, self.builder.get_target_uri(notebook))}">the notebook</a>')
        links.append(_download(self, f"_sources/{notebook}.ipynb"))
    groups: dict[str, list[tuple[str, str]]] = {}
    for record, n in zip(node["records"], node["sizes"], strict=True):
        groups.setdefault(_pairs(rows_of(record, "")) + "</dl>" + _versions(record), []).append((record["table"], n))
    body = "".join(f"<dl>{_pairs(_sizes(tables))}{text}" for text, tables in groups.items())
    self.body.append(
        f'<details class="provenance"><summary><span class="provenance-word">Provenance</span> '
        f"{html.escape(summary_line(first, size))}</summary>{body}</details>"
        f'<p class="provenance-links">Table: {" · ".join(links)}</p>'
    )
    raise nodes.SkipNode


def visit_table_html(self: Any, node: sidecar_table) -> None:
    """Write the table of all sidecars."""
    head = ("Table", "Seeds", "n", "Commit", "Recipe", "Run time")
    lines = []
    for record, n in zip(node["records"], node["sizes"], strict=True):
        cells = dict(rows_of(record, n))
        link = _download(self, f"{TABLES}/{record['table']}.csv")
        data = "".join(f"<td>{html.escape(cells.get(name, ''))}</td>" for name in head[1:])
        lines.append(f"<tr><td>{link}</td>{data}</tr>")
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    self.body.append(f'<div class="table-scroll" tabindex="0" role="region" aria-label="Result files">'
                     f'<table class="table sidecars"><thead><tr>{heads}</tr></thead>'
                     f"<tbody>{''.join(lines)}</tbody></table></div>")
    for text in dict.fromkeys(hardware_text(record["hardware"]) for record in node["records"]):
        self.body.append(f"<p>Hardware: {html.escape(text)}.</p>")
    for text in dict.fromkeys(library_text(record) for record in node["records"]):
        self.body.append(f"<p>Libraries: {html.escape(text)}.</p>")
    raise nodes.SkipNode


def visit_plain(self: Any, node: nodes.Element) -> None:
    """Builders that are not HTML: the visible line of each record."""
    for record, n in zip(node["records"], node["sizes"], strict=True):
        self.visit_paragraph(nodes.paragraph())
        self.visit_Text(nodes.Text(f"{record['table']}: {summary_line(record, n)}"))
        self.depart_paragraph(nodes.paragraph())
    raise nodes.SkipNode


def copy_tables(app: Sphinx, exception: Exception | None) -> None:
    """Put every result table beside the pages, for download."""
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir) / TABLES
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    results = Path(app.config.bi_results)
    for table in sorted(results.glob("*.csv")):
        shutil.copyfile(table, folder / table.name)
    for name in tables_beside(results):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place_of(results, name) / f"{name}.csv", folder / f"{name}.csv")


def setup(app: Sphinx) -> None:
    """Register nodes, directives and the copy."""
    for node, visit in ((provenance_box, visit_box_html), (sidecar_table, visit_table_html)):
        app.add_node(node, html=(visit, None), latex=(visit_plain, None), text=(visit_plain, None))
    app.add_directive("provenance", Provenance)
    app.add_directive("sidecars", Sidecars)
    app.connect("build-finished", copy_tables)
