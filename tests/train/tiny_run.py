"""A tiny packed dataset: a byte-level BPE of 300 entries and sequences of 64 tokens, written without `l2t build`."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from record_trees import manifest_tree, shard_row
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

from l2t_hub.artifacts import sha256_of
from l2t_hub.recipe import Recipe, recipe_from_tree

LENGTH = 64
TEXT = "the old ferry leaves at seven and nobody waits for late passengers on a cold stone step"
WORDS = TEXT.split()


def write_packed(directory: Path, rows: dict[str, int], seed: int = 0, length: int = LENGTH) -> Path:
    """Write a dataset directory with `rows[split]` packed rows per split, each with two texts and padding."""
    rng = np.random.default_rng(seed)
    tokenizer = _tokenizer(directory)
    for split, count in rows.items():
        ids = np.full((count, length), tokenizer.eos_token_id, np.uint16)
        lengths = []
        for row in ids:
            text_lengths = [int(n) for n in rng.integers(length // 4, length // 2 - 2, 2)]
            start = 0
            for n in text_lengths:
                text = " ".join(rng.choice(WORDS, 80))
                row[start : start + n] = [tokenizer.bos_token_id, *tokenizer.encode(text)][:n]
                start += n
            lengths.append(text_lengths)
        table = pa.table(
            {
                "input_ids": pa.FixedSizeListArray.from_arrays(pa.array(ids.reshape(-1)), length),
                "lengths": pa.array(lengths, pa.list_(pa.int32())),
                "kind": pa.array(["task"] * count, pa.string()),
            }
        )
        shard = directory / "data" / "packed" / f"{split}-00000-of-00001.parquet"
        shard.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, shard)
    shards = [
        shard_row(
            path.relative_to(directory).as_posix(), path.read_bytes(), rows=rows[path.name.split("-")[0]]
        )
        for path in sorted(directory.glob("data/packed/*.parquet"))
    ]
    files = {
        path.relative_to(directory).as_posix(): sha256_of(path)
        for path in sorted((directory / "tokenizer").iterdir())
    }
    manifest = manifest_tree(fingerprint=f"{seed:064x}", shards=shards, files=files, sequence_length=length)
    (directory / "l2t_manifest.json").write_text(json.dumps(manifest))
    return directory


def _tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        [" ".join(WORDS)] * 3, vocab_size=300, special_tokens=["<s>", "</s>"], show_progress=False
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, bos_token="<s>", eos_token="</s>")
    tokenizer.save_pretrained(directory / "tokenizer")
    return tokenizer


def tiny_recipe(**train: object) -> Recipe:
    """Return a recipe for the tiny dataset: 2 layers of width 32, 12 steps of 4 sequences."""
    steps = {"max_steps": 12, "warmup_steps": 2, "batch_size": 4, "per_device_train_batch_size": 4}
    every = {"logging_steps": 3, "eval_steps": 6, "save_steps": 4, "learning_rate": 3e-3}
    return recipe_from_tree(
        {
            "name": "tiny",
            "source": {"path": "bundled:sample"},
            "packing": {"sequence_length": LENGTH},
            "model": {
                "size": "nano",
                "num_hidden_layers": 2,
                "hidden_size": 32,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "intermediate_size": 64,
            },
            "train": steps | every | train,
        }
    )


def mtp_recipe(train: dict[str, object] | None = None, **objective: object) -> Recipe:
    """Return the tiny recipe with a multi-token objective."""
    return recipe_from_tree(
        {**tiny_recipe(**train or {}).resolved(), "objective": {"kind": "mtp", **objective}}
    )
