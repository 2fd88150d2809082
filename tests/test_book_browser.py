"""The built book in a real browser, without a network: every page, both colour schemes, a desk and a phone.

Needs playwright and Debian's Chromium; skips without them. ``BI_BOOK_HTML`` names a built book to look at; by default
one is built from invented results.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from book_cases import build_book, invent_results, stage_book, toc_names

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'browser')")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
NAMES = [*toc_names(), "search", "genindex"]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("BI_BOOK_HTML")
    if given:
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("book")
    results = invent_results(folder)
    done = build_book(stage_book(folder, results), folder / "out", results)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "out" / "_build" / "html"


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


class Visit:
    """A page with what it complained about and what it asked for outside the folder."""

    def __init__(self, browser: sync_api.Browser, scheme: str = "light", size: str = "desk") -> None:
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, offline=True)
        self.page, self.errors, self.outside = context.new_page(), [], []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: sync_api.Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.outside.append(request.url)

    def open(self, path: Path, query: str = "") -> sync_api.Page:
        """Load a page and wait until it has settled, mathematics included."""
        self.page.goto(path.as_uri() + query)
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate("window.MathJax?.startup?.promise")
        return self.page


@pytest.fixture(params=[(scheme, size) for scheme in ("light", "dark") for size in SIZES], ids="-".join)
def visit(request: pytest.FixtureRequest, browser: sync_api.Browser) -> Iterator[Visit]:
    made = Visit(browser, *request.param)
    yield made
    made.page.context.close()


@pytest.fixture
def desk(browser: sync_api.Browser) -> Iterator[Visit]:
    made = Visit(browser)
    yield made
    made.page.context.close()


def test_pages_ask_for_nothing_outside_complain_of_nothing_and_fit_the_screen(visit: Visit, html: Path) -> None:
    for name in NAMES:
        page = visit.open(html / f"{name}.html")
        assert visit.outside == [] and visit.errors == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} is too wide"


def test_the_first_page_leads_to_the_landing_page(desk: Visit, html: Path) -> None:
    page = desk.open(html / "index.html")
    page.wait_for_url("**/book/index.html")
    assert "ready" in page.locator("article h1").inner_text()


def test_mathematics_is_drawn_not_raw(desk: Visit, html: Path) -> None:
    page = desk.open(html / "book/theory/per-step-influence.html")
    assert page.locator("mjx-container svg").count() > 50
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert r"\(" not in page.locator("article").inner_text()


def test_formulas_fit_a_phone(browser: sync_api.Browser, html: Path) -> None:
    page = Visit(browser, size="phone").open(html / "book/theory/per-step-influence.html")
    clipped = page.evaluate("""[...document.querySelectorAll('mjx-container')].filter(box => {
        const width = box.querySelector('svg').getBoundingClientRect().width;
        return width > box.parentElement.parentElement.getBoundingClientRect().width + 1;
    }).map(box => box.textContent)""")
    assert clipped == []


@pytest.mark.parametrize(("scheme", "shown", "hidden"), [("light", "in-light", "in-dark"),
                                                         ("dark", "in-dark", "in-light")])
def test_each_scheme_shows_its_half_of_a_figure_and_the_caption(browser: sync_api.Browser, html: Path, scheme: str,
                                                                shown: str, hidden: str) -> None:
    page = Visit(browser, scheme).open(html / "book/index.html")
    figure = page.locator("figure").first
    assert figure.locator(f"img.{shown}").is_visible() and not figure.locator(f"img.{hidden}").is_visible()
    assert figure.locator("figcaption").is_visible()


def test_search_finds_a_term(desk: Visit, html: Path) -> None:
    page = desk.open(html / "search.html", "?q=influence")
    page.wait_for_selector("#search-results li a")
    assert "What one step does" in page.locator("#search-results").inner_text()
    assert desk.errors == [] and desk.outside == []


def test_provenance_unfolds_and_its_table_is_there(desk: Visit, html: Path) -> None:
    page = desk.open(html / "notebooks/two_arms.html")
    box = page.locator("details.provenance").first
    assert not box.locator("dl").first.is_visible()
    box.locator("summary").first.click()
    assert "Hardware" in box.locator("dl").first.inner_text()
    for link in page.locator("p.provenance-links a[download]").all():
        target = (html / "notebooks" / str(link.get_attribute("href"))).resolve()
        assert target.is_file(), target


def test_solutions_are_folded(desk: Visit, html: Path) -> None:
    page = desk.open(html / "book/theory/per-step-influence.html")
    solution = page.locator("div.solution").first
    assert not solution.locator("section, div p").first.is_visible()
    solution.locator("button, summary, .toggle-button").first.click()
    assert "chain rule" in solution.inner_text()


def test_an_accessibility_checker_finds_nothing_serious(browser: sync_api.Browser, html: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for scheme in ("light", "dark"):
        visit = Visit(browser, scheme)
        for name in NAMES:
            found = axe.run(visit.open(html / f"{name}.html")).response["violations"]
            serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
            assert serious == [], f"{name}, {scheme}"
