"""The packed view as training reads it: opened and checked, in an order that is a function of (seed, epoch), and
collated into batches whose labels and positions are what the recipe asks for.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler

from l2t_hub.artifacts import PACKED, TOKENIZER
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe
from l2t_hub.tokens.load import TOKENIZER_FILE, load_exact_tokenizer
from l2t_hub.train.locate import DatasetLocation
from l2t_hub.train.loss import IGNORED

Row = Mapping[str, Any]
Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class PackedData:
    """A packed view that fits the recipe: its shards per split, their rows, and the tokenizer it was made with."""

    name: str
    shards: dict[str, list[Path]]
    rows: dict[str, int]
    tokenizer: Any
    vocab_size: int

    @property
    def pad_token_id(self) -> int | None:
        """What a model should take for padding: the tokenizer's own, else its end-of-sequence token."""
        own = self.tokenizer.pad_token_id
        return int(own) if own is not None else self.tokenizer.eos_token_id

    def open(self, split: str, cache: Path) -> datasets.Dataset | None:
        """Give the rows of "train" or "validation", memory-mapped from an Arrow copy in `cache`; None for no rows."""
        return _rows(self.shards[split], cache) if self.rows[split] else None


def check_packed(dataset: DatasetLocation, recipe: Recipe) -> PackedData:
    """Check the packed view of a dataset against the recipe by its tokenizer and the footers of its shards.

    Raises UserError for a missing or broken view or tokenizer, an empty training split, and ids the tokenizer
    does not know; UsageError for sequences of another length than the recipe's.
    """
    tokenizer = _tokenizer(dataset)
    vocab_size = 1 + max(tokenizer.get_vocab().values(), default=-1)
    shards = {split: _shards(dataset, split) for split in ("train", "validation")}
    rows = {s: sum(_check_shard(path, recipe, vocab_size) for path in paths) for s, paths in shards.items()}
    if rows["train"] == 0:
        raise UserError(
            f"{dataset.name}: the training split has no sequences",
            "Build from more text, or with a smaller `packing.sequence_length` or `validation.share`.",
        )
    return PackedData(dataset.name, shards, rows, tokenizer, vocab_size)


