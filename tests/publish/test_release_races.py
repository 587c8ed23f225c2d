"""Two releases to one repo at once: both succeed, or one reports that it lost. `main` never shows a mixture."""

from collections.abc import Callable
from pathlib import Path

import pytest
from release_hub import WatchedHub, assert_is, put, released, run, start

from l2t_hub.publish.stage import stage

Toy = Callable[..., Path]


def _pair(hub: WatchedHub, one: Path, two: Path, tmp_path: Path) -> list[tuple[int, str]]:
    children = [
        start(hub, path, "org/toy", home=tmp_path / path.name / ".home", xet=False) for path in (one, two)
    ]
    return [(child.returncode, err) for child in children for err in [child.communicate(timeout=120)[1]]]


def test_equal_content_at_once_succeeds_twice(hub: WatchedHub, toy: Toy, tmp_path: Path) -> None:
    one, two = toy(seed=3, name="one"), toy(seed=3, name="two")
    for path in (one, two):
        (path / ".home").mkdir()
    states = hub.watch_main("dataset", "org/toy")
    done = _pair(hub, one, two, tmp_path)
    assert [code for code, _ in done] == [0, 0], "\n".join(err for _, err in done)
    assert_is(hub, "dataset", "org/toy", one)
    pulls = hub.pulls("dataset", "org/toy")
    # Usually one. A merge on the Hub cannot name the head it expects, so the other release may be merged after our
    # last look at `main`. Our merge then changes no file, and no state of `main` shows anything else.
    assert pulls.count("merged") in (1, 2)
    assert all(state == states[-1] for state in states[1:])
    assert set(states[-1]) == set(hub.listing("dataset", "org/toy"))
    assert set(states[0]) == {".gitattributes"}
    assert not {"open", "draft"} & set(pulls)
    assert [tag for tag in hub.tags("dataset", "org/toy") if tag.startswith("v")] == ["v1"]


def test_different_content_at_once_never_mixes(hub: WatchedHub, toy: Toy, tmp_path: Path) -> None:
    one, two = toy(seed=1, tasks=("typo",)), toy(seed=2, tasks=("typo", "space"))
    states = hub.watch_main("dataset", "org/toy")
    done = _pair(hub, one, two, tmp_path)
    codes = [code for code, _ in done]
    assert set(codes) <= {0, 1}
    assert 0 in codes
    for code, err in done:
        assert code == 0 or "another release reached `main` first" in err, err[-2000:]
    winners = [path for path, code in zip((one, two), codes, strict=True) if code == 0]
    assert len(states) == 1 + len(winners)
    loser = next((path for path, code in zip((one, two), codes, strict=True) if code), None)
    if loser:
        assert_is(hub, "dataset", "org/toy", winners[0])
        released(run(hub, loser, "org/toy", home=loser / ".home", xet=False))
        assert_is(hub, "dataset", "org/toy", loser)
        assert not {"open", "draft"} & set(hub.pulls("dataset", "org/toy"))


@pytest.mark.parametrize("moment", ["upload", "merge"])
def test_losing_the_race_at_a_given_moment(hub: WatchedHub, toy: Toy, tmp_path: Path, moment: str) -> None:
    """Another release is merged while this one uploads, or between its last look at `main` and its merge."""
    mine, other = toy("model", seed=1), toy("model", seed=2)
    mark = "/preupload/" if moment == "upload" else "/merge"
    ran: list[int] = []

    def overtake(number: int, when: str) -> None:
        if when == "before" and mark in hub.recorder.requests[number - 1].path and not ran:
            ran.append(number)
            _release_inside_the_server(hub, other)

    hub.recorder.hook = overtake
    lost = run(hub, mine, "org/toy", xet=False)
    hub.recorder.hook = lambda number, when: None
    assert ran
    assert lost.returncode == 1
    assert "another release reached `main` first" in lost.stderr
    assert lost.stderr.rstrip().splitlines()[-1] == f"l2t release {mine} --repo org/toy"
    assert_is(hub, "model", "org/toy", other)
    sent = hub.recorder.uploaded()
    result = released(run(hub, mine, "org/toy", xet=False, home=tmp_path / "fresh"))
    assert result["copied_files"] == 1
    assert hub.recorder.uploaded() - sent < 10_000
    assert_is(hub, "model", "org/toy", mine)
    assert hub.pulls("model", "org/toy") == ["closed", "merged"]


@pytest.mark.parametrize("moment", ["GET discussions", "POST discussions", "POST merge"])
def test_the_same_content_released_meanwhile_is_one_version(hub: WatchedHub, toy: Toy, moment: str) -> None:
    """Another process releases the same content, tag included, before this one looks for a pull request or opens or
    merges its own."""
    directory = toy("model")
    method, _, mark = moment.partition(" ")
    ran: list[int] = []

    def overtake(number: int, when: str) -> None:
        seen = hub.recorder.requests[number - 1]
        if when == "before" and seen.method == method and f"/{mark}" in seen.path and not ran:
            ran.append(number)
            _release_inside_the_server(hub, directory)
            repo = hub.number("model", "org/toy")
            hub.history.set_ref(repo, "refs/tags/v1", hub.history.resolve(repo, "main"))

    hub.recorder.hook = overtake
    result = released(run(hub, directory, "org/toy", xet=False))
    assert ran
    assert_is(hub, "model", "org/toy", directory)
    assert result["tags"][0] == "v1"
    assert [tag for tag in hub.tags("model", "org/toy") if tag.startswith("v")] == ["v1"]
    assert not {"open", "draft"} & set(hub.pulls("model", "org/toy"))


def _release_inside_the_server(hub: WatchedHub, directory: Path) -> None:
    """Make another release in one step inside the server, with its own files and release record."""
    put(hub, "model", "org/toy", {file.path: file.read() for file in stage(directory).files})
