"""The text of a run that is trained without a dataset, in the place that a dataset has (`locate.py`)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.dataset.progress import default_reporter
from l2t_hub.dataset.stream import READY, Stream, prepared_stream, read_stream, stream_workspace
from l2t_hub.dataset.stream_partitions import LOOK_SECONDS, PartitionMaker, SharedPartitions
from l2t_hub.interruption import is_main_process
from l2t_hub.recipe import Recipe
from l2t_hub.records.training_record import DatasetUsed, StreamUsed
from l2t_hub.train.batch_layout import BatchLayout, wait_for_all


@dataclass(frozen=True)
class StreamLocation:
    """A stream that is ready, and its partitions."""

    recipe: Recipe
    stream: Stream
    partitions: SharedPartitions

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"the text of {self.recipe.source.dataset or self.recipe.source.path}"

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the dataset that `l2t build` would make, 64 hex digits."""
        return self.stream.fingerprint

    def tokenizer_files(self) -> list[Path]:
        """Return the files of the tokenizer."""
        return sorted(path for path in self.stream.tokenizer.iterdir() if path.is_file())

    def used(self) -> DatasetUsed:
        """Return what the training record says of the data."""
        streamed = StreamUsed(
            contents=self.stream.contents,
            partitions=len(self.stream.keys),
            read=len(self.partitions.read),
            ledger=self.partitions.ledger().to_json(),
        )
        return DatasetUsed(name=self.recipe.name, repository=None, revision=None, streamed=streamed)


@contextmanager
def open_stream(recipe: Recipe, out: Path, batches: BatchLayout) -> Iterator[StreamLocation]:
    """Make a recipe's stream ready for the model in `out`. The first process does, and its others wait for it.

    Raises what a build raises, and UserError if another process streams for this model.
    """
    workspace = stream_workspace(out)
    if not is_main_process():
        wait_for_all(batches)
        while (stream := read_stream(workspace)) is None:
            time.sleep(LOOK_SECONDS)
        yield StreamLocation(recipe, stream, SharedPartitions(stream))
        return
    (workspace.folder / READY).unlink(missing_ok=True)
    wait_for_all(batches)  # from here on, what the others read is of this run
    reporter = default_reporter()
    with prepared_stream(recipe, workspace, reporter) as (stream, prepared):
        maker = PartitionMaker(recipe, stream, prepared, reporter)
        try:
            yield StreamLocation(recipe, stream, maker)
        finally:
            maker.close()
        stream.remove_partitions()
