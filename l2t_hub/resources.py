"""Where the files beside the code are: at the top of a checkout, under `_data/` in a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Give the folder `recipes`, `model_cards` or `spaces`, wherever this installation keeps it."""
    installed = PACKAGE / "_data" / name
    return installed if installed.is_dir() else PACKAGE.parent / name
