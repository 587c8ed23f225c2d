"""The record of a release, `l2t_release.json`: its table of contents, which says what belongs to it."""

import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from l2t_hub.artifacts import RELEASE_RECORD
from l2t_hub.records.bounds import Count, FirstFormat, OneByOne, Sha256
from l2t_hub.records.file_list import ExpectedFile
from l2t_hub.records.reading import FileRecord
from l2t_hub.records.repo_path import RepoPath, same_name

Kind = Literal["dataset", "model", "space"]
# JSON has no tuples: what is read is a list of two.
SizeAndHash = Annotated[tuple[Count, Sha256], Field(strict=False)]


class ReleaseRecord(FileRecord):
    """What a dataset, model or Space was released with. `files` has size in bytes and SHA-256 of each, by path.

    The paths are not bound to the folders of a dataset or model, since a release may contain other files too.
    """

    FILE = RELEASE_RECORD
    WHAT = "the record of a release"
    REMEDY = "Release it again with `l2t release`."

    files: Annotated[dict[RepoPath, SizeAndHash], OneByOne, Field(max_length=1_000_000)]
    fingerprint: Sha256
    format: FirstFormat
    kind: Kind

    @model_validator(mode="after")
    def _no_name_twice(self) -> Self:
        both = same_name(self.files)
        if both:
            raise ValueError(f"files: {both[0]} and {both[1]} are the same file")
        return self

    def expected(self) -> dict[str, ExpectedFile]:
        """Return what the record says of each file, by path."""
        return {path: ExpectedFile(digest, size) for path, (size, digest) in self.files.items()}

    def content(self) -> bytes:
        """Return the bytes of the file. One line: git cannot merge the tables of two releases into a third."""
        tree = self.as_dict()
        return (json.dumps(tree, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
