"""The verb that trains models: `train`."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from l2t_hub.cli.options import Json, Private, RecipeArgument, Sets, Shrink, Variant, examples
from l2t_hub.cli.recipes import load_release
from l2t_hub.cli.terminal import answer, progress
from l2t_hub.errors import UsageError
from l2t_hub.interruption import is_main_process
from l2t_hub.launch.train_command import LOCAL, TrainCommand, check_place

if TYPE_CHECKING:
    from l2t_hub.recipe import Recipe
    from l2t_hub.train.checkpoints import CheckpointSaved

TRAIN_EXAMPLES = examples(
    "l2t train nano --variant nano-l2t --data data/nano-l2t --out models/nano-l2t",
    "l2t train nano --variant nano-l2t --data data/nano-l2t --out models/nano-l2t --push my-org/nano-l2t",
    "l2t train nano --variant nano-l2t --data data/nano-l2t --out models/nano-l2t --on slurm --print",
    "l2t train nano --variant nano-l2t --data my-org/nano-l2t-data --out nano-l2t --push my-org/nano-l2t "
    "--on hf-jobs --flavor a10g-small --hours 2",
)
TrainData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR|REPO",
        help="A dataset directory, or the name of a dataset on the Hub. Not needed with `data.mode: stream`.",
    ),
]
ModelFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory for the model.")]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Start over. What the directory holds is kept under another name.")
]
FollowData = Annotated[
    bool,
    typer.Option(
        "--follow-data",
        help="Take the keys that decide the dataset from --data, where the recipe has others.",
    ),
]
Push = Annotated[
    str | None,
    typer.Option(
        "--push",
        metavar="ORG/NAME",
        help="Send each checkpoint to this model repo while training goes on, as the revision `step-N`.",
    ),
]
PushEvery = Annotated[
    int,
    typer.Option(
        "--push-every", metavar="N", min=1, help="With --push: send only every Nth checkpoint, and the last."
    ),
]
HeldOutFile = Annotated[
    Path | None,
    typer.Option(
        "--held-out",
        metavar="FILE",
        help="Measure the loss on the held-out text of this file, as raw text and on each task. If there is no such "
        "file, it is made from the recipe's source.",
    ),
]
On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="PLACE",
        help="Where to train: `local`, as a Slurm job (`slurm`) or as a Hugging Face Job (`hf-jobs`).",
    ),
]
PrintOnly = Annotated[
    bool, typer.Option("--print", help="With --on: print what would be submitted, and submit nothing.")
]
Flavor = Annotated[
    str | None,
    typer.Option("--flavor", metavar="NAME", help="With --on hf-jobs: the hardware, such as `a100-large`."),
]
Hours = Annotated[
    float | None, typer.Option("--hours", metavar="N", help="With --on hf-jobs: the time limit in hours.")
]
Secrets = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="NAME",
        help="With --on hf-jobs: a variable of this environment that the Job gets as a secret. Repeatable.",
    ),
]
TrainHub = Annotated[
    str | None,
    typer.Option(
        "--hub",
        metavar="HUB",
        help="Hub to read --data from and to --push to: `local`, `local:DIR` or a URL. Default: huggingface.co.",
    ),
]


def train(
    recipe: RecipeArgument,
    folder: ModelFolder,
    data: TrainData = None,
    sets: Sets = None,
    variant: Variant = None,
    shrink: Shrink = False,
    fresh: Fresh = False,
    follow_data: FollowData = False,
    held_out: HeldOutFile = None,
    push: Push = None,
    push_every: PushEvery = 1,
    private: Private = False,
    hub: TrainHub = None,
    on: On = "local",
    flavor: Flavor = None,
    hours: Hours = None,
    secret: Secrets = None,
    print_only: PrintOnly = False,
    as_json: Json = False,
) -> None:
    """Train a causal language model from scratch on the packed sequences of a dataset, or straight from text.

    The same command continues an interrupted run. Ctrl-C, SIGTERM and SIGUSR1 save at the end of the step.
    """
    _check_push(push, push_every, private)
    check_place(on, fresh, print_only, (flavor, hours, secret))
    release = load_release(recipe, sets, variant, shrink=shrink)
    if data is None:
        _check_stream({"--follow-data": follow_data, "--push": push is not None, f"--on {on}": on != LOCAL})
        _train_from_text(release, folder, fresh, held_out, hub, as_json)
        return
    typed = TrainCommand(recipe, data, folder, tuple(sets or ()), variant, follow_data, held_out, hub)
    typed = replace(typed, push=push, push_every=push_every, private=private, shrink=shrink)
    if on != LOCAL:
        from l2t_hub.cli.submission import submit_elsewhere

        submit_elsewhere(on, typed, release, (flavor, hours, secret), print_only, as_json)
        return
    with _connected_saver(typed, release) as saved:
        from l2t_hub.evaluate.training_curves import measurements
        from l2t_hub.train import train as train_model
        from l2t_hub.train.locate import locate

        dataset = locate(data)
        measured = measurements(release, dataset, held_out, progress)
        result = train_model(
            release,
            dataset,
            folder,
            fresh=fresh,
            follow_data=follow_data,
            measurements=measured,
            tracking=True,
            saved=saved,
        )
        refresh_cards([folder])
        answer(as_json, result.as_dict(), result.summary())


def _train_from_text(
    release: "Recipe", folder: Path, fresh: bool, held_out: Path | None, hub: str | None, as_json: bool
) -> None:
    from l2t_hub.hub.connect import connected_for

    with connected_for(hub):
        from l2t_hub.evaluate.training_curves import measurements
        from l2t_hub.train import train as train_model

        measured = measurements(release, None, held_out, progress)
        result = train_model(release, None, folder, fresh=fresh, measurements=measured, tracking=True)
    refresh_cards([folder])
    answer(as_json, result.as_dict(), result.summary())


def _check_stream(given: Mapping[str, bool]) -> None:
    """Raise UsageError for options that training without a dataset does not have."""
    option = next((name for name, is_given in given.items() if is_given), None)
    if option is not None:
        raise UsageError(f"{option} applies only with --data", "Name the dataset: --data DIR or ORG/NAME.")


def _check_push(push: str | None, every: int, private: bool) -> None:
    """Raise UsageError for options of a push without one, or a repo name that no Hub accepts."""
    from l2t_hub.hub.names import check_repo

    if push is not None:
        check_repo(push, "--push")
    elif every != 1 or private:
        raise UsageError(
            f"{'--private' if private else '--push-every'} applies only with --push",
            "Name the repo of the checkpoints: --push ORG/NAME.",
        )


@contextmanager
def _connected_saver(typed: TrainCommand, recipe: "Recipe") -> "Iterator[CheckpointSaved | None]":
    """Connect to the Hubs that are needed, and yield what receives the checkpoints, None without --push.

    Of the processes that `torchrun` started, the first pushes.
    """
    from l2t_hub.hub.connect import connected, connected_for

    only_push = typed.push is not None and Path(typed.data).exists()
    with ExitStack() as stack:
        stack.enter_context(connected_for(None if only_push else typed.hub, typed.data))
        if typed.push is None or not is_main_process():
            yield None
            return
        endpoint = stack.enter_context(connected(typed.hub))
        from l2t_hub.publish.checkpoint_push import pushing

        saver = pushing(
            typed.push,
            recipe,
            typed.out,
            endpoint,
            every=typed.push_every,
            private=typed.private,
            say=progress,
        )
        yield stack.enter_context(saver)


def refresh_cards(directories: Iterable[str | Path], *scores: Path) -> None:
    """Put scores into model directories and write their cards; of several processes, only the first does."""
    from l2t_hub.publish.cards import refresh_model_card

    for directory in directories if is_main_process() else ():
        refresh_model_card(Path(directory), scores, say=progress)
