"""The verbs that make and check datasets: build, verify, tasks."""

from pathlib import Path
from typing import Annotated

import typer

from l2t_hub.cli.options import (
    Json,
    Kind,
    RecipeArgument,
    Sets,
    Shrink,
    SourceHub,
    Variant,
    Workers,
    examples,
)
from l2t_hub.cli.recipes import load_release
from l2t_hub.cli.terminal import answer, progress
from l2t_hub.dataset.executors import worker_server

PANEL = "Datasets"
datasets = typer.Typer()


@datasets.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "l2t build nano --variant nano-l2t --out data/nano-l2t",
        "l2t build nano --variant nano-l2t --out data/mine --set source.path=my.parquet --workers 8",
    ),
)
def build(
    recipe: RecipeArgument,
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory for the dataset.")],
    sets: Sets = None,
    variant: Variant = None,
    shrink: Shrink = False,
    workers: Workers = None,
    executor: Annotated[
        str,
        typer.Option(
            "--executor", metavar="NAME", help="Where to build: `local`, `slurm` or `ray`. See docs/scale.md."
        ),
    ] = "local",
    as_json: Json = False,
) -> None:
    """Build a dataset directory: the examples of every task, raw text, packed sequences, a manifest and a card."""
    release = load_release(recipe, sets, variant, shrink=shrink)
    if executor == "local":
        worker_server.start(workers, release.build.partitions)
    from l2t_hub.dataset.build import build as build_dataset
    from l2t_hub.dataset.manifest import summary_table

    manifest = build_dataset(release, folder, workers=workers, executor=executor)
    answer(as_json, manifest.as_dict(), summary_table(manifest), f"dataset: {folder}")


@datasets.command(
    rich_help_panel=PANEL,
    epilog=examples("l2t verify data/nano-l2t", "l2t verify my-org/nano-l2t --kind model"),
)
def verify(
    target: Annotated[
        str,
        typer.Argument(metavar="DIR|REPO", help="A dataset or model: its directory, or its name on the Hub."),
    ],
    kind: Kind = None,
    hub: SourceHub = None,
    as_json: Json = False,
) -> None:
    """Check a dataset or model against its records: every file and hash, every count, and the fingerprint.

    Exits with 1 if anything is wrong.
    """
    from l2t_hub.hub.connect import connected_for

    with connected_for(hub, target):
        from l2t_hub.train.verify_model import verify_release

        report = verify_release(target, kind=kind, say=progress)
    answer(as_json, report.as_dict(), report.summary())
    if report.problems:
        raise typer.Exit(1)


@datasets.command(
    rich_help_panel=PANEL,
    epilog=examples("l2t tasks", 'l2t tasks typo --text "The quick brown fox jumps over the lazy dog."'),
)
def tasks(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The task to show.")] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="TEXT", help="Text to apply it to. Default: a short passage."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed for the random choices.")] = 42,
    module: Annotated[
        list[str] | None,
        typer.Option("--module", metavar="MODULE", help="A module or .py file that adds tasks. Repeatable."),
    ] = None,
    language: Annotated[
        str,
        typer.Option(
            "--language", metavar="CODE", help="Language of the text, such as de, or a folder with its data."
        ),
    ] = "en",
    as_json: Json = False,
) -> None:
    """List the tasks, or show what one task makes of a text, with the changes highlighted."""
    from l2t_hub.tasks.showcase import list_tasks, show_task, tasks_table

    if name is None:
        rows = list_tasks(module or ())
        answer(as_json, rows, tasks_table(rows))
        return
    from l2t_hub.corpus.sentences import splitter
    from l2t_hub.tasks.languages import language as language_of

    code = language_of(language).code
    shown = show_task(name, text, seed, splitter("sentencex", code), module or (), language)
    answer(as_json, shown.as_dict(), shown.panel())
