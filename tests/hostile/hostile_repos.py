"""Hostile datasets and models: copies of a good one, each changed in one way that a stranger could try.

`write_all` makes a folder for each; `DATASETS` and `MODELS` map its name to the change. What a change needs of the
machine it attacks (a secret file, a marker that code of theirs would leave) is in `Target`.
"""

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MANIFEST, TRAINING, RELEASE, CARD = "l2t_manifest.json", "training.json", "l2t_release.json", "README.md"


@dataclass(frozen=True)
class Target:
    """What must stay unread, unwritten and unrun on the machine that is attacked."""

    secret: Path
    """A private Parquet file."""
    victim: Path
    """A file that must not change."""
    marker: Path
    """A file that code of theirs would create."""


Change = Callable[[Path, Target], None]


def write_all(good_dataset: Path, good_model: Path, folder: Path, target: Target) -> dict[str, Path]:
    """Write every hostile repo below `folder`, and return their directories by name."""
    repos = {}
    for good, changes in ((good_dataset, DATASETS), (good_model, MODELS)):
        for name, change in changes.items():
            directory = folder / name
            shutil.copytree(good, directory)
            change(directory, target)
            repos[name] = directory
    return repos


# -- changes --------------------------------------------------------------------------------------------------------


def _edit(file: str, edit: Callable[[Any, Target], Any]) -> Change:
    """Change a JSON record; NaN and Infinity may be written."""

    def change(directory: Path, target: Target) -> None:
        path = directory / file
        tree = json.loads(path.read_text(encoding="utf-8"))
        result = edit(tree, target)
        path.write_text(json.dumps(tree if result is None else result), encoding="utf-8")

    return change


def _set(file: str, keys: str, value: Any) -> Change:
    """Set one value of a JSON record by its dotted keys; numbers index lists, and `value` may be made from the target."""

    def edit(tree: Any, target: Target) -> None:
        node = tree
        *parents, last = keys.split(".")
        for key in parents:
            node = node[int(key)] if key.isdigit() else node[key]
        node[int(last) if last.isdigit() else last] = value(target) if callable(value) else value

    return _edit(file, edit)


def _bytes(file: str, content: Callable[[Target], bytes] | bytes) -> Change:
    """Replace a file's content."""

    def change(directory: Path, target: Target) -> None:
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        (directory / file).write_bytes(content(target) if callable(content) else content)

    return change


def _shard_path(path: str | Callable[[Target], str]) -> Change:
    """Let the manifest's first shard name another path."""
    return _set(MANIFEST, "shards.0.path", path)


def _modules(module: str) -> Change:
    """Name a task module that leaves a marker when it is imported, and bring it along."""

    def change(directory: Path, target: Target) -> None:
        code = f"import pathlib\npathlib.Path({str(target.marker)!r}).write_text('ran')\nTASKS = []\n"
        (directory / "tasks.py").write_text(code, encoding="utf-8")
        name = str(directory / "tasks.py") if module == "absolute" else module
        tree = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        tree["recipe"]["mixture"]["modules"] = [name]
        tree["modules"] = {name: sha256(code.encode()).hexdigest()}
        tree["files"]["tasks.py"] = sha256(code.encode()).hexdigest()
        (directory / MANIFEST).write_text(json.dumps(tree), encoding="utf-8")

    return change


def _symlink(file: str, to: Callable[[Target], Path]) -> Change:
    """Replace a file by a link that leads out of the repo."""

    def change(directory: Path, target: Target) -> None:
        path = directory / file
        path.unlink(missing_ok=True)
        path.symlink_to(to(target))

    return change


def _first_shard_symlink(directory: Path, target: Target) -> None:
    shard = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["shards"][0]["path"]
    _symlink(shard, lambda t: t.secret)(directory, target)


def _extra_parquet(path: str) -> Change:
    """Add a Parquet file that `load_dataset` would load and no manifest lists."""

    def change(directory: Path, target: Target) -> None:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            pa.table({"document_id": ["evil"], "text": ["evil"], "tokens": pa.array([1], pa.int32())}),
            directory / path,
        )

    return change


def _partial_partitions(tree: Any, target: Target) -> None:
    """Drop every partition but the first, and leave the shards: a comparison of what is left would be equal."""
    tree["partitions"] = tree["partitions"][:1]


def _shards_nowhere(tree: Any, target: Target) -> None:
    for shard in tree["shards"][1:]:
        shard["partition"] = 99


