"""The `l2t` command: each verb parses its arguments, calls one function, and prints what came back.

Imports of the rooms stand inside the verbs: `l2t --help` should not wait for torch.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from l2t_hub import __version__
from l2t_hub.cli.options import HubOption, Json, OnHub, Private, RecipeArgument, Sets, Variant, Workers
from l2t_hub.cli.recipes import recipes
from l2t_hub.cli.terminal import answer, err, out, tell
from l2t_hub.errors import UserError
from l2t_hub.extras import require
from l2t_hub.recipe import Recipe, bundled_recipes, load_recipe, load_releases

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="L2T: turn raw text into fourteen language learning tasks, train on the mixture, measure, compare.",
    epilog="First time here? `l2t run nano` shows the whole road in a few minutes.",
)


def main() -> None:
    """Run the command; a `UserError` becomes one sentence and an exit code, never a traceback."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        err.print(f"[bold red]error:[/] {escape(error.message)}")
        if error.hint:
            err.print(escape(error.hint))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("[bold]interrupted[/]: what was finished is kept; the same command goes on from there.")
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"l2t_hub {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog="Example: `l2t run nano`  ·  on your own text: `l2t run nano --set source.path=my.parquet --out runs/mine`"
)
def run(
    recipe: RecipeArgument,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where everything goes; default runs/<recipe name>."),
    ] = None,
    hub: Annotated[
        str,
        typer.Option(
            "--hub",
            metavar="HUB",
            help="Where to publish: `local` (the embedded Hub on this machine), a URL, or `none`.",
        ),
    ] = "local",
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", metavar="ORG", help="Publish under this name; default: the token's user."
        ),
    ] = None,
    private: Private = False,
    sets: Sets = None,
    workers: Workers = None,
) -> None:
    """The whole road: build the datasets, train the models, evaluate them, publish all of it, write the report.

    A second run reuses whatever is finished and unchanged.
    """
    whole, releases = load_recipe(recipe, sets or ()), load_releases(recipe, sets or ())
    folder = folder or Path("runs") / whole.name
    if hub == "none":
        from l2t_hub.run import run_recipe

        answer(False, None, *run_recipe(whole, releases, folder, workers=workers).closing_lines())
        return
    from l2t_hub.hub.connect import connected

    with connected(f"local:{folder / 'hub'}" if hub == "local" else hub) as endpoint:
        from l2t_hub.publish.publisher import Publisher, find_namespace
        from l2t_hub.run import run_recipe

        publisher = Publisher(
            endpoint, find_namespace(endpoint, namespace), whole.name, whole.description, private, tell
        )
        road = run_recipe(whole, releases, folder, workers=workers, publisher=publisher)
        answer(False, None, *road.closing_lines())
        if endpoint.is_local_hub:
            answer(False, None, *_after_rehearsal(recipe, folder, sets))


@app.command(epilog="Example: `l2t plan nano --set train.max_steps=1000`")
def plan(recipe: RecipeArgument, sets: Sets = None, variant: Variant = None, as_json: Json = False) -> None:
    """What would happen: resolved recipe, documents and tokens, parameters, steps, outputs. Writes nothing."""
    from l2t_hub.plan import make_plan, render_plan

    made = make_plan(load_releases(recipe, sets or (), variant))
    answer(as_json, made.as_dict(), render_plan(made))


@app.command(
    epilog="Example: `l2t build nano --variant nano-l2t --out data/nano-l2t`  ·  then `l2t verify data/nano-l2t`"
)
def build(
    recipe: RecipeArgument,
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="The dataset directory to make.")],
    sets: Sets = None,
    variant: Variant = None,
    workers: Workers = None,
    executor: Annotated[
        str, typer.Option("--executor", metavar="NAME", help="local, slurm or ray; see docs/scale.md.")
    ] = "local",
    as_json: Json = False,
) -> None:
    """Make a dataset directory: examples per task, raw, packed, validation split, manifest and card."""
    from l2t_hub.dataset import build as make_dataset
    from l2t_hub.dataset import summary_table

    manifest = make_dataset(_one(recipe, sets, variant), folder, workers=workers, executor=executor)
    answer(as_json, manifest.as_dict(), summary_table(manifest), f"dataset: {folder}")


