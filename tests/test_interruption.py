"""Ctrl-C and SIGTERM end every verb in one sentence with exit code 130 or 143, and the same command goes on."""

import importlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from interrupted_process import check_sentence, interrupt, start, wait_for
from release_toys import toy_dataset

from l2t_hub.errors import Interrupted, UserError
from l2t_hub.interruption import interruptible, raise_interrupt

MANY = ["build", "nano", "--variant", "nano-l2t", "--set", "build.partitions=12", "--out", "data"]
STOPS = [signal.SIGINT, signal.SIGTERM]


def test_an_interruption_is_no_error_and_says_what_is_kept() -> None:
    with pytest.raises(Interrupted) as stop, interruptible(lambda: ("data: 3 of 8 are kept", "Rerun.")):
        raise KeyboardInterrupt
    assert str(stop.value) == "data: 3 of 8 are kept\nRerun."
    assert not issubclass(Interrupted, Exception)
    assert issubclass(Interrupted, KeyboardInterrupt)
    with pytest.raises(UserError), interruptible(lambda: ("", "")):
        raise UserError("an error stays an error")


def test_an_error_that_a_library_made_of_the_signal_is_an_interruption() -> None:
    """pydantic makes a SchemaError of an interrupt while it builds a schema."""

    def library() -> None:
        try:
            signal.raise_signal(signal.SIGUSR1)
        except KeyboardInterrupt as stop:
            raise ValueError("while building a schema") from stop

    before = signal.signal(signal.SIGUSR1, raise_interrupt)
    try:
        with pytest.raises(Interrupted, match="kept"), interruptible(lambda: ("kept", "rerun")):
            library()
    finally:
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(ValueError, match="ours"), interruptible(lambda: ("kept", "rerun")):
        raise ValueError("ours")


def test_a_signal_waits_for_the_import_that_it_interrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_whole.py").write_text(
        "import signal\nsignal.raise_signal(signal.SIGUSR1)\nvalue = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def imports() -> None:
        importlib.import_module("imported_whole")
        time.sleep(30)
        pytest.fail("the signal did not end the sleep")

    before = signal.signal(signal.SIGUSR1, raise_interrupt)
    try:
        with pytest.raises(Interrupted), interruptible(lambda: ("", "")):
            imports()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert sys.modules["imported_whole"].value == 1


@pytest.mark.parametrize(
    ("how", "group"),
    [
        (signal.SIGINT, True),
        (signal.SIGTERM, False),
        pytest.param(signal.SIGINT, False, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, True, marks=pytest.mark.slow),
    ],
)
def test_a_build_with_workers_says_how_many_partitions_are_kept(
    how: signal.Signals, group: bool, tmp_path: Path
) -> None:
    build = start([*MANY, "--workers", "2"], tmp_path)
    finished = (tmp_path / "data" / ".l2t-build" / "partitions").glob
    wait_for(lambda: list(finished("[0-9]*")), build)
    errors = interrupt(build, how, group=group)
    kept = len(list(finished("[0-9]*")))
    are = "is" if kept == 1 else "are"
    assert (
        f"stopped by {'Ctrl-C' if how == signal.SIGINT else 'SIGTERM'}: data: {kept} of 12 partitions {are}"
        in errors
    )
    assert errors.endswith("Rerun the command to continue.\n")


@pytest.mark.parametrize("how", STOPS)
def test_the_local_hub_and_the_page_end_in_a_sentence(how: signal.Signals, tmp_path: Path) -> None:
    serving = tmp_path / "hub" / "serving.json"
    hub = start(["hub", "serve", "--dir", "hub", "--port", "0"], tmp_path)
    wait_for(serving.exists, hub)
    errors = interrupt(hub, how)
    assert "hub: everything on this Hub is kept\nTo serve it again: " in errors
    assert errors.endswith(" hub serve --dir hub\n")
    assert not serving.exists()


@pytest.mark.parametrize("how", STOPS)
def test_a_release_says_that_readers_see_all_or_nothing(how: signal.Signals, tmp_path: Path) -> None:
    toy_dataset(tmp_path / "toy", shards=40, shard_bytes=400_000)
    release = start(["release", "toy", "--repo", "rehearsal/toy", "--hub", "local:hub"], tmp_path)
    wait_for(lambda: (tmp_path / "hub" / "serving.json").exists(), release)
    time.sleep(0.5)
    errors = interrupt(release, how)
    assert "shows all of it or nothing" in errors or "rerun the command" in errors
    if "shows all" in errors:
        assert " release toy --repo rehearsal/toy --hub local:hub" in errors.splitlines()[-1]


@pytest.mark.parametrize("verb", [["plan", "nano"], ["tasks"], ["--help"]])
@pytest.mark.parametrize("how", STOPS)
def test_a_verb_stopped_at_any_moment_of_its_start(
    verb: list[str], how: signal.Signals, tmp_path: Path
) -> None:
    """From the first import on. Before it, the signal ends a Python that has done nothing."""
    seed = int(os.environ.get("L2T_TEST_SEED", time.time_ns() % 2**32))
    print(f"L2T_TEST_SEED={seed}")
    for delay in random.Random(seed).sample(range(1, 40), 3):
        command = start(verb, tmp_path)
        time.sleep(0.02 * delay)
        command.send_signal(how)
        _, errors = command.communicate(timeout=60)
        if command.returncode == 128 + how:
            check_sentence(errors, how)
        else:
            before_python_is_ready = command.returncode == -how or "site.py" in errors or "<frozen" in errors
            assert command.returncode == 0 or before_python_is_ready, errors
    assert not list(tmp_path.iterdir())


def test_of_several_processes_the_first_prints_the_answer_once(tmp_path: Path) -> None:
    for rank, lines in (("0", True), ("1", False)):
        command = start(["tasks", "--json"], tmp_path, RANK=rank, WORLD_SIZE="2")
        output, _ = command.communicate(timeout=60)
        assert bool(output) is lines
        assert not lines or len(json.loads(output)) == 14
