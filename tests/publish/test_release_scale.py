"""A dataset of 2,000 files and 1 GB is released and downloaded with less than 500 MB of memory per process."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from release_hub import CLIENTS, hub_process

Toy = Callable[..., Path]
FILES = 2_000
SIZE = 1_000_000_000
MEMORY_MB = 500


def _peak_of(process: "subprocess.Popen[Any]") -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("way", ["xet", "lfs"])
def test_a_gigabyte_in_two_thousand_files(
    tmp_path: Path, toy: Toy, way: str, record_property: Callable[[str, object], None]
) -> None:
    directory = toy(shards=FILES - 6, shard_bytes=SIZE // (FILES - 6))
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert len(files) == FILES
    assert sum(path.stat().st_size for path in files) > 0.99 * SIZE
    with hub_process(tmp_path / "hub") as (server, env):
        env |= {"HF_HUB_DISABLE_XET": "1"} if way == "lfs" else {}
        released = _timed(
            [CLIENTS / "release_one.py", directory, "org/toy", "--batch-bytes", "0", "--peak"],
            env | {"HF_HOME": str(tmp_path / "one")},
        )
        fetched = _timed(
            [CLIENTS / "download_one.py", "org/toy", "dataset", "--peak"],
            env | {"HF_HOME": str(tmp_path / "two")},
        )
        peaks = {"release": released["peak_mb"], "download": fetched["peak_mb"], "hub": _peak_of(server)}
    seconds = {"release_s": released["seconds"], "download_s": fetched["seconds"]}
    for name, value in (peaks | seconds).items():
        record_property(name, round(value))
        print(f"{way} {name}: {value:.0f}")
    assert released["files"] == FILES + 1
    assert fetched["verified"] == FILES
    assert max(peaks.values()) < MEMORY_MB, peaks


def _timed(command: list[Any], env: dict[str, str]) -> dict[str, Any]:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=env,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result | {"seconds": time.monotonic() - started}
