"""The results that `l2t report` is given: files, folders, model directories, models and results datasets on a Hub."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.evaluate.merging import Result
from l2t_hub.evaluate.psychometric_results import MAX_BYTES, PsychometricResults, read_psychometric
from l2t_hub.evaluate.read_results import read_evaluation
from l2t_hub.evaluate.suites import PSYCHOMETRIC
from l2t_hub.hub.names import without_scheme
from l2t_hub.records.reading import parse_json, read_bounded

FOLDERS = ("", "eval", "scores")
"""Where the results of a directory are: its own files, those of a model, those of a run."""
MAX_FILES = 10_000
SCORES = "scores"


@dataclass(frozen=True)
class FoundResults:
    """Scores, and figures of the suite `psychometric`."""

    scores: list[Result]
    figures: list[PsychometricResults]


def find_results(names: Sequence[str], say: Callable[[str], None]) -> FoundResults:
    """Return the results that each name stands for, in order. Uses the Hub that `connected` selected.

    Raises UserError for a name without results, or results that cannot be read.
    """
    found = FoundResults([], [])
    for name in names:
        path = Path(name)
        results = _in_place(path) if path.exists() else _on_hub(without_scheme(name), say)
        if not (results.scores or results.figures):
            raise UserError(f"{name}: no results", "Create them with `l2t eval MODEL... --out FILE`.")
        found.scores.extend(results.scores)
        found.figures.extend(results.figures)
    return found


def _in_place(path: Path) -> FoundResults:
    found = FoundResults([], [])
    for file in _files(path):
        kind = _kind(file)
        if kind == PSYCHOMETRIC:
            found.figures.append(read_psychometric(file))
        elif kind == SCORES or file == path:
            found.scores.append(Result(str(file), file, read_evaluation(file)))
    return found


def score_paths(path: Path) -> list[Path]:
    """Return the files of scores that a file or directory stands for."""
    return [file for file in _files(path) if file == path or _kind(file) == SCORES]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [file for folder in FOLDERS for file in sorted((path / folder).glob("*.json"))[:MAX_FILES]]


def _kind(file: Path) -> str | None:
    """Return what a JSON file means to be; None for one that is no results, which a folder may have."""
    try:
        tree = parse_json(read_bounded(file, MAX_BYTES), str(file))
    except UserError:
        return None
    if not isinstance(tree, dict):
        return None
    if tree.get("suite") == PSYCHOMETRIC:
        return PSYCHOMETRIC
    return SCORES if {"protocol", "models", "schema"} <= tree.keys() else None


def _on_hub(name: str, say: Callable[[str], None]) -> FoundResults:
    from l2t_hub.hub.download import download, kind_and_commit, parse_name
    from l2t_hub.publish.results_dataset import fetch_results

    repo, revision = parse_name(name)
    # A dataset that has a model's name is what the model was trained on, and has no results.
    kind, commit = kind_and_commit(repo, revision, ("model", "dataset"))
    if kind == "dataset":
        return FoundResults(fetch_results(repo, commit, say), [])
    directory = download(repo, kind, commit, only=["eval/*"], say=say).directory
    found = _in_place(directory)
    scores = [
        Result(f"{repo}: {result.path.name}", result.path, result.evaluation) for result in found.scores
    ]
    return replace(found, scores=scores)
