"""The `l2t` command: its verbs in the order in which `l2t --help` lists them, and how it ends.

A verb parses its arguments, calls one function and prints the result. Verbs import what they call themselves, so that
`l2t --help` does not wait for torch.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from typer.core import TyperGroup

from l2t_hub import __version__
from l2t_hub.cli.datasets import datasets
from l2t_hub.cli.generation import generation
from l2t_hub.cli.models import models
from l2t_hub.cli.options import Json, Private, RecipeArgument, Sets, Shrink, Variant, Workers, examples
from l2t_hub.cli.recipes import recipes
from l2t_hub.cli.releases import local_hub, releases
from l2t_hub.cli.reports import reports
from l2t_hub.cli.terminal import answer, fail, note, out, progress
from l2t_hub.console import command
from l2t_hub.errors import Interrupted, UsageError, UserError
from l2t_hub.interruption import end_interrupted, is_interruption, is_main_process

START, RELEASES = "Start here", "Releases"
TYPER_INTERRUPTED = 130
RunFolder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Output directory. Default: runs/ plus the recipe's name."),
]
RunHub = Annotated[
    str,
    typer.Option(
        "--hub", metavar="HUB", help="Where to publish: `local` (a Hub on this machine), a URL or `none`."
    ),
]
RunNamespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        metavar="ORG",
        help="User or organisation to publish under. Default: the owner of the token.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        min=1,
        help="Models to train and score side by side, each with its share of the cores. Default: one per GPU.",
    ),
]
RecordFolder = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="DIR",
        help="Write the record of the experiment here: recipes, hardware, scores, logs and report.",
    ),
]


class _Verbs(TyperGroup):
    """The verbs. Their interruptions end here: typer would keep the exit code 130 and lose what is kept."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except BaseException as stop:
            if is_interruption(stop):
                end_interrupted(stop)
            raise


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turn text into language learning tasks (L2T), train models on the mixture, score them, "
    "and publish all of it on the Hugging Face Hub.",
    epilog="New here? `l2t run nano` runs the whole pipeline in a few minutes.\n\n"
    "Exit codes: 0 success, 1 failure, 2 invalid arguments or recipe, 130 Ctrl-C, 143 SIGTERM.",
)


def main() -> None:
    """Run the command. An error the user can fix becomes a message and an exit code, never a traceback."""
    try:
        code = app(prog_name="l2t", standalone_mode=False)
    except UserError as error:
        if is_main_process() or not isinstance(error, UsageError):  # which every process of a run finds
            fail(error.message, error.hint)
        sys.exit(error.exit_code)
    except typer.TyperException as error:  # an unknown verb or option, or a value of the wrong type
        context = getattr(error, "ctx", None)
        if error.format_message():  # empty where the help has been printed instead
            fail(error.format_message(), f"See `{context.command_path} --help`." if context else None)
        sys.exit(error.exit_code)
    if code == TYPER_INTERRUPTED:
        end_interrupted(KeyboardInterrupt())
    sys.exit(code or 0)


def _print_version(requested: bool) -> None:
    if requested:
        out.print(f"l2t_hub {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


@app.command(
    rich_help_panel=START,
    epilog=examples(
        "l2t run nano",
        "l2t run nano --set source.path=my.parquet --out runs/mine",
        "l2t run mini --shrink",
    ),
)
def run(
    recipe: RecipeArgument,
    folder: RunFolder = None,
    hub: RunHub = "local",
    namespace: RunNamespace = None,
    private: Private = False,
    sets: Sets = None,
    variant: Variant = None,
    shrink: Shrink = False,
    workers: Workers = None,
    jobs: Jobs = None,
    record: RecordFolder = None,
) -> None:
    """Run the whole pipeline: build the datasets, train and score the models, publish them, and write a report.

    Finished work that is up to date is reused.
    """
    from l2t_hub.recipe import load_recipe, load_releases

    loaded = load_recipe(recipe, sets or (), variant, shrink=shrink)
    variants = load_releases(recipe, sets or (), variant, shrink=shrink)
    note(variants)
    folder = folder or Path("runs") / loaded.name
    if hub == "none":
        from l2t_hub.run import run_recipe

        with _continued_by_the_same_command(folder):
            result = run_recipe(loaded, variants, folder, workers=workers, jobs=jobs, record=record)
        answer(False, None, *result.closing_lines())
        return
    hub = f"local:{folder / 'hub'}" if hub == "local" else hub
    from l2t_hub.hub.connect import connected

    with _continued_by_the_same_command(folder), connected(hub) as endpoint:
        from l2t_hub.publish.publisher import Publisher, find_namespace
        from l2t_hub.run import run_recipe

        owner = find_namespace(endpoint, namespace)
        publisher = Publisher(endpoint, owner, progress, {"private": private, "collection": loaded.name})
        result = run_recipe(
            loaded, variants, folder, workers=workers, jobs=jobs, publisher=publisher, record=record
        )
    browse = _serve_command(hub, endpoint.url)
    steps = [f"Browse the local Hub:         {browse}"] if browse else []
    if endpoint.is_local_hub and not shrink:
        steps.append(_publish_command(recipe, folder, sets, variant, private))
    answer(False, None, *result.closing_lines(browse), *steps)


@contextmanager
def _continued_by_the_same_command(folder: Path) -> Iterator[None]:
    """Say of an interruption in any stage of a run that the command for it is the one that was given."""
    try:
        yield
    except BaseException as stop:
        if not is_interruption(stop):
            raise
        kept = f"{stop.message}. " if isinstance(stop, Interrupted) else ""
        raise Interrupted(
            f"{kept}All finished work in {folder} is kept", "Rerun the command to continue."
        ) from None


def _serve_command(hub: str, url: str) -> str | None:
    """Return the command that serves a local Hub under `url` again, None for another Hub or one that is served."""
    from l2t_hub.hub.local_server import find_running

    kind, _, directory = hub.partition(":")
    if kind != "local" or find_running(Path(directory)):
        return None
    return command("hub", "serve", "--dir", directory, "--port", str(urlsplit(url).port))


def _publish_command(
    recipe: str, folder: Path, sets: list[str] | None, variant: str | None, private: bool
) -> str:
    """Return the line that says how to publish a run on the real Hub."""
    overrides = [f"--set={override}" for override in sets or ()]
    options = [*overrides, *(["--variant", variant] if variant else []), *(["--private"] if private else [])]
    again = command("run", recipe, "--out", str(folder), *options)
    return f"Publish on huggingface.co:    HF_TOKEN=... {again} --hub https://huggingface.co --namespace ORG"


@app.command(
    rich_help_panel=START, epilog=examples("l2t plan nano", "l2t plan nano --set train.max_steps=1000")
)
def plan(
    recipe: RecipeArgument,
    sets: Sets = None,
    variant: Variant = None,
    shrink: Shrink = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Also show the resolved recipes, with every key.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a recipe would produce: documents, tokens, parameters, steps and epochs. Writes nothing."""
    from l2t_hub.plan import make_plan, render_plan
    from l2t_hub.recipe import load_releases

    releases = load_releases(recipe, sets or (), variant, shrink=shrink)
    note(releases)
    expected = make_plan(releases)
    answer(as_json, expected.as_dict(), render_plan(expected, verbose=verbose))


app.add_typer(recipes, name="recipes", rich_help_panel=START)
app.add_typer(datasets)
app.add_typer(models)
app.add_typer(generation)
app.add_typer(reports)
app.add_typer(releases)
app.add_typer(local_hub, name="hub", rich_help_panel=RELEASES)

if __name__ == "__main__":
    main()
