"""Releases without faults: all three kinds, with Xet and LFS, repeated, changed, shrunk, private and tagged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from release_hub import WatchedHub, assert_clean, assert_is, put, released, run

from l2t_hub.errors import UsageError
from l2t_hub.publish.release import release
from l2t_hub.publish.stage import stage

Toy = Callable[..., Path]


@pytest.mark.parametrize("xet", [True, False], ids=["xet", "lfs"])
@pytest.mark.parametrize("kind", ["dataset", "model", "space"])
def test_a_release_and_its_repetition(hub: WatchedHub, toy: Toy, kind: str, xet: bool) -> None:
    directory = toy(kind)
    states = hub.watch_main(kind, "org/toy")
    first = released(run(hub, directory, "org/toy", "--collection", "Toys", xet=xet))
    assert_clean(hub, kind, "org/toy", directory)
    assert [set(state) for state in states] == [{".gitattributes"}, set(hub.listing(kind, "org/toy"))]
    staged = stage(directory)
    assert (first["files"], first["size"], first["fingerprint"]) == (
        len(staged.files),
        staged.size,
        staged.fingerprint,
    )
    assert first["tags"] == ["v1", f"fp-{staged.fingerprint[:12]}"]
    assert first["revision"] == hub.tags(kind, "org/toy")["v1"]
    merged = hub.history.commit(hub.number(kind, "org/toy"), first["revision"])
    assert merged.title == f"Release v1 ({staged.digest[:20]}) (#1)"
    assert first["rehearsal"]
    assert "/rehearsal/" in first["url"]
    before = len(hub.recorder.requests)
    second = released(run(hub, directory, "org/toy", "--collection", "Toys", xet=xet))
    assert (second["unchanged"], second["revision"], second["tags"]) == (
        True,
        first["revision"],
        first["tags"],
    )
    assert not [seen for seen in hub.recorder.requests[before:] if seen.is_upload]
    assert_clean(hub, kind, "org/toy", directory)
    assert hub.collected("Toys") == ["org/toy"]


def test_a_new_release_replaces_the_old_one_and_sends_only_changes(hub: WatchedHub, toy: Toy) -> None:
    old = toy(seed=1, shards=4, tasks=("typo", "deletion", "space"))
    released(run(hub, old, "org/toy"))
    before = hub.listing("dataset", "org/toy")
    states = hub.watch_main("dataset", "org/toy")
    sent = hub.recorder.uploaded()
    new = _changed(old, toy(seed=2, name="new", shards=4, tasks=("typo", "deletion")))
    result = released(run(hub, new, "org/toy"))
    assert_clean(hub, "dataset", "org/toy", new, pulls=2)
    after = hub.listing("dataset", "org/toy")
    assert states == [before, after]
    assert "data/examples/space/train-00000-of-00001.parquet" in set(before) - set(after)
    # Three of four packed shards are unchanged; the fourth and the examples are sent.
    assert result["sent_files"] < len(after) - 3
    assert hub.recorder.uploaded() - sent < 0.6 * result["size"]


def _changed(old: Path, new: Path) -> Path:
    """Return `new` with the first three packed shards of `old` and a matching manifest."""
    manifest = json.loads((new / "l2t_manifest.json").read_text())
    theirs = {row["path"]: row for row in json.loads((old / "l2t_manifest.json").read_text())["shards"]}
    for row in manifest["shards"]:
        if row["config"] == "packed" and row["split"] == "train" and "-00003-" not in row["path"]:
            shutil.copy(old / row["path"], new / row["path"])
            row.update(theirs[row["path"]])
    (new / "l2t_manifest.json").write_text(json.dumps(manifest))
    return new


def test_content_that_moved_is_copied_on_the_hub(hub: WatchedHub, toy: Toy, tmp_path: Path) -> None:
    directory = toy(shards=3)
    released(run(hub, directory, "org/toy"))
    manifest = json.loads((directory / "l2t_manifest.json").read_text())
    for row in manifest["shards"]:
        if row["config"] == "packed" and row["split"] == "train":
            moved = row["path"].replace("-of-00003", "-of-000003")
            (directory / row["path"]).rename(directory / moved)
            row["path"] = moved
    (directory / "l2t_manifest.json").write_text(json.dumps(manifest))
    sent = hub.recorder.uploaded()
    result = released(run(hub, directory, "org/toy", home=tmp_path / "another machine"))
    assert result["copied_files"] == 3
    assert hub.recorder.uploaded() - sent < 20_000
    assert_clean(hub, "dataset", "org/toy", directory, pulls=2)


def test_a_file_may_replace_a_folder(hub: WatchedHub, toy: Toy) -> None:
    directory = toy("space")
    (directory / "notes").mkdir()
    (directory / "notes" / "one.txt").write_text("one")
    released(run(hub, directory, "org/toy"))
    shutil.rmtree(directory / "notes")
    (directory / "notes").write_text("now a file")
    released(run(hub, directory, "org/toy"))
    assert_clean(hub, "space", "org/toy", directory, pulls=2)


def test_a_gitignore_in_the_repo_hides_nothing(hub: WatchedHub, toy: Toy) -> None:
    directory = toy("space")
    released(run(hub, directory, "org/toy"))
    put(hub, "space", "org/toy", {".gitignore": b"*.whl\n*.py\n"})
    (directory / "app.py").write_text("SEED = 'changed'\n")
    released(run(hub, directory, "org/toy"))
    assert_is(hub, "space", "org/toy", directory)


def test_private_repos_stay_private_and_public_ones_refuse_private_releases(
    hub: WatchedHub, toy: Toy
) -> None:
    directory = toy("model")
    released(run(hub, directory, "org/secret", "--private"))
    released(run(hub, directory, "org/secret"))
    assert hub._store.row("SELECT private FROM repos WHERE name='secret'")["private"] == 1
    released(run(hub, directory, "org/open"))
    refused = run(hub, directory, "org/open", "--private")
    assert refused.returncode == 1
    assert "is public, but --private was given" in refused.stderr


def test_versions_are_tags_that_do_not_move(hub: WatchedHub, toy: Toy) -> None:
    one, two = toy("model", seed=1), toy("model", seed=2)
    assert released(run(hub, one, "org/toy", "--version", "1.0"))["tags"][0] == "v1.0"
    requests = len(hub.recorder.requests)
    refused = run(hub, two, "org/toy", "--version", "1.0")
    assert refused.returncode == 1
    assert "the tag v1.0 belongs to another release" in refused.stderr
    assert not [seen for seen in hub.recorder.requests[requests:] if seen.method != "GET"]
    assert released(run(hub, one, "org/toy", "--version", "1.0"))["unchanged"]
    assert released(run(hub, two, "org/toy"))["tags"][0] == "v1"


def test_a_dry_run_predicts_the_release_and_writes_nothing(hub: WatchedHub, toy: Toy) -> None:
    old, new = toy(seed=1, tasks=("typo", "space")), toy(seed=2, tasks=("typo", "deletion"))
    foreseen = run(hub, old, "org/toy", "--dry-run", "--collection", "Toys")
    assert released(foreseen)["dry_run"]
    assert "new public repo" in foreseen.stderr
    assert {seen.method for seen in hub.recorder.requests} == {"GET"}
    released(run(hub, old, "org/toy"))
    _agree(hub, foreseen.stderr, set(hub.listing("dataset", "org/toy")) - {".gitattributes"})
    was = hub.listing("dataset", "org/toy")
    requests = len(hub.recorder.requests)
    foreseen = run(hub, new, "org/toy", "--dry-run")
    assert "tags: v2, fp-" in foreseen.stderr
    assert {seen.method for seen in hub.recorder.requests[requests:]} == {"GET"}
    assert hub.listing("dataset", "org/toy") == was
    released(run(hub, new, "org/toy"))
    now = hub.listing("dataset", "org/toy")
    _agree(hub, foreseen.stderr, {path for path in now if now[path] != was.get(path)})
    deleted = [line.split()[-1] for line in foreseen.stderr.splitlines() if line.startswith("deleted")]
    assert set(deleted) == set(was) - set(now) == {"data/examples/space/train-00000-of-00001.parquet"}


def _agree(hub: WatchedHub, message: str, sent: set[str]) -> None:
    """Check that the dry run listed exactly the files that were sent, each with its storage."""
    rows = [line.split() for line in message.splitlines() if line.startswith(("new  ", "changed  "))]
    assert {row[-1] for row in rows} == sent
    number = hub.number("dataset", "org/toy")
    tree = hub.history.tree(number, hub.history.resolve(number, "main"))
    for _, storage, *_, path in rows:
        assert storage == ("lfs" if tree[path].lfs else "regular"), path


def test_left_out_files_are_listed(hub: WatchedHub, toy: Toy) -> None:
    directory = toy("model")
    for path in (
        ".cache/x",
        "checkpoint-10/model.safetensors",
        "noise.log",
        "loss.png.partial",
        "__pycache__/a.pyc",
    ):
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text("not for the Hub")
    (directory / ".eval_results").mkdir()
    (directory / ".eval_results" / "blimp.yaml").write_text("- {}\n")
    done = run(hub, directory, "org/toy")
    released(done)
    there = set(hub.listing("model", "org/toy"))
    assert ".eval_results/blimp.yaml" in there
    assert not [
        path
        for path in there
        if "checkpoint" in path or "cache" in path or path.endswith((".log", ".partial"))
    ]
    assert "left out: .cache/ (hidden), __pycache__/ (cache), checkpoint-10/ (checkpoint)" in done.stderr


def test_an_invalid_collection_is_refused_before_connecting(toy: Toy) -> None:
    for wrong in ({"collection": "t" * 61}, {"collection": " "}, {"collection": "t", "note": "n" * 501}):
        with pytest.raises(UsageError):
            release(
                toy("space", name=f"space-{len(str(wrong))}"),
                "org/toy",
                hub="http://127.0.0.1:9/rehearsal",
                **wrong,
            )
