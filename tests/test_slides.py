"""`make slides`: what a chapter's page becomes, and that the slides need nothing but their folder."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from workflow.slides import contents_of, make_deck, make_slides
from workflow.stages import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LOOKS = ROOT / "book" / "teaching"
MATH = r'<span class="math notranslate">\(a. b\)</span>'
CHAPTER = rf"""<html><body><article class="bd-article"><section id="one">
<h1>A chapter &amp; more<a class="headerlink" href="#one">#</a></h1>
<div class="claim admonition"><p class="admonition-title">Claim</p><p>It is <em>so</em>.</p></div>
<p>Why is {MATH} so? Because <a href="../other.html">another</a> page says it. It has
<a href="https://example.org/a">a source</a>.</p>
<section id="two"><h2>A section<a class="headerlink" href="#two">#</a></h2>
<p>Two things: the first and the second. More words.</p>
<div class="math notranslate" id="equation-x"><span class="eqno">(1)<a class="headerlink" href="#x">#</a></span>
\[x\]</div>
<div class="implemented"><p>in code</p></div>
<div class="proof definition admonition" id="d"><p class="admonition-title">Definition 1</p>
<section><p>Let x.</p></section></div>
<div class="proof admonition"><p>Proof. Long.</p></div>
<div class="highlight-python notranslate"><div class="highlight"><pre>def f():
    return "&lt;"
