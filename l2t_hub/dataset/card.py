"""The dataset card: front matter that `datasets` and the Hub read, and a text made from the manifest."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from huggingface_hub import DatasetCardData

from l2t_hub.artifacts import write_text
from l2t_hub.corpus.source import Record, Source
from l2t_hub.dataset.ledger import RAW, STAGES, Ledger
from l2t_hub.dataset.transform import PartitionTransform, TransformSetup
from l2t_hub.dataset.views import EXAMPLES, RAW_IDS, RAW_TEXT
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.tasks.base import Task

TEMPLATE = "dataset.md.j2"
SAMPLE_RECORDS, SAMPLE_BATCH = 600, 60
SHOWN = 700
SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
LARGER = (
    (1e8, "10M<n<100M"),
    (1e9, "100M<n<1B"),
    (1e10, "1B<n<10B"),
    (1e11, "10B<n<100B"),
    (1e12, "100B<n<1T"),
)
DTYPES = {"string": "string", "int32": "int32"}


@dataclass(frozen=True)
class CardExample:
    """One real example of a task, as it stands in the data (its middle left out where it is long)."""

    task: Task
    prompt: str
    anchor: str
    completion: str


def write_card(path: Path, manifest: Manifest, recipe: Recipe, source: Source, setup: TransformSetup) -> None:
    """Write README.md beside the staged data."""
    from l2t_hub.templates import render_card

    values = {
        **use_values(manifest),
        "m": manifest,
        "recipe": recipe,
        "recipe_yaml": yaml.safe_dump(manifest.recipe, sort_keys=False, allow_unicode=True).strip(),
        "samples": samples(source, setup),
        "stages": stages(Ledger.from_json(manifest.ledger)),
        "configs": configs(manifest),
        "tasks": setup.tasks,
        "toolkit": manifest.made_by["l2t_hub"],
        "source_name": recipe.source.title or recipe.source.dataset or recipe.source.path,
        "RAW": RAW,
    }
    write_text(path, render_card(TEMPLATE, front_matter(path.parent, manifest, recipe), values))


def use_values(manifest: Manifest, repo: str | None = None) -> dict[str, Any]:
    """What the card's section on use needs; with `repo`, once the dataset has the name of a repository."""
    place = repo or manifest.name
    names = [json.dumps(config["config_name"]) for config in configs(manifest)]
    notes = ["  # the default", *[""] * len(names)]
    loads = [
        f"load_dataset({json.dumps(place)}, {name}){note}" for name, note in zip(names, notes, strict=False)
    ]
    code = "\n".join(["from datasets import load_dataset", "", *loads])
    return {"repo": repo, "place": place, "load_code": code}


def front_matter(folder: Path, manifest: Manifest, recipe: Recipe) -> DatasetCardData:
    """The card's metadata (hub.md section 1)."""
    rows = sum(s.rows for s in manifest.shards if s.view != "packed") or sum(s.rows for s in manifest.shards)
    return DatasetCardData(
        language=["en"],
        license=recipe.source.license or "unknown",
        pretty_name=f"L2T: {recipe.name}",
        annotations_creators=["machine-generated"],
        source_datasets=[recipe.source.dataset or "original"],
        task_categories=["text-generation"],
        task_ids=["language-modeling"],
        size_categories=[size_category(rows)],
        tags=["l2t", "pre-training", "language-learning-tasks", "synthetic"],
        configs=configs(manifest),
        dataset_info=[_info(folder, manifest, c) for c in configs(manifest)],
    )


def size_category(rows: int) -> str:
    """The Hub's category for a number of rows."""
    return next((name for limit, name in (*SIZES, *LARGER) if rows < limit), "n>1T")