@app.command(epilog="Example: `l2t verify data/nano-l2t`")
def verify(
    target: Annotated[str, typer.Argument(metavar="DIR|REPO", help="A dataset directory, or a Hub name.")],
    hub: OnHub = None,
    as_json: Json = False,
) -> None:
    """Check every shard of a dataset against its manifest: size, hash, rows, tokens, and that the ledger adds up."""
    from l2t_hub.hub.connect import connected_for

    with connected_for(hub, target):
        from l2t_hub.dataset import verify as check
        from l2t_hub.hub.download import resolve

        directory, _ = resolve(target, "dataset", say=tell)
        report = check(directory)
    answer(as_json, report.as_dict(), report.summary())
    if report.problems:
        raise typer.Exit(1)


@app.command(epilog="Example: `l2t train nano --variant nano-l2t --data data/nano-l2t --out models/nano-l2t`")
def train(
    recipe: RecipeArgument,
    data: Annotated[str, typer.Option("--data", metavar="DIR|REPO", help="A dataset directory or Hub name.")],
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model directory to make.")],
    sets: Sets = None,
    variant: Variant = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest complete checkpoint.")
    ] = False,
    hub: OnHub = None,
    as_json: Json = False,
) -> None:
    """Train a causal language model from scratch on a dataset's packed view."""
    from l2t_hub.hub.connect import connected_for

    with connected_for(hub, data):
        from l2t_hub.train import train as train_model

        result = train_model(_one(recipe, sets, variant), data, folder, resume=resume)
    answer(as_json, result.as_dict(), result.summary())


@app.command(
    name="eval",
    epilog="Example: `l2t eval models/nano-raw models/nano-l2t --suite probes --out scores.json`",
)
def evaluate(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Model directories or Hub names.")],
    suite: Annotated[
        str, typer.Option("--suite", metavar="NAME", help="probes, blimp or general.")
    ] = "probes",
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the scores here, as JSON.")
    ] = None,
    hub: OnHub = None,
    as_json: Json = False,
) -> None:
    """Measure models with lm-evaluation-harness and compare them, with 95% intervals."""
    from l2t_hub.hub.connect import connected_for

    with connected_for(hub, *models):
        from l2t_hub.evaluate import evaluate as measure
        from l2t_hub.evaluate import render_table

        report = measure(models, suite, file, progress=tell)
    answer(as_json, report.as_dict(), render_table(report), *([f"scores: {file}"] if file else []))


@app.command(epilog="Example: `l2t reproduce data/nano-l2t --sample 2`")
def reproduce(
    target: Annotated[
        str, typer.Argument(metavar="REPO|DIR|RECIPE", help="A published dataset or model, or a recipe.")
    ],
    sample: Annotated[
        int | None, typer.Option("--sample", metavar="N", help="Rebuild only N shards of a dataset.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Steps of a model to train again.")] = 20,
    source: Annotated[
        str | None, typer.Option("--source", help="Where this machine has the text, if not where it was.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="Where a model's dataset is.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Keep the report and differing shards here.")
    ] = None,
    sets: Sets = None,
    variant: Variant = None,
    workers: Workers = None,
    hub: OnHub = None,
    as_json: Json = False,
) -> None:
    """Make a dataset or a model again and compare; exit 1 at a difference, which is named."""
    from l2t_hub.hub.connect import connected_for

    is_recipe = target in bundled_recipes() or target.endswith((".yaml", ".yml"))
    with connected_for(hub, *(() if is_recipe else (target,))):
        from l2t_hub.reproduce import reproduce as again

        what = _one(target, sets, variant) if is_recipe else target
        report = again(
            what, sample=sample, steps=steps, workers=workers, source=source, data=data, out=folder
        )
    answer(as_json, report.as_dict(), report.table(), report.summary())
    if not report.equal:
        raise typer.Exit(1)


@app.command(epilog="Example: `l2t demo runs/nano/models/nano-raw runs/nano/models/nano-l2t`")
def demo(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL...]", help="Model directories or Hub names; default: the models under runs/."
        ),
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Port on this machine; 0 picks a free one.")] = 7860,
) -> None:
    """Open the page that compares two models on minimal pairs, on this machine."""
    from l2t_hub.demo import demo as open_page
    from l2t_hub.scoring import find_model

    for model in models or ():
        find_model(model)  # a path that is none is said here, not on the page
    open_page(
        models or [str(path.parent) for path in sorted(Path("runs").glob("*/models/*/training.json"))],
        port=port,
    )


