"""Releases killed with SIGKILL at points spread over their requests, before and after the Hub acts, then resumed.

Each time `main` is whole at every moment, the repo ends identical to an undisturbed release, nothing is duplicated, and
what the Hub has stored is not sent again.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from random_moments import seeded
from release_hub import CLIENTS, WatchedHub, assert_clean, hub_process, released, run, start, until

Toy = Callable[..., Path]
POINTS, KILLS = 20, 60
# The kill points of the default suite, out of twenty: early, during the upload, at the merge.
SAMPLE = (5, 11, 17)
# Enough content that a batch of 60 kB, which a kill may cost, is a small part of it.
SIZES = {"shards": 24, "shard_bytes": 50_000}
MAX_RESENT = 0.10


def _undisturbed(hub: WatchedHub, toy: Toy, kind: str, way: str) -> tuple[int, int]:
    """Return the requests and uploaded bytes of a release without a kill."""
    directory = toy(kind, name="undisturbed", seed=0, **_sizes(kind))
    requests, sent = len(hub.recorder.requests), hub.recorder.uploaded()
    released(run(hub, directory, "org/undisturbed", *_batches(), "--collection", "Toys", xet=way == "xet"))
    return len(hub.recorder.requests) - requests, hub.recorder.uploaded() - sent


def _sizes(kind: str) -> dict[str, int]:
    return SIZES if kind == "dataset" else {}


def _batches() -> tuple[str, ...]:
    return ("--batch-bytes", "60000")


def _killed_at(hub: WatchedHub, toy: Toy, kind: str, way: str, point: int, requests: int, usual: int) -> None:
    repo = f"org/killed-{point}"
    # Other content than the undisturbed release, or the Hub would have it already, but nearly the same size.
    directory = toy(kind, name=f"killed-{point}", seed=point, **_sizes(kind))
    number = len(hub.recorder.requests) + max(2, round(point * requests / (POINTS + 1)))
    when_to_kill = "before" if point % 2 else "after"
    states = hub.watch_main(kind, repo)
    sent = hub.recorder.uploaded()
    home = directory.parent / f"home-{point}"
    child = start(hub, directory, repo, *_batches(), "--collection", "Toys", xet=way == "xet", home=home)

    def kill(request: int, when: str) -> None:
        if request == number and when == when_to_kill:
            os.kill(child.pid, signal.SIGKILL)

    hub.recorder.hook = kill
    child.communicate(timeout=120)
    hub.recorder.hook = lambda request, when: None
    assert child.returncode == -signal.SIGKILL, "the release ended before it was killed"
    result = released(
        run(hub, directory, repo, *_batches(), "--collection", "Toys", xet=way == "xet", home=home)
    )
    assert_clean(hub, kind, repo, directory)
    assert hub.collected("Toys").count(repo) == 1
    assert result["tags"][0] == "v1"
    whole = hub.listing(kind, repo)
    assert [state for state in states if state != whole] in (
        [],
        [{".gitattributes": whole[".gitattributes"]}],
    )
    again = hub.recorder.uploaded() - sent - usual
    print(f"{kind} {way}, killed at point {point}: {again / usual:.1%} of the bytes were sent again")
    # A small release is a single batch: a kill within it may cost all of it.
    in_flight = 0 if kind == "dataset" else usual
    assert again < MAX_RESENT * usual + in_flight, f"{again} of {usual} bytes were sent twice"


@pytest.mark.parametrize("way", ["xet", "lfs"])
def test_killed_and_resumed(hub: WatchedHub, toy: Toy, way: str) -> None:
    requests, usual = _undisturbed(hub, toy, "dataset", way)
    for point in SAMPLE if way == "lfs" else SAMPLE[1:2]:
        _killed_at(hub, toy, "dataset", way, point, requests, usual)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", ["xet", "lfs"])
@pytest.mark.parametrize("kind", ["dataset", "model", "space"])
def test_killed_at_twenty_points_and_resumed(hub: WatchedHub, toy: Toy, kind: str, way: str) -> None:
    requests, usual = _undisturbed(hub, toy, kind, way)
    for point in range(1, POINTS + 1):
        _killed_at(hub, toy, kind, way, point, requests, usual)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_random_moments_and_resumed(hub: WatchedHub, toy: Toy) -> None:
    """SIGKILL to the client at any time from its first request on."""
    moments = seeded()
    undisturbed = toy("dataset", name="undisturbed", seed=10_000, **SIZES)
    child, began = _begin(hub, undisturbed, "org/undisturbed")
    child.communicate(timeout=120)
    length, killed = time.monotonic() - began, 0
    for kill in range(KILLS):
        kind, repo = ("dataset", "model", "space")[kill % 3], f"org/random-{kill}"
        directory = toy(kind, name=f"random-{kill}", seed=kill, **_sizes(kind))
        how = {"xet": kill % 2 == 0, "home": directory.parent / f"home-{kill}"}
        states = hub.watch_main(kind, repo)
        child, _ = _begin(hub, directory, repo, **how)
        time.sleep(moments.uniform(0, length if kill else length / 2))  # so that one is not over before
        child.kill()
        child.communicate(timeout=60)
        killed += child.returncode == -signal.SIGKILL
        released(run(hub, directory, repo, *_batches(), "--collection", "Toys", **how))
        assert_clean(hub, kind, repo, directory)
        assert hub.collected("Toys").count(repo) == 1
        whole = hub.listing(kind, repo)
        empty = {".gitattributes": whole[".gitattributes"]}
        assert [state for state in states if state != whole] in ([], [empty]), (
            "main was whole at every moment"
        )
    assert killed, "every release ended before it was killed"


def _begin(hub: WatchedHub, directory: Path, repo: str, **how: Any) -> "tuple[subprocess.Popen[str], float]":
    """Start a release, and wait for its first request; return when that was."""
    requests = len(hub.recorder.requests)
    child = start(hub, directory, repo, *_batches(), "--collection", "Toys", **how)
    until(lambda: len(hub.recorder.requests) > requests)
    return child, time.monotonic()


def test_killed_in_the_last_moments(hub: WatchedHub, toy: Toy) -> None:
    """After the merge, before the client learns of it; after the first tag, before the second."""
    for name, mark in (("at-merge", "/discussions/1/merge"), ("at-tag", "/tag/")):
        directory = toy("model", name=name, seed=len(name))
        child = start(hub, directory, f"org/{name}", "--collection", "Toys")

        def kill(request: int, when: str, mark: str = mark, pid: int = child.pid) -> None:
            if when == "after" and mark in hub.recorder.requests[request - 1].path:
                os.kill(pid, signal.SIGKILL)

        hub.recorder.hook = kill
        child.communicate(timeout=60)
        hub.recorder.hook = lambda request, when: None
        assert child.returncode == -signal.SIGKILL
        result = released(run(hub, directory, f"org/{name}", "--collection", "Toys"))
        assert (result["unchanged"], result["tags"][0]) == (True, "v1")
        assert_clean(hub, "model", f"org/{name}", directory)
    assert hub.collected("Toys") == ["org/at-merge", "org/at-tag"]


@pytest.mark.parametrize("way", ["lfs", pytest.param("xet", marks=pytest.mark.slow)])
def test_the_hub_is_killed_and_comes_back(tmp_path: Path, toy: Toy, way: str) -> None:
    """SIGKILL to the server in the middle of an upload. It restarts on its port, and the client continues by itself."""
    folder = tmp_path / "hub"
    directory = toy(**SIZES)
    with hub_process(folder) as (first, env):
        port = urlsplit(env["HF_ENDPOINT"]).port
        assert port
        env |= {"HF_HOME": str(tmp_path / "home"), "HF_XET_CLIENT_RETRY_BASE_DELAY": "100ms"}
        env |= {"HF_HUB_DISABLE_XET": "1"} if way == "lfs" else {}
        script = str(CLIENTS / "release_one.py")
        command = [sys.executable, script, str(directory), "org/toy", *_batches(), "--attempts", "200"]
        client = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        stored = folder / ("blobs" if way == "lfs" else "xorbs")
        until(lambda: sum(path.is_file() for path in stored.rglob("*")) > 8)
        first.kill()
        first.wait()
        assert client.poll() is None, "the release was over before the Hub was killed"
        time.sleep(0.3)
        with hub_process(folder, port):
            err = client.communicate(timeout=100)[1]
            assert client.returncode == 0, err[-3000:]
    hub = WatchedHub(folder).start()
    try:
        assert_clean(hub, "dataset", "org/toy", directory)
    finally:
        hub.stop()
