"""Turn the records of one partition into rows: split, make examples, encode, buffer.

The transform is a pure stream: it reads records in source order, yields batches of rows of bounded size, and knows
nothing of workers, files or time. `example_maker.py` makes the examples of a document.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from l2t_hub.corpus.document import DUPLICATE_ID, Document, Dropped, Record
from l2t_hub.corpus.source_languages import SourceLanguages
from l2t_hub.dataset.example_maker import (
    ExampleMaker,
    SplitDocument,
    SplitExample,
    split_document,
    tasks_by_language,
)
from l2t_hub.dataset.ledger import RAW, FlowKey
from l2t_hub.dataset.packer import Packer, PackShape
from l2t_hub.dataset.partners import Partners
from l2t_hub.dataset.views import (
    EXAMPLES,
    RAW_IDS,
    RAW_TEXT,
    SPLITS,
    RawIdRow,
    RawTextRow,
    RowBatch,
    RowBuffer,
    Split,
)
from l2t_hub.errors import UserError
from l2t_hub.mixture import is_raw, is_task
from l2t_hub.recipe import Recipe
from l2t_hub.tasks.base import Task
from l2t_hub.tasks.languages import Language
from l2t_hub.tokens.encode import Encoder

BATCH_DOCUMENTS = 1024
BATCH_CHARACTERS = 4_000_000
TABLE_ROWS = 200

Tick = Callable[[int], None]
"""Is called with the number of records read so far."""


@dataclass(frozen=True)
class TransformSetup:
    """What a partition needs besides its records. `tasks` are the tasks of the mixture."""

    recipe: Recipe
    tasks: Mapping[str, Task]
    languages: SourceLanguages
    encoder: Encoder
    pad_id: int

    @cached_property
    def tasks_by_language(self) -> dict[Language, dict[str, Task]]:
        """The tasks of each language, without those that it leaves out."""
        return tasks_by_language(self.tasks, self.languages)


class PartitionTransform:
    """Yields the rows of one partition; afterwards `ledger`, `documents` and `ids` describe what was read.

    `file_drops` counts the documents that gave nothing, by file and reason. Of the documents, only those of `splits`
    become rows: the same rows that they become together with the others.
    """

    def __init__(self, setup: TransformSetup, partners: Partners, splits: Sequence[Split] = SPLITS) -> None:
        self.setup, self.splits = setup, splits
        recipe, encoder = setup.recipe, setup.encoder
        self._maker = ExampleMaker(recipe, setup.tasks_by_language, partners)
        self.ledger, self.file_drops = self._maker.ledger, self._maker.file_drops
        self.documents = 0
        self._bos, self._eos = recipe.tokenizer.bos, recipe.tokenizer.eos
        shape = PackShape(recipe.packing.sequence_length, recipe.packing.scheme, encoder.dtype, setup.pad_id)
        self._packers = {split: Packer(split, shape, self.ledger) for split in SPLITS}
        self._raw_schema = RAW_TEXT if recipe.build.raw == "text" else RAW_IDS
        self._buffers: dict[tuple[str, Split, str], RowBuffer] = {}
        self._ids: set[int] = set()
        self._rows_kept: dict[tuple[Split, str], int] = {}

    @property
    def ids(self) -> NDArray[np.uint64]:
        """The 64-bit hashes of the document ids, sorted. The build compares them between partitions."""
        return np.sort(np.fromiter(self._ids, np.uint64, count=len(self._ids)))

    def rows(self, records: Iterable[Record], tick: Tick = lambda n: None) -> Iterator[RowBatch]:
        """Yield all rows, in an order that follows from the records alone."""
        packers = self._packers.values() if self.setup.recipe.build.packed else ()
        for everything in self.batches(records, tick):
            # Chosen after the cut into batches, because batches decide where the windows of a packer end.
            batch = [document for document in everything if document.split in self.splits]
            self._add_raw(batch)
            examples = self.examples(batch)
            if examples:
                self._add_examples(examples)
            yield from self._take_tables(TABLE_ROWS)
            for packer in packers:
                yield from packer.rows()
        for packer in packers:
            yield from packer.rows(last=True)
        yield from self._take_tables(1)

    def batches(
        self, records: Iterable[Record], tick: Tick = lambda n: None, size: int = BATCH_DOCUMENTS
    ) -> Iterator[list[SplitDocument]]:
        """Return batches of at most `size` documents and about BATCH_CHARACTERS characters."""
        return _batches(self._split_documents(records, tick), size)

    def _split_documents(self, records: Iterable[Record], tick: Tick) -> Iterator[SplitDocument]:
        """Count the records, and yield each document with its split."""
        recipe, languages = self.setup.recipe, self.setup.languages
        for record in records:
            document = self._accept(record)
            self.documents += 1
            tick(self.documents)
            if document is not None:
                yield split_document(recipe, languages, document)

    def _accept(self, record: Record) -> Document | None:
        """Count one record and return its document, or None if the record is dropped."""
        key = FlowKey("read")
        if isinstance(record, Dropped):
            self.ledger.count(key, record.reason)
            self.file_drops[record.file, record.reason] += 1
            return None
        id_hash = hash_id(record.id)
        if id_hash in self._ids:
            if self.setup.recipe.build.on_error == "stop":
                where = self.setup.recipe.where("source.id_column")
                raise UserError(
                    f"{where}: two documents have the ID '{record.id}', but every random draw depends on the ID",
                    "Name a column of unique IDs, set source.id_column: null to number the documents, or set "
                    "build.on_error: drop to keep the first document of each ID.",
                )
            self.ledger.count(key, DUPLICATE_ID)
            self.file_drops[record.file, DUPLICATE_ID] += 1
            return None
        self._ids.add(id_hash)
        self.ledger.count(key)
        return record

    def _add_raw(self, batch: list[SplitDocument]) -> None:
        """Encode the documents that are used as raw text, and buffer their rows."""
        recipe = self.setup.recipe
        raw = [d for d in batch if is_raw(recipe.seed, d.document.id, recipe.mixture)]
        for split in SPLITS:
            documents = [d.document for d in raw if d.split == split]
            if not documents:
                continue
            encoded = self.setup.encoder.encode([document.text for document in documents], bos=self._bos)
            self.ledger.count(FlowKey("assign", split, RAW), units=len(documents))
            self.ledger.count(FlowKey("document", split, RAW), units=len(documents))
            if recipe.build.packed:
                self._packers[split].add_raw(encoded.ids, encoded.lengths)
            else:
                self.ledger.count(FlowKey("tokens", split, RAW), units=len(encoded.ids))
            if recipe.build.raw == "none":
                continue
            buffer = self._buffers.setdefault((RAW, split, ""), RowBuffer(self._raw_schema))
            for document, tokens in zip(documents, encoded.lengths.tolist(), strict=True):
                if self._raw_schema is RAW_TEXT:
                    buffer.add(RawTextRow(document.id, document.text, tokens))
                else:
                    buffer.add(RawIdRow(document.id, tokens))

    def examples(self, batch: list[SplitDocument]) -> list[SplitExample]:
        """Return the examples of a batch."""
        recipe, encoder = self.setup.recipe, self.setup.encoder
        documents = [
            d for d in batch if is_task(is_raw(recipe.seed, d.document.id, recipe.mixture), recipe.mixture)
        ]
        uncounted = [d.document.text for d in documents if d.document.token_count is None]
        counts = iter(encoder.count(uncounted).tolist())
        examples: list[SplitExample] = []
        for document in documents:
            known = document.document.token_count
            examples += self._maker.examples(document, next(counts) if known is None else known)
        return examples

    def _add_examples(self, examples: list[SplitExample]) -> None:
        """Encode examples, drop those longer than a sequence, and buffer the others."""
        recipe = self.setup.recipe
        limit = recipe.packing.sequence_length
        texts = [example.row.text for example in examples]
        encoded = self.setup.encoder.encode(texts, bos=self._bos, eos=self._eos)
        too_long = f"over {limit} tokens"
        for example, tokens in zip(examples, encoded.lengths.tolist(), strict=True):
            split, task = example.split, example.row.task
            reason = None if tokens <= limit else too_long
            self.ledger.count(FlowKey("fit", split, task), reason)
            self.ledger.count(FlowKey("tokens", split, task), reason, tokens)
            if reason is None and self._is_row_wanted(split, task):
                buffer = self._buffers.setdefault(("examples", split, task), RowBuffer(EXAMPLES))
                buffer.add(example.row._replace(tokens=tokens))
        if not recipe.build.packed:
            return
        fitting = encoded.lengths <= limit
        training = np.array([example.split == "train" for example in examples])
        for side, packer in self._packers.items():
            chosen = fitting & (training if side == "train" else ~training)
            if chosen.any():
                ids = encoded.ids[np.repeat(chosen, encoded.lengths)]
                packer.add_examples(ids, encoded.lengths[chosen])

    def _is_row_wanted(self, split: Split, task: str) -> bool:
        """Whether the examples view takes another row of this split and task; counts it if so."""
        limit = self.setup.recipe.build.examples
        if limit == "all" or limit == "none":
            return limit == "all"
        kept = self._rows_kept.get((split, task), 0)
        self._rows_kept[split, task] = kept + 1
        return kept < limit

    def _take_tables(self, at_least: int) -> Iterator[RowBatch]:
        """Empty the buffers that hold `at_least` rows."""
        for (view, split, task), buffer in sorted(self._buffers.items()):
            if len(buffer.rows) >= at_least:
                table, tokens = buffer.take()
                yield RowBatch("raw" if view == RAW else "examples", split, task, table, tokens)


def hash_id(document_id: str) -> int:
    """Return the 64-bit hash that repeated IDs are found by."""
    return int.from_bytes(blake2b(document_id.encode(), digest_size=8).digest(), "big")


def hash_ids(document_ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return the sorted, distinct hashes of some IDs."""
    return np.array(sorted({hash_id(document_id) for document_id in document_ids}), np.uint64)


def _batches(documents: Iterable[SplitDocument], size: int) -> Iterator[list[SplitDocument]]:
    batch: list[SplitDocument] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.document.text)
        if len(batch) >= size or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
