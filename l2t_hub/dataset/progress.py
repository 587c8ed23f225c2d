"""Progress of a long build: a bar with rate and estimate on a terminal, plain lines elsewhere.

Workers only count. Each writes the number of records it has read into its own slot of one small file, and the process
that started the build reads the file. None of this reaches the dataset.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TextIO

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from l2t_hub.console import error_console
from l2t_hub.text import counted, visible

RECORDS_PER_UPDATE = 64
SECONDS_PER_UPDATE = 0.2
LINE_SECONDS = 10.0


class Reporter(Protocol):
    """Receives the messages and the progress of a build."""

    def message(self, line: str) -> None:
        """Show one line."""

    def update(self, done: int, total: int | None) -> None:
        """Show how many records have been read, of how many (None: unknown)."""

    def close(self) -> None:
        """No more updates will come."""


class SilentReporter:
    """Shows nothing."""

    def message(self, line: str) -> None:
        """Ignore the line."""

    def update(self, done: int, total: int | None) -> None:
        """Ignore the counts."""

    def close(self) -> None:
        """Do nothing."""


class LineReporter:
    """Prints plain lines, with at most one line of progress every LINE_SECONDS."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._start = self._last_line = time.monotonic()

    def message(self, line: str) -> None:
        """Print the line."""
        print(visible(line), file=self._stream, flush=True)

    def update(self, done: int, total: int | None) -> None:
        """Print count, rate and estimate, unless the last line is too recent."""
        now = time.monotonic()
        if now - self._last_line < LINE_SECONDS or not done:
            return
        self._last_line = now
        rate = done / (now - self._start)
        left = f" of {total:,}, {(total - done) / rate:.0f} s left" if total else ""
        self.message(f"  {counted(done, 'document')}{left} ({rate:,.0f} documents/s)")

    def close(self) -> None:
        """Do nothing."""


class BarReporter:
    """Shows a rich progress bar on a terminal."""

    def __init__(self) -> None:
        self._console = error_console()
        columns = (
            TextColumn("documents"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
        )
        self._progress = Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True)
        self._task = self._progress.add_task("documents", total=None, rate="", start=True)
        self._start = time.monotonic()

    def message(self, line: str) -> None:
        """Print the line above the bar."""
        self._progress.console.print(line)

    def update(self, done: int, total: int | None) -> None:
        """Advance the bar."""
        if not self._progress.live.is_started:
            self._start = time.monotonic()
            self._progress.start()
        rate = f"{done / max(time.monotonic() - self._start, 0.1):,.0f}/s"
        self._progress.update(self._task, completed=done, total=total, rate=rate)

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()


def default_reporter() -> Reporter:
    """Return a bar if standard error is a terminal, else plain lines."""
    return BarReporter() if sys.stderr.isatty() else LineReporter()


@dataclass(frozen=True)
class Meter:
    """A file of counters, one 64-bit integer per partition."""

    path: Path
    partitions: int

    def create(self) -> "Meter":
        """Set all counters to 0."""
        np.zeros(self.partitions, np.int64).tofile(self.path)
        return self

    @contextmanager
    def slot(self, partition: int) -> Iterator[Callable[[int], None]]:
        """Provide a function that sets a partition's counter. It is cheap enough to call for every record."""
        counters = np.memmap(self.path, np.int64, "r+")
        last = 0

        def tick(count: int) -> None:
            nonlocal last
            last = count
            if count % RECORDS_PER_UPDATE == 0:
                counters[partition] = count

        yield tick
        counters[partition] = last

    def total(self) -> int:
        """Return the number of records read by all partitions so far."""
        return int(np.fromfile(self.path, np.int64).sum())


class NullMeter(Meter):
    """Counts nothing. Machines of a cluster share no memory; there, progress is the number of finished partitions."""

    def __init__(self) -> None:
        super().__init__(Path(), 0)

    @contextmanager
    def slot(self, partition: int) -> Iterator[Callable[[int], None]]:
        """Provide a function that does nothing."""
        yield lambda count: None


class MeterWatch:
    """A context that passes a meter's total to a reporter every SECONDS_PER_UPDATE."""

    def __init__(self, meter: Meter, reporter: Reporter, total: int | None) -> None:
        self._meter, self._reporter, self._total = meter, reporter, total
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._reporter.close()

    def _watch(self) -> None:
        while not self._stop.wait(SECONDS_PER_UPDATE):
            self._reporter.update(self._meter.total(), self._total)
