"""Runs in Trackio, with the real library on this machine, in a folder of the test and without a network."""

import socket
from pathlib import Path
from typing import Any

import pytest
from tiny_run import tiny_recipe

from l2t_hub import extras
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import recipe_from_tree
from l2t_hub.train import train
from l2t_hub.train.training_log import read_log


@pytest.fixture
def trackio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library, with its files in a temporary folder. Nothing else of it is replaced."""
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)

    def no_network(*_: Any) -> None:
        raise AssertionError("a local project tried to use the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    import trackio

    return trackio


def test_a_run_is_in_its_project_and_its_output_is_clean(
    packed: Path, tmp_path: Path, trackio: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    train(tiny_recipe(trackio="my-project"), packed, tmp_path / "model", tracking=True)
    logged = [(r["step"], r["loss"]) for r in read_log(tmp_path / "model" / "train_log.jsonl") if "loss" in r]
    from trackio.sqlite_storage import SQLiteStorage

    rows = SQLiteStorage.get_logs("my-project", "tiny")
    assert [(row["step"], row["loss"]) for row in rows if "loss" in row] == logged
    assert capfd.readouterr().out == ""


def test_without_tracking_a_recipe_records_nothing(
    packed: Path, tmp_path: Path, trackio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As `l2t reproduce` trains the recipe of a stranger.
    started: list[Any] = []
    monkeypatch.setattr(trackio, "init", lambda **arguments: started.append(arguments))
    train(tiny_recipe(trackio="my-project"), packed, tmp_path / "model")
    assert started == []


def test_a_record_that_is_not_taken_stops_nothing(
    packed: Path,
    tmp_path: Path,
    trackio: Any,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to the Space")

    monkeypatch.setattr(trackio, "log", refuse)
    train(tiny_recipe(trackio="my-project"), packed, tmp_path / "model", tracking=True)
    assert capfd.readouterr().err.count("Trackio does not take records: no route to the Space.") == 1


def test_a_space_is_asked_for_by_its_name(
    packed: Path, tmp_path: Path, trackio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def init(**arguments: Any) -> None:
        asked.update(arguments)
        raise OSError("offline")

    monkeypatch.setattr(trackio, "init", init)
    recipe = tiny_recipe(trackio="my-project", trackio_space="org/dashboard")
    with pytest.raises(UserError, match="Trackio cannot start: offline") as stop:
        train(recipe, packed, tmp_path / "model", tracking=True)
    assert "--set train.trackio=null" in str(stop.value.hint)
    assert (asked["project"], asked["space_id"], asked["name"]) == ("my-project", "org/dashboard", "tiny")


def test_a_missing_library_is_one_sentence(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"`train.trackio` needs trackio, which is not installed"):
        train(tiny_recipe(trackio="my-project"), packed, tmp_path / "model", tracking=True)


@pytest.mark.parametrize(
    "keys", [{"trackio": "../up"}, {"trackio_space": "org/x"}, {"trackio": "a", "trackio_space": "x"}]
)
def test_wrong_names_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"trackio"):
        recipe_from_tree({"name": "x", "source": {"path": "bundled:sample"}, "train": keys})
