"""The checks of a dataset: configs that match files, one schema per config, a correct manifest."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from release_toys import refused

from l2t_hub.publish.stage import stage
from l2t_hub.publish.validate import validate

Toy = Callable[..., Path]


def test_configs_must_match_files(toy: Toy) -> None:
    changes = {
        ("train-*.parquet", "training-*.parquet"): "no file matches data/packed/training-",
        ("config_name: typo", "config_name: packed"): "two configs have the name packed",
        (
            "- config_name: typo",
            "- config_name: typo\n  default: true",
        ): "more than one config is the default",
        (
            "path: 'data/packed/train-*.parquet'",
            "path: '**'",
        ): "matches l2t_manifest.json, which is not a Parquet file",
        ("split: validation, ", ""): "needs `split` and `path`",
    }
    for number, ((old, new), message) in enumerate(changes.items()):
        directory = toy("dataset", name=f"dataset-{number}")
        card = directory / "README.md"
        assert old in card.read_text()
        card.write_text(card.read_text().replace(old, new))
        assert message in refused(directory), message


def _rewrite(directory: Path, path: str, table: pa.Table) -> None:
    """Replace a shard and update the manifest, so that only the schema is wrong."""

    pq.write_table(table, directory / path)
    content = (directory / path).read_bytes()
    manifest = json.loads((directory / "l2t_manifest.json").read_text())
    row = next(row for row in manifest["shards"] if row["path"] == path)
    row.update(bytes=len(content), sha256=sha256(content).hexdigest())
    (directory / "l2t_manifest.json").write_text(json.dumps(manifest))


def test_shards_of_a_config_must_share_a_schema(toy: Toy) -> None:
    directory = toy()
    path = "data/packed/train-00002-of-00003.parquet"
    table = pq.read_table(directory / path)
    _rewrite(directory, path, table.set_column(1, "lengths", table["lengths"].cast(pa.list_(pa.int64()))))
    message = refused(directory)
    assert f"config packed: the schema of {path} differs" in message
    assert "column lengths is" in message
    # The metadata of the writer is not part of the schema.
    _rewrite(directory, path, table.replace_schema_metadata({"writer": "another"}))
    validate(stage(directory))


def test_dataset_info_must_match_the_files(toy: Toy) -> None:
    directory = toy()
    card = directory / "README.md"
    info = "dataset_info:\n- config_name: typo\n  splits: [{name: train, num_examples: %d, num_bytes: 1}]\n---\n# "
    text = card.read_text()
    card.write_text(text.replace("---\n# ", info % 21))
    assert "`dataset_info` gives 21 examples in train, but the files have 20" in refused(directory)
    card.write_text(text.replace("---\n# ", info % 20))
    validate(stage(directory))


def test_the_manifest_must_match_the_files(toy: Toy) -> None:
    shard = "data/examples/typo/train-00000-of-00001.parquet"
    directory = toy(name="changed")
    content = (directory / shard).read_bytes()
    (directory / shard).write_bytes(content[:-1] + b"?")
    assert f"{shard}: its SHA-256 is" in refused(directory)
    (directory / shard).write_bytes(content + b"?")
    assert f"{shard}: {len(content) + 1:,} bytes, but {len(content):,} in l2t_manifest.json" in refused(
        directory
    )
    (directory / shard).unlink()
    assert f"{shard}: missing, but listed in l2t_manifest.json" in refused(directory)
    directory = toy(name="more")
    (directory / "data" / "packed" / "train-stray.parquet").write_bytes((directory / shard).read_bytes())
    assert "train-stray.parquet: not listed in l2t_manifest.json" in refused(directory)
    (directory / "l2t_manifest.json").write_text('{"shards": [{}]}')
    assert "l2t_manifest.json: cannot be read as a manifest" in refused(directory)
    directory = toy(name="cut")
    (directory / "tokenizer" / "tokenizer.json").write_text("{}")
    assert "tokenizer/tokenizer.json: its SHA-256" in refused(directory)


def test_the_fingerprint_must_follow_from_the_manifest(toy: Toy) -> None:
    directory = toy("dataset")
    manifest = json.loads((directory / "l2t_manifest.json").read_text())
    manifest["recipe"]["seed"] += 1
    (directory / "l2t_manifest.json").write_text(json.dumps(manifest))
    message = refused(directory)
    assert "fingerprint: it is " in message
    assert "partition 0: its key does not follow from the manifest" in message
