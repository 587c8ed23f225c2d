"""Puts data files that a person has on disk onto the local Hub, under the name that a benchmark loads them by."""

import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.names import check_hub_name
from l2t_hub.text import counted

DEFAULT_CONFIG, DEFAULT_SPLIT = "default", "train"
LOADERS = {
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
}
MAX_CONFIGS = 1000


@dataclass(frozen=True)
class Seeded:
    """What was put onto the local Hub: rows by configuration and split."""

    repo: str
    url: str
    rows: dict[str, dict[str, int]]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {"repo": self.repo, "url": self.url, "rows": self.rows}

    def summary(self) -> str:
        """Return it in a sentence."""
        total = sum(sum(splits.values()) for splits in self.rows.values())
        configs = (
            f"{len(self.rows)} configurations"
            if len(self.rows) > 1
            else f"configuration {next(iter(self.rows))}"
        )
        return f"{self.repo}: {counted(total, 'row')} in {configs}: {self.url}"


def seed(
    endpoint: Endpoint, files: Sequence[str], repo: str, *, config: str | None = None, by: str | None = None
) -> Seeded:
    """Put files onto the local Hub as the dataset `repo`. What it has in other configurations stays.

    `files` are paths or SPLIT=PATH; without a split they are `train`. They become the configuration `config`, or with
    `by` one configuration for each value of that column, as BLiMP has one for each paradigm.

    Raises UsageError for another Hub than the local one, a wrong name, a file that is missing or of an unknown kind,
    or a missing column; UserError if a file cannot be read.
    """
    if not endpoint.is_local_hub:
        raise UsageError(
            f"{endpoint.url}: data are seeded on a local Hub only", "Use --hub local or --hub local:DIR."
        )
    from datasets import disable_progress_bars

    check_hub_name(repo, nearby=False)
    if not sys.stderr.isatty():
        disable_progress_bars()
    if config is not None and by is not None:
        raise UsageError("--config and --by both name the configurations", "Give one of them.")
    tables = _load(_by_split(files))
    configs = _split_by(tables, by) if by else {config or DEFAULT_CONFIG: tables}
    return _upload(endpoint, repo, configs)


def _by_split(files: Sequence[str]) -> dict[str, list[Path]]:
    splits: dict[str, list[Path]] = defaultdict(list)
    for text in files:
        split, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            split, path = DEFAULT_SPLIT, text
        if not Path(path).is_file():
            raise UsageError(f"{path}: no such file")
        if Path(path).suffix.lower() not in LOADERS:
            raise UsageError(f"{path}: unknown kind of data", f"Known endings: {', '.join(LOADERS)}.")
        splits[split].append(Path(path))
    return dict(splits)


def _load(splits: dict[str, list[Path]]) -> dict[str, Any]:
    from datasets import concatenate_datasets, load_dataset

    tables: dict[str, Any] = {}
    for split, paths in splits.items():
        parts = []
        for path in paths:
            suffix = path.suffix.lower()
            options: dict[str, Any] = {"sep": "\t"} if suffix == ".tsv" else {}
            try:
                parts.append(load_dataset(LOADERS[suffix], data_files=str(path), split="train", **options))
            except Exception as error:  # datasets raises errors of many types for damaged files
                cause = error.__cause__ or error
                raise UserError(f"{path}: cannot be read: {str(cause).strip().split(chr(10))[0]}") from error
        try:
            tables[split] = concatenate_datasets(parts)
        except (ValueError, TypeError) as error:
            raise UserError(f"split {split}: its files have different columns: {error}") from error
    return tables


def _split_by(tables: dict[str, Any], column: str) -> dict[str, dict[str, Any]]:
    configs: dict[str, dict[str, Any]] = defaultdict(dict)
    for split, table in tables.items():
        if column not in table.column_names:
            raise UsageError(f"no column '{column}'. {nearest(column, table.column_names)}")
        rows: dict[str, list[int]] = defaultdict(list)
        for i, value in enumerate(table[column]):
            rows[str(value)].append(i)
        if len(rows) > MAX_CONFIGS:
            raise UsageError(
                f"column '{column}' has {len(rows):,} values: more than {MAX_CONFIGS:,} configurations"
            )
        for value, chosen in rows.items():
            configs[value][split] = table.select(chosen)
    return dict(configs)


def _upload(endpoint: Endpoint, repo: str, configs: dict[str, dict[str, Any]]) -> Seeded:
    """Commit one Parquet file for each configuration and split, and the card that says where they are."""
    from huggingface_hub import CommitOperationAdd, DatasetCard, HfApi
    from huggingface_hub.errors import EntryNotFoundError

    api = HfApi()
    api.create_repo(repo, repo_type="dataset", exist_ok=True)
    known: dict[str, Any] = {}
    try:
        card = DatasetCard(
            Path(api.hf_hub_download(repo, "README.md", repo_type="dataset")).read_text("utf-8")
        )
        known = {entry["config_name"]: entry for entry in card.data.get("configs") or []}
    except EntryNotFoundError:
        card = DatasetCard("---\n{}\n---\nData put onto the local Hub by `l2t hub seed`.\n")
    with tempfile.TemporaryDirectory(prefix="l2t-seed-") as scratch:
        operations = []
        for number, (name, splits) in enumerate(configs.items()):
            entry: dict[str, Any] = {"config_name": name, "data_files": []}
            for split, table in splits.items():
                file, target = Path(scratch) / f"{number}-{split}.parquet", f"{name}/{split}.parquet"
                table.to_parquet(str(file))
                operations.append(CommitOperationAdd(target, file))
                entry["data_files"].append({"split": split, "path": target})
            known[name] = entry
        card.data["configs"] = list(known.values())
        operations.append(CommitOperationAdd("README.md", str(card).encode()))
        with warnings.catch_warnings():  # about a card without a licence: which one holds is not ours to say
            warnings.simplefilter("ignore", UserWarning)
            api.create_commit(repo, operations, commit_message="Add data", repo_type="dataset")
    rows = {name: {split: len(table) for split, table in splits.items()} for name, splits in configs.items()}
    return Seeded(repo, endpoint.repo_url("dataset", repo), rows)
