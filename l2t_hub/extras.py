"""Optional libraries: which extra of the package installs them, and the error when one is missing.

The names and libraries are those of `[project.optional-dependencies]` in pyproject.toml; a test compares the two.
"""

from importlib.util import find_spec

from l2t_hub.errors import UserError

LIBRARIES = {
    "local-hub": ("blake3", "markupsafe", "pathspec", "starlette", "uvicorn"),
    "ray": ("ray",),
    "demo": ("gradio", "mcp"),
    "plots": ("matplotlib",),
    "trackio": ("trackio",),
    "blingfire": ("blingfire",),
    "languages": ("icu4py", "py3langid"),
    "liger": ("liger_kernel",),
}


def installed(extra: str) -> bool:
    """Return whether all libraries of an extra are installed. Nothing is imported."""
    return not _missing(extra)


def require(extra: str, feature: str) -> None:
    """Raise UserError if a library of `extra` is missing; `feature` is what needs it, as the error's subject."""
    missing = _missing(extra)
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UserError(
            f"{feature} needs {', '.join(missing)}, which {verb} not installed",
            f"Install the extra: pip install 'l2t_hub[{extra}]'",
        )


def _missing(extra: str) -> list[str]:
    return [library for library in LIBRARIES[extra] if find_spec(library) is None]
