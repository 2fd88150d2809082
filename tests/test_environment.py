"""pyproject.toml (bounds), constraints.txt (the exact set) and environment.yml (the same set for conda) agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

PYTHONS = ("3.11.2", "3.11.7", "3.12.1")
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
IMPORTED_AS = {"yaml": "pyyaml", "bs4": "beautifulsoup4", "axe_playwright_python": "axe-playwright-python",
               "trak": "traker"}
UNPINNED = "bench"
"""The extra of other people's libraries that a benchmark compares with; `make lock` leaves it out."""


def requirements(lines: list[str]) -> list[Requirement]:
    return [Requirement(line) for line in lines]


def applies(requirement: Requirement, environment: dict[str, str] | None = None) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


def pinned_version(requirement: Requirement) -> Version:
    (specifier,) = requirement.specifier
    assert specifier.operator == "==" and "*" not in specifier.version, f"{requirement} is no exact pin"
    return Version(specifier.version)


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def bounds(project: dict) -> list[Requirement]:
    extras = project["optional-dependencies"]
    return requirements([*project["dependencies"],
                         *(line for name, extra in extras.items() if name != UNPINNED for line in extra)])


@pytest.fixture(scope="module")
def constraint_lines(root: Path) -> list[str]:
    lines = (root / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def pins(constraint_lines: list[str]) -> list[Requirement]:
    return requirements(constraint_lines)


@pytest.fixture(scope="module")
def conda(root: Path) -> list:
    return yaml.safe_load((root / "environment.yml").read_text())["dependencies"]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("system", "machine"), PLATFORMS)
def test_every_dependency_is_pinned_once_and_inside_its_bounds(bounds, pins, python, system, machine):
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0],
                   "sys_platform": system, "platform_machine": machine, "implementation_name": "cpython"}
    found: dict[str, Version] = {}
    for pin in (pin for pin in pins if applies(pin, environment)):
        name = canonicalize_name(pin.name)
        assert name not in found, f"{name} is pinned twice for Python {python} on {system}"
        found[name] = pinned_version(pin)
    for bound in bounds:
        name = canonicalize_name(bound.name)
        assert name in found, f"{bound} has no pin in constraints.txt: run `make lock`"
        assert found[name] in bound.specifier, f"{name} {found[name]} in constraints.txt is outside {bound}"


def test_constraints_can_be_installed_by_anyone(pins, constraint_lines):
    for pin, line in zip(pins, constraint_lines, strict=True):
        assert pinned_version(pin).local is None, f"{line}: a local build, nobody else can install it"
        assert pin.url is None, f"{line}: an address in place of a version"


def test_conda_environment_is_the_same_set(conda, constraint_lines):
    (pip,) = [entry["pip"] for entry in conda if isinstance(entry, dict)]
    assert pip == [*constraint_lines, "-e ."], "environment.yml is not constraints.txt: run `make lock`"


def test_conda_python_is_one_that_the_project_supports(conda, project):
    (python,) = [entry for entry in conda if isinstance(entry, str) and entry.startswith("python=")]
    assert python.split("=")[1] + ".0" in SpecifierSet(project["requires-python"])
    assert "pip" in conda


def test_installed_versions_are_the_pinned_ones(pins):
    installed = {canonicalize_name(dist.name): Version(dist.version) for dist in metadata.distributions()}
    wrong = [
        f"{pin.name}: {installed[name]} is installed, {pinned_version(pin)} is pinned"
        for pin in pins
        if applies(pin) and (name := canonicalize_name(pin.name)) in installed
        and Version(installed[name].public) != pinned_version(pin)
    ]
    assert not wrong, wrong


def test_everything_but_the_browser_tools_is_installed(project):
    extras = project["optional-dependencies"]
    wanted = requirements([*project["dependencies"], *extras["book"], *extras["dev"]])
    for requirement in wanted:
        assert metadata.version(requirement.name) in requirement.specifier


