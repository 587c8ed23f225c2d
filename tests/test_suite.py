"""The tests themselves: every test file runs, and no test is skipped where it could run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
# pytest finds the files as ever, with all conftest.py files, but imports none: that alone would take most of a minute.
LIST_FILES = """
import pytest

class Unread(pytest.Module):
    def collect(self):
        return []

def pytest_pycollect_makemodule(module_path, parent):
    print("collected:", module_path)
    return Unread.from_parent(parent, path=module_path)
"""
SKIPS = """
import pytest

def test_with_data(shared_data):
    pass

def test_without_data():
    pytest.skip("no")
"""


def run_pytest(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*PYTEST, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_pytest_collects_from_every_test_file(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "list_files.py").write_text(LIST_FILES, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = run_pytest("--collect-only", "-qs", "-n0", "-plist_files", cwd=repository, PYTHONPATH=path)
    collected = {
        Path(line.partition(": ")[2]) for line in done.stdout.splitlines() if line.startswith("collected: ")
    }
    on_disk = {
        path for path in (repository / "tests").rglob("*.py") if "def test_" in path.read_text("utf-8")
    }
    assert on_disk
    assert collected == on_disk, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize(("is_here", "workers"), [(True, 2), (True, 0), (False, 0)])
def test_a_skipped_test_fails_the_run_if_what_it_needs_is_here(
    repository: Path, tmp_path: Path, is_here: bool, workers: int
) -> None:
    shutil.copyfile(repository / "pyproject.toml", tmp_path / "pyproject.toml")
    tests, data = tmp_path / "tests", tmp_path / "data"
    tests.mkdir()
    shutil.copyfile(repository / "tests" / "conftest.py", tests / "conftest.py")
    (tests / "test_skips.py").write_text(SKIPS, encoding="utf-8")
    if is_here:
        data.mkdir()
    done = run_pytest(
        "-pxdist", "-ppytest_timeout", f"-n{workers}",
        cwd=tmp_path, L2T_SHARED_DATA=str(data), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )  # fmt: skip
    assert done.returncode == int(is_here), done.stdout + done.stderr
    assert "2 skipped" in done.stdout
    assert "SKIPPED [1] tests" in done.stdout, "with its reason"
    assert ("test_with_data: " in done.stdout) == is_here
    assert "test_without_data: " not in done.stdout
