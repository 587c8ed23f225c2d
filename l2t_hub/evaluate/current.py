"""Whether scores on disk still hold: the same suite, weights and versions as an evaluation now would have."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.evaluate.report import EvalReport, read_report
from l2t_hub.evaluate.run import library_versions, weights_digest
from l2t_hub.evaluate.suites import get_suite
from l2t_hub.scoring import find_model


def current_report(out: Path, models: Sequence[str], suite: str) -> EvalReport | None:
    """Give the report in `out` if it is of exactly these models, suite and versions, else None."""
    if not out.is_file():
        return None
    try:
        report = read_report(out)
    except UserError:
        return None
    weights = [weights_digest(find_model(name)) for name in models]
    same = (
        report.protocol.suite == suite
        and report.protocol.suite_sha256 == get_suite(suite).digest()
        and report.protocol.limit is None
        and report.protocol.harness_version == version("lm_eval")
        and dict(report.protocol.versions) == library_versions()
        and [model.model for model in report.models] == list(models)
        and [model.weights_sha256 for model in report.models] == weights
    )
    return report if same else None
