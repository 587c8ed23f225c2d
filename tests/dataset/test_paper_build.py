"""A build of the paper's base recipe, on a small source of two files."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dataset_helpers import build_silently, read_texts, write_rows

from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.verify import verify
from l2t_hub.mixture import is_raw, is_validation
from l2t_hub.recipe import load_recipe
from l2t_hub.records.dataset_manifest import Manifest


@pytest.fixture(scope="module")
def built(
    corpus: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Manifest, dict[str, str]]:
    """The directory, its manifest, and the file of each document."""
    folder = tmp_path_factory.mktemp("paper")
    (folder / "source").mkdir()
    rows = [
        {"id": name, "text": text, "metadata": {"token_count": len(text) // 4}}
        for name, text in read_texts(corpus).items()
    ]
    half = len(rows) // 2
    write_rows(folder / "source" / "train-00000-of-00002.jsonl", rows[:half])
    write_rows(folder / "source" / "train-00006-of-00002.jsonl", rows[half:])
    changes = {
        "source.path": str(folder / "source"),
        "tokenizer.name": str(tokenizer),
        "build.partitions": 2,
    }
    recipe = load_recipe("paper/base", [f"{key}={json.dumps(value)}" for key, value in changes.items()])
    manifest = build_silently(recipe, folder / "out")
    files = {row["id"]: "first" if n < half else "second" for n, row in enumerate(rows)}
    return folder / "out", manifest, files


def test_it_holds_out_a_tenth_of_the_first_files_alone(built: tuple[Path, Manifest, dict[str, str]]) -> None:
    out, manifest, files = built
    held_out = {
        document_id
        for path in (*out.glob("data/raw/validation-*"), *out.glob("data/examples/*/validation-*"))
        for document_id in pq.read_table(path).column("document_id").to_pylist()
    }
    assert held_out
    assert {files[document_id] for document_id in held_out} == {"first"}
    assert all(is_validation(42, document_id, 0.1) for document_id in held_out)
    assert manifest.source["near_identical"] is None
    assert verify(out).problems == []


def test_its_raw_text_and_task_data_are_disjoint(built: tuple[Path, Manifest, dict[str, str]]) -> None:
    out, manifest, files = built
    mixture = load_recipe("paper/base").mixture
    raw = {i for p in out.glob("data/raw/*") for i in pq.read_table(p).column("document_id").to_pylist()}
    tasks = {
        i for p in out.glob("data/examples/*/*") for i in pq.read_table(p).column("document_id").to_pylist()
    }
    assert raw == {document_id for document_id in files if is_raw(42, document_id, mixture)}
    assert not raw & tasks
    assert Ledger.from_json(manifest.ledger).total("fit").dropped.total() == 0


def test_no_sequence_has_an_eos_before_its_padding(built: tuple[Path, Manifest, dict[str, str]]) -> None:
    out, manifest, _ = built
    eos, padded = manifest.tokenizer.eos_id, 0
    for path in out.glob("data/packed/*.parquet"):
        for row in pq.read_table(path).to_pylist():
            assert len(row["input_ids"]) == 2048
            text, padding = (
                row["input_ids"][: sum(row["lengths"])],
                row["input_ids"][sum(row["lengths"]) :],
            )
            assert eos not in text
            assert set(padding) <= {eos}
            padded += bool(padding)
    assert padded
