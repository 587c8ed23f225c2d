"""A built dataset: views, splits, counts, and files that `datasets` reads without a script."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecipeFactory, RecordingReporter, build_silently, hashes, read_texts, recipe_of
from datasets import get_dataset_config_names, load_dataset

from l2t_hub.dataset.build import build
from l2t_hub.dataset.ledger import RAW, Ledger
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UsageError
from l2t_hub.mixture import is_raw, is_validation
from l2t_hub.recipe import recipe_from_tree
from l2t_hub.records.dataset_manifest import read_manifest
from l2t_hub.tasks.registry import TASKS
from l2t_hub.tokens.load import load_tokenizer


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, corpus: Path, tokenizer: Path) -> Path:
    """A dataset of the scheme disjoint with all fourteen tasks."""
    out = tmp_path_factory.mktemp("built") / "data"
    build_silently(recipe_of(corpus, tokenizer), out)
    return out


def test_load_dataset_reads_the_directory(built: Path, tmp_path: Path) -> None:
    typo = load_dataset(str(built), "typo", cache_dir=str(tmp_path))
    assert typo["train"].column_names[:4] == ["document_id", "block", "task", "level"]
    assert set(typo["train"]["task"]) == {"typo"}
    default = load_dataset(str(built), cache_dir=str(tmp_path))
    assert {*default["train"]["task"], *default["validation"]["task"]} == set(TASKS)
    packed = load_dataset(str(built), "packed", streaming=True)
    for row in packed["validation"]:
        assert len(row["input_ids"]) == 512
        assert sum(row["lengths"]) <= 512
    assert next(iter(load_dataset(str(built), "raw", streaming=True)["train"]))["text"]
    manifest = read_manifest(built)
    for config in ("typo", "raw", "packed"):
        for split, rows in load_dataset(str(built), config, cache_dir=str(tmp_path)).items():
            counted = sum(s.rows for s in manifest.shards if (s.config, s.split) == (config, split))
            assert len(rows) == counted


def test_seed_and_id_decide_what_becomes_of_a_document(built: Path, corpus: Path) -> None:
    texts = read_texts(corpus)
    mixture = recipe_from_tree(read_manifest(built).recipe).mixture
    for split in ("train", "validation"):
        raw = [
            row
            for path in sorted((built / "data/raw").glob(f"{split}-*"))
            for row in pq.read_table(path).to_pylist()
        ]
        expected = {
            i
            for i in texts
            if is_raw(42, i, mixture) and is_validation(42, i, 0.1) == (split == "validation")
        }
        assert {row["document_id"] for row in raw} == expected
        assert all(row["text"] == texts[row["document_id"]] for row in raw)
        for path in (built / "data/examples").glob(f"*/{split}-*"):
            for row in pq.read_table(path).to_pylist():
                assert not is_raw(42, row["document_id"], mixture)
                assert is_validation(42, row["document_id"], 0.1) == (split == "validation")


def test_examples_are_consistent_with_the_anchor_and_text(built: Path, tokenizer: Path) -> None:
    encode = load_tokenizer(str(tokenizer)).backend_tokenizer
    for path in (built / "data/examples").glob("*/train-*"):
        for row in pq.read_table(path).to_pylist()[:3]:
            gap = " " if row["anchor"] and not row["completion"].startswith(" ") else ""
            assert row["text"] == f"{row['prompt']}\n\n{row['anchor']}{gap}{row['completion']}"
            assert row["tokens"] == 1 + len(encode.encode(row["text"], add_special_tokens=False).ids)
            assert (row["task"], row["level"]) == (path.parent.name, TASKS[path.parent.name].level)


def test_sequences_hold_exactly_the_raw_texts_and_examples_with_bos(built: Path, tokenizer: Path) -> None:
    """Decode every text of every task sequence: they are the examples, each once, whole."""
    encode = load_tokenizer(str(tokenizer)).backend_tokenizer
    example_texts = {
        (0, *encode.encode(row["text"], add_special_tokens=False).ids)
        for row in (
            r for p in (built / "data/examples").glob("*/train-*") for r in pq.read_table(p).to_pylist()
        )
    }
    packed_texts, raw_tokens = set(), 0
    for path in sorted((built / "data/packed").glob("train-*")):
        for row in pq.read_table(path).to_pylist():
            ends = np.cumsum(row["lengths"])
            used = int(ends[-1])
            assert set(row["input_ids"][used:]) <= {1}, "padding is EOS"
            if row["kind"] == "task":
                texts = [
                    tuple(row["input_ids"][e - n : e]) for e, n in zip(ends, row["lengths"], strict=True)
                ]
                assert not packed_texts & set(texts)
                packed_texts |= set(texts)
            else:
                assert used == 512, "raw sequences are full"
                raw_tokens += used
    assert packed_texts == example_texts
    totals = read_manifest(built).totals["train"]
    assert raw_tokens == totals["raw_tokens"]


def test_raw_sequences_are_the_texts_cut_and_lengths_mark_their_borders(
    built: Path, corpus: Path, tokenizer: Path
) -> None:
    encode = load_tokenizer(str(tokenizer)).backend_tokenizer
    texts = read_texts(corpus)
    for partition in range(3):
        raw = pq.read_table(next((built / "data/raw").glob(f"train-0000{partition}-*"))).to_pylist()
        stream = [
            t for r in raw for t in (0, *encode.encode(texts[r["document_id"]], add_special_tokens=False).ids)
        ]
        packed = pq.read_table(next((built / "data/packed").glob(f"train-0000{partition}-*"))).to_pylist()
        rows = [row for row in packed if row["kind"] == "raw"]
        assert [t for row in rows for t in row["input_ids"]] == stream[: len(stream) // 512 * 512]
        starts = [
            n
            for row_number, row in enumerate(rows)
            for n in np.cumsum([row_number * 512, *row["lengths"]])[:-1]
        ]
        assert {n for n, t in enumerate(stream[: len(rows) * 512]) if t == 0} <= set(starts)


def test_both_kinds_are_spread_over_the_rows(built: Path) -> None:
    kinds = pq.read_table(next((built / "data/packed").glob("train-00000-*"))).column("kind").to_pylist()
    half = len(kinds) // 2
    assert abs(kinds[:half].count("raw") - kinds[half:].count("raw")) <= 2


@pytest.mark.parametrize(
    ("keys", "views"),
    [
        ({"mixture.scheme": "raw"}, {"raw", "packed"}),
        ({"mixture.scheme": "disjoint", "mixture.raw_share": 0.0}, {"examples", "packed"}),
        ({"mixture.scheme": "disjoint", "mixture.raw_share": 1.0}, {"raw", "packed"}),
        ({"mixture.scheme": "shared"}, {"raw", "examples", "packed"}),
        ({"mixture.scheme": "single", "mixture.task": "last"}, {"examples", "packed"}),
        ({"build.packed": False}, {"raw", "examples"}),
        ({"build.raw": "none", "build.examples": "none"}, {"packed"}),
        ({"build.raw": "ids", "build.examples": 2}, {"raw", "examples", "packed"}),
        ({"packing.scheme": "paper", "tokenizer.bos": False}, {"raw", "examples", "packed"}),
        ({"validation.share": 0.0}, {"raw", "examples", "packed"}),
        ({"build.partitions": 25, "source.limit": 40}, {"raw", "examples", "packed"}),
    ],
)
def test_every_scheme_and_view_builds_and_verifies(
    make_recipe: RecipeFactory,
    tmp_path: Path,
    corpus: Path,
    keys: dict[str, Any],
    views: set[str],
) -> None:
    manifest = build_silently(make_recipe(keys), tmp_path / "out")
    report = verify(tmp_path / "out")
    assert report.problems == []
    assert {p.name for p in (tmp_path / "out" / "data").iterdir()} == views
    assert {s.view for s in manifest.shards} == views
    totals = manifest.totals
    count, scheme = (
        min(len(read_texts(corpus)), keys.get("source.limit", 1000)),
        keys.get("mixture.scheme", "disjoint"),
    )
    used = sum(Ledger.from_json(manifest.ledger).total("assign", s).came_in for s in totals)
    assert used == count * (2 if scheme == "shared" else 1)
    if keys.get("build.raw") == "ids":
        assert pq.read_schema(next((tmp_path / "out/data/raw").glob("*"))).names == ["document_id", "tokens"]
        rows = [s.rows for s in manifest.shards if s.view == "examples"]
        assert max(rows) == 2
    if keys.get("validation.share") == 0.0:
        assert set(totals) == {"train"}
    for config in load_dataset_configs(tmp_path / "out"):
        for rows in load_dataset(str(tmp_path / "out"), config, streaming=True).values():
            assert next(iter(rows))


def load_dataset_configs(folder: Path) -> list[str]:
    return list(get_dataset_config_names(str(folder)))


def test_the_realised_mixture_is_stated_in_documents_and_tokens(built: Path, corpus: Path) -> None:
    manifest = read_manifest(built)
    shares = manifest.mixture["raw_share"]
    raw = manifest.mixture["parts"][RAW]
    assert sum(p["documents"] for p in manifest.mixture["parts"].values()) == len(read_texts(corpus))
    assert shares["documents"] == round(raw["documents"] / len(read_texts(corpus)), 6)
    assert shares["tokens"] < shares["documents"], "examples repeat their text"


def test_a_users_own_task_is_built_by_workers_too(tmp_path: Path, make_recipe: RecipeFactory) -> None:
    module = tmp_path / "own_task.py"
    module.write_text(
        "from l2t_hub.tasks import Example, Task\n"
        "def upper(block, other, rng):\n    return Example(block.text.upper(), block.text)\n"
        "TASKS = [Task('shout', 'word', 'Lower the case.', upper)]\n"
    )
    keys = {"mixture.scheme": "single", "mixture.task": "shout", "mixture.modules": [str(module)]}
    first = build_silently(make_recipe(keys), tmp_path / "out", workers=2)
    row = pq.read_table(next((tmp_path / "out/data/examples/shout").glob("train-*"))).to_pylist()[0]
    assert row["prompt"] == row["completion"].upper()
    module.write_text(module.read_text().replace("block.text.upper()", "block.text.title()"))
    second = build_silently(make_recipe(keys), tmp_path / "out")
    assert second.fingerprint != first.fingerprint, "the module's code decides the data"
    assert hashes(tmp_path / "out") != {}


def test_wrong_task_names_are_usage_errors_before_anything_is_written(
    tmp_path: Path, make_recipe: RecipeFactory
) -> None:
    with pytest.raises(UsageError, match="typo"):
        build_silently(make_recipe({"mixture.scheme": "single", "mixture.task": "tpyo"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_build_warns_of_blocks_too_long_for_a_sequence(tmp_path: Path, make_recipe: RecipeFactory) -> None:
    for tokens, warned in ((512, True), (128, False)):
        reporter = RecordingReporter()
        build(
            make_recipe({"blocks.tokens_per_block": tokens}),
            tmp_path / str(tokens),
            workers=1,
            progress=reporter,
        )
        assert ("to at most about 170" in reporter.text) is warned
    card = (tmp_path / "128" / "README.md").read_text(encoding="utf-8")
    shards = read_manifest(tmp_path / "128").shards
    tasks = {s.config for s in shards if (s.view, s.split) == ("examples", "train")}
    assert len(tasks) >= 13
    assert all((f"### `{name}`" in card) is (name in tasks) for name in TASKS), "a real example of each task"
