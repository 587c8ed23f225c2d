"""Which models are trained when and where, and how long it will take, from the rate that is measured meanwhile."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.artifacts import CHECKPOINTS, TRAINING_LOG
from l2t_hub.errors import UserError
from l2t_hub.records.training_record import TrainingRecord
from l2t_hub.run.release_job import ReleaseRun, train_and_score
from l2t_hub.side_by_side import Job, Status, run_side_by_side
from l2t_hub.text import counted
from l2t_hub.train.batch_layout import divide_batch
from l2t_hub.train.training_log import duration, read_log

LOGS = "logs"
FIRST_WATCH, WATCH = 60.0, 300.0
"""Seconds until the first estimate, which is measured in them, and between later ones."""


def default_jobs(runs: int) -> int:
    """Return how many models are trained side by side: as many as there are GPUs, if there are as many models."""
    return min(max(len(_gpus()), 1), runs)


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named[:count] if named else [str(number) for number in range(count)]


def places(jobs: int) -> list[dict[str, str]]:
    """Return what each process adds to its environment: its GPU, and its share of the cores as threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = {"OMP_NUM_THREADS": str(max(1, cores // jobs)), "TOKENIZERS_PARALLELISM": "false"}
    gpus = _gpus()
    return [
        threads | ({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {})
        for number in range(jobs)
    ]


def train_side_by_side(runs: Sequence[ReleaseRun], jobs: int, say: Callable[[str], None]) -> None:
    """Train and score the models, the first seed of all recipes first. Raises as `run_side_by_side` does."""
    ordered = sorted(runs, key=lambda run: run.recipe.seed)
    at = places(min(jobs, len(runs)))
    waiting = [Job(run.name, train_and_score, run, run.folder / LOGS / f"{run.name}.log") for run in ordered]
    progress = _Progress({run.name: run for run in runs}, len(at))
    say(progress.plan(at[0]["OMP_NUM_THREADS"], runs[0].folder / LOGS))
    run_side_by_side(
        waiting, at, lambda status: say(progress.line(status)), lambda times: WATCH if times else FIRST_WATCH
    )


@dataclass(frozen=True)
class _Training:
    """How far the training of a model is. `rate` is in tokens per second, None where none was measured yet."""

    tokens: int
    of: int
    seconds: float
    rate: float | None


@dataclass(frozen=True)
class _Progress:
    """Says how far some runs are, `jobs` of which run side by side."""

    runs: dict[str, ReleaseRun]
    jobs: int

    def plan(self, threads: str, logs: Path) -> str:
        """Return what is about to be done."""
        found = [_training(run) for run in self.runs.values()]
        left = sum(one.of - one.tokens for one in found)
        return (
            f"{counted(len(found), 'run')}, {sum(one.of for one in found):,} tokens, of which {left:,} are left; "
            f"{self.jobs} side by side with {counted(int(threads), 'thread')} each. Logs: {logs}. "
            f"After {FIRST_WATCH:.0f} seconds, the time that it takes is estimated from the measured rate."
        )

    def line(self, status: Status) -> str:
        """Return how far the runs are, how fast, and how much time is left."""
        found = {name: _training(run) for name, run in self.runs.items()}
        done = len(status.finished) + len(status.failed)
        text = f"{done} of {counted(len(found), 'run')} done"
        if status.just_ended is not None:
            name = status.just_ended
            took = status.finished.get(name)
            text += f"; {name}: " + (f"failed: {status.failed[name]}" if took is None else duration(took))
        running = [f"{name} {found[name].tokens / found[name].of:.0%}" for name in status.running]
        text += f"; {', '.join(running)}" if running else ""
        rates = [rate for name in status.running if (rate := found[name].rate)]
        left = [one.of - one.tokens for name, one in found.items() if name not in status.failed]
        if not rates or not sum(left):
            return text
        at_once = min(self.jobs, sum(1 for tokens in left if tokens))
        rate = sum(rates) / len(rates)
        text += f"; {rate:,.0f} tokens/s each; {duration(sum(left) / rate / at_once)} left for training"
        others = [max(0.0, seconds - found[name].seconds) for name, seconds in status.finished.items()]
        if not others:
            return f"{text}, and scoring, which was not measured yet"
        scoring = sum(others) / len(others) * (len(found) - done) / at_once
        return f"{text} and {duration(scoring)} for scoring"


def _training(run: ReleaseRun) -> _Training:
    batches = divide_batch(run.recipe, 1)
    total = batches.rows * batches.sequence_length
    try:
        record = TrainingRecord.find(run.model)
        if record is not None:
            return _Training(total, total, record.seconds, None)
        log = run.model / CHECKPOINTS / TRAINING_LOG
        entries = read_log(log) if log.is_file() else []
    except UserError:  # the run itself says what is wrong with its files
        entries = []
    rates = [entry["tokens_per_second"] for entry in entries if "tokens_per_second" in entry]
    if not entries:
        return _Training(0, total, 0.0, None)
    return _Training(entries[-1]["tokens"], total, entries[-1]["seconds"], rates[-1] if rates else None)
