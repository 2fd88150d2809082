"""The book as one PDF: all chapters on one page, mathematics set by the bundled MathJax, printed by a browser.

No TeX is needed. The browser first runs the page without a network and hands back what it became; only a page whose
mathematics was set is printed, and it is printed without scripts, so what was checked is what is on paper.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bi.files import atomic_write
from workflow.snake import WorkflowError, last_lines

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_S = 900
SETTLED_MS = 600_000  # time that passes for the page alone: however slow the machine, its scripts see it through
SWITCHES = ("--headless", "--disable-gpu", "--no-sandbox", "--disable-background-networking", "--disable-extensions",
            "--no-first-run", "--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND")
_MATH = re.compile(r'<(?:span|div)\b[^>]*\bclass="(?:[^"]*\s)?math(?:\s[^"]*)?"')
_SET = re.compile(r"<mjx-container\b")
_RAW = re.compile(_MATH.pattern + r"[^>]*>\s*\\[\[(]")
_OUTSIDE = re.compile(r'(<a\b[^>]*?)\s+href="(?!#|https?:)[^"]*"')
_SCRIPT = re.compile(r"<script\b.*?</script>", flags=re.DOTALL)
_STYLE = """<style>
@page { size: A4; margin: 18mm 16mm 20mm; }
.bd-sidebar, .bd-header, .bd-header-article, .bd-sidebar-secondary, .prev-next-footer, .bd-footer {
  display: none !important;
}
html { font-size: 80%; font-variant-ligatures: none; } /* words are found and copied letter by letter */
span[id^="document-"] + section { break-before: page; } /* a chapter, as Sphinx marks it on the one long page */
h1, h2, h3, h4 { break-after: avoid; break-inside: avoid; }
pre, .highlight pre { white-space: pre-wrap !important; overflow-wrap: anywhere; }
mjx-container path, mjx-container use { stroke: none !important; } /* a hair's breadth, which viewers draw as bold */
figure, tr, .admonition-title { break-inside: avoid; }
img { max-height: 220mm; object-fit: contain; }
div.cell_output, div.output, div.math, .table-scroll, .pst-scrollable-table-container { overflow: visible !important; }
.cell_output table { font-size: 85%; max-width: 100%; }
.cell_output th { overflow-wrap: anywhere; } /* headings give way before numbers break */
.cell_output th, .cell_output td { padding: 0.2em 0.4em !important; }
details { display: block; }
</style>"""


def find_browser() -> str:
    """The browser that prints: ``BI_BROWSER``, or a Chromium on the path; ``ValueError`` says how to get one."""
    asked = os.environ.get("BI_BROWSER")
    found = shutil.which(asked) if asked else next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing = f"BI_BROWSER names {asked!r}, which is no program" if asked else "no Chromium or Chrome was found"
        raise ValueError(f"{missing}; a browser prints the PDF: install one (on Debian: apt install chromium), or name "
                         "it with BI_BROWSER=/path/to/chrome")
    return found


def print_pdf(page: Path, out: Path, browser: str) -> Path:
    """Print the HTML file ``page`` to ``out``; raises ``WorkflowError`` if its mathematics was not set."""
    settled = page.with_name("settled.html")
    with atomic_write(settled) as file:
        file.write(ready_to_print(run_browser(browser, page, "--dump-dom")))
    made = page.with_name("printed.pdf")
    told = run_browser(browser, settled, f"--print-to-pdf={made}", "--no-pdf-header-footer",
                       "--generate-pdf-document-outline")
    if not made.is_file() or not made.read_bytes().startswith(b"%PDF"):
        raise WorkflowError(f"the browser wrote no PDF:\n{last_lines(told)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    os.replace(made, out)
    return out


def run_browser(browser: str, page: Path, *more: str) -> str:
    """Open ``page`` in a headless browser with a profile of its own, without a network; returns what it printed."""
    with tempfile.TemporaryDirectory(prefix="bi-browser-") as profile:
        command = [browser, *SWITCHES, f"--user-data-dir={profile}", f"--virtual-time-budget={SETTLED_MS}",
                   f"--timeout={PATIENCE_S * 1000}", *more, page.resolve().as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise WorkflowError(f"the browser took more than {PATIENCE_S} s for {page.name}") from None
    if done.returncode != 0:
        raise WorkflowError(f"the browser failed on {page.name}:\n{last_lines(done.stderr)}")
    return done.stdout


def ready_to_print(html: str) -> str:
    """The page as it settled, without scripts, folded parts open, in the light scheme.

    Raises ``WorkflowError`` if a formula is still the TeX that it was written in.
    """
    asked, done, raw = (len(found.findall(html)) for found in (_MATH, _SET, _RAW))
    if raw or done < asked:
        raise WorkflowError(f"{max(raw, asked - done)} of {asked} formulas were not set; is MathJax in the book?")
    html = _SCRIPT.sub("", html)
    html = _OUTSIDE.sub(r"\1", html)  # downloads and pages of code, which a PDF does not hold
    html = re.sub(r"<details(?![^>]*\bopen\b)", "<details open", html)
    html = re.sub(r'\bdata-theme="[^"]*"', 'data-theme="light"', html)
    html = html.replace("toggle-hidden", "").replace('loading="lazy"', "")
    return html.replace("</head>", f"{_STYLE}</head>", 1)