def _replaced_shard(directory: Path, target: Target) -> None:
    """Replace a shard and its hash: the directory is consistent, and only building it again tells."""
    path = directory / MANIFEST
    tree = json.loads(path.read_text(encoding="utf-8"))
    shard = next(s for s in tree["shards"] if s["config"] == "packed")
    table = pq.read_table(directory / shard["path"])
    pq.write_table(table.slice(0, max(1, table.num_rows - 1)), directory / shard["path"])
    content = (directory / shard["path"]).read_bytes()
    shard["bytes"], shard["sha256"] = len(content), sha256(content).hexdigest()
    path.write_text(json.dumps(tree), encoding="utf-8")


def _truncated_shard(directory: Path, target: Target) -> None:
    path = directory / json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["shards"][0]["path"]
    path.write_bytes(path.read_bytes()[:100])


def _deep(depth: int) -> bytes:
    return b'{"format": 1, "a": ' + b"[" * depth + b"]" * depth + b"}"


def _card_bomb() -> bytes:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    return f"---\na0: &a0 [lol]\n{levels}---\n# A card\n".encode()


def _strange_name(tree: Any, target: Target) -> None:
    tree["name"] = tree["recipe"]["name"] = "\x1b]0;pwned\x07\x1b[2J\u202egnp.exe"


def _header(change: Callable[[dict[str, Any]], None]) -> Change:
    """Change the header of the safetensors weights and keep the data."""

    def edit(directory: Path, target: Target) -> None:
        path = directory / "model.safetensors"
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + size])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])

    return edit


def _tensors(change: Callable[[dict[str, Any]], None]) -> Change:
    """Change the set of tensors, and write a file that is otherwise valid."""

    def edit(directory: Path, target: Target) -> None:
        from safetensors.numpy import load_file, save_file

        tensors = load_file(directory / "model.safetensors")
        change(tensors)
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})

    return edit


def _half_the_tensors(tensors: dict[str, Any]) -> None:
    for name in sorted(tensors)[::2]:
        del tensors[name]


def _more_tensors(tensors: dict[str, Any]) -> None:
    tensors["model.layers.99.mlp.up_proj.weight"] = next(iter(tensors.values()))


def _wrong_shapes(tensors: dict[str, Any]) -> None:
    name = sorted(tensors)[0]
    tensors[name] = tensors[name][:-1].copy()


def _not_a_number(tensors: dict[str, Any]) -> None:
    for name in tensors:
        tensors[name] = tensors[name] * float("nan")


def _pickle_only(directory: Path, target: Target) -> None:
    import pickle

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.write_text, (target.marker, "ran")

    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(pickle.dumps(Payload()))


def _remote_code(file: str) -> Change:
    """Ask transformers to import a class from the repo's own Python."""

    def change(directory: Path, target: Target) -> None:
        code = f"import pathlib\npathlib.Path({str(target.marker)!r}).write_text('ran')\n"
        (directory / "evil.py").write_text(code, encoding="utf-8")
        path = directory / file
        tree = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        tree["auto_map"] = {
            "AutoConfig": "evil.Config",
            "AutoModelForCausalLM": "evil.Model",
            "AutoTokenizer": ["evil.T", None],
        }
        path.write_text(json.dumps(tree), encoding="utf-8")

    return change


def _log_of(value: str) -> Change:
    """Let every logged loss be one that JSON does not have."""

    def change(directory: Path, target: Target) -> None:
        path = directory / "train_log.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            if "loss" in line:
                line["loss"] = float(value)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    return change


HUGE = 10**12

