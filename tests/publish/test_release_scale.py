"""A dataset of 2,000 files and 1 GB: released and downloaded with less than 500 MB of memory in any process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from release_hub import CLIENTS

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
    code = f"from pathlib import Path; from l2t_hub.local_hub.serve import serve_hub; serve_hub(Path({str(tmp_path / 'hub')!r}), 0)"
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        note = tmp_path / "hub" / "serving.json"
        while not note.exists():
            assert server.poll() is None
            time.sleep(0.05)
        env = {n: v for n, v in os.environ.items() if not n.startswith("HF_")}
        token = json.loads((tmp_path / "hub" / "tokens.json").read_text())["write"]
        env |= {"HF_ENDPOINT": json.loads(note.read_text())["url"], "HF_TOKEN": token}
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
        for name, value in (
            *peaks.items(),
            ("release_s", released["seconds"]),
            ("download_s", fetched["seconds"]),
        ):
            record_property(name, round(value))
            print(f"{way} {name}: {value:.0f}")
        assert released["files"] == FILES + 1
        assert fetched["verified"] == FILES
        assert max(peaks.values()) < MEMORY_MB, peaks
    finally:
        server.kill()
        server.wait()


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
    told: dict[str, Any] = json.loads(done.stdout)
    return told | {"seconds": time.monotonic() - started}
