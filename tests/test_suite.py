"""Every test file runs: pytest skips folders with names such as `build`, and a test that never runs proves nothing."""

import subprocess
import sys
from pathlib import Path


def test_pytest_collects_from_every_test_file(repository: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-m",
        "",
        "-p",
        "no:cacheprovider",
        "-n",
        "0",
    ]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    collected = {line.split("::")[0] for line in done.stdout.splitlines() if "::" in line}
    on_disk = {path.relative_to(repository).as_posix() for path in (repository / "tests").rglob("test_*.py")}
    assert on_disk
    assert collected == on_disk
