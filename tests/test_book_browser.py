"""The built book in a real browser, without a network: every page, both colour schemes, a desk and a phone.

Needs playwright and Debian's Chromium; skips without them. ``BI_BOOK_HTML`` names a built book to look at; by default
one is built from invented results.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from book_cases import build_book, invent_results, stage_book, toc_names

from bi.influence.softmax import exact_step, influence_coefficient, mixed_chance, softmax
from bi.live.group_gradient import signed

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'browser')")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
NAMES = [*toc_names(), "search", "genindex", "code/bi/augmentation/behaviors"]


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


def chosen(part: sync_api.Locator, label: str, number: int) -> None:
    """Choose the ``number``-th entry of the choice called ``label``."""
    part.get_by_role("combobox", name=label).select_option(index=number)


def set_slider(part: sync_api.Locator, label: str, value: float) -> None:
    part.get_by_role("slider", name=label).evaluate("""(slider, value) => {
        slider.value = value;
        slider.dispatchEvent(new Event('input', {bubbles: true}));
    }""", value)


def test_a_graph_is_stepped_through_as_the_code_draws_it(desk: Visit, html: Path) -> None:
    page = desk.open(html / "notebooks/problems_as_graphs.html")
    part = page.locator(".graph-steps")
    data = [json.loads(text) for text in part.locator("script").all_text_contents()]
    problem = 1
    chosen(part, "Problem", problem)
    assert not part.locator(".live-problem").nth(0).is_visible()
    assert not part.locator(".live-static svg").nth(0).is_visible()
    for names in ((), ("reflection",), ("reflection", "analysis", "subgoal")):
        for name in ("reflection", "analysis", "subgoal"):
            part.get_by_label(name, exact=True).set_checked(name in names)
        steps = data[problem]["chains"]["+".join(names)]
        part.get_by_role("button", name="Start over").click()
        for number, step in enumerate(steps):
            frame = data[problem]["frames"][step["frame"]]
            shown = part.locator(".live-stage g.node").evaluate_all(
                "nodes => nodes.map(node => [...node.querySelectorAll('text')].map(text => text.textContent))")
            assert shown == [[label, words] for label, _, words in frame]
            look = part.locator(".live-stage g.node rect").evaluate_all(
                "rects => rects.map(rect => rect.getAttribute('stroke-dasharray'))")
            assert look == [data[problem]["looks"][state].get("stroke-dasharray") for _, state, _ in frame]
            assert part.locator(".live-stage svg").get_attribute("aria-label") == step["said"]
            assert step["told"] in part.locator(".live-told").inner_text()
            assert part.locator(".live-lines li").count() == number
            if number:
                last = part.locator(".live-lines li[aria-current]")
                assert last.text_content() == "".join(step["behaviors"]) + step["line"]
            if number < len(steps) - 1:
                part.get_by_role("button", name="Next step").click()
        assert part.get_by_role("button", name="Next step").is_disabled()
    assert desk.errors == []


def test_a_switch_keeps_the_place_and_the_keyboard_is_enough(desk: Visit, html: Path) -> None:
    page = desk.open(html / "notebooks/problems_as_graphs.html")
    part = page.locator(".graph-steps")
    part.get_by_role("button", name="Start over").focus()
    for key in ("Tab", "Enter", "Enter", "Enter"):  # Start over, then Next step: Back cannot be reached at the start
        page.keyboard.press(key)
    told = part.locator(".live-told").inner_text()
    assert told.startswith("Step 3 ")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "Back"
    page.keyboard.press("Space")
    assert part.locator(".live-told").inner_text().startswith("Step 2 ")
    solved = part.locator(".live-said").inner_text()
    part.get_by_label("subgoal").focus()
    page.keyboard.press("Space")
    assert part.get_by_label("subgoal").is_checked() and part.locator(".live-said").inner_text() == solved


def test_sliders_move_the_coefficient_as_the_code_computes_it(desk: Visit, html: Path) -> None:
    page = desk.open(html / "notebooks/rollout_accuracy.html")
    part = page.locator(".coefficient")
    for alpha, group in ((0.0, 16), (0.07, 16), (0.5, 2), (1.0, 64), (0.9, 5)):
        set_slider(part, "Rollout accuracy", alpha)
        set_slider(part, "Rollouts in a group", group)
        told = part.locator(".live-told").inner_text()
        assert f"coefficient is {float(influence_coefficient(alpha)):.3f}" in told
        assert f"probability {float(mixed_chance(alpha, group)):.3f}" in told
    assert desk.errors == [] and part.locator("table tbody tr").count() > 5


def test_a_step_on_the_small_policy_is_that_of_the_code(desk: Visit, html: Path) -> None:
    page = desk.open(html / "notebooks/fine_tuning_to_grpo.html")
    part = page.locator(".softmax-step")
    before = part.locator("tbody td").all_inner_texts()
    set_slider(part, "Logit of 7", 1.3)
    set_slider(part, "Step size", 2.5)
    part.get_by_label("1 is right", exact=True).set_checked(True)
    step = exact_step([0.7, 1.3, 0.0, -0.7], [True, False, True, False], 2.5)
    rows = part.locator("tbody tr")
    for index, (chance, after) in enumerate(zip(softmax([0.7, 1.3, 0.0, -0.7]), step.after, strict=True)):
        cells = rows.nth(index).locator("td").all_inner_texts()
        assert (cells[1].strip(), cells[4].strip()) == (f"{chance:.3f}", f"{after:.3f}")
        assert cells[3] == signed(step.gradient[index], 3)
    assert before != part.locator("tbody td").all_inner_texts()
    assert f"the accuracy is {step.accuracy_after:.3f}" in part.locator(".live-told").inner_text()
    for name in ("7", "0"):
        part.get_by_label(f"{name} is right", exact=True).set_checked(True)
    assert "the group is silent" in part.locator(".live-told").inner_text()
    assert desk.errors == []


def test_completions_are_chosen_by_arm_problems_and_outcome(desk: Visit, html: Path) -> None:
    page = desk.open(html / "notebooks/two_arms.html")
    part = page.locator(".completions")
    if part.count() == 0:
        assert "has no table of completions yet" in page.locator("article").inner_text()
        return
    chosen(part, "Arm", 1)
    chosen(part, "Outcome", 2)
    shown = part.locator(".live-pair:visible")
    assert shown.count() == 1
    first = shown.locator("summary").inner_text()
    assert "bridge" in first and "wrong to wrong" in first
    part.get_by_role("button", name="Next problem").click()
    assert shown.count() == 1 and shown.locator("summary").inner_text() != first
    assert shown.locator(".live-mark").count() == 2, "both completions are wrong, and each has one first error"
    assert desk.errors == []


def test_playing_widens_no_page_and_hides_nothing_from_a_screen_reader(visit: Visit, html: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit.open(html / "notebooks/problems_as_graphs.html")
    for name in ("reflection", "analysis", "subgoal"):
        page.locator(".graph-steps").get_by_label(name, exact=True).check()
    chosen(page.locator(".graph-steps"), "Problem", 2)
    page.get_by_role("button", name="To the end").click()
    assert_fits(page, axe, ".graph-steps")
    page = visit.open(html / "notebooks/fine_tuning_to_grpo.html")
    set_slider(page.locator(".softmax-step"), "Logit of 12", 4)
    assert_fits(page, axe, ".softmax-step")
    page = visit.open(html / "notebooks/rollout_accuracy.html")
    set_slider(page.locator(".coefficient"), "Rollout accuracy", 1)
    assert_fits(page, axe, ".coefficient")
    page = visit.open(html / "notebooks/two_arms.html")
    if page.locator(".completions").count():
        chosen(page.locator(".completions"), "Outcome", 2)
        assert_fits(page, axe, ".completions")
    assert visit.outside == []  # errors are not looked at: the checker itself asks for style sheets in a way of its own


def assert_fits(page: sync_api.Page, axe: object, part: str) -> None:
    """The page is no wider than the screen, and the checker finds nothing serious in ``part``."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), part
    found = axe.run(page, context=part).response["violations"]
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == [], part


