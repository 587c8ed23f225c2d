"""Runs a command and says what it cost: seconds, CPU seconds of it and all its descendants, peak memory of each of
them, and how busy others kept the same cores meanwhile. Linux only: it reads /proc.
"""

import ctypes
import os
import platform
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

INTERVAL = 0.1
PR_SET_CHILD_SUBREAPER = 36
LIBRARIES = ("tokenizers", "pyarrow", "numpy", "datatrove", "sentencex")
PROC = Path("/proc")


@dataclass(frozen=True)
class Run:
    """One run of a command. `peak_mb` lists the peak resident memory of its processes by what they are, largest
    first; `others` is how many cores other processes (and the host) took on average while it ran.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: dict[str, list[int]]
    others: float
    output: str


def run(command: Sequence[str], cores: Sequence[int], environment: Mapping[str, str]) -> Run:
    """Run a command on some cores, and raise SystemExit with what it said if it fails.

    Descendants that outlive the command (a fork server) are waited for, so that their CPU time is counted: an
    orphan comes to this process, which is made the reaper of its descendants.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    cpu, busy, began = _children_cpu(), _busy(), time.perf_counter()
    peaks: dict[int, tuple[str, int]] = {}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=errors,
            env={**os.environ, **environment},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        while process.returncode is None:
            _watch(process.pid, "main", peaks)
            with suppress(subprocess.TimeoutExpired):
                process.wait(INTERVAL)
        seconds = time.perf_counter() - began
        busy = _busy() - busy
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        cpu = _children_cpu() - cpu
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read()[-3000:]}")
        said = output.read()
    by_role: dict[str, list[int]] = {}
    for role, peak in peaks.values():
        by_role.setdefault(role, []).append(peak)
    others = max(0.0, busy - cpu) / seconds
    return Run(seconds, cpu, {r: sorted(p, reverse=True) for r, p in sorted(by_role.items())}, others, said)


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    model = next(
        (line.split(":")[1].strip() for line in _read(PROC / "cpuinfo").splitlines() if "model name" in line),
        platform.processor(),
    )
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "commit": commit.stdout.strip() or None,
        "load_before": os.getloadavg()[0],
        "began": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    }


def _watch(pid: int, role: str, peaks: dict[int, tuple[str, int]]) -> None:
    """Note the peak memory so far of a process and of its descendants."""
    status = _read(PROC / str(pid) / "status")
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), None)
    if peak is not None:
        peaks[pid] = (role, int(peak) * 1024 // 1_000_000)
    for task in PROC.glob(f"{pid}/task/*/children"):
        for child in _read(task).split():
            _watch(int(child), _role(int(child), role), peaks)


def _role(pid: int, parent: str) -> str:
    if parent == "fork server":
        return "worker"
    command = _read(PROC / str(pid) / "cmdline")
    kinds = {"forkserver": "fork server", "resource_tracker": "resource tracker"}
    return next((kind for word, kind in kinds.items() if word in command), "child")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _busy() -> float:
    """Core-seconds since the machine's start that were not idle; stolen ones are somebody's, too."""
    fields = [int(field) for field in _read(PROC / "stat").splitlines()[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