DATASETS: dict[str, Change] = {
    # paths in the manifest
    "shard-absolute-secret": _shard_path(lambda t: str(t.secret)),
    "shard-absolute-victim": _shard_path(lambda t: str(t.victim)),
    "shard-parent": _shard_path(lambda t: "../" * 20 + str(t.victim).lstrip("/")),
    "shard-parent-inside": _shard_path("data/../../outside.parquet"),
    "shard-dot": _shard_path("./data/raw/train-00000-of-00001.parquet"),
    "shard-backslash": _shard_path("data\\..\\..\\outside.parquet"),
    "shard-drive": _shard_path("C:/outside.parquet"),
    "shard-home": _shard_path("~/.ssh/authorized_keys"),
    "shard-empty": _shard_path(""),
    "shard-nul": _shard_path("data/raw/a\x00.parquet"),
    "shard-newline": _shard_path("data/raw/a\n.parquet"),
    "shard-long": _shard_path("data/" + "a" * 5000 + ".parquet"),
    "shard-other-folder": _shard_path("spaces/evil.parquet"),
    "shard-card": _shard_path(CARD),
    "shard-not-text": _shard_path(lambda t: [str(t.secret)]),
    "shard-twice": _edit(MANIFEST, lambda tree, t: tree["shards"].append(tree["shards"][0])),
    "shard-symlink": _first_shard_symlink,
    "file-absolute": _edit(MANIFEST, lambda tree, t: tree["files"].update({str(t.victim): "0" * 64})),
    "file-parent": _edit(MANIFEST, lambda tree, t: tree["files"].update({"tokenizer/../../x": "0" * 64})),
    "tokenizer-symlink": _symlink("tokenizer/tokenizer.json", lambda t: t.secret),
    "manifest-symlink": _symlink(MANIFEST, lambda t: t.secret),
    # code
    "module-in-repo": _modules("tasks.py"),
    "module-absolute": _modules("absolute"),
    "module-standard-library": _set(MANIFEST, "recipe.mixture.modules", ["antigravity"]),
    "module-dotted": _set(MANIFEST, "recipe.mixture.modules", ["os.path"]),
    # local files on a record's word
    "source-secret": _set(MANIFEST, "recipe.source.path", lambda t: str(t.secret)),
    "source-glob": _set(MANIFEST, "recipe.source.path", lambda t: str(t.secret.parent / "*")),
    "source-root": _set(MANIFEST, "recipe.source.path", "/"),
    "source-relative": _set(MANIFEST, "recipe.source.path", "../../secret.parquet"),
    "tokenizer-local": _set(MANIFEST, "recipe.tokenizer.name", lambda t: str(t.secret.parent)),
    "source-local-dataset": _edit(
        MANIFEST, lambda tree, t: tree["recipe"]["source"].update(path=None, dataset=str(t.secret.parent))
    ),
    # a faked success
    "no-partitions": _set(MANIFEST, "partitions", []),
    "no-shards": _set(MANIFEST, "shards", []),
    "nothing-at-all": _edit(MANIFEST, lambda tree, t: tree.update(partitions=[], shards=[], files={})),
    "partial-partitions": _edit(MANIFEST, _partial_partitions),
    "shards-of-no-partition": _edit(MANIFEST, _shards_nowhere),
    "shard-of-negative-partition": _set(MANIFEST, "shards.0.partition", -1),
    "extra-raw-shard": _extra_parquet("data/raw/train-00099-of-00100.parquet"),
    "extra-folder": _extra_parquet("data/extra/train.parquet"),
    "replaced-shard": _replaced_shard,
    "other-seed": _set(MANIFEST, "recipe.seed", 43),
    # bounds and malformed records
    "ledger-nan": _set(MANIFEST, "ledger.0.in", float("nan")),
    "ledger-infinity": _set(MANIFEST, "partitions.0.ledger.0.in", float("inf")),
    "partitions-huge": _set(MANIFEST, "recipe.build.partitions", HUGE),
    "sequence-huge": _set(MANIFEST, "recipe.packing.sequence_length", HUGE),
    "vocabulary-huge": _set(MANIFEST, "recipe.tokenizer.vocab_size", HUGE),
    "rows-negative": _set(MANIFEST, "shards.0.rows", -1),
    "rows-huge": _set(MANIFEST, "shards.0.rows", 10**30),
    "manifest-deep": _bytes(MANIFEST, _deep(100_000)),
    "manifest-101-deep": _bytes(MANIFEST, _deep(101)),
    "manifest-65-mb": _bytes(MANIFEST, b'{"name": "' + b"a" * 65_000_000 + b'"}'),
    "manifest-list": _bytes(MANIFEST, b"[]"),
    "manifest-null": _bytes(MANIFEST, b"null"),
    "manifest-empty": _bytes(MANIFEST, b""),
    "manifest-latin-1": _bytes(MANIFEST, '{"name": "é"}'.encode("latin-1")),
    "manifest-surrogate": _bytes(MANIFEST, b'{"name": "\\ud800"}'),
    "manifest-duplicate-key": _bytes(MANIFEST, b'{"format": 1, "format": 1}'),
    "manifest-other-format": _set(MANIFEST, "format", 99),
    "manifest-types": _edit(MANIFEST, lambda tree, t: dict.fromkeys(tree, "text")),
    "recipe-unknown-key": _set(MANIFEST, "recipe.evil", True),
    "card-bomb": _bytes(CARD, _card_bomb()),
    "card-python-tag": _bytes(
        CARD, lambda t: f"---\na: !!python/object/apply:os.system ['touch {t.marker}']\n---\n".encode()
    ),
    "shard-truncated": _truncated_shard,
    "tokenizer-types": _bytes("tokenizer/tokenizer.json", b'{"model": 1}'),
    "name-escapes": _edit(MANIFEST, _strange_name),
}