@app.command(epilog='Example: `l2t tasks typo --text "The quick brown fox jumps over the lazy dog."`')
def tasks(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One task, to see it at work.")] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="The text to work on; default: a short passage.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The seed of the example's draws.")] = 42,
    module: Annotated[
        list[str] | None, typer.Option("--module", help="A module or .py file that adds tasks. Repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the tasks, or show one at work on a text, with the difference highlighted."""
    from l2t_hub.corpus.sentences import splitter
    from l2t_hub.tasks.showcase import list_tasks, show_task, tasks_table

    if name is None:
        rows = list_tasks(module or ())
        answer(as_json, rows, tasks_table(rows))
    else:
        shown = show_task(name, text, seed, splitter("sentencex"), module or ())
        answer(as_json, shown.as_dict(), shown.panel())


@app.command(epilog="Example: `l2t release data/nano-l2t --repo my-org/nano-l2t --hub local --dry-run`")
def release(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A dataset, model or Space directory.")],
    repo: Annotated[str, typer.Option("--repo", metavar="ORG/NAME", help="The repository to publish it as.")],
    hub: HubOption = None,
    private: Private = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show exactly what would be sent; send nothing.")
    ] = False,
    collection: Annotated[
        str | None, typer.Option("--collection", metavar="TITLE", help="Add it to this one.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="What the collection says of it.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="TAG", help="Default: the next of v1, v2 ...")
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish a directory: all of it at once or nothing. The same command resumes an interrupted release."""
    from l2t_hub.publish.release import release as publish

    done = publish(
        directory,
        repo,
        hub=hub,
        private=private,
        dry_run=dry_run,
        collection=collection,
        version=version,
        note=note,
        say=print if dry_run else tell,
    )
    answer(as_json, done.as_dict(), done.summary())


app.add_typer(recipes, name="recipes")
hub_group = typer.Typer(no_args_is_help=True, help="The embedded Hub: rehearse a release on this machine.")
app.add_typer(hub_group, name="hub")


@hub_group.command("serve", epilog="Example: `l2t hub serve --dir runs/nano/hub`")
def hub_serve(
    directory: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where it keeps everything.")
    ] = Path("runs/hub"),
    port: Annotated[
        int | None, typer.Option("--port", help="Port on this machine; 0 picks a free one.")
    ] = None,
) -> None:
    """Serve the embedded Hub on this machine until Ctrl-C."""
    require("local-hub", "the local Hub")
    from l2t_hub.local_hub.hub_process import serve_hub

    serve_hub(directory, port)


def _after_rehearsal(recipe: str, folder: Path, sets: list[str] | None) -> list[str]:
    """How to look at a rehearsal, and the line that publishes the same for real."""
    again = shlex.join(
        ["l2t", "run", recipe, "--out", str(folder), *(f"--set={text}" for text in sets or ())]
    )
    return [
        f"Look at the rehearsal:        l2t hub serve --dir {shlex.quote(str(folder / 'hub'))}",
        f"Publish the same for real:    HF_TOKEN=... {again} --hub https://huggingface.co --namespace ORG",
    ]


def _one(recipe: str, sets: list[str] | None, variant: str | None) -> Recipe:
    """Load the recipe of exactly one release; a recipe with variants needs to be told which."""
    from l2t_hub.errors import UsageError

    loaded = load_recipe(recipe, sets or (), variant)
    if loaded.variants:
        names = ", ".join(loaded.variants)
        raise UsageError(
            f"{recipe} describes several releases: {names}",
            f"Say which: --variant {next(iter(loaded.variants))}",
        )
    return loaded


if __name__ == "__main__":
    main()
