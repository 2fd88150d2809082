"""Notebooks run as asked or fail; a stage depends on the code, recipe and model that it uses, and on nothing else."""

import json
import sys
from dataclasses import replace

import pytest
from engine_cases import copy_code, write_notebook

from bi.notebook import NotebookError, check_parameters, parameters_of, run_notebook
from bi.recipes import SMOKE
from workflow.keys import recipe_values, stage_key
from workflow.sources import closure, code_digest, meaning
from workflow.stages import ROOT, STAGES, check_notebooks, grids_of, make_grid

# --- parameters of notebooks -----------------------------------------------------------------------------------------

def test_parameters_are_exactly_those_of_the_cell(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "arm = 'bridge'\nseed = 0")
    check_parameters(notebook, {"arm": "vanilla", "seed": 3})
    for given, told in (({"arm": "x", "sede": 1}, "'sede'.*'seed'"), ({"arm": "x"}, "not given 'seed'"),
                        ({"arm": "x", "seed": "1"}, "asks for int"), ({"arm": "x", "seed": True}, "asks for int")):
        with pytest.raises(ValueError, match=told):
            check_parameters(notebook, given)


@pytest.mark.parametrize(("cell", "told"), [("import os", "only assign"), ("x = f()", "constant"),
                                            ("x: int = 1", "only assign")])
def test_a_parameters_cell_holds_constants_only(tmp_path, cell, told):
    with pytest.raises(ValueError, match=told):
        parameters_of(write_notebook(tmp_path / "a.ipynb", cell))


def test_what_is_no_notebook_is_named(tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")
    with pytest.raises(ValueError, match="a.ipynb is not a Jupyter notebook"):
        parameters_of(tmp_path / "a.ipynb")
    with pytest.raises(ValueError, match="b.ipynb does not exist"):
        parameters_of(tmp_path / "b.ipynb")
    with pytest.raises(ValueError, match="0 cells tagged"):
        parameters_of(write_notebook(tmp_path / "c.ipynb", "x = 1", tags=()))


@pytest.mark.parametrize("profile", ["smoke", "cpu", "gpu", "paper"])
def test_every_job_of_every_profile_fits_its_notebook(profile):
    for name in grids_of(profile):
        check_notebooks(make_grid(profile, name))


def test_notebooks_of_the_grid_are_thin_and_hold_no_outputs():
    for stage in STAGES.values():
        cells = json.loads(stage.notebook().read_text())["cells"]
        assert len(cells) <= 25, stage.name
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code), stage.name
        assert all(len(cell["source"]) <= 15 for cell in code), stage.name
        text = "".join(line for cell in code for line in cell["source"])
        assert "class " not in text and "def " not in text and "sys.path" not in text, stage.name


# --- execution -------------------------------------------------------------------------------------------------------

