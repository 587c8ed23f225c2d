"""The commit in a record: it says whether the code differed from it, and earlier records are no code."""

import subprocess
from pathlib import Path

import pytest

from l2t_hub.report import experiment_record


def test_only_changes_outside_the_record_are_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, record = tmp_path / "package" / "module.py", tmp_path / "results" / "one" / "experiment.json"

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    for file in (module, record):
        file.parent.mkdir(parents=True)
        file.write_text("1")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    head = git("rev-parse", "HEAD")
    monkeypatch.setattr(experiment_record, "__file__", str(module))
    assert experiment_record.commit(record.parent) == head
    record.write_text("2")
    assert experiment_record.commit(record.parent) == head
    assert experiment_record.commit(tmp_path.parent / "elsewhere") == f"{head}+changes"
    module.write_text("2")
    assert experiment_record.commit(record.parent) == f"{head}+changes"
