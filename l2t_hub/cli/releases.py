"""The verbs that publish and check releases: release, card, space, reproduce, hub serve."""

from pathlib import Path
from typing import Annotated, Any

import typer

from l2t_hub.cli.options import (
    Json,
    Kind,
    License,
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
from l2t_hub.console import command, program
from l2t_hub.errors import UsageError
from l2t_hub.interruption import interruptible

PANEL = "Releases"
Sample = Annotated[
    int | None,
    typer.Option("--sample", metavar="N", help="Rebuild only N partitions of a dataset, spread evenly."),
]
RepeatedSteps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        metavar="N",
        help="Training steps of a model to repeat. Default: 20, or up to the first logged loss.",
    ),
]
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
Repo = Annotated[
    str | None, typer.Option("--repo", metavar="ORG/NAME", help="Repository to publish one directory in.")
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        metavar="ORG",
        help="Publish each directory in ORG/ and its name. Default: the owner of the token.",
    ),
]
Collection = Annotated[
    str | None,
    typer.Option("--collection", metavar="TITLE", help="Add it to the collection with this title."),
]
Note = Annotated[
    str | None,
    typer.Option(
        "--note", metavar="TEXT", help="Note to show with it in the collection. Default: its figures."
    ),
]
VersionTag = Annotated[
    str | None,
    typer.Option("--version", metavar="TAG", help="Tag of this version. Default: the next of v1, v2, ..."),
]
local_hub = typer.Typer(
    no_args_is_help=True, help="Run a Hub on this machine, to try a release before publishing it."
)


@releases.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "l2t release data/nano-l2t --repo my-org/nano-l2t --dry-run",
        "l2t release data/nano-raw data/nano-l2t models/nano-raw models/nano-l2t --namespace my-org",
    ),
)
def release(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Dataset, model and Space directories.")
    ],
    repo: Repo = None,
    namespace: Namespace = None,
    hub: PublishHub = None,
    private: Private = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show exactly what would be sent, and send nothing.")
    ] = False,
    collection: Collection = None,
    note: Note = None,
    version: VersionTag = None,
    license: License = None,
    as_json: Json = False,
) -> None:
    """Publish directories: readers of a repository see the whole release or none of it.

    Cards and records name what is on that Hub; the directories stay as they are. Datasets come first, then models,
    then Spaces. Rerun the command to resume an interrupted release.
    """
    if repo is not None and (len(directories) > 1 or namespace is not None):
        raise UsageError("--repo names one directory's repository", "For several, use --namespace ORG.")
    options: dict[str, Any] = {
        "private": private,
        "dry_run": dry_run,
        "collection": collection,
        "version": version,
        "note": note,
        "license": license,
    }
    say = print if dry_run and not as_json else progress
    if repo is not None:
        from l2t_hub.publish.release import release as publish

        published = publish(directories[0], repo, hub=hub, say=say, **options)
        answer(as_json, published.as_dict(), published.summary())
        return
    from l2t_hub.hub.connect import connected

    with connected(hub) as endpoint:
        from l2t_hub.publish.publisher import Publisher, find_namespace

        publisher = Publisher(endpoint, find_namespace(endpoint, namespace), say, options)
        several = publisher.release(directories)
    answer(as_json, [each.as_dict() for each in several], *(each.summary() for each in several))


@releases.command(
    rich_help_panel=PANEL,
    epilog=examples("l2t card models/nano-l2t", "l2t card data/mine --license cc-by-4.0"),
)
def card(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset, model or Space directory.")],
    license: License = None,
) -> None:
    """Write the card of a directory again from its records.

    Your own text stays: write it between the two lines of README.md that say so. A card that was edited elsewhere is
    kept as README.md~.
    """
    from l2t_hub.publish.cards import write_card_again

    path, kept = write_card_again(directory, license)
    notes = [f"{kept}: the card that was edited; move your text between the two lines of the new one"]
    answer(False, None, f"card: {path}", *(notes if kept else []))


@releases.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "l2t space models/nano-raw models/nano-l2t --out spaces/nano-compare",
        "l2t space my-org/nano-raw my-org/nano-l2t --dataset my-org/nano-l2t --out spaces/nano-compare",
    ),
)
def space(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Model directories, names of models on the Hub, or a collection there. A directory gets the "
            "Space's namespace.",
        ),
    ],
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory for the Space.")],
    datasets: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="REPO", help="An L2T dataset to page through. Repeatable."),
    ] = None,
    results: Annotated[
        list[str] | None,
        typer.Option("--results", metavar="REPO", help="A results dataset, for the scoreboard. Repeatable."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="Title of the Space.")] = None,
    hub: SourceHub = None,
) -> None:
    """Make a Space that shows what models know. Release the models before it, or together with it."""
    from l2t_hub.hub.collection_items import is_collection, with_collections
    from l2t_hub.hub.connect import connected_for

    with connected_for(hub, *filter(is_collection, models)):
        from l2t_hub.publish.space import model_names, stage_space

        names = model_names(with_collections(models))
        made = stage_space(folder, models=names, datasets=datasets or (), results=results or (), title=title)
    answer(False, None, f"Space: {made}")


@releases.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "l2t reproduce my-org/nano-l2t --sample 2",
        "l2t reproduce my-org/nano-l2t --kind model --steps 50",
        "l2t reproduce models/nano-l2t",
    ),
)
def reproduce(
    target: Annotated[
        str,
        typer.Argument(
            metavar="REPO|DIR|RECIPE",
            help="A dataset or model, by Hub name or directory; or a recipe, which is built twice.",
        ),
    ],
    kind: Kind = None,
    sample: Sample = None,
    steps: RepeatedSteps = None,
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
    """Rebuild a dataset, or verify a model and retrain its first steps, and compare with what was published.

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
            kind=kind,
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

    again = f"To serve it again: {command('hub', 'serve', '--dir', str(directory))}"
    with interruptible(lambda: (f"{directory}: everything on this Hub is kept", again)):
        serve_hub(directory, port, program())


@local_hub.command(
    "seed",
    epilog=examples(
        "l2t hub seed blimp.parquet --as nyu-mll/blimp --by UID",
        "l2t hub seed train=train.jsonl validation=valid.jsonl --as Rowan/hellaswag",
    ),
)
def seed_data(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Parquet, JSON, CSV or text; `SPLIT=FILE` for another split than train."
        ),
    ],
    repo: Annotated[str, typer.Option("--as", metavar="NAMESPACE/NAME", help="Name of the dataset.")],
    config: Annotated[
        str | None, typer.Option("--config", metavar="NAME", help="Configuration. Default: `default`.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="COLUMN", help="Make a configuration for each value of this column."),
    ] = None,
    hub: Annotated[
        str, typer.Option("--hub", metavar="HUB", help="`local` or `local:DIR`, or the URL of a local Hub.")
    ] = "local",
    as_json: Json = False,
) -> None:
    """Put data files onto the local Hub under the name that a benchmark loads them by.

    Every suite then runs with `--data local`, without the network.
    """
    from l2t_hub.hub.connect import connected

    with connected(hub) as endpoint:
        from l2t_hub.hub.seed import seed

        seeded = seed(endpoint, files, repo, config=config, by=by)
    answer(as_json, seeded.as_dict(), seeded.summary())
