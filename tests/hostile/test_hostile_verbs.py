"""Every verb on hostile repos, by directory and by Hub name, in processes that are watched (see `audited.py`).

Nothing is read, written, run or connected to that is not allowed, nothing hostile is reported as good, and every answer
comes within 20 s of work and 2 GB, as a sentence. The default suite takes a repo of each kind, the slow suite all.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_repos import DATASETS, MODELS, Target, write_all
from release_hub import WatchedHub, put
from test_hostile_repos import (
    AGREE_WITH_THEMSELVES,
    IGNORED_SWITCHES,
    NOT_READ_BY_SCORING,
    PRIVATE,
    snapshot,
)
from tiny_release import make_dataset, make_model, tiny_recipe

SECONDS, BYTES = 20, 2 << 30
TESTS = Path(__file__).parents[1]
KINDS = {"dataset": DATASETS, "model": MODELS}
VERBS = {
    "dataset": ("verify", "reproduce", "train", "release"),
    "model": ("verify", "reproduce", "eval", "demo", "release"),
}
# A repo of each class of attack, for the default suite.
SAMPLE = {
    "dataset": (
        "shard-absolute-victim", "shard-symlink", "manifest-symlink", "module-standard-library", "tokenizer-local",
        "replaced-shard", "ledger-nan", "partitions-huge", "card-bomb", "name-escapes",
    ),
    "model": (
        "auto-map-tokenizer", "attention-from-the-hub", "weights-nan", "weights-symlink", "steps-huge",
        "recipe-batch-huge", "log-nan", "record-deep", "model-card-bomb", "tokenizer-model-deep",
    ),
}  # fmt: skip
SAMPLE_BY_NAME = {
    "dataset": ("shard-parent", "module-in-repo", "source-secret", "extra-raw-shard", "manifest-deep"),
    "model": ("auto-map-config", "pickle-only", "tensors-missing", "layers-huge", "dataset-elsewhere"),
}


@dataclass(frozen=True)
class World:
    """Good and hostile repos, what must stay untouched, and a Hub that has the repos too."""

    folder: Path
    good: dict[str, Path]
    repos: dict[str, dict[str, Path]]
    target: Target
    hub: WatchedHub


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    recipe = tiny_recipe("good", source={"limit": 30}, validation={"near_duplicates": "keep"})
    dataset = make_dataset(recipe, folder / "good" / "dataset")
    model = make_model(recipe, dataset, folder / "good" / "model")
    from l2t_hub.publish.cards import write_model_card

    write_model_card(model)
    private = folder / "private"
    private.mkdir()
    pq.write_table(pa.table({"id": ["1"], "text": [PRIVATE]}), private / "secret.parquet")
    (private / "victim").write_text("mine", encoding="utf-8")
    target = Target(private / "secret.parquet", private / "victim", folder / "marker")
    written = write_all(dataset, model, folder / "repos", target)
    repos = {kind: {name: written[name] for name in changes} for kind, changes in KINDS.items()}
    hub = WatchedHub(folder / "hub")
    hub.start()
    yield World(folder, {"dataset": dataset, "model": model}, repos, target, hub)
    hub.stop()


def upload(world: World, kind: str, name: str, directory: Path) -> str | None:
    """Put a repo on the Hub, past the clients' checks; None if it has a link, which no Hub keeps."""
    files = [path for path in sorted(directory.rglob("*")) if path.is_file() or path.is_symlink()]
    if any(path.is_symlink() for path in files):
        return None
    contents = {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}
    put(world.hub, kind, f"evil/{name}", contents)
    return f"evil/{name}"


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """Notice, with inotify, whoever opens or changes a file of a folder: libraries in C and Rust too."""
    library, seen = ctypes.CDLL(None, use_errno=True), []
    descriptor = library.inotify_init1(os.O_NONBLOCK)
    # IN_ACCESS, MODIFY, ATTRIB, CLOSE_WRITE, MOVED, CREATE, DELETE, and OPEN of a file.
    assert (
        library.inotify_add_watch(descriptor, os.fsencode(folder), 0x3 | 0x4 | 0x8 | 0xC0 | 0x300 | 0x20) > 0
    )
    try:
        yield seen
        while True:
            try:
                events = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                break
            while events:
                mask, length = (
                    int.from_bytes(events[4:8], sys.byteorder),
                    int.from_bytes(events[12:16], sys.byteorder),
                )
                name, events = events[16 : 16 + length].rstrip(b"\0").decode(), events[16 + length :]
                if name:  # the folder itself may be listed
                    seen.append(f"{name}: {mask:#x}")
    finally:
        os.close(descriptor)


