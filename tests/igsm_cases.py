"""Where the samples of data made elsewhere are, if they are."""

from pathlib import Path


def shared_data() -> Path:
    """The folder ``shared/data`` beside or above the repository; tests that need it are skipped where it is absent."""
    here = Path(__file__).resolve()
    found = (folder / "shared" / "data" for folder in here.parents)
    return next((folder for folder in found if folder.is_dir()), here.parent / "no shared data")
