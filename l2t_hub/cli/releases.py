"""The verbs that publish and check releases: release, reproduce, hub serve."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from l2t_hub.cli.options import (
    Json,
    Private,
    PublishHub,
    Sets,
    SourceHub,
    Variant,
    Workers,
    examples,
)
from l2t_hub.cli.recipes import load_release
from l2t_hub.cli.terminal import answer, progress
from l2t_hub.errors import UsageError
from l2t_hub.interruption import interruptible

PANEL = "Releases"
SourcePath = Annotated[
    str | None,
    typer.Option("--source", metavar="PATH", help="Path to the source text, if it is not on the Hub."),
]
ReportFolder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Save the report and any shards that differ here."),
]
TrustModules = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-modules",
        metavar="HASH",
        help="Run the dataset's task module with this SHA-256, which you have read. Repeatable.",
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--tolerance",
        metavar="SHARE",
        help="Let a model's losses differ by this share of their value. Default: not by a bit.",
    ),
]
releases = typer.Typer()
local_hub = typer.Typer(
    no_args_is_help=True, help="Run a Hub on this machine, to try a release before publishing it."
)


@releases.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "l2t release data/nano-l2t --repo my-org/nano-l2t --dry-run",
        "l2t release data/nano-l2t --repo my-org/nano-l2t --hub local",
    ),
)
def release(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset, model or Space directory.")],
    repo: Annotated[str, typer.Option("--repo", metavar="ORG/NAME", help="Repository to publish it in.")],
    hub: PublishHub = None,
    private: Private = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show exactly what would be sent, and send nothing.")
    ] = False,
    collection: Annotated[
        str | None,
        typer.Option("--collection", metavar="TITLE", help="Add it to the collection with this title."),
    ] = None,
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", help="Note to show with it in the collection.")
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            "--version", metavar="TAG", help="Tag of this version. Default: the next of v1, v2, ..."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish a directory in one step: readers see the whole release or none of it.

    Rerun the command to resume an interrupted release.
    """
    from l2t_hub.publish.release import release as publish

    published = publish(
        directory,
        repo,
        hub=hub,
        private=private,
        dry_run=dry_run,
        collection=collection,
        version=version,
        note=note,
        say=print if dry_run and not as_json else progress,
    )
    answer(as_json, published.as_dict(), published.summary())


@releases.command(
    rich_help_panel=PANEL,
    epilog=examples("l2t reproduce my-org/nano-l2t --sample 2", "l2t reproduce models/nano-l2t --steps 50"),
)
def reproduce(
    target: Annotated[
        str,
        typer.Argument(
            metavar="REPO|DIR|RECIPE",
            help="A dataset or model, by Hub name or directory; or a recipe, which is built twice.",
        ),
    ],
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", help="Rebuild only the partitions of N shards of a dataset."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", help="Number of training steps of a model to repeat.")
    ] = 20,
    source: SourcePath = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", metavar="DIR|REPO", help="The dataset a model was trained on, if it has moved."
        ),
    ] = None,
    tolerance: Tolerance = None,
    trust_modules: TrustModules = None,
    folder: ReportFolder = None,
    sets: Sets = None,
    variant: Variant = None,
    workers: Workers = None,
    hub: SourceHub = None,
    as_json: Json = False,
) -> None:
    """Rebuild a dataset, or retrain the first steps of a model, and compare the result with what was published.

    Exits with 1 if anything differs, and names the first difference.
    """
    from l2t_hub.hub.connect import connected_for
    from l2t_hub.recipe import bundled_recipes

    named = target in bundled_recipes() or target.endswith((".yaml", ".yml"))
    is_recipe = Path(target).is_file() or (named and not Path(target).is_dir())
    if not is_recipe and (sets or variant):
        raise UsageError(f"{target}: --set and --variant apply only to a recipe", "Leave them out.")
    with connected_for(hub, *(() if is_recipe else (target,)), *([data] if data else [])):
        from l2t_hub.reproduce import reproduce as reproduce_release

        report = reproduce_release(
            load_release(target, sets, variant) if is_recipe else target,
            sample=sample,
            steps=steps,
            workers=workers,
            source=source,
            data=data,
            tolerance=tolerance,
            trust_modules=trust_modules or (),
            out=folder,
        )
    answer(as_json, report.as_dict(), report.table(), report.summary())
    if not report.equal:
        raise typer.Exit(1)


@local_hub.command("serve", epilog=examples("l2t hub serve --dir runs/nano/hub"))
def serve(
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Directory that holds the Hub's data.")
    ] = Path("runs/hub"),
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="PORT",
            help="Port on this machine; 0 picks a free one. Default: the port used last.",
        ),
    ] = None,
) -> None:
    """Serve the local Hub until Ctrl-C."""
    from l2t_hub.extras import require

    require("local-hub", "`l2t hub serve`")
    from l2t_hub.local_hub.hub_process import serve_hub

    again = f"To serve it again: l2t hub serve --dir {shlex.quote(str(directory))}"
    with interruptible(lambda: (f"{directory}: everything on this Hub is kept", again)):
        serve_hub(directory, port)