</pre></div></div>
<figure id="f"><a href="../_images/a.png"><img class="in-light" src="../_images/a.png" alt="What it shows"></a>
<a href="../_images/a-dark.png"><img class="in-dark" src="../_images/a-dark.png" alt="What it shows"></a>
<figcaption><p>Fig. 1 Shown.<a class="headerlink" href="#f">#</a></p></figcaption></figure>
<details class="provenance"><summary><span>Provenance</span> profile cpu · 3 seeds</summary></details>
<div class="table"><table><thead><tr><th>a</th></tr></thead><tbody>{"<tr><td>row</td></tr>" * 30}</tbody></table></div>
<ul><li>a list</li></ul>
<section><h3>A part</h3><p>Of it.</p></section></section>
<section><h2>Exercises</h2><div class="exercise admonition"><p class="admonition-title">Exercise 3</p>
<section><p>Count.</p></section></div><div class="solution admonition"><p>The secret is 7.</p></div></section>
<section><h2>Sources</h2><p>Books.</p></section>
</section></article></body></html>"""


@pytest.fixture
def article() -> Tag:
    return BeautifulSoup(CHAPTER, "html.parser").article


@pytest.fixture
def built(tmp_path: Path) -> Path:
    book = tmp_path / "book"
    for name in ("chapters/one.html", "_static/mathjax/tex.js", "_images/a.png", "_images/a-dark.png"):
        (book / name).parent.mkdir(parents=True, exist_ok=True)
        (book / name).write_text(CHAPTER if name.endswith("html") else "x", encoding="utf-8")
    return book


def test_a_chapter_becomes_slides_by_rule(article: Tag) -> None:
    title, slides = make_deck(article)
    assert title == "A chapter & more"
    text = "\n".join(slide.html() for slide in slides)
    assert text.count("Of it.") == 2, "once shown, once in the notes"
    assert slides[0].heading == title and "It is <em>so</em>." in slides[0].html()
    assert rf"<li>Why is {MATH} so?</li>" in text, "the first sentence, and no end inside mathematics"
    assert "<li>Two things.</li>" in text
    assert r"\[x\]" in text and "(1)" in text and "in code" not in text
    assert "Definition 1" in text and "Let x." in text
    assert "return &quot;&lt;&quot;" in text
    assert "Count." in text and "secret" not in text and "Books." not in text
    assert "Exercise 3" in text and "a list" in text and "<h3>A part</h3>" in text


def test_the_whole_text_is_in_the_notes(article: Tag) -> None:
    notes = "\n".join(re.findall(r'<details class="notes">.*?</details>', "\n".join(
        slide.html() for slide in make_deck(article)[1]), flags=re.S))
    assert "Because another page says it." in notes, "links inside the book are words here"
    assert '<a href="https://example.org/a">a source</a>' in notes
    assert "More words." in notes and "Proof. Long." in notes


def test_a_figure_keeps_its_words_its_dark_half_and_its_run(article: Tag) -> None:
    text = next(slide.html() for slide in make_deck(article)[1] if "<figure>" in slide.html())
    assert 'alt="What it shows"' in text and 'srcset="../_images/a-dark.png"' in text and "dark)" in text
    assert "Fig. 1 Shown. (profile cpu · 3 seeds)" in text and text.count("<img") == 1


def test_a_long_table_goes_on_under_its_own_head(article: Tag) -> None:
    tables = [slide.html() for slide in make_deck(article)[1] if "<table>" in slide.html()]
    assert len(tables) > 1 and all("<th>a</th>" in table for table in tables)
    assert sum(table.count("<td>row</td>") for table in tables) == 30


def test_a_folder_of_slides_needs_nothing_else(built: Path, tmp_path: Path) -> None:
    index = make_slides(built, tmp_path / "slides", [("Part", "chapters/one")], LOOKS)
    assert '<a href="one.html">A chapter &amp; more</a>' in index.read_text(encoding="utf-8")
    check_self_contained(index.parent)


def check_self_contained(folder: Path) -> None:
    for page in folder.glob("*.html"):
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        for tag in soup.find_all(["script", "link", "img", "source", "a"]):
            target = tag.get("src") or tag.get("srcset") or tag.get("href")
            if target and not (tag.name == "a" and target.startswith("http")):
                assert (folder / target).is_file(), f"{page.name}: {target}"
        assert all(image.get("alt") is not None for image in soup.find_all("img"))
        assert soup.h1 and soup.html["lang"] == "en"
    for name in ("slides.css", "slides.js"):
        assert "http" not in (folder / name).read_text(encoding="utf-8")


def test_a_missing_page_or_script_is_named(built: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no page chapters/two"):
        make_slides(built, tmp_path / "slides", [("Part", "chapters/two")], LOOKS)
    shutil.rmtree(built / "_static")
    with pytest.raises(ValueError, match="make book"):
        make_slides(built, tmp_path / "slides", [], LOOKS)


def test_every_chapter_has_slides_and_the_back_matter_none() -> None:
    names = [name for _, name in contents_of(ROOT)]
    assert "notebooks/two_arms" in names and "book/evidence/did-not-reproduce" in names
    assert not {"book/bibliography", "book/teaching/instructor"} & set(names)


KEYS = """<script>
addEventListener("load", () => setTimeout(() => {
  const seen = [];
  const count = (what) => document.querySelectorAll(what).length;
  const look = () => seen.push([count(".slide.now"), location.hash, document.querySelector("#bar .where").textContent,
    count("details.notes[open]")].join(" "));
  const press = (key) => { document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true})); look(); };
  look();
  ["ArrowRight", "n", "n", "End", "ArrowRight", "Home", "ArrowLeft"].forEach(press);
  document.querySelector("#bar .next").click();
  look();
  document.title = seen.join("; ");
}, 300));
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_slides_turn_by_keys_and_buttons_in_a_browser(built: Path, tmp_path: Path) -> None:
    (built / "_static" / "mathjax" / "tex.js").write_text("", encoding="utf-8")
    page = make_slides(built, tmp_path / "slides", [("Part", "chapters/one")], LOOKS).with_name("one.html")
    total = page.read_text(encoding="utf-8").count('<section class="slide">')
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", KEYS), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}",
               "--virtual-time-budget=4000", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    title = BeautifulSoup(dom, "html.parser").title.get_text()
    with_notes = page.read_text(encoding="utf-8").count('<details class="notes">')
    assert title.split("; ") == [
        f"1  1 of {total} 0", f"1 #2 2 of {total} 0", f"1 #2 2 of {total} {with_notes}", f"1 #2 2 of {total} 0",
        f"1 #{total} {total} of {total} 0", f"1 #{total} {total} of {total} 0", f"1 #1 1 of {total} 0",
        f"1 #1 1 of {total} 0", f"1 #2 2 of {total} 0"]
