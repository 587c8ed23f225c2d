"""From a segment of a local file to its records, in order: one reader for each kind of file.

A reader holds at most a few hundred records in memory. Every error names the file and the row, line or byte.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from l2t_hub.corpus.columns import Columns
from l2t_hub.corpus.csv_reader import read_csv
from l2t_hub.corpus.document import DAMAGED_FILE, DAMAGED_REST, Dropped, Record
from l2t_hub.corpus.files import Kind, Segment
from l2t_hub.corpus.json_reader import read_array, read_lines
from l2t_hub.corpus.parquet_reader import read_parquet
from l2t_hub.corpus.text_reader import read_text
from l2t_hub.errors import UsageError, UserError

READERS: dict[Kind, Callable[[Segment, Columns], Iterator[Record]]] = {
    "parquet": read_parquet,
    "jsonl": read_lines,
    "json": read_array,
    "csv": read_csv,
    "text": read_text,
}


def read_segment(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Yield the records of a segment in order. Raises UserError for an unreadable one unless the recipe drops it."""
    file = segment.file
    if file.kind == "damaged":
        yield Dropped(DAMAGED_FILE.format(file.name), file.name)
        return
    # A file that is read whole has no byte at which the recipe's limit ends.
    limit = file.records if file.extent == 1 else None
    try:
        for record in islice(READERS[file.kind](segment, columns), limit):
            yield replace(record, file=file.name)
    except UserError as error:
        if columns.stop or isinstance(error, UsageError):
            raise
        yield Dropped(DAMAGED_REST.format(file.name), file.name)
