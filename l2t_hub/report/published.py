"""Published scores beside ours, with the difference of scale said in words: `published.yaml` has them as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from l2t_hub.errors import UsageError, nearest
from l2t_hub.evaluate.results import Evaluation, ModelScores
from l2t_hub.report.outline import ReportSection
from l2t_hub.report.sheet import Cell, Figure, accuracy, sheet
from l2t_hub.text import counted

FILE = Path(__file__).with_name("published.yaml")
SAME_SCALE = 1.5
"""Two sizes within this factor are called the same."""


@dataclass(frozen=True)
class Published:
    """The scores that one source reports, and the number of tokens that its models were trained on."""

    title: str
    source: str
    url: str
    tokens: int
    how: str
    scores: tuple[dict[str, Any], ...]


@cache
def published_scores() -> dict[str, Published]:
    """Return what is known, by the name that `--compare-to` takes."""
    tree = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: Published(**{**entry, "scores": tuple(entry["scores"])}) for name, entry in tree.items()}


def published_sections(name: str, evaluations: Sequence[Evaluation]) -> list[ReportSection]:
    """Return a section for each suite that both have.

    Raises UsageError for an unknown name, or if there is no such suite.
    """
    if name not in published_scores():
        raise UsageError(f"--compare-to {name}: unknown. {nearest(name, published_scores())}")
    source = published_scores()[name]
    suites = sorted({score["suite"] for score in source.scores})
    shared = [evaluation for evaluation in evaluations if evaluation.protocol.suite in suites]
    if not shared:
        raise UsageError(
            f"--compare-to {name}: its scores are of {', '.join(suites)}, of which there are no results",
            f"Evaluate the models: l2t eval MODEL... --suite {suites[0]} --out FILE",
        )
    return [_section(name, source, evaluation) for evaluation in shared]


def _section(name: str, source: Published, evaluation: Evaluation) -> ReportSection:
    suite = evaluation.protocol.suite
    theirs = [score for score in source.scores if score["suite"] == suite]
    rows: list[tuple[Cell, ...]] = [
        (f"{name}: {s['model']}", s["parameters"], source.tokens, Figure(s["accuracy"] / 100)) for s in theirs
    ]
    rows += [(m.label, m.parameters, m.tokens, accuracy(m.micro.accuracy)) for m in evaluation.models]
    caption = f"{suite}: published accuracies in %, and ours with 95% intervals."
    return ReportSection(
        f"{suite}: published scores",
        tuple(_scale(source, theirs, alike) for alike in _of_one_scale(evaluation.models)),
        (sheet(caption, ("model", "parameters", "tokens", "accuracy"), rows),),
        fine_print=(
            f"{source.title}. {source.source}, {source.url}.",
            f"Protocol of the source: {source.how}.",
        ),
    )


def _of_one_scale(models: Sequence[ModelScores]) -> list[list[ModelScores]]:
    found: dict[tuple[int, int | None], list[ModelScores]] = {}
    for model in models:
        found.setdefault((model.parameters, model.tokens), []).append(model)
    return list(found.values())


def _scale(source: Published, theirs: Sequence[dict[str, Any]], alike: Sequence[ModelScores]) -> str:
    """Say how far models of one scale are from the published ones in parameters and tokens."""
    model = alike[0]
    sizes = [score["parameters"] for score in theirs]
    nearest_size = min(sizes, key=lambda size: max(size / model.parameters, model.parameters / size))
    parts = [f"{model.parameters:,} parameters ({_times(model.parameters, nearest_size)} {nearest_size:,})"]
    if model.tokens is None:
        parts.append("an unknown number of tokens")
    else:
        parts.append(f"{model.tokens:,} tokens ({_times(model.tokens, source.tokens)} {source.tokens:,})")
    text = f"{model.label} has {parts[0]} and was trained on {parts[1]}."
    if len(alike) > 1:
        text = f"{counted(len(alike), 'model')} have {parts[0]} and were trained on {parts[1]}."
    same = _is_same(model.parameters, nearest_size) and _is_same(model.tokens or 0, source.tokens)
    if same:
        return f"{text} The scale is the same; data, seed and versions may differ."
    return f"{text} The scales differ, so the distance between these scores says nothing about a recipe."


def _is_same(ours: int, theirs: int) -> bool:
    return ours > 0 and max(ours / theirs, theirs / ours) < SAME_SCALE


def _times(ours: int, theirs: int) -> str:
    if _is_same(ours, theirs):
        return "about the published"
    if ours > theirs:
        return f"{_rounded(ours / theirs)} times the published"
    return f"a {_rounded(theirs / max(ours, 1))}th of the published"


def _rounded(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"
