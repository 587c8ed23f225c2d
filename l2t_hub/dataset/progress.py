"""What a person sees of a long build: a bar with rate and estimate on a terminal, plain lines elsewhere.

Workers only count: each writes how many records it has read into its own slot of one small file, which the process
that started the build looks at. Nothing of this reaches the dataset.
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
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY = 64
LINE_SECONDS = 10.0


class Reporter(Protocol):
    """Who is told what happens."""

    def say(self, line: str) -> None:
        """Hear one sentence."""

    def update(self, done: int, total: int | None) -> None:
        """Hear how many records have been read, of how many (None: unknown)."""

    def close(self) -> None:
        """Hear that no more updates come."""


class Silent:
    """For callers that want nothing printed."""

    def say(self, line: str) -> None:
        """Ignore it."""

    def update(self, done: int, total: int | None) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Nothing to close."""


class Lines:
    """Plain lines, at most one progress line in LINE_SECONDS."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._began = self._told = time.monotonic()

    def say(self, line: str) -> None:
        """Print the line."""
        print(line, file=self._stream, flush=True)

    def update(self, done: int, total: int | None) -> None:
        """Print how far it is, if the last time is long enough ago."""
        now = time.monotonic()
        if now - self._told < LINE_SECONDS or not done:
            return
        self._told = now
        rate = done / (now - self._began)
        rest = f" of {total:,}, {(total - done) / rate:.0f} s left" if total else ""
        self.say(f"  {done:,} documents{rest} ({rate:,.0f} documents/s)")

    def close(self) -> None:
        """Nothing to close."""


class Bar:
    """A rich progress bar on a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("documents"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        )
        self._progress = Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True)
        self._task = self._progress.add_task("documents", total=None, rate="", start=True)
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        """Print the line above the bar."""
        self._progress.console.print(line, markup=False)

    def update(self, done: int, total: int | None) -> None:
        """Move the bar."""
        if not self._progress.live.is_started:
            self._began = time.monotonic()
            self._progress.start()
        rate = f"{done / max(time.monotonic() - self._began, 0.1):,.0f}/s"
        self._progress.update(self._task, completed=done, total=total, rate=rate)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def reporter() -> Reporter:
    """A bar where standard error is a terminal, else lines."""
    return Bar() if sys.stderr.isatty() else Lines()


@dataclass(frozen=True)
class Meter:
    """The file of counters, one 64-bit number per partition."""

    path: Path
    partitions: int

    def create(self) -> "Meter":
        """Set all counters to 0."""
        np.zeros(self.partitions, np.int64).tofile(self.path)
        return self

    @contextmanager
    def slot(self, partition: int) -> Iterator[Callable[[int], None]]:
        """Give a function that sets a partition's counter; it costs next to nothing to call."""
        counters = np.memmap(self.path, np.int64, "r+")
        last = 0

        def tick(count: int) -> None:
            nonlocal last
            last = count
            if count % EVERY == 0:
                counters[partition] = count

        yield tick
        counters[partition] = last

    def total(self) -> int:
        """Records read by all partitions so far."""
        return int(np.fromfile(self.path, np.int64).sum())


class Unmetered(Meter):
    """No counters: machines of a cluster share no memory to count in, and finished partitions tell enough."""

    def __init__(self) -> None:
        super().__init__(Path(), 0)

    @contextmanager
    def slot(self, partition: int) -> Iterator[Callable[[int], None]]:
        """Give a function that does nothing."""
        yield lambda count: None


class Watch:
    """Tells a reporter, several times a second, what a meter shows; a context."""

    def __init__(self, meter: Meter, report: Reporter, total: int | None, done: int = 0) -> None:
        self._meter, self._report, self._total, self._done = meter, report, total, done
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
        self._report.close()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self._report.update(self._done + self._meter.total(), self._total)
