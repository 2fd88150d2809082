"""What the result of a stage depends on, as short digests: code, recipe values, starting model.

A digest that differs from the one of the last run reruns the stage. The recipe values are those that the notebook
reads: every ``recipe.field`` in its code, so nothing has to be listed twice.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bi.evaluation.kept import Kept, read_kept
from bi.files import file_digest
from bi.recipes import Profile, digest
from workflow.sources import code_digest, notebook_code
from workflow.stages import Grid

RECIPE = "recipe"
GRPO_FOR = "grpo_for"
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")


def stage_key(notebook: Path, profile: Profile, model: str | None, root: Path) -> dict[str, str]:
    """Digests of ``code``, ``recipe`` and ``base`` (the starting model; empty for a stage without one)."""
    return {
        "code": code_digest(notebook, root),
        "recipe": digest(recipe_values(notebook, profile, model)),
        "base": model_digest(model, root) if model else "",
    }


def kept_digest(grid: Grid, root: Path) -> str:
    """Digest of the published results that the tables of ``grid`` take from arms or bases that do not run; empty if
    they take none."""
    if not grid.kept:
        return ""
    kept = kept_results(grid, root)
    others = [key for key in grid.every if key not in grid.running]
    rows = [kept.rows(name, key).to_csv(index=False) for key in others for name in ("items", "rollout_accuracy")]
    return digest([list(grid.running), rows, [kept.made.get(key) for key in others]])


def kept_results(grid: Grid, root: Path, needed: Sequence[str] = ()) -> Kept:
    """The published results that ``grid`` takes from earlier runs; ``ValueError`` without those ``needed``."""
    column = "base" if grid.plan.bases else "arm"
    return read_kept([root / folder for folder in grid.kept], column, grid.profile, needed)


def recipe_values(notebook: Path, profile: Profile, model: str | None) -> dict[str, Any]:
    """The recipe values that a notebook reads, by dotted name, for example ``task.wording``.

    ``recipe.grpo_for(model)`` is the GRPO recipe of that model. Raises ``ValueError`` if the notebook uses
    ``recipe`` as a whole, because then it could depend on anything.
    """
    tree = ast.parse(notebook_code(notebook))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    values = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == RECIPE and isinstance(node.ctx, ast.Load):
            chain = _chain(node, parents)
            if not chain:
                raise ValueError(f"{notebook} uses `{RECIPE}` as a whole; read its fields, as in `{RECIPE}.task`")
            name, value = _resolve(chain, profile, model, notebook)
            values[name] = dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
    return values


def _chain(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> list[str]:
    """The attributes read from ``node``, outermost last: ``recipe.task.wording`` gives ``[task, wording]``.

    A call of ``grpo_for`` is passed through: ``recipe.grpo_for(model).steps`` gives ``[grpo_for, steps]``.
    """
    chain: list[str] = []
    above = parents.get(node)
    while isinstance(above, ast.Attribute) or (isinstance(above, ast.Call) and chain == [GRPO_FOR]):
        chain += [above.attr] if isinstance(above, ast.Attribute) else []
        if isinstance(above, ast.Call) and above.func is not node:
            break
        node, above = above, parents.get(above)
    return chain


def _resolve(chain: list[str], profile: Profile, model: str | None, notebook: Path) -> tuple[str, Any]:
    value: Any = profile
    for depth, name in enumerate(chain):
        if isinstance(value, Profile) and name == GRPO_FOR:
            value = profile.grpo_for(str(model))
            continue
        if not dataclasses.is_dataclass(value):
            return ".".join(chain[:depth]), value
        if name not in {field.name for field in dataclasses.fields(value)}:
            raise ValueError(f"{notebook} reads {RECIPE}.{'.'.join(chain)}, which is no field of a recipe")
        value = getattr(value, name)
    return ".".join(chain), value


def model_digest(model: str, root: Path) -> str:
    """Digest of a local model's weights, settings and tokenizer; of its name for a model on the hub."""
    folder = root / model
    if not folder.is_dir():
        return digest(model)
    files = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})
    return digest({path.name: file_digest(path) for path in files})
