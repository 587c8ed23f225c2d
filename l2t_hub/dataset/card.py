"""The dataset card: front matter that `datasets` and the Hub read, and text made from the manifest."""

import json
from collections import defaultdict
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
SHOWN_CHARACTERS = 700
SIZE_CATEGORIES = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
    (1e8, "10M<n<100M"),
    (1e9, "100M<n<1B"),
    (1e10, "1B<n<10B"),
    (1e11, "10B<n<100B"),
    (1e12, "100B<n<1T"),
)


@dataclass(frozen=True)
class CardExample:
    """An example of a task from the data. The middle of a long text is left out."""

    task: Task
    prompt: str
    anchor: str
    completion: str


def write_card(path: Path, manifest: Manifest, recipe: Recipe, source: Source, setup: TransformSetup) -> None:
    """Write the card of a staged dataset to `path`, which is in the dataset's folder."""
    from l2t_hub.templates import render_card

    values = {
        **use_values(manifest),
        "m": manifest,
        "recipe": recipe,
        "recipe_yaml": yaml.safe_dump(manifest.recipe, sort_keys=False, allow_unicode=True).strip(),
        "samples": sample_examples(source, setup),
        "stages": stages(Ledger.from_json(manifest.ledger)),
        "configs": configs(manifest),
        "tasks": setup.tasks,
        "toolkit": manifest.made_by["l2t_hub"],
        "source_name": recipe.source.title or recipe.source.dataset or recipe.source.path,
        "RAW": RAW,
    }
    write_text(path, render_card(TEMPLATE, front_matter(path.parent, manifest, recipe), values))


def use_values(manifest: Manifest, repo: str | None = None) -> dict[str, Any]:
    """Return the template values of the section on use. `repo` is the dataset's repository, if it has one."""
    location = repo or manifest.name
    names = [json.dumps(config["config_name"]) for config in configs(manifest)]
    comments = ["  # the default", *[""] * len(names)]
    loads = [
        f"load_dataset({json.dumps(location)}, {name}){comment}"
        for name, comment in zip(names, comments, strict=False)
    ]
    code = "\n".join(["from datasets import load_dataset", "", *loads])
    return {"repo": repo, "location": location, "load_code": code}


def front_matter(folder: Path, manifest: Manifest, recipe: Recipe) -> DatasetCardData:
    """Return the card's metadata, with the keys of the Hub's dataset card specification."""
    shards = manifest.shards
    rows = sum(s.rows for s in shards if s.view != "packed") or sum(s.rows for s in shards)
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
        dataset_info=[_dataset_info(folder, manifest, config) for config in configs(manifest)],
    )


def size_category(rows: int) -> str:
    """Return the Hub's size category for a number of rows."""
    return next((name for limit, name in SIZE_CATEGORIES if rows < limit), "n>1T")


def configs(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the configurations, the default first: all examples, each task, raw, packed; with their splits."""
    patterns: dict[str, dict[str, str]] = defaultdict(dict)
    for shard in manifest.shards:
        patterns[shard.config][shard.split] = f"{Path(shard.path).parent}/{shard.split}-*.parquet"
        if shard.view == "examples":
            patterns["examples"][shard.split] = f"data/examples/*/{shard.split}-*.parquet"
    names = sorted(patterns, key=lambda name: (name != "examples", name in ("raw", "packed"), name))
    result: list[dict[str, Any]] = []
    for name in names:
        files = [{"split": split, "path": pattern} for split, pattern in sorted(patterns[name].items())]
        default = {"default": True} if name == names[0] else {}
        result.append({"config_name": name, **default, "data_files": files})
    return result


def _dataset_info(folder: Path, manifest: Manifest, config: dict[str, Any]) -> dict[str, Any]:
    """Return `dataset_info` of a configuration: features, and the size of each split in memory and on disk."""
    name = config["config_name"]
    shards = [s for s in manifest.shards if name in (s.config, s.view)]
    splits = []
    for split in [files["split"] for files in config["data_files"]]:
        of_split = [s for s in shards if s.split == split]
        size = sum(_bytes_in_memory(folder / s.path) for s in of_split)
        splits.append({"name": split, "num_bytes": size, "num_examples": sum(s.rows for s in of_split)})
    return {
        "config_name": name,
        "features": _features(shards[0].view, manifest),
        "splits": splits,
        "download_size": sum(s.bytes for s in shards),
        "dataset_size": sum(split["num_bytes"] for split in splits),
    }


def _features(view: str, manifest: Manifest) -> list[dict[str, Any]]:
    """Return the schema of a view in the notation of `datasets`."""
    if view == "packed":
        dtype = "uint16" if manifest.tokenizer.vocab_size <= 1 << 16 else "uint32"
        length = manifest.recipe["packing"]["sequence_length"]
        ids = {"name": "input_ids", "list": dtype, "length": length}
        return [ids, {"name": "lengths", "list": "int32"}, {"name": "kind", "dtype": "string"}]
    raw = RAW_TEXT if manifest.recipe["build"]["raw"] == "text" else RAW_IDS
    schema = EXAMPLES if view == "examples" else raw
    return [{"name": column.name, "dtype": str(column.type)} for column in schema]


def _bytes_in_memory(path: Path) -> int:
    metadata = pq.read_metadata(path)
    return sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))


def stages(ledger: Ledger) -> list[dict[str, Any]]:
    """Return the ledger summed over splits and tasks: a row per stage, with every drop reason."""
    rows = []
    for stage, (unit, came_in, went_out) in STAGES.items():
        flow = ledger.total(stage)
        if flow.came_in:
            row = {"stage": stage, "unit": unit, "dropped": sorted(flow.dropped.items())}
            rows.append({**row, "in": (flow.came_in, came_in), "out": (flow.went_out, went_out)})
    return rows


def sample_examples(source: Source, setup: TransformSetup) -> list[CardExample]:
    """Return the first training example of each task among the first SAMPLE_RECORDS records of the source."""
    partitions = setup.recipe.build.partitions
    records: Iterator[Record] = chain.from_iterable(source.read(rank) for rank in range(partitions))
    transform = PartitionTransform(setup)
    samples: dict[str, CardExample] = {}
    for batch in transform.batches(records, size=SAMPLE_BATCH):
        for example in transform.examples(batch):
            row = example.row
            if example.split == "train" and row.task not in samples and transform.fits(row):
                sides = (_shorten(row.prompt), row.anchor, _shorten(row.completion))
                samples[row.task] = CardExample(setup.tasks[row.task], *sides)
        if len(samples) == len(setup.tasks) or transform.documents >= SAMPLE_RECORDS:
            break
    return [samples[name] for name in setup.tasks if name in samples]


def _shorten(text: str) -> str:
    """Return the beginning and the end of a text, about SHOWN_CHARACTERS in all."""
    half = SHOWN_CHARACTERS // 2
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:half]} [... {len(text) - 2 * half:,} characters ...] {text[-half:]}"
