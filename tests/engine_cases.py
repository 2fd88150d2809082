"""Notebooks and copies of the code that the tests of the engine work on."""

import json
import shutil

from workflow.stages import ROOT


def write_notebook(path, *cells, tags=("parameters",)):
    """A notebook of code cells, the first tagged ``parameters``."""
    data = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "code", "id": f"c{i}", "metadata": {"tags": list(tags)} if i == 0 else {}, "outputs": [],
         "execution_count": None, "source": source} for i, source in enumerate(cells)]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def copy_code(place):
    """A copy of the package and the notebooks that a test may change."""
    for name in ("bi", "notebooks"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    return place