def sources(root: Path) -> Iterator[Path]:
    for folder in ("bi", "workflow", "book", "benchmarks", "tests"):
        yield from sorted((root / folder).rglob("*.py"))


def imported_packages(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def test_every_imported_package_is_declared(root, project, bounds):
    declared = {canonicalize_name(bound.name)
                for bound in [*bounds, *requirements(project["optional-dependencies"][UNPINNED])]}
    own = {path.parent.name if path.stem == "__init__" else path.stem for path in sources(root)} | {"bi", "workflow"}
    missing = {
        f"{path.relative_to(root)} imports {package}"
        for path in sources(root)
        for package in imported_packages(path)
        if package not in sys.stdlib_module_names and package not in own
        and canonicalize_name(IMPORTED_AS.get(package, package)) not in declared
    }
    assert not missing, f"declare these in pyproject.toml: {sorted(missing)}"


def make(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-C", str(root), *arguments], capture_output=True, text=True, check=False)


def test_help_names_every_command_that_the_readme_promises(root):
    said = make(root, "help").stdout
    for command in ("test", "reproduce", "book", "base", "lint", "clean", "help"):
        assert re.search(rf"^  {command} +\w", said, re.MULTILINE), f"make help does not list {command}"


@pytest.fixture
def bare_copy(root: Path, tmp_path: Path) -> Path:
    """The files that set-up reads, in a folder of their own, with no .venv."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((root / name).read_text())
    return tmp_path


def test_a_wrong_python_is_refused_before_anything_is_written(bare_copy):
    said = make(bare_copy, "venv", "PYTHON=false")
    assert said.returncode != 0
    assert "Python 3.11 or 3.12" in said.stderr and "PYTHON=" in said.stderr
    assert not (bare_copy / ".venv").exists()


def stamp_name(folder: Path) -> str:
    (name,) = re.findall(r"^STAMP := (\S+)$", make(folder, "-pn", "help").stdout, re.MULTILINE)
    return name


def test_the_stamp_follows_the_contents_and_not_the_times(bare_copy):
    before = stamp_name(bare_copy)
    (bare_copy / "constraints.txt").touch()
    assert stamp_name(bare_copy) == before
    (bare_copy / "constraints.txt").write_text("torch==0\n")
    assert stamp_name(bare_copy) != before


def test_a_complete_set_up_is_left_alone_and_says_nothing(bare_copy):
    stamp = bare_copy / stamp_name(bare_copy)
    stamp.parent.mkdir()
    stamp.write_text(f"{bare_copy}\n")
    said = make(bare_copy, "venv", "PYTHON=false")
    assert (said.returncode, said.stderr) == (0, "")
    assert "Setting up" not in said.stdout and "Updating" not in said.stdout


def test_an_interrupted_set_up_is_not_taken_for_complete(bare_copy):
    (bare_copy / ".venv" / "bin").mkdir(parents=True)
    assert make(bare_copy, "venv", "PYTHON=false").returncode != 0


def test_a_linked_environment_is_never_emptied(bare_copy, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "kept").touch()
    (bare_copy / ".venv").symlink_to(elsewhere)
    said = make(bare_copy, "venv")
    assert said.returncode != 0 and ".venv is a link" in said.stderr
    assert (elsewhere / "kept").exists()


def test_clean_removes_what_was_made_and_says_so(bare_copy):
    for made in ("_build", "runs/smoke", "runs/cpu", "results/cpu", ".venv"):
        (bare_copy / made).mkdir(parents=True)
    said = make(bare_copy, "clean").stdout
    assert "removed _build" in said and "removed runs/smoke" in said
    assert not (bare_copy / "_build").exists() and not (bare_copy / "runs" / "smoke").exists()
    for kept in ("runs/cpu", "results/cpu", ".venv"):
        assert (bare_copy / kept).exists(), f"make clean removed {kept}"
    assert (bare_copy / "Makefile").exists()
