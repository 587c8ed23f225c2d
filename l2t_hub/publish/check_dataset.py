"""The checks of a dataset before its release: a correct manifest, configs that match files, one schema per config."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from l2t_hub.artifacts import CARD, MANIFEST
from l2t_hub.dataset.keys import key_problems
from l2t_hub.errors import UserError, nearest
from l2t_hub.publish.stage import StagedFile, StagedRelease
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.file_list import file_problem, is_loaded
from l2t_hub.text import counted


def dataset_problems(staged: StagedRelease, card: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a staged dataset whose card has the front matter `card`."""
    return _manifest_problems(staged) + _config_problems(staged, card)


# -- the manifest ---------------------------------------------------------------------------------------------


def _manifest_problems(staged: StagedRelease) -> list[str]:
    """Compare the staged files with the manifest, both ways, and the fingerprint with what it is made of."""
    files = {file.path: file for file in staged.files}
    if MANIFEST not in files:
        return [f"{MANIFEST}: missing"]
    try:
        manifest = Manifest.parse(files[MANIFEST].read(), MANIFEST)
    except UserError as error:
        return [error.message]
    listed = manifest.expected()
    problems = [
        f"{path}: {problem}"
        for path, expected in listed.items()
        if (problem := file_problem(files.get(path), expected, MANIFEST))
    ]
    problems += (f"{path}: missing, but other shards count it" for path in manifest.missing_shards())
    problems += key_problems(manifest)
    strays = [path for path in files if path not in listed and is_loaded("dataset", path)]
    return problems + [f"{path}: not listed in {MANIFEST}, so its origin is unknown" for path in strays]


# -- configs --------------------------------------------------------------------------------------------------


def _config_problems(staged: StagedRelease, card: Mapping[str, Any]) -> list[str]:
    configs = card.get("configs")
    if configs in (None, []):
        return []  # reported as a missing key
    if not isinstance(configs, list) or not all(isinstance(c, dict) for c in configs):
        return [f"{CARD}: `configs` must be a list of mappings"]
    problems = []
    names = [str(config.get("config_name", "")) for config in configs]
    problems += [
        f"{CARD}: two configs have the name {name}"
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
    if "" in names:
        problems.append(f"{CARD}: a config has no `config_name`")
    if sum(config.get("default") is True for config in configs) > 1:
        problems.append(f"{CARD}: more than one config is the default")
    infos = _infos(card)
    for name, config in zip(names, configs, strict=True):
        problems += _one_config(staged, name, config.get("data_files"), infos.get(name, {}))
    return problems


def _infos(card: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    infos = card.get("dataset_info", [])
    rows = infos if isinstance(infos, list) else [infos]
    return {str(row.get("config_name", "default")): row for row in rows if isinstance(row, dict)}


def _one_config(staged: StagedRelease, name: str, data_files: object, info: Mapping[str, Any]) -> list[str]:
    where = f"{CARD}: config {name}"
    patterns, problems = _patterns(data_files)
    if problems or not patterns:
        return [f"{where}: {problem}" for problem in problems or ["no `data_files`"]]
    examples: dict[str, int] = {}
    shards: list[StagedFile] = []
    for split, pattern in patterns:
        files = matching_files(staged.files, pattern)
        if not files:
            folder = pattern.split("*")[0].rpartition("/")[0]
            nearby = {f.path for f in staged.files if f.path.startswith(folder)} or set(staged.paths())
            problems.append(f"{where}: no file matches {pattern}. {nearest(pattern, sorted(nearby)[:40])}")
        tables = [file for file in files if file.path.endswith(".parquet")]
        problems += [
            f"{where}: {pattern} also matches {f.path}, which is not a Parquet file"
            for f in files
            if f not in tables
        ]
        shards += tables
        rows, broken = _rows(tables)
        problems += broken
        examples[split] = examples.get(split, 0) + rows
    if not problems:
        problems += _schema_problems(where, shards) + _count_problems(where, examples, info)
    return problems


def _patterns(data_files: object) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the (split, pattern) pairs of `data_files`, in any of the Hub's three forms, and what is wrong."""
    if isinstance(data_files, str):
        return [("train", data_files)], []
    if not isinstance(data_files, list):
        return [], ["`data_files` must be a pattern or a list"]
    pairs: list[tuple[str, str]] = []
    for row in data_files:
        if isinstance(row, str):
            pairs.append(("train", row))
            continue
        paths = row.get("path") if isinstance(row, dict) else None
        paths = [paths] if isinstance(paths, str) else paths
        if not isinstance(row, dict) or not isinstance(paths, list) or "split" not in row:
            return [], ["each entry of `data_files` needs `split` and `path`"]
        pairs += [(str(row["split"]), str(path)) for path in paths]
    return pairs, []


def matching_files(files: Iterable[StagedFile], pattern: str) -> list[StagedFile]:
    """Return the files that match a glob of the Hub: `*` matches within one folder, `**` across folders."""
    return [file for file in files if _matches(tuple(file.path.split("/")), tuple(pattern.split("/")))]


@cache
def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _rows(files: Iterable[StagedFile]) -> tuple[int, list[str]]:
    import pyarrow.parquet as pq

    rows, problems = 0, []
    for file in files:
        try:
            rows += pq.read_metadata(file.source).num_rows
        except (OSError, ValueError) as error:
            problems.append(f"{file.path}: not a readable Parquet file: {str(error).splitlines()[0]}")
    return rows, problems


def _schema_problems(where: str, files: list[StagedFile]) -> list[str]:
    import pyarrow.parquet as pq

    first = pq.read_schema(files[0].source)
    for file in files[1:]:
        schema = pq.read_schema(file.source)
        if schema.equals(first, check_metadata=False):
            continue
        ours, theirs = (
            dict(zip(schema.names, schema.types, strict=True)),
            dict(zip(first.names, first.types, strict=True)),
        )
        odd = next((n for n in [*theirs, *ours] if ours.get(n) != theirs.get(n)), None)
        what = (
            f"column {odd} is {ours.get(odd, 'missing')}, not {theirs.get(odd, 'missing')}"
            if odd
            else "the order of columns differs"
        )
        return [f"{where}: the schema of {file.path} differs from that of {files[0].path}: {what}"]
    return []


def _count_problems(where: str, examples: Mapping[str, int], info: Mapping[str, Any]) -> list[str]:
    splits = info.get("splits")
    rows = splits if isinstance(splits, list) else []
    stated = {str(row.get("name")): row.get("num_examples") for row in rows if isinstance(row, dict)}
    return [
        f"{where}: `dataset_info` gives {counted(int(stated[split] or 0), 'example')} in {split}, "
        f"but the files have {count}"
        for split, count in examples.items()
        if isinstance(stated.get(split), int) and stated[split] != count
    ]
