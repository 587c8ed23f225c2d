"""The packed view as training data: checked against the recipe, opened as rows, and collated into batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from l2t_hub.artifacts import PACKED, TOKENIZER
from l2t_hub.errors import UsageError, UserError
from l2t_hub.interruption import is_main_process
from l2t_hub.recipe import Recipe
from l2t_hub.recipe.train_section import TrainSection
from l2t_hub.records.file_list import compare_directory
from l2t_hub.tokens.load import TOKENIZER_FILE, load_exact_tokenizer
from l2t_hub.train.kernels import FLASH
from l2t_hub.train.locate import DatasetLocation
from l2t_hub.train.loss_paths import IGNORED
from l2t_hub.train.row_order import EpochSampler

Row = Mapping[str, Any]
Batch = dict[str, torch.Tensor]
# Token ids that are in memory at once while they are checked.
BATCH_IDS = 1 << 22


@dataclass(frozen=True)
class PackedData:
    """A packed view that fits the recipe."""

    name: str
    shards: dict[str, list[Path]]
    rows: dict[str, int]
    """Number of rows per split. The splits are "train" and "validation"."""
    partitions: tuple[int, ...]
    """Number of training rows of each partition."""
    tokenizer: Any
    vocab_size: int
    """The tokenizer's largest id plus one."""

    @property
    def pad_token_id(self) -> int | None:
        """The padding token for the model's configuration: the tokenizer's, or its EOS token if it has none."""
        pad_token_id = self.tokenizer.pad_token_id
        return int(pad_token_id) if pad_token_id is not None else self.tokenizer.eos_token_id

    def open(self, split: str, cache: Path) -> Any:
        """Return the rows of "train" or "validation", or None if there are none.

        A row has `input_ids` (sequence length) and `lengths` (one per text), both numpy arrays. The rows are
        memory-mapped from an Arrow copy in `cache`. Raises UserError if a shard cannot be read or copied.
        """
        return _rows(self.shards[split], cache) if self.rows.get(split) else None

    def order(self, recipe: Recipe, length: int) -> Any:
        """Return the order in which a run of `length` rows reads the training split."""
        by_partition = self.partitions if recipe.train.shuffle == "partitions" else None
        return EpochSampler(self.rows["train"], recipe.seed, length, by_partition)


def check_packed(dataset: DatasetLocation, recipe: Recipe) -> PackedData:
    """Check the packed view of a dataset against the recipe and the manifest. The first process reads every shard.

    Raises UserError if the view or the tokenizer is missing, broken, or not as the manifest says, if the training
    split is empty, or if an id is not in the tokenizer. Raises UsageError if the sequences do not have the recipe's
    length.
    """
    tokenizer = _tokenizer(dataset)
    vocab_size = vocabulary(tokenizer)
    shards = {split: _shards(dataset, split) for split in ("train", "validation")}
    counts = {s: [check_footer(path, recipe) for path in paths] for s, paths in shards.items()}
    rows = {s: sum(of_shards) for s, of_shards in counts.items()}
    if rows["train"] == 0:
        raise UserError(
            f"{dataset.name}: the training split has no sequences",
            "Build it from more text, or with a smaller `packing.sequence_length` or `validation.share`.",
        )
    if is_main_process():
        _check_hashes(dataset)
        for path in chain.from_iterable(shards.values()):
            _check_ids(path, vocab_size)
    partitions = dataset.rows_by_partition(counts["train"])
    return PackedData(dataset.name, shards, rows, partitions, tokenizer, vocab_size)


def vocabulary(tokenizer: Any) -> int:
    """Return a tokenizer's largest id plus one."""
    return 1 + max(tokenizer.get_vocab().values(), default=-1)


@dataclass(frozen=True)
class Collator:
    """Makes a batch of int64 tensors of shape (rows, sequence length): `input_ids`, `labels`, and masks or positions.

    Padding comes after the texts of a row, so that no text attends to it. Its labels are -100 (ignored) unless
    `loss_on_padding` is set. Then padding is predicted from the texts alone: `attention_mask` is 0 for padding, which
    no position attends to, as in the paper.

    With `attention` "example", `position_ids` start at 0 in every text and in the padding. transformers derives the
    attention mask from them. The first label of each text is -100: no text predicts the start of the next.

    With `flat`, the rows are one long row. Flash attention tells texts apart by their positions only in such a batch.
    """

    attention: str = "pack"
    loss_on_padding: bool = False
    flat: bool = False

    @classmethod
    def of(cls, train: TrainSection) -> "Collator":
        """Return the collator of a recipe's training run."""
        flat = train.attention == "example" and train.attn_implementation == FLASH
        return cls(train.attention, train.loss_on_padding, flat)

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Collate rows, each with `input_ids` (sequence length) and `lengths` (tokens of each text, in order)."""
        ids = torch.from_numpy(np.stack([row["input_ids"] for row in rows]).astype(np.int64))
        batch = {"input_ids": ids, "labels": ids.clone()}
        if self.attention == "example":
            positions = np.stack([_positions(row["lengths"], ids.shape[1]) for row in rows])
            batch["position_ids"] = torch.from_numpy(positions)
            batch["labels"][batch["position_ids"] == 0] = IGNORED
        text_tokens = torch.tensor([int(np.sum(row["lengths"])) for row in rows])
        is_padding = torch.arange(ids.shape[1]) >= text_tokens.unsqueeze(1)
        if not self.loss_on_padding:
            batch["labels"][is_padding] = IGNORED
        elif self.attention == "pack" and is_padding.any():
            batch["attention_mask"] = (~is_padding).long()
        return {name: tensor.reshape(1, -1) for name, tensor in batch.items()} if self.flat else batch


def _positions(lengths: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return positions that start at 0 in every text of a row, and in the padding after them."""
    parts = np.append(lengths, size - int(np.sum(lengths)))
    starts = np.cumsum(parts) - parts
    positions: NDArray[np.int64] = np.arange(size, dtype=np.int64) - np.repeat(starts, parts)
    return positions


