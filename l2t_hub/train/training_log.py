"""The log of a training run: JSON Lines on disk that survive an interruption, and progress on the terminal."""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from l2t_hub.artifacts import write_text
from l2t_hub.console import error_console
from l2t_hub.errors import UserError
from l2t_hub.records.reading import explain, parse_json, read_bounded
from l2t_hub.records.training_record import LogEntry

Record = dict[str, Any]


@dataclass
class StepClock:
    """Seconds spent in optimiser steps, summed over all resumed runs. Evaluating and saving do not count."""

    seconds: float = 0.0
    _running_since: float | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start or restart the clock."""
        self._running_since = time.perf_counter()

    def read(self) -> float:
        """Return the seconds counted so far."""
        if self._running_since is None:
            return self.seconds
        return self.seconds + time.perf_counter() - self._running_since

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the clock during a block."""
        was_running, self.seconds, self._running_since = self._running_since is not None, self.read(), None
        try:
            yield
        finally:
            if was_running:
                self.start()


class TrainingLog:
    """Appends records to the log file `path` and shows them on stderr.

    A terminal shows one progress bar with the rate and the remaining time. Anything else gets one plain line per
    record. With `path` None, as in every process but the first, nothing is written or shown.
    """

    def __init__(self, path: Path | None, steps: int, name: str) -> None:
        self.path, self.steps, self.name = path, steps, name
        self._console = error_console(quiet=path is None)
        self._bar: Progress | None = None
        self._latest: Record = {}
        self.listener: Callable[[Record], None] | None = None
        """Is called with every record that is appended."""

    def __enter__(self) -> "TrainingLog":
        if self._console.is_terminal and not self._console.quiet:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[metrics]}", markup=False),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task(f"train {self.name}", total=self.steps, metrics="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, line: str) -> None:
        """Show a line without adding it to the log file."""
        self._console.print(line, soft_wrap=True)

    def advance_to(self, step: int) -> None:
        """Move the progress bar, if there is one, to a step."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def truncate_after(self, step: int) -> None:
        """Remove the records of later steps, which a resumed run writes again."""
        if self.path is not None:
            records = read_log(self.path) if self.path.exists() else []
            lines = (json.dumps(record) + "\n" for record in records if record["step"] <= step)
            write_text(self.path, "".join(lines))

    def append(self, record: Record) -> None:
        """Append a record, flush it to the disk, and show it."""
        if self.path is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if self.listener is not None:
            self.listener(record)
        self._latest |= record
        if self._bar is not None:
            self._bar.update(self._task, completed=record["step"], metrics=_metrics(self._latest))
        else:
            self.show(f"step {record['step']:,}/{self.steps:,}  {_metrics(record)}{self._time_left(record)}")

    def _time_left(self, record: Record) -> str:
        rate = record.get("tokens_per_second")
        if not rate or not record["step"]:
            return ""
        tokens_per_step = record["tokens"] / record["step"]
        return f"  {duration((self.steps - record['step']) * tokens_per_step / rate)} left"


def read_log(path: Path) -> list[Record]:
    """Return a log's records in order. A last line that a crash cut short is ignored.

    Raises UserError if the log cannot be read, or if any other line is malformed.
    """
    lines = read_bounded(path).splitlines(keepends=True)
    complete = [line for line in lines if line.endswith(b"\n")]
    return [_entry(line, f"{path}, line {number}") for number, line in enumerate(complete, 1)]


def _entry(line: bytes, where: str) -> Record:
    tree = parse_json(line, where, "a record of the training log")
    try:
        return LogEntry.model_validate(tree).model_dump(exclude_none=True)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, LogEntry)}", "Train the model again.") from None


def _metrics(record: Record) -> str:
    parts = []
    if "loss" in record:
        parts.append(f"loss {record['loss']:.4f}")
    if "eval_loss" in record:
        parts.append(f"validation loss {record['eval_loss']:.4f}")
    if "held_out" in record:
        parts.append(f"held-out text {record['held_out']['raw']['loss']:.4f}")
    if "pairs" in record:
        parts.append(f"{record['pairs']['suite']} {record['pairs']['accuracy']:.1%}")
    if "tokens_per_second" in record:
        parts.append(f"{record['tokens_per_second']:,.0f} tokens/s")
    if "mfu" in record:
        parts.append(f"MFU {record['mfu']:.1%}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Return seconds as minutes and seconds, or hours as well."""
    minutes, seconds = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def quiet_libraries() -> None:
    """Silence everything below errors from transformers, datasets, TRL and accelerate: a run has its own messages."""
    import logging
    import warnings

    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for name in ("datasets", "trl", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"(torch|transformers|trl|accelerate)\.")
