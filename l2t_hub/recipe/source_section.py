"""The keys of a recipe's source."""

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from l2t_hub.recipe.section import DoesNotApplyError, Section
from l2t_hub.records import bounds


class SourceSection(Section):
    """Where the text comes from."""

    path: str | None = None
    """`bundled:sample`, or a file, a directory or a glob of Parquet, JSON, JSON Lines, CSV, TSV or text files. All
    but Parquet may be compressed (.gz, .bz2, .xz, .zst)."""
    dataset: str | None = None
    """A Hub dataset, as `namespace/name`, which is streamed. Set either this or `path`."""
    config: str | None = None
    """Configuration of the Hub dataset."""
    split: str = "train"
    """Split of the Hub dataset."""
    revision: str | None = None
    """Revision of the Hub dataset. Only a commit hash makes the recipe reproducible."""
    data_files: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Hub datasets of Parquet files: globs that choose among the files of the split; null takes all."""
    text_column: str = "text"
    """Column with the text of a document. A dotted name refers to a nested column."""
    id_column: str | None = "id"
    """Column with the id of a document; null numbers documents by file and row."""
    token_count_column: str | None = None
    """Column with the token count of a document; null counts the tokens."""
    language: str | tuple[str, ...] = "en"
    """Language of the text: a code of ISO 639 such as `de`, a list of codes for mixed text, or a folder with the data
    of a language of your own, as a path with a slash."""
    language_column: str | None = None
    """Column with the language of each document, for mixed text; null detects which of `language` it is."""
    split_on: Literal["none", "lines", "blank_lines"] | int = "none"
    """Text files: none makes a file one document, lines and blank_lines make one of each line or paragraph, a number
    one of about that many words, up to the end of a sentence."""
    encoding: str = "auto"
    """Text, CSV and JSON files: their encoding, such as latin-1; auto is UTF-8, or else detected in text and CSV."""
    delimiter: str | None = None
    """CSV files: the character between fields; null takes the one with which the header has the columns."""
    duplicates: Literal["keep", "exact", "near"] = "keep"
    """Training documents that repeat an earlier one: keep them, drop exact copies, or also nearly identical ones
    (MinHash of 8-word shingles). Takes one more pass over the source."""
    limit: int | None = Field(default=None, ge=1, le=bounds.MAX_RECORDS)
    """Number of documents to read, from the start of the source; null reads all."""
    title: str | None = None
    """Title of the source, for the dataset card."""
    license: str | None = None
    """Licence of the text as a Hub identifier (`cc0-1.0`, `odc-by`), for the dataset card."""
    url: str | None = None
    """Web page that describes the source, for the dataset card."""

    @model_validator(mode="after")
    def _path_or_dataset(self) -> Self:
        if self.path is None and self.dataset is None:
            raise ValueError("`source.path` or `source.dataset` is required")
        if self.path is not None and self.dataset is not None:
            raise DoesNotApplyError(
                "`source.path` and `source.dataset` exclude each other; set one of them to null",
                ("source.path", "source.dataset"),
                ("source.dataset", "source.path"),
            )
        for key in ("config", "revision", "data_files"):
            if self.path is not None and getattr(self, key):
                raise DoesNotApplyError(
                    f"`source.{key}` applies to a Hub dataset, not to `source.path`",
                    (f"source.{key}", "source.path"),
                )
        for key in ("split_on", "encoding", "delimiter"):
            if self.dataset is not None and getattr(self, key) != type(self).model_fields[key].default:
                raise DoesNotApplyError(
                    f"`source.{key}` applies to `source.path`, not to a Hub dataset",
                    (f"source.{key}", "source.dataset"),
                )
        return self

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes or folders of `language`."""
        return (self.language,) if isinstance(self.language, str) else self.language

    @model_validator(mode="after")
    def _languages_are_codes(self) -> Self:
        if not self.languages:
            raise ValueError("`source.language` must name at least one language")
        for name in self.languages:
            if "/" not in name and not re.fullmatch(r"[a-z]{2,3}", name):
                raise ValueError(
                    f"`source.language` must be a code of ISO 639 such as de, or a path with a slash, not {name!r}"
                )
        return self

    @model_validator(mode="after")
    def _text_keys_are_good(self) -> Self:
        if isinstance(self.split_on, int) and not 1 <= self.split_on <= bounds.MAX_BLOCK_TOKENS:
            raise ValueError(f"`source.split_on` must be a number of words, not {self.split_on}")
        if self.encoding != "auto" and not _is_encoding(self.encoding):
            raise ValueError(
                f"`source.encoding` must be auto or an encoding of Python, such as latin-1, cp1252 or utf-16, not "
                f"{self.encoding!r}"
            )
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise ValueError(
                f'`source.delimiter` must be one character, such as ";" or "\\t", not {self.delimiter!r}'
            )
        return self


def _is_encoding(name: str) -> bool:
    """Whether Python has a text encoding of this name."""
    try:
        return bool("text".encode(name))
    except (LookupError, ValueError):
        return False
