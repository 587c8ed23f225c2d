"""What a model is trained on: processor, cores, threads and GPUs."""

import os
import platform
from pathlib import Path
from typing import Any


def hardware() -> dict[str, Any]:
    """Return this machine's processor, number of cores, torch's number of threads, and GPU names."""
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
    }


def device_name() -> str:
    """Return a short name for the device of this process, such as "2 CPU threads (...)"."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} CPU threads (set by OMP_NUM_THREADS)"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (s.partition(":")[2].strip() for s in lines if s.startswith("model name")), platform.processor()
    )