def epoch_order(rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Give the order in which one epoch reads `rows` rows: a permutation that (seed, epoch) decides alone."""
    address = hashlib.blake2b(f"{seed}/training order/{epoch}".encode(), digest_size=16).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(address, "big")))
    order: NDArray[np.int64] = generator.permutation(rows)
    return order


class PackOrder(Sampler[int]):
    """The rows of a whole run, epoch after epoch without a gap: a batch may end one epoch and begin the next."""

    def __init__(self, rows: int, seed: int, length: int) -> None:
        self.rows, self.seed, self.length = rows, seed, length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        for epoch in range(-(-self.length // self.rows)):
            left = self.length - epoch * self.rows
            yield from epoch_order(self.rows, self.seed, epoch)[:left].tolist()


@dataclass(frozen=True)
class Collator:
    """Rows to a batch of (rows, sequence length) tensors: `input_ids`, `labels` and, per example, `position_ids`.

    Padding follows the texts of a row, so causal attention keeps it out of theirs; its labels are -100 unless
    `loss_on_padding`. With `attention` "example" positions start at 0 in every text (and in the padding), from
    which transformers builds the attention mask, and no text is asked to predict the first token of the next.
    """

    attention: str = "pack"
    loss_on_padding: bool = False

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Collate rows of `input_ids` (sequence length) and `lengths` (of the texts in it, in order)."""
        ids = torch.from_numpy(np.stack([row["input_ids"] for row in rows]).astype(np.int64))
        batch = {"input_ids": ids, "labels": ids.clone()}
        if self.attention == "example":
            positions = np.stack([_positions(row["lengths"], ids.shape[1]) for row in rows])
            batch["position_ids"] = torch.from_numpy(positions)
            batch["labels"][batch["position_ids"] == 0] = IGNORED
        if not self.loss_on_padding:
            filled = torch.tensor([int(np.sum(row["lengths"])) for row in rows])
            batch["labels"][torch.arange(ids.shape[1]) >= filled.unsqueeze(1)] = IGNORED
        return batch


def _positions(lengths: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Count from 0 in every text of a row, and in the padding after them."""
    parts = np.append(lengths, size - int(np.sum(lengths)))
    starts = np.cumsum(parts) - parts
    positions: NDArray[np.int64] = np.arange(size, dtype=np.int64) - np.repeat(starts, parts)
    return positions


def _shards(dataset: DatasetLocation, split: str) -> list[Path]:
    folder = dataset.directory / PACKED
    shards = sorted(folder.glob(f"{split}-*.parquet"))
    if split == "train" and not shards:
        raise UserError(
            f"{dataset.name}: no packed view: {PACKED}/train-*.parquet is missing",
            "Training reads the packed view; build the dataset with `build.packed: true`.",
        )
    return shards


def _check_shard(path: Path, recipe: Recipe, vocab_size: int) -> int:
    """Check from a shard's footer that columns, sequence length and ids fit recipe and tokenizer; give its rows."""
    try:
        with pq.ParquetFile(path) as file:
            schema, footer = file.schema_arrow, file.metadata
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path}: cannot be read: {error}", "Check the dataset with `l2t verify DIR`."
        ) from None
    missing = {"input_ids", "lengths"} - set(schema.names)
    if missing or not pa.types.is_fixed_size_list(schema.field("input_ids").type):
        what = f"column {sorted(missing)[0]} is missing" if missing else "input_ids is no fixed-size list"
        raise UserError(
            f"{path}: not a shard of the packed view: {what}", "Build the dataset with `l2t build`."
        )
    length = schema.field("input_ids").type.list_size
    if length != recipe.packing.sequence_length:
        raise UsageError(
            f"{recipe.where('packing.sequence_length')} is {recipe.packing.sequence_length}, but the sequences of "
            f"{path} have {length} tokens",
            f"Train with `--set packing.sequence_length={length}`, or build the dataset from this recipe.",
        )
    largest = _largest_id(footer)
    if largest is not None and largest >= vocab_size:
        raise UserError(
            f"{path}: token id {largest}, but the dataset's tokenizer has only {vocab_size} entries",
            f"Sequences and {TOKENIZER}/ do not belong together; build the dataset again.",
        )
    return int(footer.num_rows)


def _largest_id(footer: pq.FileMetaData) -> int | None:
    """The largest token id by the statistics of the row groups; None where a writer left them out."""
    found = []
    for group in range(footer.num_row_groups):
        for column in range(footer.num_columns):
            chunk = footer.row_group(group).column(column)
            if chunk.path_in_schema.startswith("input_ids.") and chunk.is_stats_set:
                found.append(chunk.statistics.max)
    return max((value for value in found if value is not None), default=None)


def _rows(shards: Sequence[Path], cache: Path) -> datasets.Dataset:
    """Give the shards' rows as numpy arrays by index."""
    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        rows = datasets.Dataset.from_parquet([str(path) for path in shards], cache_dir=str(cache))
    except (datasets.exceptions.DatasetGenerationError, pa.ArrowException, OSError) as error:
        raise UserError(
            f"{shards[0].parent}: cannot be read into {cache}: {error.__cause__ or error}",
            "If the disk is not full, check the dataset with `l2t verify DIR`.",
        ) from None
    finally:
        if bars:
            datasets.enable_progress_bars()
    return rows.select_columns(["input_ids", "lengths"]).with_format("numpy")


def _tokenizer(dataset: DatasetLocation) -> Any:
    folder = dataset.directory / TOKENIZER
    if not (folder / TOKENIZER_FILE).is_file():
        raise UserError(
            f"{dataset.name}: no tokenizer: {TOKENIZER}/{TOKENIZER_FILE} is missing",
            "A dataset carries the tokenizer it was built with; build it again.",
        )
    try:
        return load_exact_tokenizer(folder)
    except Exception as error:
        raise UserError(
            f"{folder}: cannot be loaded as a tokenizer: {error}", "Build the dataset again."
        ) from None
