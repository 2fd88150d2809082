"""What code a notebook depends on: its imports, followed statically through ``bi``.

A stage reruns when this code changes in meaning. Comments, docstrings, layout and the time of a file do not count, so
a fresh checkout or a reworded comment retrains nothing. :mod:`bi.recipes` is left out: a stage depends on the values
that it reads from there, which have their own digest.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from bi.notebook import read_cells

PACKAGE = "bi"
DATA_MODULES = frozenset({"bi.recipes"})


def notebook_code(notebook: Path) -> str:
    """The code cells of a notebook as one module; lines of IPython magic are dropped."""
    cells = ("".join(cell["source"]) for cell in read_cells(notebook) if cell["cell_type"] == "code")
    lines = (line for cell in cells for line in cell.splitlines() if not line.lstrip().startswith(("%", "!")))
    return "\n".join(lines)


def closure(source: str, root: Path, *, name: str = "notebook") -> dict[str, Path]:
    """Modules of ``bi`` that ``source`` imports, directly or through others: name -> file, sorted by name.

    Imports inside functions count; imports under ``if TYPE_CHECKING`` do not. Raises ``ValueError`` naming ``name`` or
    the module for code that does not parse and for a module that does not exist.
    """
    found: dict[str, Path] = {}
    waiting = [(name, source)]
    while waiting:
        where, text = waiting.pop()
        for module, path in _imported(text, where, root).items():
            if module not in found and module not in DATA_MODULES:
                found[module] = path
                waiting.append((module, path.read_text(encoding="utf-8")))
    return dict(sorted(found.items()))


def code_digest(notebook: Path, root: Path) -> str:
    """Digest of what a notebook executes: its code cells and the modules of its import closure."""
    source = notebook_code(notebook)
    modules = closure(source, root, name=str(notebook))
    parts = [("notebook", source), *((name, path.read_text(encoding="utf-8")) for name, path in modules.items())]
    return hashlib.sha256(repr([(name, meaning(text)) for name, text in parts]).encode()).hexdigest()[:12]


@cache
def meaning(source: str) -> str:
    """``source`` without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and body:
            node.body = [part for part in body if not (_is_text(part) or _is_version(part))] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_version(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"


def _imported(source: str, where: str, root: Path) -> dict[str, Path]:
    """Modules of the package that the import statements of ``source`` load, with the packages that hold them."""
    try:
        statements = _statements(source)
    except SyntaxError as error:
        raise ValueError(f"{where} does not parse: {error}") from None
    modules: dict[str, Path] = {}
    for module, names in statements:
        if module.startswith("."):
            raise ValueError(f"{where} has a relative import; write the full name of the module")
        modules |= _chain(module, where, root)
        for name in names:
            path = _module_file(f"{module}.{name}", root)
            modules |= {f"{module}.{name}": path} if path else {}
    return modules


@cache
def _statements(source: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Module (with leading dots if relative) and names of every import that runs; no names for a plain ``import``."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in _nodes_that_run(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(("." * node.level + (node.module or ""), tuple(alias.name for alias in node.names)))
    return tuple(found)


def _chain(module: str, where: str, root: Path) -> dict[str, Path]:
    """``module`` and the packages above it; nothing for a module of another package."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return {}
    names = [".".join(parts[: end + 1]) for end in range(len(parts))]
    files = {name: _module_file(name, root) for name in names}
    for name, path in files.items():
        if path is None and not (root / name.replace(".", "/")).is_dir():
            raise ValueError(f"{where} imports {name}, which does not exist")
    return {name: path for name, path in files.items() if path is not None}


def _module_file(module: str, root: Path) -> Path | None:
    """The file of a module or package below ``root``, if there is one."""
    if module.split(".")[0] != PACKAGE:
        return None
    base = root / module.replace(".", "/")
    return next((path for path in (base.with_name(base.name + ".py"), base / "__init__.py") if path.is_file()), None)


def _nodes_that_run(tree: ast.AST) -> Iterable[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING``."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))
