"""Tables of benchmarks that hold what was measured on several processors, each with its commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from bi.provenance import vector_units


def beside_others(table: pd.DataFrame, path: Path, facts: dict[str, Any]) -> pd.DataFrame:
    """``table`` behind the rows of the one at ``path`` that were measured on other processors (``facts``: provenance).
    """
    here = f"{facts['hardware']['cpu']}, {vector_units()}"
    table = table.assign(processor=here, commit=facts["commit"][:7])
    if not path.is_file():
        return table
    old = pd.read_csv(path)
    return pd.concat([old[old["processor"] != here], table], ignore_index=True)
