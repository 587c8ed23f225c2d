"""The results that `l2t report` is given: files, folders, model directories, models and results datasets on a Hub."""

from collections.abc import Callable, Sequence
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.evaluate.merging import Result
from l2t_hub.evaluate.read_results import MAX_BYTES, read_evaluation
from l2t_hub.hub.names import without_scheme
from l2t_hub.records.reading import parse_json, read_bounded

FOLDERS = ("", "eval", "scores")
"""Where the results of a directory are: its own files, those of a model, those of a run."""
MAX_FILES = 10_000


def find_results(names: Sequence[str], say: Callable[[str], None]) -> list[Result]:
    """Return the results that each name stands for, in order. Uses the Hub that `connected` selected.

    Raises UserError for a name without results, or results that cannot be read.
    """
    found = []
    for name in names:
        path = Path(name)
        results = _in_place(path) if path.exists() else _on_hub(without_scheme(name), say)
        if not results:
            raise UserError(f"{name}: no results", "Create them with `l2t eval MODEL... --out FILE`.")
        found += results
    return found


def _in_place(path: Path) -> list[Result]:
    if not path.is_dir():
        return [Result(str(path), path, read_evaluation(path))]
    files = [file for folder in FOLDERS for file in sorted((path / folder).glob("*.json"))[:MAX_FILES]]
    return [Result(str(file), file, read_evaluation(file)) for file in files if _has_results(file)]


def _has_results(file: Path) -> bool:
    """Whether a JSON file means to be results: other files of a folder are left out."""
    try:
        tree = parse_json(read_bounded(file, MAX_BYTES), str(file))
    except UserError:
        return False
    return isinstance(tree, dict) and {"protocol", "models", "schema"} <= tree.keys()


def _on_hub(name: str, say: Callable[[str], None]) -> list[Result]:
    from l2t_hub.hub.download import download, kind_and_commit, parse_name
    from l2t_hub.publish.results_dataset import fetch_results

    repo, revision = parse_name(name)
    kind, commit = kind_and_commit(repo, revision)
    if kind == "dataset":
        return fetch_results(repo, commit, say)
    directory = download(repo, kind, commit, only=["eval/*"], say=say).directory
    found = _in_place(directory)
    return [Result(f"{repo}: {result.path.name}", result.path, result.evaluation) for result in found]
