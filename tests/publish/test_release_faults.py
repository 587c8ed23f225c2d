"""Releases to a Hub that is busy, fails or drops connections. A sample runs by default, all combinations as `slow`."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from release_hub import WatchedHub, assert_clean, released, run

from l2t_hub.local_hub.faults import Action, Answer, Cut, DiskFull

Toy = Callable[..., Path]
TITLE = "Faulty"


@dataclass(frozen=True)
class Step:
    """A request that a release makes: how to recognise it, and which ways of uploading make it."""

    method: str
    path: str
    ways: tuple[str, ...] = ("xet", "lfs")
    nth: int = 1


STEPS = {
    "whoami": Step("GET", r"/api/whoami-v2"),
    "create-repo": Step("POST", r"/api/repos/create"),
    "repo-info": Step("GET", r"/api/datasets/org/[^/]+$"),
    "main-head": Step("GET", r"/revision/main$"),
    "tree": Step("GET", r"/tree/", nth=2),
    "list-pulls": Step("GET", r"/discussions$"),
    "open-pull": Step("POST", r"/discussions$"),
    "validate-card": Step("POST", r"/api/validate-yaml"),
    "preupload": Step("POST", r"/preupload/", nth=2),
    "lfs-batch": Step("POST", r"/objects/batch", ("lfs",), nth=2),
    "lfs-put": Step("PUT", r"/lfs/object/", ("lfs",), nth=2),
    "xet-token": Step("GET", r"/xet-write-token/", ("xet",)),
    "xorb": Step("POST", r"/v1/xorbs/", ("xet",), nth=2),
    "shard": Step("POST", r"/shards$", ("xet",), nth=2),
    "commit": Step("POST", r"/commit/", nth=2),
    "read-back": Step("GET", r"/resolve/"),
    "pull-state": Step("GET", r"/discussions/1$"),
    "mark-ready": Step("POST", r"/discussions/1/status"),
    "merge": Step("POST", r"/discussions/1/merge"),
    "refs": Step("GET", r"/refs$", nth=2),
    "tag": Step("POST", r"/tag/"),
    "collection": Step("POST", r"/api/collections$"),
    "item": Step("POST", r"/items$"),
}
FAULTS: dict[str, Action] = {
    "429": Answer(429),
    "429-wait-1": Answer(429, retry_after=1),
    "500": Answer(500),
    "503": Answer(503),
    "503-but-done": Answer(503, after=True),
    "cut-before": Cut("before"),
    "cut-during": Cut("during"),
    "cut-after": Cut("after"),
}
# The hardest cases run by default: steps that change the Hub and that the client does not retry itself.
SAMPLE = [
    ("whoami", "429-wait-1", "lfs"),
    ("create-repo", "503-but-done", "lfs"),
    ("open-pull", "cut-after", "lfs"),
    ("xorb", "cut-during", "xet"),
    ("lfs-put", "cut-during", "lfs"),
    ("commit", "cut-during", "xet"),
    ("commit", "503-but-done", "xet"),
    ("commit", "cut-after", "lfs"),
    ("commit", "429", "lfs"),
    ("validate-card", "500", "lfs"),
    ("mark-ready", "cut-after", "lfs"),
    ("merge", "503-but-done", "lfs"),
    ("tag", "cut-after", "lfs"),
    ("item", "503-but-done", "lfs"),
]
MATRIX = [(step, fault, way) for step, row in STEPS.items() for fault in FAULTS for way in row.ways]


def _release_through(hub: WatchedHub, toy: Toy, step: str, fault: str, way: str) -> None:
    """Inject one fault once at one step: the release succeeds by itself, with the same result as without it."""
    repo = f"org/{step}-{fault}-{way}"
    # Each case has its own content: content known from another case would not be sent, and the fault never strike.
    directory = toy(seed=hash((step, fault, way)) % 10**6, tasks=("typo",), shards=2)
    row = STEPS[step]
    hub.faults.clear()
    struck = hub.faults.add(row.method, row.path, FAULTS[fault], nth=row.nth)
    states = hub.watch_main("dataset", repo)
    result = released(run(hub, directory, repo, "--collection", TITLE, xet=way == "xet"))
    hub.faults.clear()
    assert struck.struck == 1
    assert_clean(hub, "dataset", repo, directory)
    assert result["tags"][0] == "v1"
    assert hub.collected(TITLE).count(repo) == 1
    assert [set(state) for state in states] == [{".gitattributes"}, set(hub.listing("dataset", repo))]


@pytest.mark.parametrize(("step", "fault", "way"), SAMPLE)
def test_a_release_survives_a_fault(
    shared_hub: WatchedHub, toy: Toy, step: str, fault: str, way: str
) -> None:
    _release_through(shared_hub, toy, step, fault, way)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "fault", "way"), MATRIX)
def test_a_release_survives_every_fault(
    shared_hub: WatchedHub, toy: Toy, step: str, fault: str, way: str
) -> None:
    _release_through(shared_hub, toy, step, fault, way)


@pytest.mark.parametrize("way", ["xet", "lfs"])
def test_a_full_disk_on_the_hub_is_reported_and_the_release_resumes(
    hub: WatchedHub, toy: Toy, way: str
) -> None:
    directory = toy()
    hub.faults.add("POST", r"/commit/|/xorbs/", DiskFull(), nth=3, times=None)
    hub.faults.add("PUT", r"/lfs/object/", DiskFull(), nth=3, times=None)
    states = hub.watch_main("dataset", "org/toy")
    failed = run(hub, directory, "org/toy", xet=way == "xet")
    assert failed.returncode == 1
    assert "no storage space left" in failed.stderr
    assert failed.stderr.rstrip().splitlines()[-1] == f"l2t release {directory} --repo org/toy"
    assert [set(state) for state in states] == [{".gitattributes"}]
    hub.faults.clear()
    released(run(hub, directory, "org/toy", xet=way == "xet"))
    assert_clean(hub, "dataset", "org/toy", directory)


def test_a_hub_that_keeps_failing_gives_one_sentence_and_the_command(hub: WatchedHub, toy: Toy) -> None:
    directory = toy("model")
    hub.faults.add("POST", r"/merge$", Answer(500), times=None)
    failed = run(hub, directory, "org/toy", "--attempts", "2", "--collection", "My toys")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "failed with status 500" in failed.stderr
    assert (
        failed.stderr.rstrip().splitlines()[-1]
        == f"l2t release {directory} --repo org/toy --collection 'My toys'"
    )
    assert set(hub.listing("model", "org/toy")) == {".gitattributes"}
    hub.faults.clear()
    sent = hub.recorder.uploaded()
    released(run(hub, directory, "org/toy", "--collection", "My toys"))
    assert hub.recorder.uploaded() == sent
    assert_clean(hub, "model", "org/toy", directory)


@pytest.mark.parametrize("way", ["xet", "lfs"])
def test_a_token_that_cannot_write(hub: WatchedHub, toy: Toy, way: str) -> None:
    directory = toy("model")
    cases = {
        hub.keys.read: "has only read access",
        hub.keys.mint(seconds=-1): "is invalid or has expired",
        "hf_nonsense_nonsense": "is invalid or has expired",
        "": "no token for",
    }
    for token, message in cases.items():
        refused = run(
            hub, directory, "org/toy", token=token, xet=way == "xet", home=directory.parent / "empty"
        )
        assert refused.returncode == 1
        assert message in refused.stderr
        assert "hf auth login" in refused.stderr
        assert not token or token not in refused.stderr
    assert not hub._store.rows("SELECT * FROM repos")


@pytest.mark.parametrize(
    ("way", "where"), [("xet", r"/xet-write-token/"), ("lfs", r"/objects/batch"), ("xet", r"/commit/")]
)
def test_a_token_that_expires_during_the_release(hub: WatchedHub, toy: Toy, way: str, where: str) -> None:
    directory = toy()
    token = hub.keys.mint()

    def expire(number: int, when: str) -> None:
        import re

        if when == "before" and re.search(where, hub.recorder.requests[number - 1].path):
            hub.keys._known = {key: row for key, row in hub.keys._known.items() if row[0].user != "rehearsal"}

    known = dict(hub.keys._known)
    hub.recorder.hook = expire
    failed = run(hub, directory, "org/toy", token=token, xet=way == "xet")
    assert failed.returncode == 1
    assert "rejected the token" in failed.stderr, failed.stderr[-2000:]
    assert "Traceback" not in failed.stderr
    assert token not in failed.stderr
    hub.recorder.hook = lambda number, when: None
    hub.keys._known = known
    released(run(hub, directory, "org/toy", xet=way == "xet"))
    assert_clean(hub, "dataset", "org/toy", directory)


def test_another_commit_to_the_pull_request(hub: WatchedHub, toy: Toy) -> None:
    """Our commit is refused with 412, a stale parent. The release reads the tree again and continues."""
    from l2t_hub.local_hub.git_objects import regular_entry
    from l2t_hub.local_hub.history import Put

    directory = toy()
    ran: list[int] = []

    def commit(number: int, when: str) -> None:
        if when == "before" and "/commit/" in hub.recorder.requests[number - 1].path and len(ran) < 2:
            ran.append(number)
            hub._store.write_blob(b"not part of it")
            change = [Put(f"stray-{number}.txt", regular_entry(b"not part of it"))]
            hub.history.write(
                hub.number("dataset", "org/toy"), "refs/pr/1", change, "a stray", "", "another", None
            )

    hub.recorder.hook = commit
    released(run(hub, directory, "org/toy"))
    assert [seen.status for seen in hub.recorder.requests if "/commit/" in seen.path].count(412) == 2
    assert_clean(hub, "dataset", "org/toy", directory)


@pytest.mark.parametrize("way", ["xet", "lfs"])
def test_a_file_that_changes_during_the_upload_is_not_released(hub: WatchedHub, toy: Toy, way: str) -> None:
    directory = toy("model")
    weights = directory / "model.safetensors"
    content = weights.read_bytes()

    def change(number: int, when: str) -> None:
        if when == "before" and "/preupload/" in hub.recorder.requests[number - 1].path:
            weights.write_bytes(content[:-4] + bytes(4))

    hub.recorder.hook = change
    failed = run(hub, directory, "org/toy", "--attempts", "2", xet=way == "xet")
    hub.recorder.hook = lambda number, when: None
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    if way == "xet":
        assert (
            "the content on the Hub differs from what was hashed at the start: model.safetensors"
            in failed.stderr
        )
    assert set(hub.listing("model", "org/toy")) == {".gitattributes"}
    weights.write_bytes(content)
    released(run(hub, directory, "org/toy", xet=way == "xet"))
    assert_clean(hub, "model", "org/toy", directory)


def test_the_command_in_the_error_message_resumes(hub: WatchedHub, toy: Toy) -> None:
    """The last line of an error message is a shell command that completes the release."""
    directory = toy("space", name="a space's directory")
    hub.faults.add("POST", r"/merge$", Answer(500), times=None)
    failed = run(
        hub,
        directory,
        "org/toy",
        "--attempts",
        "1",
        "--collection",
        "Our toys",
        "--version",
        "2.0",
        "--private",
    )
    assert failed.returncode == 1
    hub.faults.clear()
    command = failed.stderr.rstrip().splitlines()[-1]
    program, *words = shlex.split(command)
    assert program == "l2t"
    env = hub.environment(directory.parent / "home")
    done = subprocess.run(
        [sys.executable, "-m", "l2t_hub.cli", *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert hub.collected("Our toys") == ["org/toy"]
    assert "v2.0" in hub.tags("space", "org/toy")


def test_an_unfinished_release_of_other_content_is_reported_and_left_alone(hub: WatchedHub, toy: Toy) -> None:
    old, new = toy("model", seed=1), toy("model", seed=2)
    hub.faults.add("POST", r"/merge$", Answer(500), times=None)
    assert run(hub, old, "org/toy", "--attempts", "1").returncode == 1
    hub.faults.clear()
    done = run(hub, new, "org/toy")
    assert released(done)["pull_request"] == 2
    assert "unfinished releases of other content: pull requests 1" in done.stderr
    assert hub.pulls("model", "org/toy") == ["open", "merged"]


def test_an_unreachable_hub(hub: WatchedHub, toy: Toy) -> None:
    directory = toy("model")
    hub.stop()
    failed = run(hub, directory, "org/toy", "--attempts", "2")
    assert failed.returncode == 1
    assert "the connection to rehearsal Hub" in failed.stderr
    assert "Traceback" not in failed.stderr
