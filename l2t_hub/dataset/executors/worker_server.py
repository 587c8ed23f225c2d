"""The process that local workers are forked from, started early: its imports overlap with the start of a build.

Importing this module is cheap: the command calls `start` before it imports the rest of the build.
"""

import os
from multiprocessing import forkserver

# What every worker needs, imported once for all of them. (pyarrow imports pandas when it first makes an array.)
PRELOAD = ["l2t_hub.dataset.pipeline", "pandas", "sentencex"]


def start(workers: int | None, partitions: int) -> None:
    """Start the server in the background if a build of `partitions` with `workers` processes will need it."""
    forkserver.set_forkserver_preload(PRELOAD)
    if min(workers or cores(), partitions) > 1:
        forkserver.ensure_running()


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
