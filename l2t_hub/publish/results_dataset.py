"""A dataset repo of scores that many people append to: one row for each (model, revision, suite, cell).

Each result of one model on one suite is two files, named after the hash of what was measured: its rows as Parquet,
for `load_dataset`, and the whole result as JSON, for `l2t report`. So an append never changes a file, two writers
never conflict, and the same result is there once, whoever sends it.
"""

import hashlib
import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath

from l2t_hub.artifacts import CARD
from l2t_hub.errors import UserError
from l2t_hub.evaluate.merging import Result
from l2t_hub.evaluate.read_results import read_evaluation
from l2t_hub.evaluate.results import Evaluation, ModelScores
from l2t_hub.evaluate.score_rows import COLUMNS, alone, protocol_sha256, rows
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.failures import explain, hub_error
from l2t_hub.hub.retry import RetryPolicy, Say, retrying, status_of
from l2t_hub.publish.repository import RemoteRepo
from l2t_hub.publish.stage import ATTRIBUTES
from l2t_hub.publish.upload import wait_or_raise
from l2t_hub.records.bounds import is_repo
from l2t_hub.text import counted

ROWS, WHOLE = "data", "results"
OVERTAKEN = (409, 412)
"""What a Hub answers if another writer's commit came first."""
_MAX_OVERTAKEN = 100
_MAX_FILES = 10_000
_FILES_PER_COMMIT = 200


@dataclass(frozen=True)
class Appended:
    """What was sent to a results dataset, and how many of the results it had already."""

    repo: str
    url: str
    added: int
    known: int

    def summary(self) -> str:
        """Return it in a sentence."""
        known = f", {self.known} were there already" if self.known else ""
        return f"{self.repo}: {counted(self.added, 'result')} added{known}: {self.url}"


def identity(evaluation: Evaluation) -> str:
    """Return the hash of what the results of one model say: the model, the protocol and the counts, but no date."""
    (model,) = evaluation.models
    decides = [
        *(model.model, model.revision, model.weights_sha256, model.dtype, model.prefix_token),
        protocol_sha256(evaluation.protocol),
        [(row.phenomenon, row.correct, row.total) for row in model.phenomena],
    ]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def published(model: ModelScores) -> ModelScores:
    """Return a model's scores without the path of a directory on this machine."""
    on_hub = model.revision is not None and is_repo(model.model.partition("@")[0])
    name = model.model if on_hub else PurePath(model.model).name or model.label
    return replace(model, model=name, label=PurePath(model.label).name or model.label)


def result_files(evaluations: Sequence[Evaluation]) -> dict[str, bytes]:
    """Return the files of some results by their paths in the repo."""
    files: dict[str, bytes] = {}
    for evaluation in evaluations:
        for model in evaluation.models:
            own = alone(evaluation, published(model))
            name = identity(own)
            files[f"{ROWS}/{name}.parquet"] = _parquet(own)
            files[f"{WHOLE}/{name}.json"] = (json.dumps(asdict(own), ensure_ascii=False) + "\n").encode()
    return files


