"""Where the scoreboard's figures come from: the results in model directories and repos, and results datasets.

Anybody may have written them. So sizes are bounded before a download, every file goes through the reader of results,
and a source that cannot be read is named while the others are shown.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.evaluate.merging import Result
from l2t_hub.evaluate.read_results import MAX_BYTES, read_evaluation
from l2t_hub.report.result_sources import find_results, score_paths
from l2t_hub.text import counted

MAX_FILES = 20
SMALL_SAMPLES = 8_000_000
"""Bytes of a file of scored examples that is downloaded with the results: those of the probes with ten models."""
MAX_SAMPLES = 256_000_000
"""Bytes of a file of scored examples that is downloaded when a cell is opened: those of BLiMP with six models."""
KEPT_SECONDS = 600
"""After this time the results of a source are read again."""
KEPT_SOURCES = 64
_RESULTS = re.compile(r"eval/([A-Za-z0-9][A-Za-z0-9._-]{0,99})\.json")


@dataclass(frozen=True)
class ScoreSource:
    """A model or, with `dataset`, a results dataset. Only a place that the owner of the page named may be a path."""

    name: str
    place: str
    revision: str | None = None
    owners: bool = False
    dataset: bool = False


@dataclass(frozen=True)
class RepoFile:
    """A file of a model repo at a commit, and its bytes. For guests it is fetched without the owner's token."""

    repo: str
    commit: str
    path: str
    size: int
    guests: bool

    def fetch(self) -> Path:
        """Download it. Raises UserError."""
        from l2t_hub.hub.download import fetch_file

        return fetch_file(self.repo, "model", self.commit, self.path, anonymous=self.guests, say=_silent)


@dataclass(frozen=True)
class SourceScores:
    """The results of a source, what was wrong with it, and the files of examples that are not downloaded yet.

    `later` maps the path of results to their file of scored examples.
    """

    source: ScoreSource
    results: tuple[Result, ...]
    problems: tuple[str, ...] = ()
    later: Mapping[Path, RepoFile] = field(default_factory=dict)


def source_reader(kept_seconds: float = KEPT_SECONDS) -> Callable[[ScoreSource], SourceScores]:
    """Return a function that reads the results of a source and keeps them for some minutes."""

    @lru_cache(maxsize=KEPT_SOURCES)
    def kept(source: ScoreSource, period: int) -> SourceScores:
        return read_source(source)

    return lambda source: kept(source, int(time.monotonic() / kept_seconds))


def read_source(source: ScoreSource) -> SourceScores:
    """Return the results of a source. What is wrong with it is said in `problems`, and never raised."""
    try:
        if source.owners and Path(source.place).exists():
            return _local(source)
        return _dataset(source) if source.dataset else _model_repo(source)
    except UserError as error:
        return SourceScores(source, (), (_named(source, error.message),))


def _named(source: ScoreSource, problem: str) -> str:
    return problem if source.place in problem or source.name in problem else f"{source.name}: {problem}"


def _local(source: ScoreSource) -> SourceScores:
    return _read(source, [(path, f"{source.name}: {path.name}") for path in score_paths(Path(source.place))])


def _read(source: ScoreSource, files: Sequence[tuple[Path, str]]) -> SourceScores:
    """Read files of results, each with its name for messages. A wrong one does not hide the others."""
    found, problems = [], []
    for path, name in files:
        try:
            found.append(Result(name, path, read_evaluation(path)))
        except UserError as error:
            # The path is one in the cache of this machine, which tells a reader nothing.
            problems.append(f"{name}: {error.message.replace(f'{path}: ', '').replace(str(path), path.name)}")
    if not found and not problems:
        problems.append(
            f"{source.name}: no results. `l2t eval` makes them, and `l2t release` sends them along."
        )
    return SourceScores(source, tuple(found), tuple(problems))


def _dataset(source: ScoreSource) -> SourceScores:
    said: list[str] = []
    name = f"{source.place}@{source.revision}" if source.revision else source.place
    return SourceScores(source, tuple(find_results([name], said.append).scores), tuple(said))


def _model_repo(source: ScoreSource) -> SourceScores:
    """Read the results in the folder `eval/` of a model repo, and small files of scored examples with them."""
    from l2t_hub.hub.download import file_sizes, parse_name

    repo, revision = parse_name(source.place, source.revision)
    guests = not source.owners
    commit, sizes = file_sizes(repo, "model", revision, anonymous=guests, say=_silent)
    wanted = sorted(path for path in sizes if _RESULTS.fullmatch(path))
    problems = []
    if len(wanted) > MAX_FILES:
        problems.append(
            f"{source.name}: only the first {MAX_FILES} of {counted(len(wanted), 'file')} in eval/ are read."
        )
    files, later = [], {}
    for path in wanted[:MAX_FILES]:
        if sizes[path] > MAX_BYTES:
            problems.append(f"{source.name}: {path}: larger than results are, and not read.")
            continue
        local = RepoFile(repo, commit, path, sizes[path], guests).fetch()
        files.append((local, f"{source.name}: {Path(path).name}"))
        samples = path.removesuffix(".json") + ".samples.jsonl"
        if samples in sizes:
            later[local] = RepoFile(repo, commit, samples, sizes[samples], guests)
            if sizes[samples] <= SMALL_SAMPLES:
                later[local].fetch()
    read = _read(source, files)
    return SourceScores(source, read.results, (*problems, *read.problems), later)


def _silent(line: str) -> None:
    """Progress of downloads is not shown on the page."""


def fetch_samples(file: RepoFile) -> None:
    """Download a file of scored examples beside its results. Raises UserError if it is too large."""
    if file.size > MAX_SAMPLES:
        raise UserError(
            f"{file.repo}: {file.path} has {counted(file.size // 1_000_000, 'megabyte')}, more than the page reads",
            f"`l2t report {file.repo}` reads it on your machine.",
        )
    file.fetch()
