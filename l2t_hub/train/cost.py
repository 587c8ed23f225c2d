"""What training a recipe costs, and the list of the bundled recipes with it.

GPU-hours are estimated from the model's arithmetic: no run of the family has been measured yet.
"""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from l2t_hub.console import WholeTable
from l2t_hub.recipe import Recipe, bundled_recipes, load_recipe, load_releases
from l2t_hub.recipe.listing import scheme_text
from l2t_hub.text import rounded
from l2t_hub.train.architecture import architecture
from l2t_hub.train.batch_layout import divide_batch
from l2t_hub.train.compute import mean_flops_per_token
from l2t_hub.train.hardware import PEAK_FLOPS

GPU = "NVIDIA H200"
UTILISATION = 0.45
"""The share of the GPU's peak that the model's arithmetic is assumed to reach. A measured value replaces it here."""
ASSUMPTION = (
    f"GPU-hours are an estimate, not a measurement: the arithmetic of the model on one {GPU} at {UTILISATION:.0%} of "
    f"its peak of {PEAK_FLOPS[GPU] / 1e12:,.0f} TFLOP/s (dense bf16)."
)
# Sizes of tokenizers on a Hub, so that listing recipes needs none.
VOCABULARIES = {"mistralai/Mistral-7B-Instruct-v0.3": 32_768}


@dataclass(frozen=True)
class TrainingCost:
    """The size of a model, the tokens it is trained on (padding included), and the hours that takes on one GPU.

    `basis` says what the hours were computed from.
    """

    parameters: int
    tokens: int
    gpu_hours: float
    basis: str = ASSUMPTION


def training_cost(recipe: Recipe, vocab_size: int) -> TrainingCost:
    """Return what training costs with a tokenizer of `vocab_size` entries.

    Raises UsageError for an invalid recipe.
    """
    shape, batches = architecture(recipe), divide_batch(recipe, devices=1)
    tokens = batches.rows * batches.sequence_length
    flops = tokens * mean_flops_per_token(recipe, vocab_size)
    hours = flops / (UTILISATION * PEAK_FLOPS[GPU]) / 3600
    return TrainingCost(shape.parameters(vocab_size), tokens, float(f"{hours:.3g}"))


def hours_text(hours: float) -> str:
    """Return hours with as many digits as an estimate has."""
    return "< 0.1" if hours < 0.1 else f"{hours:,.1f}" if hours < 10 else f"{hours:,.0f}"


def listing() -> list[dict[str, Any]]:
    """Return name, description, variants, file and releases of every bundled recipe.

    The cost of a release is None if its recipe names a tokenizer whose size is not known here.
    """
    return [
        {
            "name": name,
            "description": recipe.description,
            "variants": list(recipe.variants),
            "file": str(path),
            "releases": [_listed(release) for release in load_releases(path)],
        }
        for name, path in bundled_recipes().items()
        for recipe in [load_recipe(path)]
    ]


def listing_table(rows: list[dict[str, Any]]) -> Table:
    """Return the list of recipes as a table, a row per release."""
    table = WholeTable("recipe", "variant", "size", "scheme", header_style="bold")
    for label in ("parameters", "training tokens", "GPU-hours"):
        table.add_column(label, justify="right")
    for row in rows:
        for number, release in enumerate(row["releases"]):
            cost = release["cost"]
            costs = (
                (rounded(cost["parameters"]), rounded(cost["tokens"]), hours_text(cost["gpu_hours"]))
                if cost
                else ("unknown",) * 3
            )
            variant = release["name"] if row["variants"] else "-"
            table.add_row("" if number else row["name"], variant, release["size"], release["scheme"], *costs)
    return table


def _listed(release: Recipe) -> dict[str, Any]:
    name = release.tokenizer.name
    vocab_size = release.tokenizer.vocab_size if name is None else VOCABULARIES.get(name)
    return {
        "name": release.name,
        "size": release.model.size,
        "scheme": scheme_text(release.mixture),
        "cost": None if vocab_size is None else asdict(training_cost(release, vocab_size)),
    }
