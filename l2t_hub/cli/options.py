"""The arguments and options that several verbs of the `l2t` command share, each defined once."""

from typing import Annotated

import typer

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe file, or a bundled recipe's name.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a recipe key, e.g. --set train.max_steps=100. Repeatable.",
    ),
]
Variant = Annotated[str | None, typer.Option("--variant", metavar="NAME", help="One variant of the recipe.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
HubOption = Annotated[
    str | None,
    typer.Option("--hub", metavar="HUB", help="`local`, `local:DIR` or a URL; default: huggingface.co."),
]
Private = Annotated[bool, typer.Option("--private", help="Make new repositories private.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; default: one per core.")]
OnHub = Annotated[
    str | None,
    typer.Option("--hub", metavar="HUB", help="Where names are looked up: `local`, `local:DIR` or a URL."),
]
