"""The embedded Hub: what the Hugging Face clients need of huggingface.co, on this machine, to rehearse a release on.

It proves file sets, cards that parse, configs that load, transfers, tags, pull requests and idempotent re-runs. It
cannot prove permissions, quotas, rate limits, the Hub's own metadata rules, Space builds, the viewer or throughput.

`running` serves a folder from a thread, `LocalHub(...).serve` in the foreground; the class says what both give.
"""

from l2t_hub.local_hub.faults import Answer, Cut, Delay, DiskFull, FaultTable
from l2t_hub.local_hub.hub_request import Limits
from l2t_hub.local_hub.server import DEFAULT_PORT, LocalHub, running

__all__ = [
    "DEFAULT_PORT",
    "Answer",
    "Cut",
    "Delay",
    "DiskFull",
    "FaultTable",
    "Limits",
    "LocalHub",
    "running",
]