MODELS: dict[str, Change] = {
    # code
    "auto-map-config": _remote_code("config.json"),
    "auto-map-tokenizer": _remote_code("tokenizer_config.json"),
    "auto-map-generation": _remote_code("generation_config.json"),
    "pickle-only": _pickle_only,
    "attention-from-the-hub": _set("config.json", "attn_implementation", "kernels-community/flash-attn"),
    "attention-private-key": _set("config.json", "_attn_implementation", "evil/kernel"),
    "experts-from-the-hub": _set("config.json", "experts_implementation", "evil/kernel"),
    "quantization": _set("config.json", "quantization_config", {"quant_method": "gptq", "bits": 4}),
    "other-architecture": _set("config.json", "model_type", "evil"),
    # weights
    "tensors-missing": _tensors(_half_the_tensors),
    "tensors-extra": _tensors(_more_tensors),
    "tensors-misshapen": _tensors(_wrong_shapes),
    "weights-nan": _tensors(_not_a_number),
    "weights-symlink": _symlink("model.safetensors", lambda t: t.secret),
    "weights-empty": _bytes("model.safetensors", b""),
    "weights-header-huge": _bytes("model.safetensors", struct.pack("<Q", 2**62) + b"{}"),
    "weights-offsets": _header(
        lambda header: (
            [v.update(data_offsets=[0, 10**15]) for k, v in header.items() if k != "__metadata__"] and None
        )
    ),
    # bounds
    "layers-huge": _set("config.json", "num_hidden_layers", 10**7),
    "hidden-huge": _set("config.json", "hidden_size", 10**9),
    "vocabulary-huge-model": _set("config.json", "vocab_size", 10**10),
    "positions-huge": _set("config.json", "max_position_embeddings", HUGE),
    "heads-zero": _set("config.json", "num_attention_heads", 0),
    "config-types": _set("config.json", "hidden_size", "wide"),
    "config-list": _bytes("config.json", b"[]"),
    "config-deep": _bytes("config.json", _deep(100_000)),
    "tokenizer-model-types": _bytes("tokenizer.json", b'{"model": 1}'),
    "tokenizer-model-deep": _bytes("tokenizer.json", _deep(100_000)),
    # the training record and its log
    "steps-huge": _set(TRAINING, "steps", HUGE),
    "recipe-steps-huge": _set(TRAINING, "recipe.train.max_steps", HUGE),
    "recipe-layers-huge": _set(TRAINING, "recipe.model.num_hidden_layers", 10**7),
    "recipe-batch-huge": _edit(
        TRAINING,
        lambda tree, t: tree["recipe"]["train"].update(batch_size=HUGE, per_device_train_batch_size=HUGE),
    ),
    "threads-huge": _set(TRAINING, "hardware.threads", 10**9),
    "log-infinity": _log_of("inf"),
    "log-nan": _log_of("nan"),
    "log-empty": _bytes("train_log.jsonl", b""),
    "processor-foreign": _edit(
        TRAINING, lambda tree, t: tree["hardware"].update(processor="\x1b[31mEvil 9000")
    ),
    "dataset-elsewhere": _edit(
        TRAINING, lambda tree, t: tree["dataset"].update(name=str(t.secret.parent), repository=None)
    ),
    "dataset-not-a-name": _edit(
        TRAINING, lambda tree, t: tree["dataset"].update(repository="../../etc/passwd", revision="--upload")
    ),
    "record-types": _edit(TRAINING, lambda tree, t: dict.fromkeys(tree, 1)),
    "record-null": _bytes(TRAINING, b"null"),
    "record-deep": _bytes(TRAINING, _deep(100_000)),
    "model-card-bomb": _bytes(CARD, _card_bomb()),
}
