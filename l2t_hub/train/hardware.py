"""What a model is trained on: processor, cores, threads and GPUs."""

import os
import platform
from pathlib import Path

from l2t_hub.records.training_record import Hardware


def hardware() -> Hardware:
    """Return this machine's processor, number of cores, torch's number of threads, and GPU names."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Hardware(
        machine=platform.machine(),
        processor=_printable(_processor()),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        gpus=[_printable(name) for name in gpus],
    )


def device_name() -> str:
    """Return a short name for the device of this process, such as "2 CPU threads (...)"."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} CPU threads (set by OMP_NUM_THREADS)"


def _printable(name: str) -> str:
    """Return a name as a record may hold it."""
    return "".join(character for character in name if character.isprintable())[:200]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (s.partition(":")[2].strip() for s in lines if s.startswith("model name")), platform.processor()
    )
