"""How much memory the page's models may take: what the owner says, or a share of what this machine gives."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from l2t_hub.errors import UsageError

MEMORY_VARIABLE = "L2T_DEMO_MEMORY"
SPACE_MEMORY = "MEMORY"
"""Environment variable of every Space: the memory of its hardware, such as 16Gi."""
SHARE = 0.5
"""Of the machine's memory. The rest is for the program, its libraries (1 GB) and the scoring of sentences."""
LEAST = 64 << 20
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?i?)b?", re.IGNORECASE)
# What a container may take, in the two versions of the kernel's interface.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_budget(given: str | None, environment: Mapping[str, str]) -> int:
    """Return the bytes that models may take: `given`, else the variable L2T_DEMO_MEMORY, else half of the memory.

    Raises UsageError for a size that makes no sense or is too small for any model.
    """
    for text, where in ((given, "--memory"), (environment.get(MEMORY_VARIABLE), MEMORY_VARIABLE)):
        if text:
            return parse_size(text, where)
    return max(int(_machine_memory(environment) * SHARE), LEAST)


def parse_size(text: str, where: str) -> int:
    """Return a size such as `4GB`, `500 MB` or `15Gi` in bytes. `where` names it in errors. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    unit = match[2].lower() if match else ""
    factor = {**_UNITS, **_BINARY}.get(unit)
    if match is None or factor is None:
        raise UsageError(f"{where} {text}: not a size", "Write it as 4GB, 500MB or 15Gi.")
    size = int(float(match[1]) * factor)
    if size < LEAST:
        raise UsageError(f"{where} {text}: too little for a model", f"Give at least {LEAST >> 20}MiB.")
    return size


def _machine_memory(environment: Mapping[str, str]) -> int:
    """Return the least that the Space, the container and the machine say, in bytes."""
    import psutil

    sizes = [int(psutil.virtual_memory().total)]
    if text := environment.get(SPACE_MEMORY):
        with suppress(UsageError):  # another program's variable
            sizes.append(parse_size(text, SPACE_MEMORY))
    for file in _LIMITS:
        try:
            sizes.append(int(file.read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # no such limit, or "max"
    return min(sizes)
