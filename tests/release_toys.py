"""Tiny releases made from a seed: a dataset, a model and a Space."""

import json
import random
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from record_trees import manifest_tree, shard_row, training_tree, with_keys
from safetensors.numpy import save_file

from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UserError
from l2t_hub.publish.stage import stage
from l2t_hub.publish.validate import validate
from l2t_hub.recipe.schema import tree_fingerprint


def toy_dataset(
    directory: Path,
    seed: int = 0,
    shards: int = 3,
    shard_bytes: int = 60_000,
    tasks: Sequence[str] = ("typo", "deletion"),
) -> Path:
    """A dataset directory with manifest and card: examples per task, a packed view of random ids, a tokenizer."""
    draw = random.Random(seed)
    splits = {"packed": {"train": shards, "validation": 1}} | {task: {"train": 1} for task in tasks}
    rows = []
    for config, parts in splits.items():
        for split, count in parts.items():
            for number in range(count):
                rows.append(_shard(directory, draw, config, split, number, count, shard_bytes))
    (directory / "tokenizer").mkdir()
    (directory / "tokenizer" / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": {"a": draw.randrange(9)}}})
    )
    files = {
        "tokenizer/tokenizer.json": sha256(
            (directory / "tokenizer" / "tokenizer.json").read_bytes()
        ).hexdigest()
    }
    manifest = manifest_tree(shards=rows, files=files)
    manifest["recipe"]["seed"] = seed
    manifest = with_keys(manifest)
    (directory / "l2t_manifest.json").write_text(json.dumps(manifest, indent=1))
    (directory / "README.md").write_text(dataset_card(splits, seed))
    return directory


def _shard(
    directory: Path, draw: random.Random, config: str, split: str, number: int, count: int, size: int
) -> dict[str, object]:
    folder = f"data/{config}" if config == "packed" else f"data/examples/{config}"
    path = directory / folder / f"{split}-{number:05d}-of-{count:05d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    if config == "packed":
        ids = np.frombuffer(draw.randbytes(max(size, 256) // 256 * 256), dtype=np.uint16).reshape(-1, 128)
        values = pa.FixedSizeListArray.from_arrays(pa.array(ids.ravel()), 128)
        table = pa.table({"input_ids": values, "lengths": pa.array([[128]] * len(ids), pa.list_(pa.int32()))})
    else:
        prompts = [f"{config} {draw.random():.9f}" for _ in range(20)]
        table = pa.table({"id": [f"d{i}" for i in range(20)], "prompt": prompts, "completion": prompts[::-1]})
    pq.write_table(table, path, compression="none")
    content = path.read_bytes()
    return shard_row(path.relative_to(directory).as_posix(), content, rows=len(table))


def dataset_card(splits: dict[str, dict[str, int]], seed: int) -> str:
    lines = [
        "---",
        "language: [en]",
        "license: cc0-1.0",
        "pretty_name: Toy",
        "tags: [l2t]",
        "task_categories: [text-generation]",
        "size_categories: [n<1K]",
        "configs:",
    ]
    for config, parts in splits.items():
        folder = f"data/{config}" if config == "packed" else f"data/examples/{config}"
        lines += [
            f"- config_name: {config}",
            *(["  default: true"] if config == "packed" else []),
            "  data_files:",
        ]
        lines += [f"  - {{split: {split}, path: '{folder}/{split}-*.parquet'}}" for split in parts]
    return "\n".join([*lines, "---", f"# Toy {seed}", ""])


def toy_model(directory: Path, seed: int = 0, size: int = 40_000) -> Path:
    """A model directory: safetensors, config, tokenizer files and a training record."""
    directory.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    save_file({"w": draw.standard_normal(size // 4).astype(np.float32)}, directory / "model.safetensors")
    config = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 8}
    texts = {
        "config.json": config,
        "generation_config.json": {},
        "tokenizer.json": {"model": {}},
        "tokenizer_config.json": {},
    }
    for name, tree in texts.items():
        (directory / name).write_text(json.dumps(tree))
    (directory / "train_log.jsonl").write_text(json.dumps({"step": 1, "loss": 1.0 + seed}) + "\n")
    files = {path.name: sha256_of(path) for path in sorted(directory.iterdir()) if path.name != "README.md"}
    record = training_tree() | {"dataset_fingerprint": "ab" * 32, "files": files}
    record["recipe"]["seed"] = seed
    data = record["dataset_fingerprint"]
    record["fingerprint"] = tree_fingerprint(record["recipe"], "model", source=data, tokenizer=data)
    (directory / "training.json").write_text(json.dumps(record))
    (directory / "README.md").write_text(
        "---\nlanguage: en\nlicense: apache-2.0\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: [l2t]\n---\n# Toy model\n"
    )
    return directory


def toy_space(directory: Path, seed: int = 0) -> Path:
    """A Space directory with an app, requirements and a wheel beside them."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "README.md").write_text(
        "---\ntitle: Toy\nemoji: 🐟\ncolorFrom: blue\ncolorTo: yellow\nsdk: gradio\nsdk_version: 6.31.0\napp_file: app.py\nlicense: apache-2.0\n---\n# Toy\n"
    )
    (directory / "app.py").write_text(f"SEED = {seed}\n")
    (directory / "requirements.txt").write_text("./l2t_hub-1.0-py3-none-any.whl\n")
    (directory / "l2t_hub-1.0-py3-none-any.whl").write_bytes(
        b"PK\x03\x04" + random.Random(seed).randbytes(2000)
    )
    return directory


TOYS = {"dataset": toy_dataset, "model": toy_model, "space": toy_space}


def refused(directory: Path) -> str:
    """Return the message with which a release of this directory is refused."""
    with pytest.raises(UserError) as caught:
        validate(stage(directory))
    return caught.value.message