def audit(
    world: World, tmp_path: Path, kind: str, verb: str, repos: dict[str, str], good: str
) -> list[dict[str, Any]]:
    """Run a verb on repos in a watched process and return its results, after checking the machine."""
    port = urlsplit(world.hub.url).port
    work = tmp_path / "work"
    work.mkdir()
    home, out = work / "home", work / "out"
    config = {
        "kind": kind,
        "verb": verb,
        "repos": repos,
        "good": good,
        "data": str(world.good["dataset"]),
        "out": str(out),
        "results": str(tmp_path / "results"),
        "port": port if good.startswith("evil/") or verb == "release" else None,
        "theirs": [str(world.folder / "repos"), str(world.folder / "private"), str(work)],
        "write": [str(work), "/dev"],
        "read": [sys.prefix, sys.base_prefix, str(TESTS.parent / "l2t_hub"), str(TESTS), str(world.good["dataset"]),
                 str(TESTS.parent / "recipes"), str(TESTS.parent / "model_cards"), *("/proc", "/sys", "/etc", "/usr", "/lib")],
    }  # fmt: skip
    (tmp_path / "config").write_text(json.dumps(config), encoding="utf-8")
    environment = world.hub.environment(home) | {
        "HOME": str(work),
        "TMPDIR": str(work),
        "XDG_CACHE_HOME": str(work),
    }
    environment = {n: v for n, v in environment.items() if n not in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")}
    environment |= {
        "PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    before = snapshot(world.target.secret.parent)
    command = [sys.executable, str(TESTS / "hostile" / "audited.py"), str(tmp_path / "config")]
    with watched(world.target.secret.parent) as touched:
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert not touched
    assert not world.target.marker.exists(), "their code ran"
    assert snapshot(world.target.secret.parent) == before
    lines = (tmp_path / "results").read_text(encoding="utf-8").splitlines()
    results = [json.loads(line) for line in lines]
    assert [result["name"] for result in results] == list(repos)
    return results


def check(results: list[dict[str, Any]], allowed: set[str]) -> None:
    """Check every answer; `allowed` are the repos whose change does not concern the verb."""
    wrong = []
    for result in results:
        name, message = result["name"], result["message"]
        problems = {
            "traceback": result["trace"],
            "not allowed": result["seen"],
            "success": result["success"] and name not in allowed,
            "says nothing": not message.strip(),
            "not text": "\x1b" in message or "Traceback" in message,
            "quotes": PRIVATE in message,
            "time": result["seconds"] > SECONDS,
            "memory": result["peak"] > BYTES,
        }
        wrong += [f"{name}: {what}: {found} ({message[:200]})" for what, found in problems.items() if found]
    assert not wrong, "\n".join(wrong)


# What each verb may call good, because the change lies in what the verb neither reads nor could judge.
# Training reads only the packed view, whose files and ids it checks; these changes are elsewhere.
NOT_PACKED = {
    "shard-symlink", "shard-truncated", "extra-raw-shard", "extra-folder", "card-bomb", "card-python-tag",
}  # fmt: skip
# Only `verify` and `reproduce` check that fingerprints follow from recipes.
CONSISTENT = {"replaced-shard", "other-seed", *AGREE_WITH_THEMSELVES}
# A release sends a directory of one's own: it refuses code and broken files, and leaves the rest to `l2t verify`.
RELEASED = {
    *IGNORED_SWITCHES, "quantization", "other-architecture", "tensors-missing", "tensors-extra", "tensors-misshapen",
    "weights-nan", "layers-huge", "hidden-huge", "vocabulary-huge-model", "positions-huge", "heads-zero",
    "config-types", "tokenizer-model-types", "log-empty", "dataset-elsewhere",
}  # fmt: skip
ASIDE_OF_MODELS = {"dataset-elsewhere", "model-card-bomb"}
UNSEEN: dict[tuple[str, str], set[str]] = {
    ("dataset", "verify"): AGREE_WITH_THEMSELVES,
    ("dataset", "reproduce"): set(),
    ("dataset", "train"): CONSISTENT | NOT_PACKED,
    ("dataset", "release"): CONSISTENT,
    ("model", "verify"): ASIDE_OF_MODELS,
    ("model", "reproduce"): ASIDE_OF_MODELS,
    ("model", "eval"): NOT_READ_BY_SCORING | IGNORED_SWITCHES,
    ("model", "demo"): NOT_READ_BY_SCORING | IGNORED_SWITCHES,
    ("model", "release"): RELEASED,
}
PAIRS = [(kind, verb) for kind, verbs in VERBS.items() for verb in verbs]


@pytest.mark.parametrize(
    "names", ["sample", pytest.param("all", marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
@pytest.mark.parametrize(("kind", "verb"), PAIRS)
def test_by_directory(world: World, tmp_path: Path, kind: str, verb: str, names: str) -> None:
    chosen = SAMPLE[kind] if names == "sample" else KINDS[kind]
    repos = {name: str(world.repos[kind][name]) for name in chosen}
    check(audit(world, tmp_path, kind, verb, repos, str(world.good[kind])), UNSEEN[kind, verb])


SLOW = [pytest.mark.slow, pytest.mark.timeout(1800)]
# In the default suite, one verb for each way in which a repo is fetched: all of it, some files, to be loaded.
BY_NAME = [
    *((*pair, "sample") for pair in (("dataset", "verify"), ("dataset", "reproduce"), ("model", "eval"))),
    *(pytest.param(*pair, "all", marks=SLOW) for pair in PAIRS if pair[1] != "release"),
]


@pytest.mark.parametrize(("kind", "verb", "names"), BY_NAME)
def test_by_name(world: World, tmp_path: Path, kind: str, verb: str, names: str) -> None:
    chosen = SAMPLE_BY_NAME[kind] if names == "sample" else KINDS[kind]
    prefix = f"{kind}-{verb}-{names}"
    given = {name: upload(world, kind, f"{prefix}-{name}", world.repos[kind][name]) for name in chosen}
    good = upload(world, kind, f"{prefix}-good", world.good[kind])
    assert good
    check(audit(world, tmp_path, kind, verb, {n: r for n, r in given.items() if r}, good), UNSEEN[kind, verb])
