"""What a model is trained on: processor, cores, threads and GPUs, and how fast a GPU could be."""

import os
import platform
import re
from pathlib import Path

from l2t_hub.records.training_record import Hardware, Precision

# Dense bf16 tensor operations per second by the beginning of the GPU's name, from NVIDIA's data sheets. Where a sheet
# has only the number with sparsity, it is halved. A name is looked up in this order.
PEAK_FLOPS = {
    "NVIDIA B200": 2250e12,  # DGX B200: 36 PFLOPS for eight, sparse
    "NVIDIA GH200": 989.5e12,  # 1,979 sparse
    "NVIDIA H200 NVL": 835.5e12,  # 1,671 sparse
    "NVIDIA H200": 989.5e12,  # 1,979 sparse
    "NVIDIA H100 NVL": 835.5e12,  # 1,671 sparse
    "NVIDIA H100 PCIe": 756.5e12,  # 1,513 sparse
    "NVIDIA H100": 989.5e12,  # SXM: 1,979 sparse
    "NVIDIA A100": 312e12,
    "NVIDIA A40": 149.7e12,
    "NVIDIA L40S": 362.05e12,
    "NVIDIA L40": 181.05e12,
    "NVIDIA L4": 121e12,  # 242 sparse
}


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


def utilisation(
    tokens_per_second: float, flops_per_token: float, precision: Precision, devices: int
) -> float | None:
    """Return model FLOPs utilisation, MFU: the share of the devices' peak that the model's arithmetic amounts to.

    None where the peak is not known.
    """
    peak = peak_flops(precision)
    return tokens_per_second * flops_per_token / (peak * devices) if peak is not None else None


def peak_flops(precision: Precision) -> float | None:
    """Return the peak of this process's GPU in FLOP/s.

    None on a CPU, on a GPU that is not in `PEAK_FLOPS` or is a slice of one (MIG), and in fp32, which the units that
    the table is about do not compute.
    """
    import torch

    if precision == "fp32" or not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    if "MIG" in name:
        return None
    return next((peak for start, peak in PEAK_FLOPS.items() if re.match(rf"{start}\b", name)), None)


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