def test_without_scripts_the_parts_can_be_read(browser: sync_api.Browser, html: Path) -> None:
    page = browser.new_context(java_script_enabled=False, offline=True).new_page()
    page.goto((html / "notebooks/problems_as_graphs.html").as_uri())
    assert page.locator(".graph-steps .live-static li svg").first.is_visible()
    assert page.locator(".graph-steps button").count() == 0
    page.goto((html / "notebooks/rollout_accuracy.html").as_uri())
    assert page.locator(".coefficient svg polyline").count() == 1 and page.locator(".coefficient table").is_visible()
    page.goto((html / "notebooks/fine_tuning_to_grpo.html").as_uri())
    assert page.locator(".softmax-step table").is_visible()
    page.goto((html / "notebooks/two_arms.html").as_uri())
    pairs = page.locator(".completions .live-pair")
    assert pairs.count() == 0 or (pairs.nth(0).locator("ol").first.is_visible() and pairs.nth(1).is_visible())


def test_names_in_the_code_lead_to_their_source(desk: Visit, html: Path) -> None:
    page = desk.open(html / "book/glossary.html")
    links = page.locator("article a[href*='code/bi/']")
    assert links.count() > 40
    for link in links.all()[:5] + links.all()[-5:]:
        file, _, anchor = str(link.get_attribute("href")).partition("#")
        text = (html / "book" / file).resolve().read_text()
        assert f'id="{anchor}"' in text
    links.first.click()
    page.wait_for_load_state("networkidle")
    assert "class Quantity" in page.locator("article").inner_text() and desk.errors == []


def test_an_accessibility_checker_finds_nothing_serious(browser: sync_api.Browser, html: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for scheme in ("light", "dark"):
        visit = Visit(browser, scheme)
        for name in NAMES:
            found = axe.run(visit.open(html / f"{name}.html")).response["violations"]
            serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
            assert serious == [], f"{name}, {scheme}"
