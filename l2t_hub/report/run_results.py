"""What the report of a run is made of: its releases, the scores of their models, and those along training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from l2t_hub.evaluate.psychometric_results import PsychometricResults
from l2t_hub.evaluate.results import Evaluation
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.training_record import TrainingRecord


@dataclass(frozen=True)
class ReleaseReport:
    """One release of a run: its dataset's manifest, its `training.json`, and the records of its training log."""

    name: str
    manifest: Manifest
    training: TrainingRecord
    log: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class RunReport:
    """What a run made: its releases, scores of models and of checkpoints, and figures of the suite psychometric."""

    title: str
    description: str
    releases: Sequence[ReleaseReport]
    evaluations: Sequence[Evaluation]
    along: Sequence[Evaluation] = ()
    figures: Sequence[PsychometricResults] = ()
