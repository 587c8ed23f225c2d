"""The dataset card: front matter that `datasets` and the Hub read, and text made from the files of the dataset.

Everything on it comes from the manifest and the shards, so that it can be written again at any time: for a release
under another name, or after the owner has changed it.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from huggingface_hub import DatasetCardData

from l2t_hub.artifacts import CARD, disk_errors, write_text
from l2t_hub.dataset.ledger import RAW, STAGES, Ledger
from l2t_hub.dataset.views import EXAMPLES, RAW_IDS, RAW_TEXT
from l2t_hub.errors import UserError
from l2t_hub.records.card_text import BEGIN, END, card_digest, card_state, finished_card, owner_text
from l2t_hub.records.dataset_manifest import Manifest, TaskFacts
from l2t_hub.records.public_recipe import language_codes, public_recipe, source_title
from l2t_hub.records.reading import read_bounded
from l2t_hub.templates import Markdown, render_card

TEMPLATE = "dataset.md.j2"
SHOWN_CHARACTERS = 700
NO_LICENSE = "unknown"
OWN_TEXT = {"own_begin": Markdown(BEGIN), "own_end": Markdown(END)}
"""The template values of the section that is the owner's."""
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
    """An example of a task from the data: prompt and rest of the text, without the middle of a long one."""

    task: str
    facts: TaskFacts
    prompt: str
    answer: str


def dataset_card(folder: Path, manifest: Manifest, *, repo: str | None = None, own: str = "") -> str:
    """Return the card of the dataset in `folder`, with the owner's text `own`, for the repo `repo` if it has one.

    Local paths are left out. Raises UserError if a shard cannot be read or is not one of the manifest's.
    """
    try:
        return _dataset_card(folder, manifest, repo, own)
    except (OSError, pa.ArrowException, KeyError, StopIteration) as error:
        raise UserError(
            f"{folder}: the card cannot be written: a shard is missing or damaged: {' '.join(str(error).split())}",
            f"`l2t verify {folder}` says which.",
        ) from None


def _dataset_card(folder: Path, manifest: Manifest, repo: str | None, own: str) -> str:
    recipe = public_recipe(manifest.recipe)
    rows = configs(manifest)
    values = {
        **use_values(manifest, repo),
        **OWN_TEXT,
        "m": manifest,
        "has_tasks": set(manifest.mixture["parts"]) != {RAW},
        "recipe": recipe,
        "recipe_yaml": yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).strip(),
        "samples": _samples(folder, manifest),
        "stages": stages(Ledger.from_json(manifest.ledger)),
        "configs": rows,
        "without_validation": _without_validation(rows),
        "tasks": manifest.tasks,
        "made_tasks": [name for name in manifest.mixture["parts"] if name != RAW],
        "toolkit": manifest.made_by.get("l2t_hub", ""),
        "languages": " and ".join(facts["name"] for facts in manifest.languages.values()) or "English",
        "left_out": _left_out(manifest),
        "source_name": source_title(manifest.recipe),
        "RAW": RAW,
    }
    return finished_card(render_card(TEMPLATE, _front_matter(folder, manifest, recipe), values), own)


def _left_out(manifest: Manifest) -> list[str]:
    """Return a sentence for each language that left out tasks."""
    lines = []
    for facts in manifest.languages.values():
        lacks = sorted({what for whats in facts["left_out"].values() for what in whats})
        if lacks:
            tasks = ", ".join(facts["left_out"])
            lines.append(
                f"Text in {facts['name']} has no {', '.join(lacks)} here. It is not used for {tasks}."
            )
    return lines


def write_dataset_card(
    folder: Path, manifest: Manifest, *, repo: str | None = None, own: str = ""
) -> Manifest:
    """Write the card of the dataset in `folder` and its manifest, which lists the card. Returns the manifest.

    Raises UserError as `disk_errors` does.
    """
    card = dataset_card(folder, manifest, repo=repo, own=own)
    manifest = manifest.with_files({**manifest.files, CARD: card_digest(card.encode())})
    write_text(folder / CARD, card)
    manifest.write(folder)
    return manifest


def keep_edited_card(directory: Path) -> Path | None:
    """Move a card that is not as `l2t` wrote it, the owner's section aside, to `README.md~`. Returns the new path."""
    path = directory / CARD
    if not path.is_file() or card_state(read_bounded(path).decode(errors="replace")) == "written":
        return None
    kept = path.with_name(f"{CARD}~")
    with disk_errors(kept):
        path.replace(kept)
    return kept


def own_text_of(directory: Path) -> str:
    """Return the owner's text in the card of a directory, "" if there is no card or no such text."""
    path = directory / CARD
    return owner_text(read_bounded(path).decode(errors="replace")) if path.is_file() else ""


def _without_validation(rows: list[dict[str, Any]]) -> list[str]:
    """Return the configurations that have training rows only, if others have a validation split."""
    splits = {row["config_name"]: [files["split"] for files in row["data_files"]] for row in rows}
    if not any("validation" in names for names in splits.values()):
        return []
    return [name for name, names in splits.items() if "validation" not in names]


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


def _front_matter(folder: Path, manifest: Manifest, recipe: Mapping[str, Any]) -> DatasetCardData:
    """Return the card's metadata, with the keys of the Hub's dataset card specification."""
    shards = manifest.shards
    rows = sum(s.rows for s in shards if s.view != "packed") or sum(s.rows for s in shards)
    has_tasks = set(manifest.mixture["parts"]) != {RAW}
    made = ["l2t", "language-learning-tasks", "synthetic"] if has_tasks else ["l2t-baseline"]
    return DatasetCardData(
        language=language_codes(recipe),
        license=recipe["source"].get("license") or NO_LICENSE,
        pretty_name=f"L2T: {manifest.name}" if has_tasks else manifest.name,
        annotations_creators=["machine-generated" if has_tasks else "no-annotation"],
        source_datasets=[recipe["source"]["dataset"] or "original"],
        task_categories=["text-generation"],
        task_ids=["language-modeling"],
        size_categories=[size_category(rows)],
        tags=["pre-training", *made],
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


def _samples(folder: Path, manifest: Manifest) -> list[CardExample]:
    """Return the first training example of each task, in the order of the manifest's tasks."""
    first = {s.config: s for s in reversed(manifest.shards) if (s.view, s.split) == ("examples", "train")}
    samples = []
    for name, facts in manifest.tasks.items():
        if name in first:
            prompt, text = _first_row(folder / first[name].path)
            samples.append(
                CardExample(name, facts, _shorten(prompt), _shorten(text.removeprefix(prompt).lstrip("\n")))
            )
    return samples


def _first_row(path: Path) -> tuple[str, str]:
    """Return prompt and text of the first example in a shard."""
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(1, columns=["prompt", "text"]))
    return str(batch.column("prompt")[0].as_py()), str(batch.column("text")[0].as_py())


def _shorten(text: str) -> str:
    """Return the beginning and the end of a text, about SHOWN_CHARACTERS in all."""
    half = SHOWN_CHARACTERS // 2
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:half]} [... {len(text) - 2 * half:,} characters ...] {text[-half:]}"
