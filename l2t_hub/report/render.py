"""From a run's manifests, logs and scores to `report.md` and `report.html`: the same text, the same pictures.

The page is the Markdown rendered, its pictures as inline SVG: it needs no other file and no network.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from l2t_hub import __version__
from l2t_hub.dataset import Manifest
from l2t_hub.evaluate import Evaluation
from l2t_hub.evaluate.results import Estimate, ModelComparison
from l2t_hub.report.figures import Bars, Curve, as_svg, loss_figure, save_png, score_figure
from l2t_hub.templates import cell

HERE = Path(__file__).parent
PICTURES = "pictures"


@dataclass(frozen=True)
class ReleaseReport:
    """One trained release of a run: its dataset's manifest, what `training.json` says, and its log's records."""

    name: str
    manifest: Manifest
    training: Mapping[str, Any]
    log: Sequence[Mapping[str, Any]]


def write_run_report(
    folder: Path,
    title: str,
    description: str,
    releases: Sequence[ReleaseReport],
    scores: Sequence[Evaluation],
    published: Mapping[str, str],
) -> tuple[Path, Path]:
    """Write `report.md`, `report.html` and `pictures/*.png` into `folder`; each appears only when complete.

    `published` are the URLs of what the run put on a Hub, by what they show.
    """
    figures = {"loss": loss_figure([_curve(release) for release in releases])}
    for report in scores:
        figures[f"scores-{report.protocol.suite}"] = _score_figure(report)
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        save_png(figure, folder / PICTURES / f"{name}.png")
    values = {
        "title": title,
        "description": description,
        "releases": releases,
        "scores": scores,
        "published": published,
    }
    markdown = _markdown(values)
    return (
        _write(folder / "report.md", markdown),
        _write(folder / "report.html", _page(title, markdown, figures)),
    )


def verdict(comparison: ModelComparison) -> str:
    """One comparison in a sentence that claims no more than its interval allows."""
    gain = comparison.micro.difference
    total = comparison.micro.total
    text = f"{comparison.model} has {_points(gain)} points over {comparison.baseline} on {total} items"
    if not gain.excludes_zero:
        return f"{text}: the interval includes 0, so this run alone cannot tell the two apart."
    better = comparison.model if gain.value > 0 else comparison.baseline
    return f"{text}: the interval excludes 0, {better} is better."


def _markdown(values: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    helpers = {"cell": cell, "percent": _percent, "points": _points, "verdict": verdict, "dropped": _dropped}
    text = environment.get_template("report.md.j2").render(
        **values, **helpers, pictures=PICTURES, version=__version__
    )
    return text.rstrip() + "\n"


def _page(title: str, markdown: str, figures: Mapping[str, Figure]) -> str:
    """The Markdown as one HTML page, each picture replaced by its SVG; HTML in the text stays text."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    for name, figure in figures.items():
        start = body.index(f'<img src="{PICTURES}/{name}.png"')
        end = body.index("/>", start) + 2
        body = f'{body[:start]}<span class="figure">{as_svg(figure)}</span>{body[end:]}'
    page = (HERE / "page.html").read_text(encoding="utf-8")
    return page.replace("{{ title }}", html.escape(title)).replace("{{ body }}", body)


def _curve(release: ReleaseReport) -> Curve:
    def points(key: str) -> list[tuple[int, float]]:
        return [(record["tokens"], record[key]) for record in release.log if key in record]

    return Curve(release.name, points("loss"), points("eval_loss"))


def _score_figure(report: Evaluation) -> Figure:
    names = [row.phenomenon for row in report.models[0].phenomena]
    bars = [Bars(model.label, [_triple(row.accuracy) for row in model.phenomena]) for model in report.models]
    return score_figure(names, bars)


def _triple(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _points(estimate: Estimate) -> str:
    return f"{100 * estimate.value:+.1f} [{100 * estimate.low:+.1f}, {100 * estimate.high:+.1f}]"


def _dropped(manifest: Manifest) -> list[tuple[str, str, int]]:
    """What the build dropped: (stage, reason, count in the stage's unit), summed over splits and tasks."""
    sums: dict[tuple[str, str, str], int] = {}
    for row in manifest.ledger:
        for reason, count in row["dropped"].items():
            key = (row["stage"], row["unit"], reason)
            sums[key] = sums.get(key, 0) + count
    return [(f"{stage} ({unit})", reason, count) for (stage, unit, reason), count in sorted(sums.items())]


def _write(path: Path, text: str) -> Path:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    return partial.replace(path)
