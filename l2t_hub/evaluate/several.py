"""Several suites on the same models: results of each, and what could not be had."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate.evaluation import download_model, evaluate
from l2t_hub.evaluate.matrices import NAME as MATRICES
from l2t_hub.evaluate.psychometric import WHERE_DATA_ARE, measure_models
from l2t_hub.evaluate.psychometric_results import PsychometricResults
from l2t_hub.evaluate.questions import NO_TEXT
from l2t_hub.evaluate.results import Evaluation
from l2t_hub.evaluate.suites import Suite
from l2t_hub.scoring import ModelSource, find_model
from l2t_hub.text import counted

FIGURE_OPTIONS = ("batch_tokens", "device", "dtype", "tasks_folder")
"""The options of `evaluate` that measuring figures has, too."""


@dataclass(frozen=True)
class SuiteResults:
    """The results of each suite, the files they were written to, and the errors of suites without results by name.

    `files` are those of the evaluations. What the suite `psychometric` measures are no scores, and are apart.
    """

    evaluations: tuple[Evaluation, ...]
    files: tuple[Path, ...]
    failed: Mapping[str, UserError]
    psychometric: PsychometricResults | None = None
    psychometric_file: Path | None = None

    @property
    def suites(self) -> int:
        """Number of suites that were asked for."""
        return len(self.evaluations) + len(self.failed) + (self.psychometric is not None)

    @property
    def scored_names(self) -> list[str]:
        """The models that every suite with results has scores of."""
        names = [{model.model for model in evaluation.models} for evaluation in self.evaluations]
        return sorted(set.intersection(*names)) if names else []

    def check(self) -> None:
        """Raise UserError if a suite or a model could not be scored."""
        for name, error in self.failed.items():
            raise UserError(f"suite {name}: {error.message}", error.hint)
        for evaluation in self.evaluations:
            check_complete(evaluation.protocol.suite, evaluation.failed)
        if self.psychometric is not None:
            check_complete(self.psychometric.suite, self.psychometric.failed)


def check_complete(suite: str, failed: Mapping[str, str]) -> None:
    """Raise UserError if a model could not be scored."""
    for label, reason in failed.items():
        models = counted(len(failed), "model")
        raise UserError(
            f"{suite}: {models} not scored, {label}: {reason}",
            "The scores of the others were written. Rerun the command without this model, or when it is mended.",
        )


def evaluate_suites(
    models: Sequence[str | ModelSource],
    suites: Sequence[Suite],
    out: Path,
    *,
    typicality: str | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> SuiteResults:
    """Score models on several suites, with the options of `evaluate`. A suite without its data does not stop others.

    `out` is the file of the results of one suite, or the folder of `SUITE.json` for several. `typicality` is a file
    of ratings for the suite `psychometric`. Raises UsageError for
    wrong arguments, and UserError as `evaluate` does if there is only one suite.
    """
    if len(suites) > 1 and out.suffix == ".json":
        raise UsageError(
            f"{out}: this is the name of a file, but each of {counted(len(suites), 'suite')} has its own",
            "Give the name of a folder: each suite's scores are written to SUITE.json in it.",
        )
    _check_text(suites, options.get("text"))
    _check_typicality(suites, typicality)
    found = [model if isinstance(model, ModelSource) else find_model(model) for model in models]
    sources = [download_model(source, progress) for source in found]
    evaluations, files, failed = [], [], {}
    psychometric, psychometric_file = None, None
    for suite in suites:
        file = out / f"{suite.name}.json" if len(suites) > 1 else out
        if progress and len(suites) > 1:
            progress(f"suite {suite.name}")
        try:
            if suite.kind == "psychometric":
                own = {name: options.get(name) for name in FIGURE_OPTIONS}
                if progress and typicality is None and all(other.name != MATRICES for other in suites):
                    progress(f"note: {WHERE_DATA_ARE}")
                psychometric = measure_models(sources, file, typicality=typicality, progress=progress, **own)
                psychometric_file = file
                continue
            evaluations.append(evaluate(sources, suite, file, progress=progress, **options))
        except UsageError:
            raise
        except UserError as error:
            if len(suites) == 1:
                raise
            failed[suite.name] = error
            if progress:
                progress(f"{suite.name}: no results: {error.message}")
        else:
            files.append(file)
    return SuiteResults(tuple(evaluations), tuple(files), failed, psychometric, psychometric_file)


def _check_text(suites: Sequence[Suite], text: str | None) -> None:
    """Raise UsageError if the suite `tasks` has no text, before another suite is scored, or a text has no suite."""
    wanted = any(suite.kind == "tasks" for suite in suites)
    if wanted and text is None:
        raise UsageError(NO_TEXT, "Name it: --text FILE")
    if text is not None and not wanted:
        raise UsageError("--text is for the suite tasks, which is not asked for", "Add --suite tasks.")


def _check_typicality(suites: Sequence[Suite], typicality: str | None) -> None:
    """Raise UsageError if there are ratings of typicality, but no suite that reads them."""
    if typicality is not None and all(suite.kind != "psychometric" for suite in suites):
        raise UsageError(
            "--typicality is for the suite psychometric, which is not asked for", "Add --suite psychometric."
        )
