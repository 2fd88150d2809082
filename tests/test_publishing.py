"""What is published: links that lead somewhere, a PDF whose mathematics is set, a workflow of targets that exist."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml
from book_cases import ROOT, pages, toc_names

from workflow.links import check_links, read_links
from workflow.pdf import find_browser, ready_to_print
from workflow.run import main
from workflow.snake import WorkflowError

# links


def site(folder: Path, **pages: str) -> Path:
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>")
    return folder


def test_a_link_that_leads_somewhere_is_no_finding(tmp_path: Path) -> None:
    site(tmp_path, a='<a href="b.html#here">b</a><a href="#top">up</a><h1 id="top"></h1><img src="x%20y.png">',
         b='<a name="here"></a><a href="a.html">a</a><a href="mailto:a@b.c">m</a>')
    (tmp_path / "x y.png").touch()
    report = check_links(tmp_path)
    assert report.broken == () and report.checked == 4 and report.external == {}


@pytest.mark.parametrize(("target", "told"), [
    ("gone.html", "does not exist"), ("#gone", "no place called 'gone'"), ("b.html#gone", "no place called 'gone'"),
    ("../out.html", "leads out of"), ("/b.html", "root of a server"), ("folder", "is a folder"),
])
def test_a_link_that_leads_nowhere_is_named_with_its_page(tmp_path: Path, target: str, told: str) -> None:
    (tmp_path / "folder").mkdir()
    report = check_links(site(tmp_path, a=f'<a href="{target}">x</a>', b=""))
    assert len(report.broken) == 1 and report.broken[0].startswith(f"a.html: {target} ") and told in report.broken[0]


def test_addresses_outside_are_listed_with_their_pages_and_not_opened(tmp_path: Path) -> None:
    report = check_links(site(tmp_path, a='<a href="https://example.org/x">x</a>',
                              b='<a href="https://example.org/x">x</a><script src="//example.org/s.js"></script>'))
    assert report.broken == () and report.checked == 0
    assert report.external == {"https://example.org/x": ("a.html", "b.html"), "//example.org/s.js": ("b.html",)}
    assert report.text().index("//example.org/s.js") < report.text().index("https://example.org/x")


def test_a_folder_without_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="make book"):
        check_links(tmp_path)


# PDF


def test_the_browser_that_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BI_BROWSER", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="apt install chromium.*BI_BROWSER"):
        find_browser()
    monkeypatch.setenv("BI_BROWSER", "/no/such/browser")
    with pytest.raises(ValueError, match="'/no/such/browser', which is no program"):
        find_browser()


def test_make_pdf_without_a_browser_stops_before_any_work(monkeypatch: pytest.MonkeyPatch,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BI_BROWSER", "/no/such/browser")
    monkeypatch.setattr("workflow.book.Book.make", lambda self: pytest.fail("work began"))
    assert main(["pdf"]) == 2
    assert "apt install chromium" in capsys.readouterr().err


SET = '<span class="math notranslate"><mjx-container><svg></svg></mjx-container></span>'


def test_a_page_whose_mathematics_is_not_set_is_not_printed() -> None:
    for raw in (r'<span class="math notranslate">\(x\)</span>',
                r'<div class="math notranslate" id="e"><span class="eqno">(1)</span>\[x\]</div>'):
        with pytest.raises(WorkflowError, match="1 of 2 formulas"):
            ready_to_print(f"<head></head>{SET}{raw}")
    assert SET in ready_to_print(f"<head></head>{SET}")


def test_what_is_printed_has_no_script_nothing_folded_and_no_link_to_a_file() -> None:
    page = ('<html data-theme="dark"><head></head><script>x</script><details class="a"><summary>s</summary></details>'
            '<a class="b" href="_static/t.csv">t</a><a href="#x">x</a><a href="https://example.org">e</a></html>')
    html = ready_to_print(page)
    assert "<script" not in html and '<details open class="a">' in html and 'data-theme="light"' in html
    assert '<a class="b">t</a>' in html and 'href="#x"' in html and "https://example.org" in html


def test_what_is_wider_or_higher_than_the_paper_is_fitted_and_not_cut() -> None:
    html = ready_to_print("<head></head>")
    style = html[html.index("<style>"):html.index("</style>")]
    assert re.search(r"img \{[^}]*max-height: \d+mm", style)
    assert re.search(r"div\.cell_output[^{]*\{ overflow: visible !important", style)


# workflows


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z.-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_what_a_workflow_runs_are_targets_of_the_makefile(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text())["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    made = [line for run in runs for line in run.splitlines() if not line.startswith("cp ")]
    assert made and all(line.split()[0] == "make" and line.split()[1] in makefile_targets() for line in made)


def test_the_book_is_published_from_committed_results_and_checked_first() -> None:
    text = (ROOT / ".github/workflows/publish.yml").read_text()
    steps = yaml.safe_load(text)["jobs"]["book"]["steps"]
    runs = [step.get("run", step.get("uses", "")) for step in steps]
    assert runs.index("make book") < runs.index("make links") < runs.index("actions/deploy-pages@v4")
    assert "reproduce" not in text and next(s for s in steps if "path" in s.get("with", {}))["with"]["path"] == \
        "_build/cpu/html"
    assert (ROOT / "results/cpu/main.csv").is_file()


# the whole book


def flat(text: str) -> str:
    """Text without spaces, which a PDF does not keep at the ends of lines."""
    return re.sub(r"\s", "", text)


def chapter_titles() -> set[str]:
    """Titles of all pages but the first, which holds the contents."""
    return {re.search(r"^# (.+)$", page.text, flags=re.MULTILINE)[1] for page in pages()[1:]}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory):
    """A book of invented results, made by the engine."""
    from book_cases import invent_results

    from workflow.book import SOURCES, Book

    root = tmp_path_factory.mktemp("repository")
    invent_results(root)
    for name in (*SOURCES, "notebooks"):
        (root / name).symlink_to(ROOT / name)
    return Book(root, "cpu", say=lambda line: None)


@pytest.mark.slow
def test_every_link_inside_the_book_leads_somewhere(book) -> None:
    report = check_links(book.make().parent)
    assert report.broken == ()
    assert report.checked > 1000 and any("arxiv.org" in address for address in report.external)


@pytest.mark.slow
def test_the_pdf_has_all_chapters_with_mathematics_and_figures(book) -> None:
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed (extra 'browser')")
    try:
        find_browser()
    except ValueError as error:
        pytest.skip(str(error))
    reader = pypdf.PdfReader(book.pdf())
    texts = [page.extract_text() for page in reader.pages]
    assert len(texts) > 2 * len(toc_names())
    text = "\n".join(texts)
    for raw in (r"\frac", r"\sqrt", r"\begin{", r"\operatorname", r"\mathbb"):
        assert raw not in text, f"{raw} is on the paper as it was typed"
    titles = [read_links(path) for path in book.html.glob("*.html")]
    assert titles
    for name in ("What did not reproduce", "Your checkpoint", "Bibliography"):
        assert name in text
    begun = {title for title in chapter_titles() for page in texts if flat(page).startswith(flat(title))}
    assert begun == chapter_titles(), "every chapter begins a page"
    images = {id(image) or image.name for page in reader.pages for image in page.images}
    figures = len(list((book.source / "figures").glob("*-dark.png")))
    assert len(images) >= figures > 3, "every figure once, in its light half"
