"""Run a command and measure its cost: wall-clock and CPU seconds, peak memory per process, and how busy other
processes kept the machine meanwhile. Linux only: it reads /proc.

A small supervisor process starts the command and waits for it and all its descendants, also for those that outlive
it, such as a fork server. Other children of the process that calls `run` are never waited for.

python benchmarks/processes.py COMMAND CORES     both as JSON lists; prints one line of JSON (used by `run`)
"""

import ctypes
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

INTERVAL = 0.1
PR_SET_CHILD_SUBREAPER = 36
LIBRARIES = ("tokenizers", "pyarrow", "numpy", "datatrove", "sentencex")
PROC = Path("/proc")


@dataclass(frozen=True)
class Run:
    """The cost of one run of a command.

    `seconds` is the wall-clock time until the command ended; `cpu_seconds` counts it and all its descendants.
    `peak_mb` lists the peak resident memory of its processes in MB by role, largest first. `others` is how many cores
    other processes (and the host) used on average while the command ran.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: dict[str, list[int]]
    others: float
    output: str


def run(command: Sequence[str], cores: Sequence[int], environment: Mapping[str, str]) -> Run:
    """Run a command on the given cores. Raises SystemExit with the end of its error output if it fails."""
    supervisor = subprocess.run(
        [sys.executable, __file__, json.dumps(list(command)), json.dumps(list(cores))],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    report = json.loads(supervisor.stdout)
    return_code, errors = report.pop("return_code"), report.pop("errors")
    if return_code:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors[-3000:]}")
    return Run(**report)


def supervise(command: Sequence[str], cores: Sequence[int]) -> dict[str, Any]:
    """Run a command, wait for all its descendants, and return the fields of `Run`, `return_code` and `errors`.

    This process becomes the reaper of orphaned descendants, so it must have no other children.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    peaks: dict[int, tuple[str, int]] = {}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        busy, start = _busy_seconds(), time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=errors,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        peaks[process.pid] = ("main", 0)
        while process.returncode is None:
            _record_peaks(os.getpid(), "", peaks)
            with suppress(subprocess.TimeoutExpired):
                process.wait(INTERVAL)
        seconds = time.perf_counter() - start
        busy = _busy_seconds() - busy
        with suppress(ChildProcessError):  # none is left
            while True:
                _record_peaks(os.getpid(), "", peaks)
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(INTERVAL)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_seconds = usage.ru_utime + usage.ru_stime
        output.seek(0)
        errors.seek(0)
        return {
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "peak_mb": _by_role(peaks),
            "others": max(0.0, busy - cpu_seconds) / seconds,
            "output": output.read(),
            "errors": errors.read(),
            "return_code": process.returncode,
        }


def machine() -> dict[str, object]:
    """Return the hardware, library versions and commit that the figures belong to."""
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


def _record_peaks(parent: int, parent_role: str, peaks: dict[int, tuple[str, int]]) -> None:
    """Record role and peak memory so far, in MB, of all descendants of a process. An orphan keeps its role."""
    for children in PROC.glob(f"{parent}/task/*/children"):
        for pid in map(int, _read(children).split()):
            role = peaks[pid][0] if pid in peaks else "child"
            if role == "child":  # perhaps seen between fork and exec, when the command was still its parent's
                role = _role(pid, parent_role)
            status = _read(PROC / str(pid) / "status")
            peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), None)
            if peak is not None:
                peaks[pid] = (role, int(peak) * 1024 // 1_000_000)
            _record_peaks(pid, role, peaks)


def _role(pid: int, parent_role: str) -> str:
    if parent_role == "fork server":
        return "worker"
    command = _read(PROC / str(pid) / "cmdline")
    roles = {"forkserver": "fork server", "resource_tracker": "resource tracker"}
    return next((role for word, role in roles.items() if word in command), "child")


def _by_role(peaks: Mapping[int, tuple[str, int]]) -> dict[str, list[int]]:
    roles: dict[str, list[int]] = {role: [] for role in sorted({role for role, _ in peaks.values()})}
    for role, peak in sorted(peaks.values(), key=lambda pair: -pair[1]):
        roles[role].append(peak)
    return roles


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""


def _busy_seconds() -> float:
    """Core-seconds since boot that were not idle. Stolen ones count: the host used them."""
    fields = [int(field) for field in _read(PROC / "stat").splitlines()[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print(json.dumps(supervise(json.loads(sys.argv[1]), json.loads(sys.argv[2]))))
