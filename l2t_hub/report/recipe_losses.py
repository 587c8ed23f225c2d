"""Losses on held-out text of recipes with several seeds: means, spreads, and differences paired by seed.

Each seed holds out documents of its own, the same for every recipe. So losses of different seeds are on different
texts, and only the differences between recipes of the same seed are on the same one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from l2t_hub.dataset.ledger import RAW
from l2t_hub.evaluate.measures import mean_interval
from l2t_hub.evaluate.results import Estimate
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.training_record import HeldOutLoss, TrainingRecord
from l2t_hub.report.recipe_curves import DocumentsRead
from l2t_hub.report.run_results import ReleaseReport
from l2t_hub.report.sheet import Cell, Sheet, sheet

if TYPE_CHECKING:
    from l2t_hub.report.figures import Plot

Losses = Mapping[str, HeldOutLoss]


def documents_read(manifest: Manifest, record: TrainingRecord) -> DocumentsRead:
    """Return how many different documents the training split of a dataset has, and the tokens of its sequences."""
    totals = manifest.totals["train"]
    parts = totals["raw_documents"], totals["task_documents"]
    # In a shared mixture every document is in both parts, but for those that gave no example.
    documents = max(parts) if manifest.mixture["asked"].get("scheme") == "shared" else sum(parts)
    return DocumentsRead(documents, totals["sequences"] * record.batch.sequence_length)


@dataclass(frozen=True)
class RecipeLosses:
    """What the seeds of a recipe were measured at: the last losses by seed, those on raw text by tokens."""

    name: str
    last: Mapping[int, Losses]
    raw: Mapping[int, Mapping[int, HeldOutLoss]]


def recipe_losses(releases: Sequence[ReleaseReport]) -> list[RecipeLosses]:
    """Return the losses by recipe, the baseline's first; none without a recipe of which two seeds were measured."""
    last: dict[str, dict[int, Losses]] = {}
    raw: dict[str, dict[int, dict[int, HeldOutLoss]]] = {}
    for release in releases:
        seed = int(release.training.recipe["seed"])
        name = release.name.removesuffix(f"-seed{seed}")
        if not release.training.held_out or name == release.name:
            continue
        last.setdefault(name, {})[seed] = release.training.held_out
        for entry in release.log:
            if RAW in entry.get("held_out", {}):
                loss = HeldOutLoss.model_validate(entry["held_out"][RAW])
                raw.setdefault(name, {}).setdefault(entry["tokens"], {})[seed] = loss
    if min((len(seeds) for seeds in last.values()), default=0) < 2:
        return []
    return [RecipeLosses(name, last[name], raw.get(name, {})) for name in last]


def held_out_sheets(recipes: Sequence[RecipeLosses]) -> list[Sheet]:
    """Return a table of the last losses on each part, and one of those on raw text along training."""
    if not recipes:
        return []
    first = recipes[0]
    names = [recipe.name for recipe in recipes]
    columns = [word for name in names for word in (name, "SD")]
    columns += [f"{name} − {first.name}" for name in names[1:]]
    parts = list(next(iter(first.last.values())))
    rows = [_row("raw text" if p == RAW else p, [_part(recipe.last, p) for recipe in recipes]) for p in parts]
    caption = (
        f"Loss on held-out text in nats per token, mean over {len(first.last)} seeds with the standard deviation "
        "between them (SD): raw text, and whole examples of each task, questions and answers. Each seed has a text "
        "of its own, the same for every recipe, so differences are paired by seed, with Student's 95% interval. "
        "Lower is better."
    )
    sheets = [sheet(caption, ["text", *columns], rows)]
    common = sorted(set.intersection(*(set(recipe.raw) for recipe in recipes)))
    if len(common) > 1:
        rows = [_row(f"{tokens:,}", [recipe.raw[tokens] for recipe in recipes]) for tokens in common]
        sheets.append(sheet("The same on raw text, at equal tokens.", ["tokens", *columns], rows))
    return sheets


def held_out_plot(recipes: Sequence[RecipeLosses]) -> "Plot":
    """Draw the loss on raw held-out text: the mean of the seeds, and a band from the lowest to the highest."""
    from l2t_hub.report.figures import curve_plot

    curves = [
        (recipe.name, [(tokens, _range(seeds)) for tokens, seeds in sorted(recipe.raw.items())])
        for recipe in recipes
    ]
    title = "Loss on raw held-out text over tokens: means over seeds, and bands from the lowest to the highest seed"
    return curve_plot(curves, "tokens", title, y="loss, nats per token: mean and range of seeds", scale=1)


def _range(seeds: Mapping[int, HeldOutLoss]) -> Estimate:
    losses = [loss.loss for loss in seeds.values()]
    return Estimate(fmean(losses), min(losses), max(losses))


def _part(last: Mapping[int, Losses], part: str) -> dict[int, HeldOutLoss]:
    return {seed: losses[part] for seed, losses in last.items() if part in losses}


def _row(name: str, recipes: Sequence[Mapping[int, HeldOutLoss]]) -> list[Cell]:
    row: list[Cell] = [name]
    for seeds in recipes:
        losses = [loss.loss for loss in seeds.values()]
        row += [f"{fmean(losses):.4f}", f"{stdev(losses):.4f}"] if len(losses) > 1 else [None, None]
    return [*row, *(_difference(seeds, recipes[0]) for seeds in recipes[1:])]


def _difference(seeds: Mapping[int, HeldOutLoss], baseline: Mapping[int, HeldOutLoss]) -> str | None:
    both = [(seeds[seed], baseline[seed]) for seed in seeds if seed in baseline]
    value, half = mean_interval(
        [a.loss - b.loss for a, b in both if (a.sha256, a.tokens) == (b.sha256, b.tokens)]
    )
    return None if half is None else f"{value:+.4f} [{value - half:+.4f}, {value + half:+.4f}]"
