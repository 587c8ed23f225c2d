"""The schemas of the records: what they write is what they read, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from record_trees import (
    as_bytes,
    checkpoint_tree,
    digest,
    release_tree,
    run_tree,
    shard_row,
    toy_manifest,
    training_tree,
)

from l2t_hub.errors import UserError
from l2t_hub.evaluate.pair_set import PairSpec
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import Manifest, read_manifest
from l2t_hub.records.reading import FileRecord
from l2t_hub.records.release_record import ReleaseRecord
from l2t_hub.records.requirement import requirement
from l2t_hub.records.training_record import CheckpointState, RunRecord, TrainingRecord

RECORDS: dict[type[FileRecord], Callable[[], dict[str, Any]]] = {
    Manifest: toy_manifest,
    ReleaseRecord: release_tree,
    TrainingRecord: training_tree,
    RunRecord: run_tree,
    CheckpointState: checkpoint_tree,
}
HUGE = 10**12


@pytest.mark.parametrize("record", RECORDS)
def test_what_is_written_is_what_is_read(record: type[FileRecord], tmp_path: Path) -> None:
    tree = RECORDS[record]()
    read = record.parse(as_bytes(tree), "x")
    assert read.as_dict() == tree
    assert list(read.as_dict()) == list(tree), "the order of the keys is the file's"
    assert record.find(tmp_path) is None
    read.write(tmp_path)
    assert record.read(tmp_path) == record.find(tmp_path) == read
    assert (tmp_path / record.FILE).read_bytes() == read.content()
    assert [path.name for path in tmp_path.iterdir()] == [record.FILE]


@pytest.mark.parametrize("record", RECORDS)
def test_malformed_records_are_one_sentence(record: type[FileRecord], tmp_path: Path) -> None:
    path = tmp_path / record.FILE
    for content in (b"", b"null", b"[]", b"1", b'"x"', b"{}", b"\xff", b'{"format": 1, "format": 1}'):
        path.write_bytes(content)
        with pytest.raises(UserError) as refused:
            record.read(tmp_path)
        assert refused.value.message.startswith(f"{path}: cannot be read as {record.WHAT}: ")
        assert refused.value.hint == record.REMEDY
        assert refused.value.message.isprintable()


def test_a_training_record_lists_files_of_its_own_directory_once() -> None:
    tree = {**training_tree(), "files": {"model.safetensors": digest("a"), "config.json": digest("b")}}
    record = TrainingRecord.parse(as_bytes(tree), "x")
    assert {path: facts.sha256 for path, facts in record.expected().items()} == tree["files"]
    for files in (
        {"../x": digest("a")},
        {"/etc/passwd": digest("a")},
        {"a": "0"},
        {"A": digest("a"), "a": digest("a")},
    ):
        with pytest.raises(UserError, match="files"):
            TrainingRecord.parse(as_bytes({**tree, "files": files}), "x")


@pytest.mark.parametrize("record", RECORDS)
def test_a_later_format_asks_for_a_later_version(record: type[FileRecord]) -> None:
    tree = {**RECORDS[record](), "format": 2, "something": "new"}
    with pytest.raises(UserError, match=r"x: format 2; this version reads 1\nUpdate l2t_hub\."):
        record.parse(as_bytes(tree), "x")
    for wrong in (0, -1, True, "1", 1.0, None, [1], 10**30):
        with pytest.raises(UserError):
            record.parse(as_bytes({**RECORDS[record](), "format": wrong}), "x")


@pytest.mark.parametrize("record", RECORDS)
def test_every_key_is_checked(record: type[FileRecord]) -> None:
    """Without a key, with a key of another type, and with one too many, a record is refused."""
    whole = RECORDS[record]()
    for key in whole:
        if key != "format":
            with pytest.raises(UserError, match=f"{key} is missing"):
                record.parse(as_bytes({k: v for k, v in whole.items() if k != key}), "x")
        with pytest.raises(UserError, match=key):
            record.parse(as_bytes({**whole, key: {"what": ["is", "this"]}}), "x")
    with pytest.raises(UserError, match="unknown key evil"):
        record.parse(as_bytes({**whole, "evil": 1}), "x")
    with pytest.raises(UserError, match="200 keys, where a record has at most 100"):
        record.parse(as_bytes({str(n): n for n in range(200)}), "x")


def test_training_records_without_a_format_are_of_the_first() -> None:
    """The first version of l2t_hub wrote none into the records of a run."""
    for record in (TrainingRecord, RunRecord, CheckpointState):
        tree = RECORDS[record]()
        del tree["format"]
        read = record.parse(as_bytes(tree), "x")
        assert read.format == 1  # type: ignore[attr-defined]
        assert read.as_dict() == tree


def changed(tree: dict[str, Any], keys: str, value: Any) -> dict[str, Any]:
    """A copy of a tree with one value set; numbers in the dotted keys index lists."""
    copy = json.loads(json.dumps(tree))
    node = copy
    *parents, last = (int(key) if key.isdigit() else key for key in keys.split("."))
    for key in parents:
        node = node[key]
    node[last] = value
    return copy


MANIFEST_BOUNDS = {
    "name": ["", "../x", "a b", "\x1b[31m", "a" * 97, "a/b"],
    "fingerprint": ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n", None, 0],
    "shards.0.path": ["/etc/passwd", "../x", "data/raw/train-00000-of-00001.parquet", ["a"], None, ""],
    "shards.0.config": ["packed", "a" * 300, 1],
    "shards.0.view": ["raw", "images", 1],
    "shards.0.split": ["test", "validation"],
    "shards.0.partition": [-1, 1, 99, HUGE, 0.0, True, "0"],
    "shards.0.rows": [-1, HUGE, 10**30, 0.5, float("nan"), "1", True],
    "shards.1.rows": [2**27],
    "shards.0.tokens": [-1, 10**16, None],
    "shards.0.bytes": [-1, 10**16, "1"],
    "shards.0.sha256": ["", "0" * 63, "x" * 64],
    "shards.0.fill": [-0.1, 1.1, float("inf"), "1"],
    "shards": [{}, "x", [[]], [1]],
    "partitions": [[], {}, [{}], [1]],
    "partitions.0.key": ["x", 1],
    "partitions.0.ledger": [[{}], "x", [[1]]],
    "ledger.0.in": [-1, float("nan"), float("inf"), 10**16, 1.5, "3"],
    "ledger.0.stage": ["unknown", "", "read\n"],
    "ledger.0.dropped": [[], {"x": -1}, {"x": "1"}, {"x": None}],
    "files": [{"../x": "0" * 64}, {"tasks.py": "0" * 64}, {"/etc/passwd": "0" * 64}, {"README.md": "0"}, []],
    "recipe": [[], {}, "x", None],
    "recipe.name": ["\x1b[31m"],
    "recipe.seed": [-1, 2**64, 10**30, 1.0],
    "recipe.build.partitions": [0, 2, HUGE, "1"],
    "recipe.build.packed": [1, "yes"],
    "recipe.build.raw": ["some"],
    "recipe.packing.sequence_length": [0, -1, HUGE, 1.5, "128"],
    "recipe.tokenizer.vocab_size": [0, HUGE],
    "recipe.train.max_steps": [-1, HUGE],
    "recipe.train.batch_size": [0, HUGE],
    "recipe.model.num_hidden_layers": [0, 10**7],
    "recipe.model.hidden_size": [0, 10**9],
    "recipe.source.path": [1, ["x"], "x" * 5000],
    "source.records": [-1, "3"],
    "source.contents": [[], {"a": 1}, {"a": "\x1b"}],
    "source.duplicates": [{}, {"key": "x", "records": []}, 1],
    "source.encodings": [[], {"a.txt": 1}, {"a.txt": "x" * 10_000}],
    "source.near_identical": [{}, {"key": "x", "records": []}, 1],
    "source.near_identical.records": [[[-1]], [["x"]], [1], {}],
    "tokenizer.vocab_size": [0, -1, HUGE, 1.5],
    "tokenizer.pad_id": [-1, HUGE, None],
    "totals.train.fill": [2, -1, "x"],
    "mixture.parts": [{"raw": 1}, []],
    "mixture.asked": [{"evil": 1}, []],
    "made_by": [{"a": 1}, [], {"a": "\x00"}],
    "modules": [{"a": "x"}, []],
}
TRAINING_BOUNDS = {
    "steps": [-1, HUGE, 6.0, "6"],
    "parameters": [0, -1, 10**14],
    "vocab_size": [0, HUGE],
    "precision": ["fp16", "auto", None],
    "batch.devices": [0, HUGE],
    "batch.sequence_length": [0, HUGE],
    "tokens": [-1, 10**16],
    "seconds": [-1, float("nan"), float("inf"), 10**11],
    "loss": [float("nan"), float("inf"), "6", 10**10],
    "hardware.threads": [0, 10**9, "1"],
    "hardware.processor": ["\x1b[31mEvil 9000", 1, "x" * 300],
    "hardware.gpus": ["x", [1], ["\x07"]],
    "dataset.repository": ["../../etc/passwd", "a", "a/b/c", "a/b.git", "--upload/x", 1],
    "dataset.revision": ["--upload", "main", "0" * 39, "../x", 1],
    "sequences.epochs": [-1, float("inf")],
    "versions": [[], {"torch": 1}],
    "auto_tokenizer": [1, "yes"],
    "recipe.train.max_steps": [HUGE],
    "recipe.train.per_device_train_batch_size": [HUGE],
    "recipe.model.num_hidden_layers": [10**7],
    "finished": ["\x1b", 1],
}
RELEASE_BOUNDS = {
    "kind": ["collection", None],
    "fingerprint": ["x"],
    "files": [
        [],
        {"../x": [1, "0" * 64]},
        {"/etc/passwd": [1, "0" * 64]},
        {"a": [1]},
        {"a": [1, "0" * 64, 2]},
        {"a": [-1, "0" * 64]},
        {"a": ["1", "0" * 64]},
        {"a": {"size": 1}},
        {"a": "ab"},
        {"a": [1, "0" * 64], "A": [1, "0" * 64]},
        {"a\u202e": [1, "0" * 64]},
    ],
}
CHECKPOINT_BOUNDS = {
    "window": [[], [1], [1, 2, 3], [float("nan"), 1], "ab", [1.0, "2"]],
    "logged_step": [-1, HUGE],
    "unlogged_loss": [float("nan"), 10**16],
    "precision": ["fp64"],
}
CASES = [
    (record, keys, value)
    for record, bounds in (
        (Manifest, MANIFEST_BOUNDS),
        (TrainingRecord, TRAINING_BOUNDS),
        (ReleaseRecord, RELEASE_BOUNDS),
        (CheckpointState, CHECKPOINT_BOUNDS),
    )
    for keys, values in bounds.items()
    for value in values
]


@pytest.mark.parametrize(("record", "keys", "value"), CASES)
def test_values_out_of_bounds_are_refused(record: type[FileRecord], keys: str, value: Any) -> None:
    tree = changed(RECORDS[record](), keys, value)
    with pytest.raises(UserError) as refused:
        record.parse(as_bytes(tree), "x")
    assert refused.value.message.startswith("x: cannot be read as ")
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 500


def test_errors_say_where() -> None:
    for tree, said in (
        (changed(toy_manifest(), "shards.3.rows", -1), "shards[3].rows must be at least 0, not -1"),
        (changed(toy_manifest(), "ledger.0.in", "x"), "ledger[0].in must be an integer, not 'x'"),
        (changed(toy_manifest(), "files", {"../x": "0"}), "files.../x"),
        (
            changed(toy_manifest(), "recipe.packing.sequence_length", 0),
            "recipe: packing.sequence_length must be at least 1, not 0",
        ),
        (
            changed(toy_manifest(), "recipe.build.partitions", 2),
            "1 partition, where the recipe has 2",
        ),
        (
            {**toy_manifest(), "fingerprnt": 1},
            "unknown key fingerprnt. Did you mean 'fingerprint'?",
        ),
    ):
        with pytest.raises(UserError) as refused:
            Manifest.parse(as_bytes(tree), "x")
        assert said in refused.value.message


def test_a_million_wrong_entries_are_one_error_soon() -> None:
    """Errors stop at the first wrong entry of a list or mapping."""
    tree = {**toy_manifest(), "shards": [{}] * 500_000, "modules": dict.fromkeys(map(str, range(500_000)), 1)}
    with pytest.raises(UserError, match=r"modules\.0 must be text, not 1"):
        Manifest.parse(as_bytes(tree), "x")


def test_a_manifest_lists_no_file_twice() -> None:
    for twin in ("data/packed/train-00000-of-00002.parquet", "README.MD"):
        tree = toy_manifest()
        if twin.startswith("data"):
            tree["shards"].append(shard_row(twin))
        else:
            tree["files"][twin] = digest("x")
        with pytest.raises(UserError):
            Manifest.parse(as_bytes(tree), "x")


def test_a_manifest_knows_what_is_missing_among_numbered_shards() -> None:
    tree = toy_manifest()
    assert Manifest.parse(as_bytes(tree), "x").missing_shards() == []
    del tree["shards"][1]
    manifest = Manifest.parse(as_bytes(tree), "x")
    assert manifest.missing_shards() == ["data/packed/train-00000-of-00002.parquet"]
    tree["shards"].append(shard_row("data/packed/train-00007-of-00002.parquet"))
    assert len(Manifest.parse(as_bytes(tree), "x").missing_shards()) == 1
    for name in ("00001-of-00003", "00000-of-00000", "00002-of-00001", "00000-of-9999999"):
        tree["shards"] = [shard_row(f"data/raw/train-{name}.parquet")]
        assert len(Manifest.parse(as_bytes(tree), "x").missing_shards()) == 1


def test_other_files_make_a_checked_copy() -> None:
    manifest = Manifest.parse(as_bytes(toy_manifest()), "x")
    assert manifest.with_files({"README.md": digest("new")}).files == {"README.md": digest("new")}
    with pytest.raises(ValueError, match="beside its shards"):
        manifest.with_files({"evil.py": digest("new")})


def test_a_directory_without_a_manifest_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no dataset: l2t_manifest\.json is missing"):
        read_manifest(tmp_path)
    (tmp_path / "l2t_manifest.json").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="leads out") as refused:
        read_manifest(tmp_path)
    assert "root:" not in str(refused.value)


def patterns(schema: object) -> set[str]:
    """All patterns in a JSON schema."""
    if isinstance(schema, list):
        return set().union(*map(patterns, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    return own.union(*map(patterns, schema.values()))


@pytest.mark.parametrize("model", [*RECORDS, Recipe, PairSpec])
def test_every_pattern_has_words(model: type[BaseModel]) -> None:
    found = patterns(model.model_json_schema())
    assert found
    for pattern in found:
        problem = {"type": "string_pattern_mismatch", "ctx": {"pattern": pattern}}
        assert "of the form" not in requirement(problem)
