"""The process that local workers are forked from, started early: its imports overlap with the start of a build.

It and the workers leave Ctrl-C and SIGTERM to the build, which ends them: they are born with these signals blocked.
It has no secrets in its environment, nor have they, unless a worker reads a Hub source and is given the token.
Importing this module is cheap: the command calls `start` before it imports the rest of the build.
"""

import os
import signal
from multiprocessing import forkserver, resource_tracker

from l2t_hub.clean_environment import adopted, for_workers
from l2t_hub.interruption import STOPPING

# What every worker needs, imported once for all of them. (pyarrow imports pandas when it first makes an array.)
PRELOAD = ["l2t_hub.dataset.pipeline", "pandas", "sentencex"]


def start(workers: int | None, partitions: int) -> None:
    """Start the server in the background if a build of `partitions` with `workers` processes will need it."""
    if min(workers or cores(), partitions) > 1:
        ensure_running()


def ensure_running() -> None:
    """Start the server if it does not run."""
    forkserver.set_forkserver_preload(PRELOAD)
    resource_tracker.ensure_running()  # first: it unblocks signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        with adopted(for_workers(os.environ)):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
