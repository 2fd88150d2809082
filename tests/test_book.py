"""The book is complete and honest: what pages name exists, equations have code and tests, nobody types a result."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from book_cases import ROOT, Page, build_book, invent_results, pages, sidecar_record, stage_book, toc_names

sys.path.insert(0, str(ROOT / "book" / "_ext"))
sys.path.insert(0, str(ROOT / "book"))

import measure
from bi_book import equations, offline, provenance, sources, theme_options
from bi_book.figures import dark_name
from docutils import nodes

from bi.evaluation.claims import CLAIMS
from bi.tasks.gsm8k import read_gsm8k

BY_NAME = {page.name: page for page in pages()}
THEORY = [page for page in pages() if "/theory/" in page.name]
THEORY += [BY_NAME["notebooks/fine_tuning_to_grpo"], BY_NAME["notebooks/rollout_accuracy"]]
RESULTS = ("book/index", "notebooks/two_arms", "notebooks/own_data", "book/evidence/did-not-reproduce",
           "notebooks/measured", "notebooks/two_kinds", "notebooks/problems_as_graphs",
           "notebooks/measuring_influence", "notebooks/step_test", "notebooks/fine_tuning_to_grpo",
           "notebooks/rollout_accuracy", "book/glossary", "notebooks/base_model", "notebooks/recipe",
           "notebooks/ablation", "notebooks/through_training", "notebooks/behaviours_measured", "notebooks/bases",
           "notebooks/dyval", "book/use/your-checkpoint", "notebooks/your_gpu", "book/use/your-cluster", "book/related")
DIRECTIVE = r"^(?P<fence>`{3,}|:{3,})\{%s\} *(?P<argument>\S*)[^\n]*\n(?P<body>.*?)^(?P=fence) *$"


def directives(page: Page, name: str) -> list[re.Match[str]]:
    return list(re.finditer(DIRECTIVE % re.escape(name), page.text, flags=re.MULTILINE | re.DOTALL))


def option(match: re.Match[str], name: str) -> str:
    found = re.search(rf"^:{name}: *(.+)$", match["body"], flags=re.MULTILINE)
    return found[1].strip() if found else ""


def each(name: str) -> list[pytest.param]:
    return [pytest.param(page, match, id=f"{page.name}:{match['argument']}") for page in pages()
            for match in directives(page, name)]


# pages and what they name


def test_every_entry_of_the_contents_is_a_file_named_once() -> None:
    assert len(set(toc_names())) == len(toc_names()) == len(pages())


@pytest.mark.parametrize(("page", "match"), each("literalinclude"))
def test_included_code_exists(page: Page, match: re.Match[str]) -> None:
    path = ROOT / match["argument"].lstrip("/")
    assert path.is_file()
    if path.suffix == ".py":
        assert option(match, "pyobject") in equations._names(path), "include one function by :pyobject:"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_equations_are_labelled_and_name_code_and_test(page: Page) -> None:
    assert "$$" not in page.text, "display equations with the math directive, so that they have a label"
    labels = [option(match, "label") for match in directives(page, "math")]
    assert all(labels)
    assert sorted(labels) == sorted(match["argument"] for match in directives(page, "implemented"))


@pytest.mark.parametrize(("page", "match"), each("implemented"))
def test_named_functions_and_tests_exist(page: Page, match: re.Match[str]) -> None:
    problems = [equations.function_problem(ROOT, name) for name in option(match, "function").split()]
    problems += [equations.check_problem(ROOT, name) for name in option(match, "test").split()]
    assert problems and not any(problems), problems


def test_a_function_or_test_that_is_gone_is_noticed() -> None:
    assert "defines no gone" in str(equations.function_problem(ROOT, "bi.streams.gone"))
    assert "no module" in str(equations.function_problem(ROOT, "bi.gone.gone"))
    assert "defines no test_gone" in str(equations.check_problem(ROOT, "tests/test_book.py::test_gone"))
    assert "no file" in str(equations.check_problem(ROOT, "tests/test_gone.py::test_gone"))


def test_names_in_the_code_are_defined_where_a_link_leads() -> None:
    named = [name for page in pages() for name in re.findall(r"\{defined\}`([^`]+)`", page.text)]
    assert len(set(named)) > 40
    for name in named:
        place = sources.find(ROOT, name)
        assert place is not None, name
        line = (ROOT / place.file).read_text().splitlines()[place.line - 1]
        assert place.line == 1 or name.rpartition(".")[2] in line, (name, line)
    assert sources.find(ROOT, "bi.streams.gone") is None and sources.find(ROOT, "gone.gone") is None


def test_a_link_to_the_source_leads_to_its_line_from_any_folder() -> None:
    node = sources.source_link("", "", nodes.Text("bi.streams.stream"), file="bi/streams.py", line=25)
    builder = SimpleNamespace(get_target_uri=lambda name: f"{name}.html", current_docname="book/theory/a")
    page = SimpleNamespace(builder=builder, body=[])
    with pytest.raises(nodes.SkipNode):
        sources.visit_html(page, node)
    assert 'href="../../code/bi/streams.html#line-25"' in page.body[0] and "bi.<wbr>streams.<wbr>stream" in page.body[0]


def test_every_word_of_the_glossary_says_where_it_is_fixed() -> None:
    body = directives(BY_NAME["book/glossary"], "glossary")[0]["body"]
    entries = re.split(r"\n\n(?=\S)", body.strip())
    words = [entry.splitlines()[0] for entry in entries]
    assert words == sorted(words, key=str.lower) and len(words) >= 40
    assert all("Code: {defined}`" in entry for entry in entries)


def test_references_resolve() -> None:
    text = "\n".join(page.text for page in pages())
    labels = set(re.findall(r"^:label: *(\S+)", text, flags=re.MULTILINE))
    names = set(re.findall(r"^:name: *(\S+)", text, flags=re.MULTILINE))
    cited = {key for keys in re.findall(r"\{cite(?::t|:p)?\}`([^`]+)`", text) for key in re.split(r"\s*,\s*", keys)}
    entries = set(re.findall(r"^@\w+\{(\S+),", (ROOT / "book/references.bib").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\{eq\}`([^`]+)`", text)) <= labels
    assert set(re.findall(r"\{numref\}`([^`]+)`", text)) <= names
    assert cited <= entries
    assert len(entries) >= 10


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Page) -> None:
    for target in re.findall(r"\]\(([^)\s#:]+)\)", page.text):
        place = ROOT / target.lstrip("/") if target.startswith("/") else page.path.parent / target
        assert any(place.with_name(place.name + end).is_file() for end in ("", ".md", ".ipynb")), target


@pytest.mark.parametrize(("page", "match"), each("figure"))
def test_figures_say_what_they_show_and_where_it_comes_from(page: Page, match: re.Match[str]) -> None:
    assert match["argument"].startswith("/figures/")
    assert len(option(match, "alt")) > 40, "alternative text for readers who do not see the figure"
    after = page.text[match.end():].lstrip()
    assert after.startswith("```{provenance}"), "a provenance box stands directly under each figure"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_glued_numbers_are_handed_over_by_their_notebook(page: Page) -> None:
    for target in re.findall(r"\{glue:text\}`([^`]+)`", page.text):
        where, _, key = target.rpartition("::")
        notebook = ROOT / where.lstrip("/") if where else page.path
        assert notebook.suffix == ".ipynb" and notebook.is_file(), target
        assert not where or ":" in key, f"{target}: across pages a format is needed, for example {target}:s"


# nobody types a result


def typed_numbers(text: str) -> list[str]:
    """Digits in prose that no run put there: outside code, mathematics, roles, links, and *reported* figures."""
    text = re.sub(DIRECTIVE % "(?:provenance|literalinclude|sidecars|bibliography|implemented|math)", "", text,
                  flags=re.MULTILINE | re.DOTALL)
    text = _without_reported_columns(_without_code(text))
    patterns = (r"^:\w+:.*$", r"^[`:]{3,}.*$", r"\{[\w:]+\}`[^`]*`", r"`[^`]*`", r"\$[^$]*\$", r"\]\([^)]*\)",
                r"\(reported[^)]*\)", *ALLOWED)
    for pattern in patterns:
        text = re.sub(pattern, "", text, flags=re.MULTILINE)
    return re.findall(r"\S*\d\S*", text)


ALLOWED = (r"Qwen2\.5(?:-1\.5B)?", r"Llama 3\.2", r"GSM8K", r"Python 3\.11 or 3\.12", r"95% interval",
           r"grid\} [\d ]+$", r"\bb?float(?:16|32|64)\b")
CODE = ("sh", "bash", "python")  # what readers type; output printed by a run, which says no language, is a result


def _without_code(text: str) -> str:
    """Text without blocks in a language of code; what directives and blocks without a language hold stays."""
    kept, closing = [], ""
    for line in text.splitlines():
        opened = re.match(r"(`{3,})([^`]*)$", line)
        if closing:
            closing = "" if line.rstrip() == closing else closing
        elif opened and opened[2].strip() in CODE:
            closing = opened[1]
        else:
            kept.append(line)
    return "\n".join(kept)


def _without_reported_columns(text: str) -> str:
    """Tables without the cells of columns whose heading says *reported*."""
    lines, hidden = [], []
    for line in text.splitlines():
        cells = line.split("|") if line.startswith("|") else []
        if not cells:
            hidden = []
        elif not hidden:
            hidden = [number for number, cell in enumerate(cells) if "reported" in cell] or [-1]
        lines.append("|".join(cell for number, cell in enumerate(cells) if number not in hidden) if cells else line)
    return "\n".join(lines)


@pytest.mark.parametrize("name", RESULTS)
def test_no_result_is_typed(name: str) -> None:
    assert typed_numbers(BY_NAME[name].text) == []


def test_a_typed_number_is_found() -> None:
    text = "Gain `12` is {glue:text}`a:.1f`, $3$, (reported: 4 to 5).\n\n"
    table = "| a | reported |\n|---|---|\n| 1.5 | 46.2 |\n\n"
    assert typed_numbers(text + table + "We saw 0.71.") == ["1.5", "0.71."]


def test_numbers_of_code_are_no_results_and_those_beside_it_are() -> None:
    index = "```{index} a\n```\n"
    text = f"{index}It is 2.5 in float32.\n\n```sh\nbi data --rows 16\n```\n\nThen 0.25.\n{index}```sh\nls 3\n```\n"
    assert typed_numbers(text) == ["2.5", "0.25."]
    assert typed_numbers("```\naccuracy 0.9\n```\n") == ["0.9"], "pasted output"


@pytest.mark.parametrize("page", THEORY, ids=lambda page: page.name)
def test_theory_chapters_have_their_anatomy(page: Page) -> None:
    prose = re.sub(r"```.*?```", "", page.text, flags=re.DOTALL)
    assert 1200 <= len(prose.split()) <= 2500
    sections = re.findall(r"^## (.+)$", page.text, flags=re.MULTILINE)
    assert len(sections) <= 6
    assert {"What would change our mind", "Exercises"} <= set(sections)
    assert page.text.split("\n\n")[1].startswith(":::{admonition} Claim")
    assert page.text.count("{exercise-start}") == page.text.count("{solution-start}") >= 2


# settings


def test_the_book_executes_nothing_and_fetches_nothing() -> None:
    config = (ROOT / "_config.yml").read_text()
    assert yaml.safe_load(config)["execute"]["execute_notebooks"] == "off", "quoted: a bare off is a boolean"
    settings = yaml.safe_load(config)["sphinx"]["config"]
    assert "html_theme_options" not in settings, "it would replace the defaults; set options in the extension"
    sources = [ROOT / "_config.yml", *(ROOT / "book/_static").rglob("*"), *(ROOT / "book/_ext").rglob("*.py")]
    texts = [path.read_text() for path in sources if path.is_file()]
    addresses = {found for text in texts for found in re.findall(r"https?://[\w./-]+", text)}
    assert addresses <= {"https://colab.research.google.com", "https://mybinder.org"}, "launch buttons only"


def test_mathjax_comes_with_the_installed_packages() -> None:
    assert offline.mathjax_source().stat().st_size > 1_000_000


def test_buttons_appear_with_a_public_address_only() -> None:
    private = theme_options({"repository_url": "", "launch_buttons": {"notebook_interface": "jupyterlab"}})
    assert private["launch_buttons"] == {} and not private["use_repository_button"]
    public = theme_options({"repository_url": "https://example.org/bi", "launch_buttons": {}})
    assert public["use_repository_button"] and public["launch_buttons"]["binderhub_url"]
    assert private["navbar_persistent"] == [], "one search box"


@pytest.mark.parametrize("name", [name for name in toc_names() if name.startswith("notebooks/")])
def test_chapter_notebooks_are_thin_and_hold_no_outputs(name: str) -> None:
    cells = json.loads((ROOT / f"{name}.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    kinds = [type(node) for node in ast.walk(ast.parse(code))]
    assert len(cells) <= 25
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert ast.ClassDef not in kinds and kinds.count(ast.FunctionDef) <= 1
    assert not re.search(r"sys\.path|is_available|[\"']/", code)


# provenance


def results_with(folder: Path, record: dict[str, object] | None, table: str = "arm,n\na,300\nb,300\n") -> Path:
    (folder / "main.csv").write_text(table)
    if record is not None:
        (folder / "main.provenance.json").write_text(json.dumps(record))
    return folder


def test_a_missing_record_or_table_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(provenance.Incomplete, match=r"main\.csv does not exist; run `make reproduce"):
        provenance.read_sidecar(tmp_path, "main")
    with pytest.raises(provenance.Incomplete, match=r"main\.provenance\.json does not exist"):
        provenance.read_sidecar(results_with(tmp_path, None), "main")


def test_a_record_without_a_field_is_refused(tmp_path: Path) -> None:
    record = sidecar_record()
    del record["hardware"], record["commit"]
    with pytest.raises(provenance.Incomplete, match="lacks commit, hardware"):
        provenance.read_sidecar(results_with(tmp_path, record), "main")


def test_the_box_says_profile_seeds_n_commit_hardware_and_time(tmp_path: Path) -> None:
    record = sidecar_record(commit="abcdef0123", dirty=True, seeds=[0, 1], wall_s=600.0)
    results = results_with(tmp_path, record)
    read = provenance.read_sidecar(results, "main")
    line = provenance.summary_line(read, provenance.sample_size(results, "main"))
    assert line == "profile cpu · 2 seeds · n = 300 · commit abcdef0+changes · 10 min"
    assert {"Hardware", "Recipe", "Seeds"} <= set(dict(provenance.rows_of(read, "300")))
    assert "python" in provenance.library_text(read)


def test_the_box_says_which_rows_were_kept_and_from_where() -> None:
    first, other = {"commit": "abcdef0123", "dirty": False}, {"commit": "123456789", "dirty": True}
    record = {"kept": {"vanilla": first, "pp": other, "bridge": first}}
    assert provenance.kept_text(record) == "vanilla, bridge at abcdef0; pp at 1234567+changes"
    assert provenance.kept_text({"kept": {}}) == "" and provenance.kept_text({}) == ""


def test_sample_sizes_that_differ_are_given_as_a_range(tmp_path: Path) -> None:
    assert provenance.sample_size(results_with(tmp_path, None, "n\n16\n4\n"), "main") == "4–16"
    assert provenance.sample_size(results_with(tmp_path, None, "arm\na\n"), "main") == ""


def test_the_dark_half_of_a_figure_has_its_name() -> None:
    assert dark_name("/figures/a.png") == "/figures/a-dark.png"


# measured commands


def test_a_command_is_timed_and_its_row_replaced(tmp_path: Path) -> None:
    code, wall, _ = measure.measure([sys.executable, "-c", "import time; time.sleep(.2)"])
    assert code == 0 and 0.2 <= wall < 30
    table = tmp_path / "results" / "commands.csv"
    for wall_s in (1.0, 2.0):
        for command in ("make test", "make book"):
            measure.record(table, dict.fromkeys(measure.FIELDS, "x") | {"command": command, "wall_s": wall_s})
    rows = pd.read_csv(table)
    assert list(rows["command"]) == ["make test", "make book"] and set(rows["wall_s"]) == {2.0}


def test_a_command_that_fails_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "TABLE", tmp_path / "commands.csv")
    assert measure.main([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    assert not (tmp_path / "commands.csv").exists()


# exercises


def test_the_page_of_verdicts_shows_every_claim_and_nothing_else() -> None:
    text = BY_NAME["book/evidence/did-not-reproduce"].text
    for kind in ("claim", "test", "seen", "verdict", "refuted"):
        assert sorted(re.findall(rf"::{kind}_(\w+):s`", text)) == sorted(claim.key for claim in CLAIMS), kind


def test_the_graphs_of_the_exercise_are_those_of_its_solution() -> None:
    answer = "<<6*2=12>>\n<<9+3=12>>\n<<12+12=24>>\n<<24-12=12>>\n#### 12"
    chain = read_gsm8k("6 and 2, 9 and 3, and 12.", answer)
    assert [quantity.parents for quantity in chain.problem.quantities] == [(), (), ("2", "1"), ("3",)]
    assert chain.doubtful == {("3", "2"), ("3", "1")}


# the whole book


@pytest.mark.slow
def test_the_book_builds_strictly_and_notices_what_is_missing(tmp_path: Path) -> None:
    results = invent_results(tmp_path)
    source = stage_book(tmp_path, results)
    done = build_book(source, tmp_path / "out", results)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    html = tmp_path / "out" / "_build" / "html"
    assert (html / "index.html").is_file()
    assert (html / "_static/tables/main.csv").read_bytes() == (results / "main.csv").read_bytes()

    (results / "curves.provenance.json").unlink()
    for name in ("completions.csv", "completions.provenance.json"):  # a page may do without this table
        (results / name).unlink()
    (source / "figures" / "influence-dark.png").unlink()
    (source / "figures" / "accuracy.png").unlink()
    broken = build_book(source, tmp_path / "broken", results)
    assert broken.returncode != 0
    for complaint in ("curves.provenance.json does not exist", "no dark half", "accuracy.png"):
        assert complaint in broken.stderr
    assert "completions" not in broken.stderr
