"""One partition from records to rows: split, assign, cut into blocks, make examples, encode, gather.

A pure stream: it reads records in source order and gives rows of the views, in batches of bounded size; nothing in it
knows of workers, files or time. The other document of an example is the one before it in the partition, of the same
split (a held-out sentence must not stand in training data); for the first one it is the next.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from l2t_hub.corpus.blocks import SHORT, blocks
from l2t_hub.corpus.document import DUPLICATE_ID, Document, Dropped, Record
from l2t_hub.corpus.sentences import Splitter
from l2t_hub.dataset.ledger import RAW, Key, Ledger
from l2t_hub.dataset.packer import Packer, PackShape
from l2t_hub.dataset.views import EXAMPLES, RAW_IDS, RAW_TEXT, RowBuffer, Rows, Split
from l2t_hub.errors import UserError
from l2t_hub.mixture import NO_TASK, assign, generator, is_raw, is_task, is_validation
from l2t_hub.recipe import Recipe
from l2t_hub.tasks.base import Drop, Task, render
from l2t_hub.tokens.encode import Encoder

BATCH_DOCUMENTS = 1024
BATCH_CHARACTERS = 4_000_000
NO_EXAMPLE = "no block gave an example"
NO_OTHER = "no other document"


@dataclass(frozen=True)
class TransformSetup:
    """What a partition needs besides its records. `tasks` are those of the mixture."""

    recipe: Recipe
    tasks: Mapping[str, Task]
    splitter: Splitter
    encoder: Encoder
    pad_id: int


@dataclass
class SplitDocument:
    """A document with its split and its sentences, split only when somebody asks."""

    document: Document
    split: Split
    splitter: Splitter
    other: "SplitDocument | None" = None

    @cached_property
    def sentences(self) -> list[str]:
        """The document's sentences."""
        return self.splitter(self.document.text)


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """An example before it is encoded: where it comes from, and the row of the examples view less its tokens."""

    split: Split
    task: str
    row: tuple[str, int, str, str, str, str, str, str]


