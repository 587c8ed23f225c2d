"""Find the data folders of the package: at the top of a checkout, or in `_data/` of an installed wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Return the directory `recipes`, `model_cards` or `spaces` of this installation."""
    installed = PACKAGE / "_data" / name
    return installed if installed.is_dir() else PACKAGE.parent / name
