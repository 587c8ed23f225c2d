"""Which files a release sends: plain files with valid names, and no secrets."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from release_toys import TOYS

from l2t_hub.artifacts import RELEASE_RECORD
from l2t_hub.errors import UsageError, UserError
from l2t_hub.publish.stage import StagedRelease, stage
from l2t_hub.publish.validate import validate

Toy = Callable[..., Path]


def test_a_task_may_have_any_name(toy: Toy) -> None:
    names = ("cache", "checkpoints", "logs", "runs", "wandb")
    directory = toy("dataset", tasks=names)
    for folder in ("cache", "logs"):
        (directory / folder).mkdir()
        (directory / folder / "x.json").write_text("{}")
    staged = stage(directory)
    assert {f"data/examples/{name}/train-00000-of-00001.parquet" for name in names} <= set(staged.paths())
    assert dict(staged.left_out) == {"cache/": "cache", "logs/": "log"}
    validate(staged)


@pytest.mark.parametrize("kind", list(TOYS))
def test_a_toy_passes_and_its_digest_depends_on_content_alone(toy: Toy, kind: str) -> None:
    one, two, other = stage(toy(kind, name="one")), stage(toy(kind, name="two")), stage(toy(kind, seed=9))
    validate(one)
    assert (one.kind, one.digest, one.fingerprint) == (kind, two.digest, two.fingerprint)
    assert other.digest != one.digest
    record = one.file(RELEASE_RECORD)
    assert record
    assert record.read().count(b"\n") == 1
    assert set(json.loads(record.read())["files"]) == set(one.paths()) - {RELEASE_RECORD}


@pytest.mark.parametrize("target", ["file", "folder", "dangling", "secret"])
def test_a_symlink_is_refused_wherever_it_points(toy: Toy, tmp_path: Path, target: str) -> None:
    directory = toy()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_text("secret")
    targets = {
        "file": directory / "README.md",
        "folder": tmp_path / "outside",
        "dangling": tmp_path / "none",
        "secret": tmp_path / "outside" / "key",
    }
    (directory / "data" / "link").symlink_to(targets[target])
    with pytest.raises(UserError, match="data/link: symlinks cannot be released"):
        stage(directory)


def test_a_link_created_at_the_last_moment_is_not_followed(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    from l2t_hub.publish import stage as staging

    directory = toy("model")
    walked = staging._walk

    def walk_then_link(*arguments: object) -> list[str]:
        paths = list(walked(*arguments))  # type: ignore[arg-type]
        (directory / "config.json").unlink()
        (directory / "config.json").symlink_to("/etc/passwd")
        return paths

    monkeypatch.setattr(staging, "_walk", walk_then_link)
    with pytest.raises(UserError, match=r"config.json: cannot be read"):
        stage(directory)


def test_a_pipe_is_refused(toy: Toy) -> None:
    directory = toy("space")
    os.mkfifo(directory / "pipe")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        stage(directory)


def test_file_names_the_hub_rejects_are_refused(toy: Toy) -> None:
    for name in ("new\nline.txt", "back\\slash.txt", os.fsdecode(b"latin\xff.txt")):
        directory = toy("space", name=f"space-{ord(name[3])}")
        (directory / name).write_text("x")
        with pytest.raises(UserError, match="cannot be released"):
            stage(directory)
    directory = toy("space", name="cases")
    (directory / "App.py").write_text("x")
    with pytest.raises(UserError, match="are one file on systems that ignore letter case"):
        stage(directory)


def test_a_directory_must_be_exactly_one_kind_of_release(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong, message in (
        (tmp_path / "empty", "neither a dataset, a model nor a Space"),
        (tmp_path / "none", "no such directory"),
    ):
        with pytest.raises(UsageError, match=message):
            stage(wrong)
    both = toy("dataset")
    (both / "training.json").write_text("{}")
    with pytest.raises(UsageError, match="both a dataset and a model"):
        stage(both)


def test_a_file_that_contains_the_token_is_refused(toy: Toy) -> None:
    directory = toy("model")
    token = "hf_rehearsal_write_0123456789abcdef"
    (directory / "train_log.jsonl").write_bytes(b"x" * (2**20 - 10) + token.encode() + b"y" * 100)
    with pytest.raises(UserError, match=r"train_log.jsonl: contains your Hub token") as caught:
        stage(directory, token)
    assert token not in str(caught.value)
    assert isinstance(stage(directory, "hf_another_token"), StagedRelease)