class Partition:
    """The rows of one partition, and afterwards its `ledger`, `ids` and one short example of each task."""

    def __init__(self, setup: TransformSetup) -> None:
        self.setup = setup
        self.ledger = Ledger()
        self.documents = 0
        recipe, encoder = setup.recipe, setup.encoder
        self._bos = recipe.tokenizer.bos
        shape = PackShape(recipe.packing.sequence_length, recipe.packing.scheme, encoder.dtype, setup.pad_id)
        self._sequencers = {s: Packer(s, shape, self.ledger) for s in ("train", "validation")}
        self._raw_schema = RAW_TEXT if recipe.build.raw == "text" else RAW_IDS
        self._columns: dict[tuple[str, Split, str], RowBuffer] = {}
        self._ids: set[int] = set()
        self._written: dict[tuple[Split, str], int] = {}

    @property
    def ids(self) -> NDArray[np.uint64]:
        """The 64-bit hashes of the partition's document ids, sorted: the build looks for ids in two partitions."""
        return np.sort(np.fromiter(self._ids, np.uint64, count=len(self._ids)))

    def rows(self, records: Iterable[Record], tick: Callable[[int], None] = lambda n: None) -> Iterator[Rows]:
        """Give all rows, in an order that follows from the records alone; `tick` hears how many records were read."""
        for batch in self.batches(records, tick):
            self._raw(batch)
            made = self.examples(batch)
            if made:
                self._gather(made)
            yield from self._take(full=True)
        for sequencer in self._sequencers.values() if self.setup.recipe.build.packed else ():
            yield from sequencer.rows(last=True)
        yield from self._take(full=False)

    def batches(
        self,
        records: Iterable[Record],
        tick: Callable[[int], None] = lambda n: None,
        size: int = BATCH_DOCUMENTS,
    ) -> Iterator[list[SplitDocument]]:
        """Batches of documents of a bounded number and size, each document with its split and its other document."""
        for batch in _batches(self._entries(records, tick), size):
            yield batch
            for entry in batch:
                entry.other = None  # else every document would keep all those before it alive

    def _entries(self, records: Iterable[Record], tick: Callable[[int], None]) -> Iterator[SplitDocument]:
        """Book the records, and give each document with its other document."""
        recipe, splitter = self.setup.recipe, self.setup.splitter
        before: dict[Split, SplitDocument] = {}
        waiting: dict[Split, SplitDocument] = {}
        for record in records:
            document = self._accept(record)
            self.documents += 1
            tick(self.documents)
            if document is None:
                continue
            held_out = is_validation(recipe.seed, document.id, recipe.validation.share)
            split: Split = "validation" if held_out else "train"
            entry = SplitDocument(document, split, splitter, before.get(split))
            if entry.other is None:
                before[split] = waiting[split] = entry
                continue
            first = waiting.pop(split, None)
            if first is not None:
                first.other = entry
                yield first
            before[split] = entry
            yield entry
        yield from waiting.values()

    def _accept(self, record: Record) -> Document | None:
        """Book one record; None if it is dropped."""
        key = Key("read")
        if isinstance(record, Dropped):
            self.ledger.passed(key, record.reason)
            return None
        short = id_number(record.id)
        if short in self._ids:
            if self.setup.recipe.build.on_error == "stop":
                where = self.setup.recipe.where("source.id_column")
                raise UserError(
                    f"{where}: two documents have the id '{record.id}', and every draw is addressed by the id",
                    "Name a column of unique ids, set source.id_column: null to number the documents, or set "
                    "build.on_error: drop to keep the first of them.",
                )
            self.ledger.passed(key, DUPLICATE_ID)
            return None
        self._ids.add(short)
        self.ledger.passed(key)
        return record

    def _raw(self, batch: list[SplitDocument]) -> None:
        """Encode and gather the documents that are used as raw text."""
        recipe = self.setup.recipe
        chosen = [e for e in batch if is_raw(recipe.seed, e.document.id, recipe.mixture)]
        for split in ("train", "validation"):
            entries = [e for e in chosen if e.split == split]
            if not entries:
                continue
            encoded = self.setup.encoder.encode([e.document.text for e in entries], bos=self._bos)
            self.ledger.passed(Key("assign", split, RAW), count=len(entries))
            self.ledger.passed(Key("document", split, RAW), count=len(entries))
            if recipe.build.packed:
                self._sequencers[split].add_raw(encoded.ids, encoded.lengths)
            else:
                self.ledger.passed(Key("tokens", split, RAW), count=len(encoded.ids))
            if recipe.build.raw == "none":
                continue
            columns = self._columns.setdefault((RAW, split, ""), RowBuffer(self._raw_schema))
            with_text = self._raw_schema is RAW_TEXT
            for entry, tokens in zip(entries, encoded.lengths.tolist(), strict=True):
                text = (entry.document.text,) if with_text else ()
                columns.add(entry.document.id, *text, tokens)

    def examples(self, batch: list[SplitDocument]) -> list[ExampleRow]:
        """Make the examples of a batch."""
        recipe, encoder = self.setup.recipe, self.setup.encoder
        chosen = [
            e for e in batch if is_task(is_raw(recipe.seed, e.document.id, recipe.mixture), recipe.mixture)
        ]
        uncounted = [e.document.text for e in chosen if e.document.token_count is None]
        counted = iter(encoder.count(uncounted).tolist())
        made: list[ExampleRow] = []
        for entry in chosen:
            count = entry.document.token_count
            made += self._examples(entry, next(counted) if count is None else count)
        return made

    def fits(self, made: ExampleRow) -> bool:
        """Whether an example is short enough for a sequence."""
        tokens = int(self.setup.encoder.count([made.row[-1]], bos=self._bos)[0])
        return tokens <= self.setup.recipe.packing.sequence_length

    def _examples(self, entry: SplitDocument, token_count: int) -> list[ExampleRow]:
        """Assign a document its task and make an example of each block."""
        recipe, document, split = self.setup.recipe, entry.document, entry.split
        tasks = self.setup.tasks
        if entry.other is None:
            tasks = {name: task for name, task in tasks.items() if not task.needs_other}
        assigned = assign(recipe.seed, document.id, len(entry.sentences), recipe.mixture, tasks)
        if assigned.task is None:
            reason = NO_OTHER if entry.other is None and not tasks else NO_TASK
            self.ledger.passed(Key("assign", split, "task"), reason)
            return []
        task = tasks[assigned.task]
        self.ledger.passed(Key("assign", split, task.name))
        kept, short = blocks(
            entry.sentences,
            token_count,
            recipe.blocks.tokens_per_block,
            recipe.blocks.min_words,
            task.blocks_per_unit,
        )
        self.ledger.note(Key("block", split, task.name), len(kept) + short, len(kept), {SHORT: short})
        other = entry.other.sentences if task.needs_other and entry.other is not None else ()
        made: list[ExampleRow] = []
        for block_number, block in kept:
            rng = generator(recipe.seed, document.id, "example", task.name, block_number)
            example = task.make(block, other, rng)
            if isinstance(example, Drop):
                self.ledger.passed(Key("make", split, task.name), example.reason)
                continue
            anchor, text = render(example, rng)
            sides = (example.prompt, anchor, example.completion, text)
            made.append(
                ExampleRow(split, task.name, (document.id, block_number, task.name, task.level, *sides))
            )
        self.ledger.passed(Key("make", split, task.name), count=len(made))
        self.ledger.passed(Key("document", split, task.name), None if made else NO_EXAMPLE)
        return made

    def _gather(self, made: list[ExampleRow]) -> None:
        """Encode examples, drop those longer than a sequence, and gather the rest."""
        recipe = self.setup.recipe
        limit = recipe.packing.sequence_length
        encoded = self.setup.encoder.encode([m.row[-1] for m in made], bos=self._bos)
        too_long = f"over {limit} tokens"
        lengths = encoded.lengths.tolist()
        for m, tokens in zip(made, lengths, strict=True):
            fits = tokens <= limit
            self.ledger.passed(Key("fit", m.split, m.task), None if fits else too_long)
            self.ledger.passed(Key("tokens", m.split, m.task), None if fits else too_long, tokens)
            if fits and self._wanted(m):
                columns = self._columns.setdefault(("examples", m.split, m.task), RowBuffer(EXAMPLES))
                columns.add(*m.row, tokens)
        if not recipe.build.packed:
            return
        fitting = encoded.lengths <= limit
        training = np.array([m.split == "train" for m in made])
        for split, sequencer in self._sequencers.items():
            mine = fitting & (training if split == "train" else ~training)
            if mine.any():
                ids = encoded.ids[np.repeat(mine, encoded.lengths)]
                sequencer.add_examples(ids, encoded.lengths[mine])

    def _wanted(self, made: ExampleRow) -> bool:
        """Whether the examples view takes another row of this task."""
        limit = self.setup.recipe.build.examples
        if limit == "all" or limit == "none":
            return limit == "all"
        written = self._written.get((made.split, made.task), 0)
        self._written[made.split, made.task] = written + 1
        return written < limit

    def _take(self, full: bool) -> Iterator[Rows]:
        """Give what is gathered: everything, or only what is worth a row group."""
        for (view, split, task), columns in sorted(self._columns.items()):
            if columns.rows and (len(columns.rows) >= 200 or not full):
                table, tokens = columns.take()
                yield Rows("raw" if view == RAW else "examples", split, task, table, tokens)
        if full and self.setup.recipe.build.packed:
            for sequencer in self._sequencers.values():
                yield from sequencer.rows()


def id_number(document_id: str) -> int:
    """The 64-bit hash by which repeated ids are found."""
    return int.from_bytes(blake2b(document_id.encode(), digest_size=8).digest(), "big")


def id_hashes(document_ids: Iterable[str]) -> NDArray[np.uint64]:
    """The hashes of some ids, sorted."""
    return np.array(sorted({id_number(i) for i in document_ids}), np.uint64)


def _batches(entries: Iterable[SplitDocument], size: int) -> Iterator[list[SplitDocument]]:
    """Batches of a bounded number of documents and characters."""
    batch: list[SplitDocument] = []
    characters = 0
    for entry in entries:
        batch.append(entry)
        characters += len(entry.document.text)
        if len(batch) >= size or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
