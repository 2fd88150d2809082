"""Every test runs with one torch thread, without a network, a screen or a display.

The environment is set before any test module can import torch, transformers or matplotlib; torch itself is not
imported here, so a test of the torch-free rooms stays quick.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

QUIET_OFFLINE_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MPLBACKEND": "Agg",
    "JUPYTER_PLATFORM_DIRS": "1",
}
os.environ.update(QUIET_OFFLINE_ONE_THREAD)
os.environ.pop("PYTHONHASHSEED", None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top folder."""
    return Path(__file__).resolve().parent.parent