def test_a_failing_cell_leaves_no_output_and_tells_the_error(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "n = 1", "import sys; print(sys.executable, n)", "1 / 0", "n")
    failed = tmp_path / "failed" / "a.ipynb"
    with open(tmp_path / "log", "w") as log, pytest.raises(NotebookError, match="a.ipynb, cell 3: ZeroDiv") as told:
        run_notebook(notebook, tmp_path / "out.ipynb", {"n": 5}, cwd=tmp_path, failed=failed, log=log)
    assert "1 / 0" in str(told.value) and "\x1b" not in str(told.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ipynb", "failed", "log"]
    assert (tmp_path / "log").read_text().strip() == f"{sys.executable} 5"
    assert "ZeroDivisionError" in failed.read_text()


@pytest.mark.slow
def test_a_process_killed_under_a_notebook_is_told_and_leaves_no_output(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "n = 1", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(NotebookError, match="a.ipynb: its process died"):
        run_notebook(notebook, tmp_path / "out.ipynb", {"n": 5}, cwd=tmp_path, failed=tmp_path / "f.ipynb")
    assert not (tmp_path / "out.ipynb").exists() and (tmp_path / "f.ipynb").exists()


@pytest.mark.slow
def test_an_executed_notebook_has_its_outputs_and_no_path_of_this_machine(tmp_path):
    folder = tmp_path / "with {braces}"
    notebook = write_notebook(folder / "a.ipynb", "n = 1", "import bi\nn + 1")
    out = run_notebook(notebook, folder / "out.ipynb", {"n": 41}, cwd=folder, failed=folder / "f.ipynb")
    text = out.read_text()
    assert '"42"' in text and str(tmp_path) not in text
    assert json.loads(text)["metadata"]["kernelspec"]["name"] == "python3"
    assert not (folder / "f.ipynb").exists()


# --- what depends on what --------------------------------------------------------------------------------------------

def keys_of(root, profile=SMOKE):
    model = profile.models[0].name
    return {name: stage_key(stage.notebook(root), profile, model if stage.uses_model else None, root)
            for name, stage in STAGES.items()}


def changed(before, after, part="code"):
    return {name for name in before if before[name][part] != after[name][part]}


def test_a_changed_module_reruns_the_stages_that_import_it_and_no_other(tmp_path):
    root = copy_code(tmp_path)
    before = keys_of(root)
    for module in ("bi/training/grpo.py", "bi/training/sft.py", "bi/augmentation/behaviors.py", "bi/figures.py"):
        path, name = root / module, module.removesuffix(".py").replace("/", ".")
        text = path.read_text()
        path.write_text(text + "\nCHANGED = 1\n")
        users = {stage.name for stage in STAGES.values()
                 if name in closure(_code(stage.notebook(root)), root)}
        assert changed(before, keys_of(root)) == users, module
        path.write_text(text)
    assert keys_of(root) == before


def _code(notebook):
    from workflow.sources import notebook_code

    return notebook_code(notebook)


def test_the_stages_depend_on_what_one_would_expect():
    modules = {name: set(closure(_code(stage.notebook()), ROOT)) for name, stage in STAGES.items()}
    assert "bi.training.grpo" in modules["grpo"] and "bi.training.sft" in modules["sft"]
    for name in ("problems", "tables", "base", "evaluate", "measure"):
        assert not modules[name] & {"bi.training.grpo", "bi.training.sft"}, name
    assert "bi.tasks.igsm" in modules["problems"] and not any("training" in m for m in modules["problems"])
    assert all("bi.recipes" not in found and "bi.figures" not in found for found in modules.values())


def test_comments_docstrings_layout_and_version_do_not_rerun_anything():
    plain = "__version__ = '1'\ndef f(x):\n    return x + 1\n"
    same = '"""Doc."""\n__version__ = "2"\n\n\ndef f(x):  # why\n    "Doc."\n    return (x\n            + 1)\n'
    assert meaning(plain) == meaning(same) != meaning(plain.replace("1\n", "2\n"))


def test_imports_are_followed_into_packages_and_functions_but_not_into_type_checks(tmp_path):
    files = {"bi/__init__.py": "", "bi/a/__init__.py": "from bi import d", "bi/a/b.py": "def f():\n    import bi.c",
             "bi/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import bi.e\n", "bi/d.py": "",
             "bi/e.py": ""}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert list(closure("import numpy\nfrom bi.a import b", tmp_path)) == ["bi", "bi.a", "bi.a.b", "bi.c", "bi.d"]
    with pytest.raises(ValueError, match="nb imports bi.nothing"):
        closure("import bi.nothing", tmp_path, name="nb")
    with pytest.raises(ValueError, match="relative import"):
        closure("from . import a", tmp_path)


def test_markdown_and_magic_lines_are_no_code(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "x = 1", "%matplotlib inline\ny = x")
    assert code_digest(notebook, ROOT) == code_digest(write_notebook(tmp_path / "b.ipynb", "x = 1", "y = x"), ROOT)


@pytest.mark.parametrize(("change", "stages"), [
    ({"sft": replace(SMOKE.sft, epochs=9)}, {"sft", "select"}),
    ({"grpo": replace(SMOKE.grpo, steps=9)}, {"grpo", "through"}),
    ({"influence": replace(SMOKE.influence, bootstrap=9)}, {"measure"}),
    ({"rates": replace(SMOKE.rates, reflection=0.9)}, {"sft"}),
    ({"rejection": replace(SMOKE.rejection, samples=9)}, {"select"}),
    ({"passes": replace(SMOKE.passes, problems=9)}, {"passes"}),
    ({"through": replace(SMOKE.through, rollouts=3)}, {"through"}),
    ({"through": replace(SMOKE.through, every=2)}, {"grpo", "through"}),
    ({"note": "other words"}, set()),
])
def test_a_changed_recipe_reruns_the_stages_that_read_it(change, stages):
    def read(profile):
        model = profile.models[0].name
        return {name: recipe_values(stage.notebook(), profile, model) for name, stage in STAGES.items()}

    before, after = read(SMOKE), read(replace(SMOKE, **change))
    assert {name for name in before if before[name] != after[name]} == stages


def test_recipe_values_are_those_that_the_notebook_reads(tmp_path):
    code = "f(recipe.task.wording, recipe.sft, recipe.grpo_for(m).steps)"
    notebook = write_notebook(tmp_path / "a.ipynb", "x = 1", code)
    values = recipe_values(notebook, SMOKE, "models/tiny-base")
    assert set(values) == {"task.wording", "sft", "grpo_for.steps"} and values["grpo_for.steps"] == 3
    assert values["task.wording"] == "compact"
    for cell, told in (("f(recipe)", "as a whole"), ("recipe.nothing", "no field")):
        with pytest.raises(ValueError, match=told):
            recipe_values(write_notebook(tmp_path / "b.ipynb", "x = 1", cell), SMOKE, None)


def test_other_weights_are_another_base_model(tmp_path):
    model = tmp_path / "models" / "tiny-base"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"1")
    code = copy_code(tmp_path)
    before = keys_of(code)
    (model / "model.safetensors").write_bytes(b"2")
    assert changed(before, keys_of(code), "base") == {name for name, stage in STAGES.items() if stage.uses_model}
