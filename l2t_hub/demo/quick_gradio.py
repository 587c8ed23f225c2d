"""Importing Gradio in half the time."""

import inspect
from typing import Any


def import_gradio() -> None:
    """Import Gradio without the type stubs that it writes beside its own files.

    For each of its 80 components, Gradio parses the source, renders a stub for editors and compares it with the one
    on disk, which takes half of the import. It skips classes whose file `inspect` does not find. Should a later
    version do this in another way, the import takes as long as before.
    """
    find_file = inspect.getfile

    def not_of_gradio(thing: Any) -> str:
        if str(getattr(thing, "__module__", "")).partition(".")[0] == "gradio":
            raise OSError("no type stubs")
        return find_file(thing)

    inspect.getfile = not_of_gradio  # type: ignore[assignment]
    try:
        import gradio  # noqa: F401
    finally:
        inspect.getfile = find_file
