"""Valid records as plain JSON trees, made without a build: for tests that change them, and for toy releases."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from l2t_hub.dataset.keys import hashed_keys
from l2t_hub.recipe import recipe_from_tree
from l2t_hub.records.dataset_manifest import Manifest

Tree = dict[str, Any]


def digest(text: str) -> str:
    """A SHA-256 made of a text."""
    return sha256(text.encode()).hexdigest()


def recipe_tree(name: str = "toy", *, partitions: int = 1, sequence_length: int = 128) -> Tree:
    """A resolved recipe."""
    tree = {
        "name": name,
        "source": {"path": "bundled:sample"},
        "packing": {"sequence_length": sequence_length},
        "build": {"partitions": partitions},
    }
    return recipe_from_tree(tree).resolved()


def shard_row(path: str, content: bytes = b"", *, rows: int = 1, tokens: int = 1, partition: int = 0) -> Tree:
    """The manifest's entry of a shard at `data/VIEW[/TASK]/SPLIT-NUMBER-of-COUNT.parquet`."""
    folders, _, file = path.rpartition("/")
    view, config = folders.split("/")[1], folders.split("/")[-1]
    return {
        "path": path,
        "config": config,
        "view": view,
        "split": file.split("-")[0],
        "partition": partition,
        "rows": rows,
        "tokens": tokens,
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    } | ({"fill": 1.0} if view == "packed" else {})


def with_keys(manifest: Tree) -> Tree:
    """A manifest whose fingerprint and partition keys follow from its content."""
    read = Manifest.parse(json.dumps(manifest).encode(), "l2t_manifest.json")
    inputs = [partition.inputs for partition in read.partitions]
    solved = read.mixture["solved"]
    fingerprint, keys = hashed_keys(
        read.recipe,
        read.source["contents"],
        inputs,
        read.tokenizer.sha256,
        read.made_by,
        read.modules,
        solved["threshold"] if solved else None,
    )
    rows = [part | {"key": key} for part, key in zip(manifest["partitions"], keys, strict=True)]
    return manifest | {"fingerprint": fingerprint, "partitions": rows}


def manifest_tree(
    name: str = "toy",
    *,
    fingerprint: str | None = None,
    shards: Sequence[Mapping[str, Any]] = (),
    files: Mapping[str, str] | None = None,
    sequence_length: int = 128,
) -> Tree:
    """A dataset's manifest of one partition. Its ledger is empty, so it passes the parser, not the verifier."""
    return {
        "name": name,
        "fingerprint": fingerprint or digest(name),
        "recipe": recipe_tree(name, sequence_length=sequence_length),
        "source": {
            "contents": {"a.txt": digest("a")},
            "records": 3,
            "repeated_ids": 0,
            "near_identical": {"key": digest("near"), "records": [[1, 2]]},
            "duplicates": {"key": digest("repeated"), "records": [[0]]},
            "encodings": {"a.txt": "cp1252"},
        },
        "tokenizer": {
            "name": None,
            "revision": None,
            "trained": digest("trained"),
            "sha256": digest("tokenizer"),
            "vocab_size": 65_536,
            "bos_id": 0,
            "eos_id": None,
            "pad_id": 1,
            "method": "words",
        },
        "made_by": {"l2t_hub": "0.1.0", "numpy": "2.4.6"},
        "modules": {},
        "partitions": [{"key": digest("key"), "inputs": digest("inputs"), "ledger": []}],
        "shards": [dict(shard) for shard in shards],
        "ledger": [
            {
                "stage": "read",
                "split": "",
                "what": "",
                "unit": "records",
                "in": 3,
                "out": 2,
                "dropped": {"empty text": 1},
            }
        ],
        "totals": {
            "train": {
                "raw_documents": 1,
                "task_documents": 1,
                "examples": 1,
                "raw_tokens": 10,
                "task_tokens": 20,
                "sequences": 1,
                "fill": 0.5,
            }
        },
        "mixture": {
            "asked": {"scheme": "disjoint", "raw_share": 0.5, "unit": "tokens"},
            "raw_share": {"documents": 0.5, "tokens": None},
            "parts": {"raw": {"documents": 1, "examples": 0, "tokens": 10}},
            "solved": {
                "key": digest("solved"),
                "threshold": 0.4,
                "predicted": 0.5,
                "documents": 2,
                "calibrated": 2,
                "complete": True,
            },
        },
        "files": dict(files or {}),
        "format": 1,
    }


def toy_manifest() -> Tree:
    """A manifest with a shard of each view, a card and a tokenizer."""
    shards = [
        shard_row("data/examples/typo/train-00000-of-00001.parquet", b"a"),
        shard_row("data/packed/train-00000-of-00002.parquet", b"b"),
        shard_row("data/packed/train-00001-of-00002.parquet", b"c"),
        shard_row("data/raw/validation-00000-of-00001.parquet", b"d"),
    ]
    return manifest_tree(
        shards=shards, files={"README.md": digest("card"), "tokenizer/tokenizer.json": digest("t")}
    )


def as_bytes(tree: Any) -> bytes:
    """JSON as a stranger might write it: NaN and lone surrogates too."""
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def release_tree() -> Tree:
    """The record of a release of two files."""
    files = {"README.md": [3, digest("card")], "data/packed/train-00000-of-00001.parquet": [9, digest("p")]}
    return {"files": files, "fingerprint": digest("release"), "format": 1, "kind": "dataset"}


def run_tree() -> Tree:
    """The record of an unfinished run."""
    return {
        "fingerprint": digest("run"),
        "dataset_fingerprint": digest("dataset"),
        "recipe": recipe_tree(),
        "format": 1,
    }


def training_tree(name: str = "toy") -> Tree:
    """The record of a finished run of 6 steps."""
    return {
        "name": name,
        "fingerprint": digest(name),
        "dataset_fingerprint": digest("dataset"),
        "recipe": recipe_tree(name),
        "dataset": {"name": "org/toy", "repository": "org/toy", "revision": "0" * 40},
        "parameters": 53_408,
        "vocab_size": 512,
        "precision": "fp32",
        "optimizer": "adamw_torch_fused",
        "steps": 6,
        "batch": {
            "per_device": 4,
            "devices": 1,
            "accumulation": 1,
            "sequence_length": 256,
            "steps": 6,
            "sequences": 4,
            "tokens_per_step": 1024,
        },
        "tokens": 6144,
        "predicted_tokens": 6120,
        "sequences": {"train": 89, "validation": 10, "seen": 24, "epochs": 0.2697},
        "seconds": 0.17,
        "tokens_per_second": 37104.8,
        "resumed_from_step": None,
        "loss": 6.1359,
        "initial_eval_loss": 6.2475,
        "eval_loss": 6.1143,
        "best_eval_loss": None,
        "finished": "2026-11-21T15:32:48+00:00",
        "hardware": {"machine": "x86_64", "processor": "A CPU", "cores": 2, "threads": 1, "gpus": ["A GPU"]},
        "versions": {"l2t_hub": "0.1.0", "torch": "2.13.0"},
        "auto_tokenizer": True,
        "files": {"model.safetensors": digest("weights"), "train_log.jsonl": digest("log")},
        "format": 1,
    }


def checkpoint_tree() -> Tree:
    """What a checkpoint keeps beside transformers' own state."""
    return {
        "unlogged_loss": 5.76,
        "logged_step": 3,
        "seconds": 5.99,
        "window": [4.45, 768],
        "predicted_tokens": 688,
        "precision": "fp32",
        "files": {"model.safetensors": digest("weights"), "rng_state.pth": digest("state")},
        "format": 1,
    }
