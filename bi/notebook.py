"""Run a notebook with parameters, so that its output file means success.

papermill executes; what it leaves open is closed here: an unknown or missing parameter is an error, the output appears
under its name only when the last cell has run, a failure is told in a few lines, and the kernel is the interpreter that
runs this code, whatever kernels are installed. A kernel does not outlive the process that started it.
"""

from __future__ import annotations

import ast
import ctypes
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

KERNEL = "bi-this-interpreter"
_LAUNCH = "from bi.notebook import start_kernel; start_kernel()"
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


class NotebookError(RuntimeError):
    """A cell failed. The message names the notebook, the cell and the error, and quotes the end of the traceback."""


def parameters_of(notebook: Path) -> dict[str, Any]:
    """Names and defaults that a notebook's cell tagged ``parameters`` assigns.

    Raises ``ValueError`` if there is not exactly one such cell, or if it holds anything but assignments of constants.
    """
    cells = [cell for cell in read_cells(notebook) if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f"{notebook} has {len(cells)} cells tagged 'parameters'; it needs exactly one")
    found = {}
    for node in ast.parse("".join(cells[0]["source"])).body:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            raise ValueError(f"{notebook}: the parameters cell may only assign names, it has {ast.unparse(node)!r}")
        try:
            found[node.targets[0].id] = ast.literal_eval(node.value)
        except ValueError:
            raise ValueError(f"{notebook}: parameter {node.targets[0].id!r} needs a constant as default") from None
    return found


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """The cells of a notebook as plain data; raises ``ValueError`` naming the file if it is missing or no notebook."""
    try:
        return json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    except FileNotFoundError:
        raise ValueError(f"the notebook {notebook} does not exist") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{notebook} is not a Jupyter notebook ({error!r})") from None


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless ``parameters`` are exactly those of the notebook, each of its default's type."""
    known = parameters_of(notebook)
    unknown, missing = sorted(set(parameters) - set(known)), sorted(set(known) - set(parameters))
    if unknown or missing:
        parts = [f"does not know {', '.join(map(repr, unknown))}"] * bool(unknown)
        parts += [f"is not given {', '.join(map(repr, missing))}"] * bool(missing)
        raise ValueError(f"{notebook} {' and '.join(parts)}; its parameters cell has {', '.join(known) or 'none'}")
    for name, value in parameters.items():
        if type(value) is not type(known[name]):
            raise ValueError(
                f"{notebook}: parameter {name!r} is {value!r}; its default {known[name]!r} asks for "
                f"{type(known[name]).__name__}"
            )


def run_notebook(
    source: Path,
    out: Path,
    parameters: Mapping[str, Any],
    *,
    cwd: Path,
    failed: Path,
    log: IO[str] | None = None,
) -> Path:
    """Execute ``source`` with ``parameters`` in ``cwd`` and return ``out``, which exists only if every cell ran.

    ``failed`` is where the partly executed notebook goes when a cell raises; ``log`` receives what cells print, as they
    print it. Raises ``ValueError`` for parameters that do not match, :class:`NotebookError` for a failing cell.
    """
    import nbformat
    from nbclient.exceptions import DeadKernelError
    from papermill import PapermillExecutionError, execute_notebook

    check_parameters(source, parameters)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{out.name}.running.ipynb")
    notebook = nbformat.read(source, as_version=4)
    try:
        with _kernel_of_this_interpreter():
            execute_notebook(
                notebook,
                str(aside).replace("{", "{{").replace("}", "}}"),  # papermill formats the path
                parameters=dict(parameters),
                kernel_name=KERNEL,
                language="python",
                cwd=str(cwd),
                progress_bar=False,
                stdout_file=log,
                stderr_file=log,
            )
        _clean_metadata(aside)
        os.replace(aside, out)
    except (PapermillExecutionError, DeadKernelError) as error:
        failed.parent.mkdir(parents=True, exist_ok=True)
        _clean_metadata(aside)
        os.replace(aside, failed)
        raise NotebookError(f"{_summary(source, error)}\n    as far as it ran: {_short(failed)}") from None
    finally:
        aside.unlink(missing_ok=True)
    failed.unlink(missing_ok=True)
    return out


def _summary(source: Path, error: Any) -> str:
    """Cell number, error, and the last lines of the traceback without colours."""
    if not hasattr(error, "traceback"):
        return f"{source.name}: its process died; if the machine ran out of memory, run fewer jobs at a time"
    lines = _COLORS.sub("", "\n".join(error.traceback)).splitlines()
    tail = "\n".join(f"    {line}" for line in lines[-12:])
    value = _COLORS.sub("", str(error.evalue))
    number = error.cell_index  # papermill counts from 0 and has put one cell of its own before this one
    return f"{source.name}, cell {number}: {error.ename}: {value}\n{tail}"


def _short(path: Path) -> str:
    """The path from here, if it is below."""
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)


def _clean_metadata(path: Path) -> None:
    """Put the ordinary kernel name back and drop the paths of this machine that papermill stamps."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    metadata = notebook["metadata"]
    metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for key in ("input_path", "output_path"):
        metadata.get("papermill", {}).pop(key, None)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _kernel_of_this_interpreter() -> Iterator[None]:
    """A kernel specification for ``sys.executable`` in a temporary Jupyter home, apart from the user's own settings."""
    with tempfile.TemporaryDirectory(prefix="bi-kernel-") as home:
        spec = Path(home, "kernels", KERNEL)
        spec.mkdir(parents=True)
        settings = {
            "argv": [sys.executable, "-c", _LAUNCH, "-f", "{connection_file}", "--log-level=CRITICAL"],
            "display_name": "Python 3",
            "language": "python",
            "env": {
                "IPYTHONDIR": str(Path(home, "ipython")),
                "MPLBACKEND": "module://matplotlib_inline.backend_inline",
                "PYTHONPATH": _python_path(),
            },
        }
        (spec / "kernel.json").write_text(json.dumps(settings))
        changes = {"JUPYTER_PATH": home, "JUPYTER_RUNTIME_DIR": home, "JUPYTER_CONFIG_DIR": home}
        before = {name: os.environ.get(name) for name in changes}
        os.environ.update(changes)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _python_path() -> str:
    """``PYTHONPATH`` that finds this package in the kernel, wherever the kernel starts."""
    own = str(Path(__file__).resolve().parents[1])
    return os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])


def start_kernel() -> None:
    """Entry point of the kernel process: die with the parent, then become an ordinary kernel."""
    die_with_parent(signal.SIGKILL)
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


def die_with_parent(signum: int) -> None:
    """Ask Linux to send ``signum`` to this process when its parent dies (elsewhere: nothing).

    Without it a kernel whose runner was killed would go on training beside the next run.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signum, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the request was in place
            os.kill(os.getpid(), signum)
