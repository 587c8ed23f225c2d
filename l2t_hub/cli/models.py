"""The verbs that score and show models, eval and demo, beside `train` of `training.py`."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from l2t_hub.cli.options import Json, SourceHub, examples
from l2t_hub.cli.terminal import answer, progress
from l2t_hub.cli.training import TRAIN_EXAMPLES, refresh_cards, train
from l2t_hub.interruption import interruptible

if TYPE_CHECKING:
    from l2t_hub.demo.choice import Offer
    from l2t_hub.evaluate.several import SuiteResults

PANEL = "Models"
models = typer.Typer()
SuiteName = Annotated[
    str | None,
    typer.Option(
        "--suite",
        metavar="NAME|FILE[,...]",
        help="What to score on: `probes` (the default), `blimp`, `general`, `tasks`, "
        "`psychometric`, or a suite file. "
        "Separate several with commas.",
    ),
]
Pairs = Annotated[
    str | None,
    typer.Option(
        "--pairs",
        metavar="FILE|DATASET",
        help="Minimal pairs of your own: Parquet, JSON Lines, CSV or text, a pattern of files, or a dataset on the "
        "Hub (`name:config#split@revision`).",
    ),
]
GoodColumn = Annotated[
    str | None,
    typer.Option("--good", metavar="COLUMN", help="Column of acceptable sentences. Default: good."),
]
BadColumn = Annotated[
    str | None,
    typer.Option("--bad", metavar="COLUMN", help="Column of unacceptable sentences. Default: bad."),
]
ByColumns = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="COLUMN[,COLUMN]",
        help="Columns for phenomenon and paradigm; `file` is the name of the file.",
    ),
]
FirstLine = Annotated[
    str | None,
    typer.Option("--first", metavar="good|bad", help="Text files: which of two lines comes first."),
]
GuestModels = Annotated[
    bool | None,
    typer.Option("--guest-models/--no-guest-models", help="Let visitors name other models on the Hub."),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory that models may take, such as 4GB. Default: half of the machine's.",
    ),
]
KeptSuite = Annotated[
    Path | None, typer.Option("--keep", metavar="FILE", help="Keep --pairs as a suite file (YAML).")
]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", help="Use only the first N examples of each task.")
]
BatchTokens = Annotated[
    int | None,
    typer.Option(
        "--batch-tokens",
        metavar="N",
        help="Tokens in a forward pass. Default: 2,048 on a CPU, 16,384 on a GPU.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="`cpu`, `cuda`, `cuda:N`, or several: `cuda:0,cuda:1`. Default: the first GPU.",
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="TYPE",
        help="`float32` or `bfloat16`. Default: the precision the model was saved in.",
    ),
]
ScoresFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE|DIR",
        help="Write the scores to this file, as JSON. Of several suites: to SUITE.json in this folder.",
    ),
]
Checkpoints = Annotated[
    bool,
    typer.Option(
        "--checkpoints",
        help="Score all checkpoints of each MODEL: those of a run directory, or the step-N revisions of a repo.",
    ),
]
HeldOutText = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="FILE",
        help="Suite `tasks`: a file or folder of English text that the models were not trained on.",
    ),
]
Typicality = Annotated[
    str | None,
    typer.Option(
        "--typicality",
        metavar="FILE",
        help="Suite `psychometric`: people's ratings, with columns category, member and typicality (or rank).",
    ),
]
Matrices = Annotated[
    str | None,
    typer.Option(
        "--matrices",
        metavar="FILE",
        help="Suite `psychometric`: items with columns prompt, options and answer, or a .json file of the release.",
    ),
]
DataHub = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="HUB", help="Hub of the benchmark's data, if it is not that of the models (--hub)."
    ),
]


models.command(rich_help_panel=PANEL, epilog=TRAIN_EXAMPLES)(train)


@models.command(
    name="eval",
    rich_help_panel=PANEL,
    epilog=examples(
        "l2t eval models/nano-raw models/nano-l2t --out scores.json",
        "l2t eval my-org/nano-raw my-org/nano-l2t@v1 --suite probes,blimp --out scores",
        "l2t eval models/nano-l2t --checkpoints --suite probes",
        "l2t eval models/nano-l2t --suite tasks --text held-out.jsonl",
        "l2t eval models/nano-l2t --suite psychometric --typicality ratings.csv",
        "l2t eval models/nano-l2t --pairs 'zorro/*.txt' --first bad --by file",
    ),
)
def evaluate(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Model directories, or names of models on the Hub. The first is the baseline of the others.",
        ),
    ],
    suite: SuiteName = None,
    pairs: Pairs = None,
    good: GoodColumn = None,
    bad: BadColumn = None,
    by: ByColumns = None,
    first: FirstLine = None,
    keep: KeptSuite = None,
    checkpoints: Checkpoints = False,
    text: HeldOutText = None,
    typicality: Typicality = None,
    matrices: Matrices = None,
    limit: Limit = None,
    batch_tokens: BatchTokens = None,
    device: Device = None,
    dtype: Precision = None,
    file: ScoresFile = None,
    hub: SourceHub = None,
    data: DataHub = None,
    as_json: Json = False,
) -> None:
    """Score models on suites with lm-evaluation-harness and compare them, with 95% intervals.

    The scores go into each model directory and onto its card, unless --limit is set. Finished tasks are kept: the
    same command continues an interrupted evaluation, and another one reuses them.
    """
    from l2t_hub.evaluate.fetch_models import fetch_models
    from l2t_hub.hub.connect import cache_folder, connected, connected_for

    kept = ("the tasks that were finished are kept", "Rerun the command to continue.")
    with interruptible(lambda: kept), tempfile.TemporaryDirectory(prefix="l2t-eval-") as scratch:
        models = names if data is None else fetch_models(names, hub, checkpoints=checkpoints)
        with connected_for(hub, *names) if data is None else connected(data):
            from l2t_hub.evaluate.run_checkpoints import expanded
            from l2t_hub.evaluate.several import evaluate_suites
            from l2t_hub.evaluate.suites import chosen_suites, with_matrices

            chosen = chosen_suites(suite, pairs, good=good, bad=bad, by=by, first=first, keep=keep)
            results = evaluate_suites(
                expanded(names) if checkpoints and data is None else models,
                with_matrices(chosen, matrices),
                file or Path(scratch) / "scores",
                text=text,
                typicality=typicality,
                limit=limit,
                batch_tokens=batch_tokens,
                device=device,
                dtype=dtype,
                tasks_folder=None if file else cache_folder() / "l2t_hub" / "tasks",
                progress=progress,
            )
        refresh_cards(results.scored_names if limit is None and not checkpoints else (), *results.files)
    _show_scores(results, as_json, written=file is not None)


def _show_scores(results: "SuiteResults", as_json: bool, *, written: bool) -> None:
    """Print the results of every suite. Raises UserError at the end if something could not be scored."""
    from l2t_hub.report.psychometric_sheets import psychometric_section
    from l2t_hub.report.score_report import score_section
    from l2t_hub.report.terminal_report import render_section

    shown: list[object] = [
        render_section(score_section(evaluation, narrow=True, plots=False))
        for evaluation in results.evaluations
    ]
    trees = [evaluation.as_dict() for evaluation in results.evaluations]
    files = list(results.files)
    if results.psychometric is not None and results.psychometric_file is not None:
        shown.append(render_section(psychometric_section(results.psychometric)))
        trees.append(results.psychometric.as_dict())
        files.append(results.psychometric_file)
    shown += [f"scores: {file}" for file in files] if written else []
    answer(as_json, trees[0] if results.suites == 1 else {"evaluations": trees}, *shown)
    results.check()


@models.command(
    rich_help_panel=PANEL,
    epilog=examples(
        "l2t demo",
        "l2t demo runs/nano/models/nano-raw runs/nano/models/nano-l2t",
        "l2t demo my-org/nano-raw my-org/nano-l2t --dataset my-org/nano-l2t --hub local",
    ),
)
def demo(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Model directories, names of models on the Hub, or a collection there. "
            "Default: what is in runs/.",
        ),
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="DIR|REPO", help="An L2T dataset to page through. Repeatable."),
    ] = None,
    results: Annotated[
        list[str] | None,
        typer.Option(
            "--results",
            metavar="FILE|REPO",
            help="Scores besides those of the models: files of `l2t eval`, or results datasets. Repeatable.",
        ),
    ] = None,
    guest_models: GuestModels = None,
    memory: Memory = None,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", help="Port on this machine; 0 picks a free one.")
    ] = 7860,
    share: Annotated[
        bool, typer.Option("--share", help="Open the page to the internet, through a tunnel of Gradio.")
    ] = False,
    hub: SourceHub = None,
) -> None:
    """Open a page that shows what models know: compare them, see their scores and their data."""
    from l2t_hub.hub.connect import connected_for

    with connected_for(hub, *(names or ()), *(datasets or ()), *(results or ())):
        from l2t_hub.demo import demo as serve_page
        from l2t_hub.demo.choice import Offer
        from l2t_hub.scoring import find_model

        for name in names or ():
            find_model(name)  # report a wrong path here rather than on the page
        offer = Offer(*(tuple(given or ()) for given in (names, datasets, results)))
        closed = ("the page is closed", "Rerun the command to open it again.")
        with interruptible(lambda: closed):
            serve_page(
                offer if names else _made_here(offer),
                guest_models=guest_models,
                memory=memory,
                port=port,
                share=share,
            )


def _made_here(offer: "Offer") -> "Offer":
    """Complete an offer with what `l2t run` made in runs/."""
    from l2t_hub.demo.choice import Offer

    runs = Path("runs")
    return Offer(
        tuple(str(file.parent) for file in sorted(runs.glob("*/models/*/training.json"))),
        offer.datasets
        or tuple(str(file.parent) for file in sorted(runs.glob("*/datasets/*/l2t_manifest.json"))),
        offer.results
        or tuple(str(file) for file in sorted(runs.glob("*/scores/*.json")) if file.stem != "psychometric"),
    )
