"""What a release lists: its record and, for a dataset, its manifest, which must agree."""

from collections.abc import Container
from pathlib import Path

from l2t_hub.artifacts import MANIFEST
from l2t_hub.errors import UserError
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.records.file_list import ExpectedFile, compare_directory
from l2t_hub.records.release_record import ReleaseRecord


def listed_files(directory: Path, kind: str, name: str) -> dict[str, ExpectedFile]:
    """Return what the records in `directory` say of each file, by path; {} for a model that l2t did not release.

    `name` is what errors call the release. Raises UserError if a dataset has no manifest, if a record is malformed or
    of another kind, or if the two records say different things of a file.
    """
    record = ReleaseRecord.find(directory, name)
    if record is not None and record.kind != kind:
        raise UserError(f"{name}: {ReleaseRecord.FILE} is of a {record.kind}, not of a {kind}")
    listed = record.expected() if record is not None else {}
    if kind != "dataset":
        return listed
    manifest = Manifest.find(directory, name)
    if manifest is None:
        raise UserError(
            f"{name}: not a dataset of l2t: it has no {MANIFEST}", "Datasets made by `l2t build` have one."
        )
    for path, expected in manifest.expected().items():
        released = listed.setdefault(path, expected) if record is None else listed.get(path)
        same = released is not None and (expected.is_card or released.sha256 == expected.sha256)
        if released is None or not same or expected.size not in (None, released.size):
            raise UserError(
                f"{name}: {MANIFEST} and {ReleaseRecord.FILE} do not agree on {path}", ReleaseRecord.REMEDY
            )
    return listed


def release_problems(directory: Path, kind: str, skipped: Container[str] = ()) -> list[str]:
    """Compare a directory with the record of its release, a sentence for each problem; [] if it has none.

    `skipped` are files that a download left out. Raises UserError if the record is malformed.
    """
    record = ReleaseRecord.find(directory)
    if record is None:
        return []
    if record.kind != kind:
        return [f"{ReleaseRecord.FILE}: it is of a {record.kind}, not of a {kind}"]
    fetched = {path: facts for path, facts in record.expected().items() if path not in skipped}
    different = compare_directory(directory, fetched, ReleaseRecord.FILE)
    return [f"{path}: {problem}" for path, problem in different.items()]
