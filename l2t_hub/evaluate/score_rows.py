"""Scores as rows, one for each (model, revision, suite, cell): what CSV files and results datasets have."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from l2t_hub.evaluate.results import Evaluation, ModelScores, Protocol

ALL, MACRO = "all", "mean of phenomena"
COLUMNS: dict[str, type] = {
    "model": str,
    "revision": str,
    "weights_sha256": str,
    "suite": str,
    "kind": str,
    "cell": str,
    "value": float,
    "low": float,
    "high": float,
    "correct": int,
    "total": int,
    "parameters": int,
    "step": int,
    "tokens": int,
    "seed": int,
    "recipe_sha256": str,
    "dtype": str,
    "device": str,
    "prefix_token": str,
    "harness": str,
    "harness_version": str,
    "suite_sha256": str,
    "protocol_sha256": str,
    "limit": int,
    "level": float,
    "date": str,
}
"""The columns of a row and their types. Any but suite, kind and cell may be empty."""


def protocol_sha256(protocol: Protocol) -> str:
    """Return the hash of what two results must share to be comparable."""
    tree = asdict(protocol)
    decides = ("suite", "suite_sha256", "harness", "harness_version", "tasks", "context", "limit", "level")
    return hashlib.sha256(
        json.dumps({key: tree[key] for key in decides}, sort_keys=True).encode()
    ).hexdigest()


def rows(evaluation: Evaluation, model: ModelScores) -> Iterator[dict[str, Any]]:
    """Return the scores of one model: all items, the mean of the phenomena, each phenomenon and each reading."""
    own = {name: getattr(model, name) for name in COLUMNS if hasattr(model, name)}
    protocol = evaluation.protocol
    shared = {name: getattr(protocol, name) for name in COLUMNS if hasattr(protocol, name)}
    base = {**dict.fromkeys(COLUMNS), **shared, **own, "protocol_sha256": protocol_sha256(protocol)}
    for kind, row in (("all", model.micro), *(("phenomenon", row) for row in model.phenomena)):
        counts = {"correct": row.correct, "total": row.total}
        yield {**base, "kind": kind, "cell": row.phenomenon, **counts, **asdict(row.accuracy)}
    yield {**base, "kind": "mean", "cell": MACRO, **asdict(model.macro)}
    for reading in model.readings:
        counts = {"correct": reading.micro.correct, "total": reading.micro.total}
        yield {**base, "kind": "reading", "cell": reading.name, **counts, **asdict(reading.micro.accuracy)}


def alone(evaluation: Evaluation, model: ModelScores) -> Evaluation:
    """Return the results of one model, without comparisons and samples."""
    return replace(evaluation, models=(model,), comparisons=(), samples_file=None, samples_sha256=None)
