"""Any set of minimal pairs as a suite: what a user asks for, checked and kept as YAML, and the pairs themselves."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from l2t_hub.artifacts import write_text
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate.own_items import Document, OwnItems, own_items
from l2t_hub.evaluate.pair_files import BAD, GOOD, PLACE, Row, column_of, read_rows
from l2t_hub.records.reading import explain, read_bounded

EVERYTHING = "all pairs"
SUFFIXES = (".yaml", ".yml")
TOO_LONG = "a sentence is longer than one of the models reads"


class PairSpec(BaseModel):
    """Which pairs to score, and how they are grouped. Its keys are those of a suite file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]{0,59}$")
    """Name of the suite."""
    pairs: str = Field(min_length=1, max_length=4096)
    """A file, a pattern, or a dataset on the Hub; relative paths start at the suite file."""
    good: str = GOOD
    """Column of the acceptable sentences."""
    bad: str = BAD
    """Column of the unacceptable sentences."""
    by: tuple[str, ...] = Field(default=(), max_length=8)
    """Columns to group by: the first names the phenomenon, the others the paradigm."""
    first: Literal["good", "bad"] | None = None
    """Text files: which of two lines comes first."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Hash of the pairs; others are refused."""


def spec_from(pairs: str, **keys: Any) -> PairSpec:
    """Return the spec for pairs given on the command line, named after their file. Raises UsageError."""
    stem = pairs.partition("#")[0].partition("@")[0]
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(stem).stem).strip("-._") or "pairs"
    return _checked({"name": name[:60], "pairs": pairs} | keys, "--pairs")


def read_spec(path: Path) -> PairSpec:
    """Read a suite file. Raises UsageError if it is missing, not YAML, or has a wrong or unknown key."""
    try:
        tree = yaml.safe_load(read_bounded(path, 1 << 20).decode())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise UsageError(f"{path}{f':{mark.line + 1}' if mark else ''}: not valid YAML") from None
    except UserError as error:
        raise UsageError(error.message, "Suites in files have the ending .yaml.") from None
    if not isinstance(tree, dict):
        raise UsageError(f"{path}: not a suite: it needs the keys name and pairs")
    return _checked(tree, str(path))


def _checked(tree: dict[Any, Any], where: str) -> PairSpec:
    try:
        return PairSpec.model_validate(tree)
    except ValidationError as error:
        keys = ", ".join(PairSpec.model_fields)
        raise UsageError(f"{where}: {explain(error, PairSpec)}", f"Keys of a suite: {keys}.") from None


def write_spec(spec: PairSpec, pairs: OwnItems, path: Path) -> None:
    """Keep a suite as YAML, with the hash of its pairs. Raises UsageError for a wrong ending, UserError on failure.

    A path to files is written as an absolute one, so that the suite file can lie anywhere.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: a suite file has the ending .yaml")
    tree = spec.model_copy(update={"sha256": pairs.sha256}).model_dump(mode="json", exclude_defaults=True)
    found = Path(spec.pairs)
    if found.exists() or any(mark in spec.pairs for mark in "*?["):
        tree["pairs"] = str(found.absolute())
    write_text(path, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


def read_pairs(spec: PairSpec, base: Path) -> OwnItems:
    """Read and check the pairs. Rows with equal or empty sentences are left out and counted.

    Raises UsageError for a missing column, UserError for unreadable data, if no pair is left, or if the pairs are not
    those of `spec.sha256`.
    """
    pairs = own_items(
        spec.pairs,
        "pair",
        read_rows(spec.pairs, base, spec.first),
        lambda row, number: _document(spec, row, number),
        _problem,
        pairs_task,
    )
    if spec.sha256 not in (None, pairs.sha256):
        raise UserError(
            f"suite '{spec.name}': {spec.pairs} has other pairs than when the suite was written",
            f"Expected SHA-256 {str(spec.sha256)[:16]}..., found {pairs.sha256[:16]}... "
            "If the change is intended, write the suite again: scores on other pairs are not comparable.",
        )
    return pairs


def _document(spec: PairSpec, row: Row, number: int) -> Document:
    good, bad = (_value(row, column, text=True) for column in (spec.good, spec.bad))
    groups = [_value(row, column, text=False) for column in spec.by]
    document = {
        "id": str(number),
        "phenomenon": groups[0] if groups else EVERYTHING,
        "good": good,
        "bad": bad,
    }
    return document | ({"paradigm": " / ".join(groups[1:] or groups)} if groups else {})


def _value(row: Row, column: str, *, text: bool) -> str:
    value = column_of(row, column)
    if value is None or isinstance(value, dict | list) or (text and not isinstance(value, str)):
        raise UserError(f"{row[PLACE]}: column '{column}' must be {'a text' if text else 'a name or number'}")
    return str(value).strip() if text else str(value)


def _problem(document: Document) -> str | None:
    if not document[GOOD] or not document[BAD]:
        return "an empty sentence"
    return "both sentences are equal" if document[GOOD] == document[BAD] else None


def readable_pairs(pairs: OwnItems, readers: Sequence[tuple[Any, int]]) -> OwnItems:
    """Leave out the pairs with a sentence that is longer than the context of any model, for all of them.

    `readers` are the models' tokenizers, and the numbers of tokens that they read. Raises UserError if none is left.
    """
    long = {
        document["id"]
        for tokenizer, size in readers
        for document in _longer(pairs.documents, tokenizer, size)
    }
    if not long:
        return pairs
    kept = tuple(document for document in pairs.documents if document["id"] not in long)
    first = next(document["id"] for document in pairs.documents if document["id"] in long)
    if not kept:
        raise UserError(
            f"pair {first} is longer than one of the models reads, and so are all others",
            "Give shorter sentences.",
        )
    return replace(
        pairs,
        documents=kept,
        dropped={**pairs.dropped, TOO_LONG: len(long)},
        first_dropped={**pairs.first_dropped, TOO_LONG: f"pair {first}"},
    )


def _longer(documents: Sequence[Document], tokenizer: Any, size: int) -> list[Document]:
    # A text has hardly more tokens than bytes, and most are far shorter: few are encoded.
    candidates = [
        document
        for document in documents
        if any(len(document[side].encode()) + 8 > size for side in (GOOD, BAD))
    ]
    texts = [f" {document[side]}" for document in candidates for side in (GOOD, BAD)]
    lengths = [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []
    return [
        document
        for document, one, other in zip(candidates, lengths[::2], lengths[1::2], strict=True)
        if max(one, other) > size
    ]


def pairs_task(name: str, documents: Sequence[Document]) -> dict[str, Any]:
    """Return the lm-eval task for some pairs. As in the harness's BLiMP, a space precedes each sentence."""

    def data(**_: Any) -> dict[str, Any]:
        from datasets import Dataset

        return {"test": Dataset.from_list(list(documents))}

    def choices(document: Document) -> list[str]:
        return [document[GOOD], document[BAD]]

    return {
        "task": f"pairs_{name}",
        "custom_dataset": data,
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "",
        "doc_to_choice": choices,
        "doc_to_target": 0,
        "num_fewshot": 0,
        "target_delimiter": " ",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }
