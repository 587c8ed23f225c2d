"""Whether scores on disk still hold: the same suite, weights and versions as an evaluation now would have."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.evaluate.evaluation import library_versions, weights_digest
from l2t_hub.evaluate.results import read_evaluation
from l2t_hub.evaluate.suites import get_suite
from l2t_hub.scoring import find_model


def is_current(out: Path, suite: str, models: Sequence[tuple[str, Path]]) -> bool:
    """Whether the report in `out` is of exactly this suite, these versions and these models.

    A model is what it is called there (a directory, or `namespace/name` at whatever revision) and a local directory
    with the same weights: a revision that only changes a card does not make its scores stale.
    """
    if not out.is_file():
        return False
    try:
        report = read_evaluation(out)
    except UserError:
        return False
    protocol = report.protocol
    return (
        protocol.suite == suite
        and protocol.suite_sha256 == get_suite(suite).digest()
        and protocol.limit is None
        and protocol.harness_version == version("lm_eval")
        and dict(protocol.versions) == library_versions()
        and [model.model.partition("@")[0] for model in report.models]
        == [name.partition("@")[0] for name, _ in models]
        and [model.weights_sha256 for model in report.models]
        == [weights_digest(find_model(str(directory))) for _, directory in models]
    )
