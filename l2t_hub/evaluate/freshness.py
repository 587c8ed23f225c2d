"""Whether scores on disk are current: a new evaluation would use the same suite, weights and versions."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.evaluate.model_facts import library_versions, weights_digest
from l2t_hub.evaluate.read_results import read_evaluation
from l2t_hub.evaluate.suites import get_suite
from l2t_hub.scoring import find_model


def is_current(out: Path, suite: str, models: Sequence[tuple[str, Path]]) -> bool:
    """Whether the evaluation in `out` used exactly this suite, these library versions and these models, in order.

    A model is a pair of its name (a directory, or `namespace/name` with any revision) and a local directory with its
    weights. A new revision with the same weights, such as one with a new card, keeps its scores current.
    """
    if not out.is_file():
        return False
    try:
        evaluation = read_evaluation(out)
    except UserError:
        return False
    protocol = evaluation.protocol
    return (
        protocol.suite == suite
        and protocol.suite_sha256 == get_suite(suite).digest()
        and protocol.limit is None
        and protocol.harness_version == version("lm_eval")
        and dict(protocol.versions) == library_versions()
        and [model.model.partition("@")[0] for model in evaluation.models]
        == [name.partition("@")[0] for name, _ in models]
        and [model.weights_sha256 for model in evaluation.models]
        == [weights_digest(find_model(str(directory))) for _, directory in models]
    )
