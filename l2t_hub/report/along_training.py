"""What a report shows of models along their training: by tokens, by compute, and on the same held-out text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from l2t_hub.dataset.ledger import RAW
from l2t_hub.evaluate.statistics import wilson
from l2t_hub.recipe import recipe_from_tree
from l2t_hub.records.training_record import HeldOutLoss, TrainingRecord
from l2t_hub.train.compute import mean_flops_per_token

NATS = "nats per token"
PAIRS_RIGHT = "minimal pairs right"


@dataclass(frozen=True)
class Point:
    """A value measured on a model after a number of tokens, which took about so many floating-point operations.

    `interval` is the 95% interval of a share of pairs, None for a loss.
    """

    tokens: int
    flops: float
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class TrainingCurve:
    """A model's measurements in order: losses on raw held-out text in `unit`, and shares of right pairs."""

    name: str
    unit: str
    held_out: tuple[Point, ...]
    pairs: tuple[Point, ...]


@dataclass(frozen=True)
class EqualRow:
    """The models at equal tokens or compute: each one's last measurement that is not beyond `limit`."""

    what: str
    unit: str
    limit: float
    points: tuple[Point | None, ...]


def training_curve(
    name: str, record: TrainingRecord, log: Sequence[Mapping[str, Any]], table: "HeldOutTable | None"
) -> TrainingCurve:
    """Return the curve of a model from its record and the entries of its log, in the unit of the run's table.

    Losses on another raw text than the table's are left out.
    """
    recipe = recipe_from_tree(record.recipe)
    found = [
        (e["tokens"], e["tokens"] * mean_flops_per_token(recipe, record.vocab_size, e["step"]), e)
        for e in log
    ]
    held_out = [
        (t, f, HeldOutLoss.model_validate(e["held_out"][RAW])) for t, f, e in found if "held_out" in e
    ]
    texts = table.rows[0][1].sha256 if table else None
    unit = table.unit if table else NATS
    return TrainingCurve(
        name,
        unit,
        tuple(Point(t, f, _in(unit, loss)) for t, f, loss in held_out if loss.sha256 == texts),
        tuple(Point(t, f, *_accuracy(e["pairs"])) for t, f, e in found if "pairs" in e),
    )


def _accuracy(pairs: Mapping[str, Any]) -> tuple[float, tuple[float, float]]:
    estimate = wilson(round(pairs["accuracy"] * pairs["pairs"]), pairs["pairs"])
    return estimate.value, (estimate.low, estimate.high)


def at_equal(curves: Sequence[TrainingCurve]) -> list[EqualRow]:
    """Return the rows at the most tokens, and at the most compute, that all models have come to."""
    rows = []
    for what, key in ((f"loss on raw held-out text, {curves[0].unit}", "held_out"), (PAIRS_RIGHT, "pairs")):
        measured: list[tuple[Point, ...]] = [getattr(curve, key) for curve in curves]
        if not all(measured):
            continue
        for unit, place in (("tokens", "tokens"), ("FLOPs", "flops")):
            limit = min(getattr(points[-1], place) for points in measured)
            within = [[p for p in points if getattr(p, place) <= limit] for points in measured]
            rows.append(
                EqualRow(what, unit, limit, tuple(points[-1] if points else None for points in within))
            )
    return rows


@dataclass(frozen=True)
class HeldOutTable:
    """Losses of models on the held-out text: a row for each part, with None where a model was measured on another.

    The unit is nats per token if the models cut the texts into the same numbers of tokens, else bits per byte.
    """

    unit: str
    rows: tuple[tuple[str, HeldOutLoss, tuple[float | None, ...]], ...]


def held_out_table(records: Sequence[TrainingRecord]) -> HeldOutTable | None:
    """Return the table of some models; None if no model was measured on held-out text."""
    measured = [record.held_out or {} for record in records]
    first = next((parts for parts in measured if parts), None)
    if first is None:
        return None
    texts = {part: [_same_text(parts.get(part), loss) for parts in measured] for part, loss in first.items()}
    alike = all(loss.tokens == first[part].tokens for part in texts for loss in texts[part] if loss)
    unit = NATS if alike else "bits per byte"
    rows = [
        (part, first[part], tuple(None if x is None else _in(unit, x) for x in losses))
        for part, losses in texts.items()
    ]
    return HeldOutTable(unit, tuple(rows))


def _in(unit: str, loss: HeldOutLoss) -> float:
    return loss.loss if unit == NATS else loss.bits_per_byte


def _same_text(loss: HeldOutLoss | None, other: HeldOutLoss) -> HeldOutLoss | None:
    return loss if loss is not None and loss.sha256 == other.sha256 else None
