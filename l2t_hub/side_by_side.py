"""Runs functions in processes side by side. Each has a log of its own; what it says goes there.

A stopped program stops its processes with one signal, on which each saves its work. A second Ctrl-C ends them at
once.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import disk_errors
from l2t_hub.errors import Interrupted, UserError
from l2t_hub.interruption import catch_signals, is_interruption
from l2t_hub.text import counted

STOPPED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Job:
    """A function at the top of a module, its argument, and the file that everything it prints is appended to."""

    name: str
    function: Callable[[Any], None]
    argument: Any
    log: Path


@dataclass(frozen=True)
class Status:
    """How far the jobs are: seconds since the start of each running one, and those that each finished one took."""

    running: Mapping[str, float]
    finished: Mapping[str, float]
    failed: Mapping[str, str]
    just_ended: str | None = None


@dataclass(frozen=True)
class _Started:
    job: Job
    process: BaseProcess
    problem: Connection
    place: int
    at: float


def run_side_by_side(
    jobs: Sequence[Job],
    places: Sequence[Mapping[str, str]],
    watch: Callable[[Status], None],
    pause: Callable[[int], float],
) -> None:
    """Run the jobs, one at a time in each place: the variables that it adds to the environment of its processes.

    `watch` is called when a job ends, and now and then: `pause` returns the seconds until the next time, given how
    often it was. A failed job does not stop the others. Raises UserError at the end if one failed.
    """
    waiting, running, free = list(jobs)[::-1], list[_Started](), list(range(len(places)))[::-1]
    finished: dict[str, float] = {}
    failed: dict[str, str] = {}
    watched, due = 0, time.monotonic() + pause(0)
    try:
        while waiting or running:
            while waiting and free:
                running.append(_start(waiting.pop(), free.pop(), places))
            timeout = max(0.0, due - time.monotonic())
            connection.wait([started.process.sentinel for started in running], timeout)
            for started in [each for each in running if each.process.exitcode is not None]:
                running.remove(started)
                free.append(started.place)
                problem = _problem(started)
                if problem is None:
                    finished[started.job.name] = time.monotonic() - started.at
                else:
                    failed[started.job.name] = problem
                watch(_status(running, finished, failed, started.job.name))
            if time.monotonic() >= due:
                watched, due = watched + 1, time.monotonic() + pause(watched + 1)
                watch(_status(running, finished, failed, None))
    except BaseException:
        _stop([started.process for started in running])
        raise
    if failed:
        name, problem = next(iter(failed.items()))
        log = next(job.log for job in jobs if job.name == name)
        raise UserError(
            f"{len(failed)} of {counted(len(jobs), 'run')} failed. {name}: {problem}",
            f"What the others made is kept. Its log is {log}. Rerun the command to continue.",
        )


def _status(
    running: Sequence[_Started], finished: Mapping[str, float], failed: Mapping[str, str], ended: str | None
) -> Status:
    now = time.monotonic()
    return Status({each.job.name: now - each.at for each in running}, finished, failed, ended)


def _start(job: Job, place: int, places: Sequence[Mapping[str, str]]) -> _Started:
    with disk_errors(job.log.parent):
        job.log.parent.mkdir(parents=True, exist_ok=True)
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, dict(places[place]), sender), name=job.name)
    process.start()
    sender.close()
    return _Started(job, process, receiver, place, time.monotonic())


def _problem(started: _Started) -> str | None:
    """Return why a job that has ended failed, None if it did not."""
    if started.process.exitcode == 0:
        return None
    try:
        if started.problem.poll():
            return str(started.problem.recv())
    except (EOFError, OSError):
        pass
    code = started.process.exitcode or 0
    killed = "killed by the system, most likely because memory ran out"
    return killed if code == -signal.SIGKILL else f"its process ended with exit code {code}"


def _stop(processes: Sequence[BaseProcess]) -> None:
    """Let all processes save their work, and wait for them. An interruption meanwhile ends them at once."""
    try:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
    except BaseException:
        for process in processes:
            process.kill()
        raise


def _work(job: Job, environment: Mapping[str, str], problem: Connection) -> None:
    """Run a job in this new process, and exit with 0, or with 1 after its error was sent and logged."""
    os.setsid()  # Ctrl-C on the terminal is for the parent, which stops this process once
    os.environ.update(environment)
    log = job.log.open("ab", buffering=0)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log.fileno(), stream.fileno())
    catch_signals()
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    try:
        job.function(job.argument)
    except BaseException as error:
        if is_interruption(error):
            print(f"stopped: {error}" if isinstance(error, Interrupted) else "stopped", file=sys.stderr)
            sys.exit(STOPPED)
        if isinstance(error, UserError):
            print(f"error: {error}", file=sys.stderr)
            problem.send(error.message)
        else:
            traceback.print_exc()
            problem.send(f"{type(error).__name__}: {error}")
        sys.exit(1)


def _stop_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