def configs(manifest: Manifest) -> list[dict[str, Any]]:
    """The configurations: all examples (the default), each task, raw and packed; each with the splits that exist."""
    found: dict[str, dict[str, str]] = {}
    for shard in manifest.shards:
        folder = str(Path(shard.path).parent)
        found.setdefault(shard.config, {})[shard.split] = f"{folder}/{shard.split}-*.parquet"
        if shard.view == "examples":
            pattern = f"data/examples/*/{shard.split}-*.parquet"
            found.setdefault("examples", {})[shard.split] = pattern
    order = sorted(found, key=lambda name: (name != "examples", name in ("raw", "packed"), name))
    result: list[dict[str, Any]] = []
    for name in order:
        files = [{"split": split, "path": path} for split, path in sorted(found[name].items())]
        default = {"default": True} if name == order[0] else {}
        result.append({"config_name": name, **default, "data_files": files})
    return result


def _info(folder: Path, manifest: Manifest, config: dict[str, Any]) -> dict[str, Any]:
    """`dataset_info` of one configuration: features, and the size of each split in memory and on disk."""
    name = config["config_name"]
    shards = [s for s in manifest.shards if name in (s.config, s.view)]
    splits, total = [], 0
    for split in [f["split"] for f in config["data_files"]]:
        mine = [s for s in shards if s.split == split]
        size = sum(_memory(folder / s.path) for s in mine)
        splits.append({"name": split, "num_bytes": size, "num_examples": sum(s.rows for s in mine)})
        total += size
    download = sum(s.bytes for s in shards)
    features = _features(shards[0].view, manifest)
    return {
        "config_name": name,
        "features": features,
        "splits": splits,
        "download_size": download,
        "dataset_size": total,
    }


def _features(view: str, manifest: Manifest) -> list[dict[str, Any]]:
    """A view's schema in the words of `datasets`."""
    if view == "packed":
        dtype = "uint16" if manifest.tokenizer.vocab_size <= 1 << 16 else "uint32"
        length = manifest.recipe["packing"]["sequence_length"]
        ids = {"name": "input_ids", "list": dtype, "length": length}
        return [ids, {"name": "lengths", "list": "int32"}, {"name": "kind", "dtype": "string"}]
    raw = RAW_TEXT if manifest.recipe["build"]["raw"] == "text" else RAW_IDS
    schema = EXAMPLES if view == "examples" else raw
    return [{"name": field.name, "dtype": DTYPES[str(field.type)]} for field in schema]


def _memory(path: Path) -> int:
    metadata = pq.read_metadata(path)
    return sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))


def stages(ledger: Ledger) -> list[dict[str, Any]]:
    """The ledger summed over splits and tasks: a row per stage, with every reason for a drop."""
    rows = []
    for stage, (unit, into, out) in STAGES.items():
        flow = ledger.total(stage)
        if flow.came_in:
            dropped = sorted(flow.dropped.items())
            rows.append(
                {"stage": stage, "unit": unit, "in": (flow.came_in, into), "out": (flow.went_out, out)}
                | {"dropped": dropped}
            )
    return rows


def samples(source: Source, setup: TransformSetup) -> list[CardExample]:
    """The first example of each task among the first records of the source that are not held out."""
    count = setup.recipe.build.partitions
    records: Iterator[Record] = chain.from_iterable(source.read(n) for n in range(count))
    partition = PartitionTransform(setup)
    found: dict[str, CardExample] = {}
    for entries in partition.batches(records, size=SAMPLE_BATCH):
        for example in partition.examples(entries):
            row = example.row
            if example.split == "train" and row.task not in found and partition.fits(row):
                found[row.task] = CardExample(
                    setup.tasks[row.task], _short(row.prompt), row.anchor, _short(row.completion)
                )
        if len(found) == len(setup.tasks) or partition.documents >= SAMPLE_RECORDS:
            break
    return [found[name] for name in setup.tasks if name in found]


def _short(text: str) -> str:
    """A text of bounded length: its beginning and its end."""
    if len(text) <= SHOWN:
        return text
    left = len(text) - 2 * (SHOWN // 2)
    return f"{text[: SHOWN // 2]} [... {left:,} characters ...] {text[-(SHOWN // 2) :]}"
