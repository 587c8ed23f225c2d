"""The verb that shows scores: report."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from l2t_hub.cli.options import Private, examples
from l2t_hub.cli.terminal import answer, progress
from l2t_hub.interruption import interruptible

if TYPE_CHECKING:
    from l2t_hub.hub.endpoint import Endpoint

reports = typer.Typer()
Results = Annotated[
    list[str],
    typer.Argument(
        metavar="RESULT",
        help="Files that `l2t eval --out` wrote, folders of them, model directories, and models or results datasets "
        "on the Hub (`ORG/NAME`, `hf://ORG/NAME`).",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="`terminal`, `markdown`, `latex`, `csv` or `html`. Default: by the ending of --out, else `terminal`.",
    ),
]
ReportFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--out", metavar="FILE", help="Write the report here: .md, .tex, .csv or .html. Repeatable."
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="MODEL",
        help="Compare all others with this model. Default: the first of each suite.",
    ),
]
FailUnder = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-under",
        metavar="[SUITE=]PERCENT",
        help="Exit with 1 if a model's accuracy over all items is lower. Repeatable.",
    ),
]
CompareTo = Annotated[
    str | None, typer.Option("--compare-to", metavar="SOURCE", help="Show published scores beside: `paper`.")
]
Push = Annotated[
    str | None,
    typer.Option(
        "--push",
        metavar="ORG/NAME",
        help="Append the results to this dataset on the Hub, a row for each score.",
    ),
]
Hub = Annotated[
    str | None,
    typer.Option(
        "--hub", metavar="HUB", help="The Hub: `local`, `local:DIR` or a URL. Default: huggingface.co."
    ),
]


@reports.command(
    rich_help_panel="Models",
    epilog=examples(
        "l2t report runs/nano",
        "l2t report raw.json l2t.json --baseline raw --out report.html --out table.tex",
        "l2t report scores.json --fail-under blimp=75",
        "l2t report scores.json --push my-org/scores",
        "l2t report my-org/scores --out report.html",
    ),
)
def report(
    names: Results,
    form: Format = None,
    files: ReportFiles = None,
    baseline: Baseline = None,
    fail_under: FailUnder = None,
    compare_to: CompareTo = None,
    push: Push = None,
    private: Private = False,
    hub: Hub = None,
) -> None:
    """Show scores as tables and plots: on the terminal, as Markdown, LaTeX, CSV or one HTML page.

    Models are compared where they were scored in the same way on the same items; what is not compared is named.
    """
    from l2t_hub.hub.names import without_scheme

    kept = ("what was written or sent is kept", "Rerun the command.")
    with (
        interruptible(lambda: kept),
        _hub_of(hub, push, [without_scheme(name) for name in names]) as endpoint,
    ):
        from l2t_hub.errors import UserError
        from l2t_hub.evaluate.merging import merge
        from l2t_hub.report.psychometric_sheets import merge_figures
        from l2t_hub.report.result_sources import find_results
        from l2t_hub.report.score_report import as_text, chosen_format, make_report, write_report
        from l2t_hub.report.terminal_report import render_report
        from l2t_hub.report.thresholds import check_thresholds, parse_thresholds

        formats = [(chosen_format(form, file), file) for file in files or ()]
        shown = None if files else chosen_format(form, None)
        results = find_results(names, progress)
        if push is not None and not results.scores:
            raise UserError(
                "--push: there are no scores, and figures of the suite psychometric are not sent",
                "Leave --push out.",
            )
        figures = merge_figures(results.figures, baseline)
        known = any(baseline in (m.label, m.model) for one in figures for m in one.models)
        # A model of which there are figures only is the baseline of those.
        evaluations, notes = merge(results.scores, baseline if results.scores or not known else None)
        thresholds = parse_thresholds(fail_under or (), evaluations)
        drawn = bool({"markdown", "html"} & {shown, *dict(formats)})
        document = make_report(
            evaluations, notes, compare_to, figures=figures, narrow=shown == "terminal", plots=drawn
        )
        for chosen, file in formats:
            write_report(chosen, document, file)
            progress(f"report: {file}")
        if shown == "terminal":
            answer(False, None, render_report(document))
        elif shown is not None:
            sys.stdout.write(as_text(shown, document))
        if push is not None and endpoint is not None:
            from l2t_hub.publish.results_dataset import append

            own = [result.evaluation for result in results.scores]
            progress(append(own, push, endpoint, private=private, say=progress).summary())
        check_thresholds(thresholds, evaluations)


@contextmanager
def _hub_of(hub: str | None, push: str | None, names: Sequence[str]) -> "Iterator[Endpoint | None]":
    """Connect to the Hub that the results come from or go to; without either, to none."""
    from l2t_hub.hub.connect import connected, connected_for
    from l2t_hub.hub.names import check_hub_name, check_repo
    from l2t_hub.hub.reachability import check_reachable

    if push is None:
        with connected_for(hub, *names):
            yield None
        return
    check_repo(push, "--push")
    for name in (name for name in names if not os.path.lexists(name)):
        check_hub_name(name, nearby=hub is None)
    with connected(hub) as endpoint:
        check_reachable(endpoint.url)
        yield endpoint