def _parquet(evaluation: Evaluation) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    table = pa.Table.from_pylist(list(rows(evaluation, evaluation.models[0])), schema=schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def append(
    evaluations: Sequence[Evaluation],
    repo: str,
    endpoint: Endpoint,
    *,
    private: bool = False,
    say: Say = print,
    policy: RetryPolicy | None = None,
) -> Appended:
    """Append results to a dataset repo, made if it is missing. Others may write to it at the same time.

    The same call continues an interrupted one. Raises UserError if the repo is something else, or the Hub fails.
    """
    remote = RemoteRepo(endpoint, "dataset", repo, policy or RetryPolicy(), say)
    files = result_files(evaluations)
    try:
        remote.sign_in()
        remote.create_if_missing(private)
        added = _append(remote, files)
    except UserError:
        raise
    except Exception as error:
        message, remedy = explain(error, endpoint.name, "write")
        raise UserError(
            f"{repo}: results were not sent: {message}", f"{remedy} Rerun the command: what was sent is kept."
        ) from error
    return Appended(repo, remote.url, added, len(files) // 2 - added)


def _append(remote: RemoteRepo, files: Mapping[str, bytes]) -> int:
    """Commit the files that are missing. After each failure it looks again: the commit may have been made."""
    sent: set[str] = set()
    failures = overtaken = 0
    while True:
        head = remote.head()
        paths = set(remote.tree(head))
        _check_kind(remote, paths)
        missing = {path: content for path, content in files.items() if path not in paths}
        if CARD not in paths:
            missing[CARD] = card(remote.repo_id).encode()
        if not missing:
            return len([path for path in sent if path.startswith(f"{WHOLE}/")])
        batch = dict(list(missing.items())[:_FILES_PER_COMMIT])
        try:
            sent |= batch.keys()
            _commit(remote, batch, head)
            failures = 0
        except Exception as error:
            if status_of(error) in OVERTAKEN and overtaken < _MAX_OVERTAKEN:
                overtaken += 1
                continue
            failures += 1
            wait_or_raise(remote, error, failures)


def _check_kind(remote: RemoteRepo, paths: set[str]) -> None:
    """Raise UserError if the repo has anything but results."""
    for path in sorted(paths - {CARD, ATTRIBUTES}):
        folder, _, name = path.partition("/")
        if (folder, PurePath(name).suffix) not in ((ROWS, ".parquet"), (WHOLE, ".json")):
            raise UserError(
                f"{remote.url}: not a dataset of results: it has {path}",
                "Give the name of a new repo, or of one that --push made.",
            )


def _commit(remote: RemoteRepo, files: Mapping[str, bytes], head: str) -> None:
    from huggingface_hub import CommitOperationAdd

    results = sum(path.startswith(f"{WHOLE}/") for path in files)
    with warnings.catch_warnings():  # about a card without a licence: which one holds is not ours to say
        warnings.simplefilter("ignore", UserWarning)
        remote.api.create_commit(
            remote.repo_id,
            [CommitOperationAdd(path, content) for path, content in files.items()],
            commit_message=f"Add {counted(results, 'result')}",
            repo_type="dataset",
            parent_commit=head,
        )


def card(repo: str) -> str:
    """Return the card of a results dataset. It says nothing that an append would change."""
    from huggingface_hub import DatasetCardData

    from l2t_hub.templates import render_card

    metadata = DatasetCardData(
        pretty_name=f"Scores in {repo}",
        tags=["l2t", "evaluation", "results"],
        configs=[{"config_name": "default", "data_files": [{"split": "train", "path": f"{ROWS}/*.parquet"}]}],
    )
    return render_card("results.md.j2", metadata, {"repo": repo, "columns": list(COLUMNS)})


def fetch_results(repo: str, commit: str, say: Callable[[str], None]) -> list[Result]:
    """Download the results of a dataset repo at a commit. A file that is not what its name says is left out, named.

    Raises UserError if the repo has no results or cannot be read.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import ENDPOINT

    def fetch() -> str:
        return snapshot_download(
            repo, repo_type="dataset", revision=commit, allow_patterns=[f"{WHOLE}/*.json"]
        )

    try:
        directory = Path(retrying(fetch, f"downloading {repo}", RetryPolicy(), say))
    except Exception as error:
        raise hub_error(error, f"{repo}: download failed", str(ENDPOINT)) from error
    found, wrong = [], []
    for file in sorted((directory / WHOLE).glob("*.json"))[:_MAX_FILES]:
        try:
            evaluation = read_evaluation(file)
            if len(evaluation.models) != 1 or identity(evaluation) != file.stem:
                raise UserError("its name is not the hash of what it says")
        except UserError as error:
            wrong.append(f"{file.name[:16]}: {error.message.rpartition(': ')[2]}")
            continue
        model = evaluation.models[0]
        found.append(Result(f"{repo}: {model.label}", file, evaluation))
    if wrong:
        say(f"{repo}: left out {counted(len(wrong), 'file')} that are not results: {'; '.join(wrong[:3])}")
    if not found:
        raise UserError(f"{repo}: not a dataset of results", "Results get there with `l2t report --push`.")
    return found
