"""The arguments and options that several verbs share, and the form of their examples."""

from typing import Annotated

import typer

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a bundled recipe.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a recipe key, for example `--set train.max_steps=100`. Repeatable.",
    ),
]
Variant = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="The variant of the recipe to use.")
]
Shrink = Annotated[
    bool,
    typer.Option(
        "--shrink",
        help="Rehearse the recipe at toy size, on the bundled text, under another name (NAME-shrunk).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
PublishHub = Annotated[
    str | None,
    typer.Option(
        "--hub",
        metavar="HUB",
        help="Hub to publish on: `local`, `local:DIR` or a URL. Default: huggingface.co.",
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="dataset|model",
        help="Which of the two is meant, if the Hub has both by that name. Default: the dataset.",
    ),
]
SourceHub = Annotated[
    str | None,
    typer.Option(
        "--hub",
        metavar="HUB",
        help="Hub to read from: `local`, `local:DIR` or a URL. Default: huggingface.co.",
    ),
]
Private = Annotated[bool, typer.Option("--private", help="Create new repositories as private.")]
License = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="ID",
        help="Licence of the text or the model, if its recipe names none: cc-by-4.0, odc-by, ...",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Number of build processes. Default: one per core."),
]


def examples(*commands: str) -> str:
    """Return the text below a verb's help: its examples, one a line."""
    return "\n".join(["Examples:", "", *(f"- `{command}`" for command in commands)])
