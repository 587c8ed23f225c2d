"""What a run says while it goes: a JSON Lines log that survives interruption, and its progress on the terminal."""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Record = dict[str, Any]


@dataclass
class Clock:
    """Seconds spent on optimiser steps, over all resumptions; evaluating and saving are not counted."""

    seconds: float = 0.0
    _since: float | None = field(default=None, repr=False)

    def run(self) -> None:
        """Start, or go on."""
        self._since = time.perf_counter()

    def read(self) -> float:
        """The seconds so far."""
        return self.seconds + (time.perf_counter() - self._since if self._since is not None else 0.0)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Do something that does not count."""
        running, self.seconds, self._since = self._since is not None, self.read(), None
        try:
            yield
        finally:
            if running:
                self.run()


class TrainingLog:
    """Appends records to `path` (None: to nothing, as in every process but the first) and shows them.

    On a terminal there is one bar with the rate and the time left; elsewhere a plain line per record, on stderr.
    """

    def __init__(self, path: Path | None, steps: int, name: str) -> None:
        self.path, self.steps, self.name = path, steps, name
        self._console = Console(stderr=True, highlight=False, quiet=path is None)
        self._bar: Progress | None = None
        self._shown: Record = {}

    def __enter__(self) -> "TrainingLog":
        if self._console.is_terminal and not self._console.quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[facts]}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task(f"train {self.name}", total=self.steps, facts="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """Show a line that is no record."""
        self._console.print(line, markup=False, soft_wrap=True)

    def go_to(self, step: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def keep_until(self, step: int) -> None:
        """Forget the records after `step`: a resumed run writes them again."""
        if self.path is not None:
            kept = [r for r in read_log(self.path) if r["step"] <= step] if self.path.exists() else []
            temporary = self.path.with_suffix(".partial")
            temporary.write_text("".join(json.dumps(r) + "\n" for r in kept), encoding="utf-8")
            temporary.replace(self.path)

    def write(self, record: Record) -> None:
        """Append a record, on disk when this returns, and show it."""
        if self.path is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._shown |= record
        if self._bar is not None:
            self._bar.update(self._task, completed=record["step"], facts=_facts(self._shown))
        else:
            self.say(f"step {record['step']:,}/{self.steps:,}  {_facts(record)}{self._left(record)}")

    def _left(self, record: Record) -> str:
        """The time left, from this record's rate."""
        rate = record.get("tokens_per_second")
        if not rate or not record["step"]:
            return ""
        per_step = record["tokens"] / record["step"]
        return f"  {_duration((self.steps - record['step']) * per_step / rate)} left"


def read_log(path: Path) -> list[Record]:
    """Read a log's records in order; a last line cut short by a crash is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def _facts(record: Record) -> str:
    parts = []
    if "loss" in record:
        parts.append(f"loss {record['loss']:.4f}")
    if "eval_loss" in record:
        parts.append(f"validation loss {record['eval_loss']:.4f}")
    if "tokens_per_second" in record:
        parts.append(f"{record['tokens_per_second']:,.0f} tokens/s")
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def quiet_libraries() -> None:
    """Keep transformers, datasets and TRL to errors: what a run has to say is said here, once."""
    import logging
    import warnings

    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for name in ("datasets", "trl", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"(torch|transformers|trl|accelerate)\.")