def _shards(dataset: DatasetLocation, split: str) -> list[Path]:
    shards = dataset.packed_shards(split)
    missing = [path for path in shards if not path.is_file()]
    if missing or (split == "train" and not shards):
        reason = f"{missing[0].name} is missing" if missing else "the manifest lists no training shards of it"
        raise UserError(
            f"{dataset.name}: no packed view in {PACKED}/: {reason}",
            "Training reads the packed view. Build the dataset with `build.packed: true`.",
        )
    return shards


def check_footer(path: Path, recipe: Recipe) -> int:
    """Check a shard's columns and sequence length by its footer, and return its number of rows."""
    try:
        with pq.ParquetFile(path) as file:
            schema, footer = file.schema_arrow, file.metadata
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    missing = {"input_ids", "lengths"} - set(schema.names)
    if missing or not pa.types.is_fixed_size_list(schema.field("input_ids").type):
        reason = (
            f"column {sorted(missing)[0]} is missing" if missing else "input_ids is not a fixed-size list"
        )
        raise UserError(
            f"{path}: not a shard of the packed view: {reason}", "Build the dataset with `l2t build`."
        )
    length = schema.field("input_ids").type.list_size
    if length != recipe.packing.sequence_length:
        raise UsageError(
            f"{recipe.where('packing.sequence_length')} is {recipe.packing.sequence_length}, but the sequences of "
            f"{path} have {length} tokens",
            f"Train with `--set packing.sequence_length={length}`, or build the dataset from this recipe.",
        )
    return int(footer.num_rows)


def _check_hashes(dataset: DatasetLocation) -> None:
    """Compare packed shards and tokenizer with the manifest. What was downloaded has been compared on the way."""
    if dataset.repository is not None:
        return
    read = (f"{PACKED}/", f"{TOKENIZER}/")
    wanted = {path: facts for path, facts in dataset.manifest.expected().items() if path.startswith(read)}
    for path, problem in compare_directory(dataset.directory, wanted, "the manifest").items():
        raise UserError(
            f"{dataset.name}: {path}: {problem}",
            "Build the dataset again. `l2t verify DIR` lists all damage.",
        )


def _check_ids(path: Path, vocab_size: int) -> None:
    """Check every token id of a shard. Our writer leaves statistics out, and those of another may lie."""
    largest = -1
    try:
        with pq.ParquetFile(path) as file:
            length = file.schema_arrow.field("input_ids").type.list_size
            for batch in file.iter_batches(max(1, BATCH_IDS // length), columns=["input_ids"]):
                largest = max(largest, pc.max(batch.column("input_ids").flatten()).as_py() or 0)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    if largest >= vocab_size:
        raise UserError(
            f"{path}: token id {largest} is not in the dataset's tokenizer, which has {vocab_size} entries",
            f"The shards were not made with the tokenizer in {TOKENIZER}/. Build the dataset again.",
        )


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: cannot be read: {error}", "Check the dataset with `l2t verify DIR`.")


def _rows(shards: Sequence[Path], cache: Path) -> datasets.Dataset:
    bars_were_on = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        rows = datasets.Dataset.from_parquet([str(path) for path in shards], cache_dir=str(cache))
    except (datasets.exceptions.DatasetGenerationError, pa.ArrowException, OSError) as error:
        raise UserError(
            f"{shards[0].parent}: cannot be read into {cache}: {error.__cause__ or error}",
            "If the disk is not full, check the dataset with `l2t verify DIR`.",
        ) from None
    finally:
        if bars_were_on:
            datasets.enable_progress_bars()
    return rows.select_columns(["input_ids", "lengths"]).with_format("numpy")


def _tokenizer(dataset: DatasetLocation) -> Any:
    folder = dataset.directory / TOKENIZER
    if folder / TOKENIZER_FILE not in [path for path in dataset.tokenizer_files() if path.is_file()]:
        raise UserError(
            f"{dataset.name}: no tokenizer: {TOKENIZER}/{TOKENIZER_FILE} is missing",
            "A dataset includes the tokenizer it was built with. Build the dataset again.",
        )
    try:
        return load_exact_tokenizer(folder)
    except Exception as error:
        raise UserError(
            f"{folder}: the tokenizer cannot be loaded: {error}", "Build the dataset again."
        ) from None
