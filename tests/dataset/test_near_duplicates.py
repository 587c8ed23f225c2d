"""Training documents near-identical to a held-out one are dropped with a named reason; others stay."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecipeFactory, RecordingReporter, build_silently, hashes

from l2t_hub.dataset import near_duplicates
from l2t_hub.dataset.build import build
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.near_duplicates import NEAR_IDENTICAL
from l2t_hub.dataset.verify import verify
from l2t_hub.mixture import is_validation
from l2t_hub.records.dataset_manifest import read_manifest

SHARE = 0.1


def held_out(name: str) -> bool:
    return is_validation(42, name, SHARE)


@pytest.fixture
def copies(corpus: Path, tmp_path: Path) -> Path:
    """The sample, then copies of some of its texts: exact, with a word changed, in capitals; under training ids."""
    records = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    validation = [r["text"] for r in records if held_out(r["id"])]
    training = [r["text"] for r in records if not held_out(r["id"])]
    changed = [text.replace(" the ", " zebra ", 1) for text in validation[3:6]]
    new = [*validation[:3], *changed, validation[6].upper(), *training[:5]]
    ids = [name for n in range(200) if not held_out(name := f"copy-{n}")]
    extra = [{"id": name, "text": text} for name, text in zip(ids, new, strict=False)]
    path = tmp_path / "copies.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in [*records, *extra]), encoding="utf-8")
    return path


def ids_of(out: Path, split: str) -> set[str]:
    files = [p for p in (out / "data").rglob(f"{split}-*") if "packed" not in p.parts]
    return {i for p in files for i in pq.read_table(p, columns=["document_id"]).column(0).to_pylist()}


def test_copies_of_held_out_documents_are_dropped_and_counted(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path
) -> None:
    manifest = build_silently(make_recipe({"source.path": str(copies)}), tmp_path / "out")
    assert Ledger.from_json(manifest.ledger).get("read").dropped == {NEAR_IDENTICAL: 7}
    assert sum(len(numbers) for numbers in manifest.source["near_identical"]["records"]) == 7
    left = [name for name in ids_of(tmp_path / "out", "train") if name.startswith("copy-")]
    assert len(left) == 5, "copies of training documents stay"
    assert all(held_out(name) for name in ids_of(tmp_path / "out", "validation"))
    assert verify(tmp_path / "out").problems == []
    assert f"7 {NEAR_IDENTICAL}" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_the_bundled_sample_has_no_near_duplicates(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    """180 texts of six genres by the same author: none is mistaken for another."""
    manifest = build_silently(make_recipe(), tmp_path / "out")
    assert manifest.source["near_identical"]["records"] == [[], [], []]


def test_the_result_depends_on_neither_partitions_nor_order_nor_slices(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = copies.read_text(encoding="utf-8").splitlines(keepends=True)
    backwards = tmp_path / "backwards.jsonl"
    backwards.write_text("".join(reversed(lines)), encoding="utf-8")
    splits = []
    for name, path, partitions, size in (
        ("a", copies, 1, 10**9),
        ("b", copies, 7, 50),
        ("c", backwards, 4, 1000),
    ):
        monkeypatch.setattr(near_duplicates, "SLICE_VALUES", size)
        monkeypatch.setattr(near_duplicates, "RUN_DOCUMENTS", size)
        build_silently(
            make_recipe({"source.path": str(path), "build.partitions": partitions}), tmp_path / name
        )
        splits.append((ids_of(tmp_path / name, "train"), ids_of(tmp_path / name, "validation")))
    assert splits[0] == splits[1] == splits[2]


def test_a_larger_source_moves_no_document_across_the_split(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path
) -> None:
    splits = []
    for n, limit in enumerate((100, 150, None)):
        build_silently(make_recipe({"source.path": str(copies), "source.limit": limit}), tmp_path / str(n))
        splits.append([ids_of(tmp_path / str(n), split) for split in ("train", "validation")])
    for smaller, larger in pairwise(splits):
        assert not smaller[0] & larger[1]
        assert not smaller[1] & larger[0]


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers_gives_the_same_bytes(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path, workers: int
) -> None:
    seven = make_recipe({"source.path": str(copies), "build.partitions": 7, "mixture.unit": "tokens"})
    build_silently(seven, tmp_path / "1")
    build_silently(seven, tmp_path / "more", workers=workers)
    assert hashes(tmp_path / "1") == hashes(tmp_path / "more")


def test_near_duplicates_are_kept_on_request_without_a_pass_over_the_source(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path
) -> None:
    for n, keys in enumerate(({"validation.near_duplicates": "keep"}, {"validation.share": 0.0})):
        reporter = RecordingReporter()
        out = tmp_path / str(n)
        manifest = build(make_recipe({"source.path": str(copies), **keys}), out, workers=1, progress=reporter)
        assert manifest.source["near_identical"] is None
        assert Ledger.from_json(manifest.ledger).get("read").dropped == {}
        assert "near-duplicates" not in reporter.text


def test_a_tokenizer_is_not_trained_on_near_duplicates(
    make_recipe: RecipeFactory, corpus: Path, copies: Path, tmp_path: Path
) -> None:
    """With and without the copies of held-out documents, the training texts are the same."""
    lines = copies.read_text(encoding="utf-8").splitlines(keepends=True)
    without = tmp_path / "without.jsonl"
    without.write_text("".join(lines[:-12] + lines[-5:]), encoding="utf-8")
    keys = {"tokenizer.name": None, "tokenizer.vocab_size": 600}
    digests = {
        build_silently(make_recipe({**keys, "source.path": str(path)}), tmp_path / path.stem).tokenizer.sha256
        for path in (copies, without)
    }
    assert len(digests) == 1


def test_a_changed_source_gives_the_bytes_of_a_fresh_build(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path
) -> None:
    keys = {"source.path": str(copies), "build.partitions": 6}
    out = tmp_path / "out"
    build_silently(make_recipe(keys), out)
    before = read_manifest(out)
    reporter = RecordingReporter()
    assert build(make_recipe(keys), out, workers=1, progress=reporter) == before
    assert "nothing has changed" in reporter.text
    assert "looking" not in reporter.text, "the manifest has the answer"
    text = copies.read_text(encoding="utf-8")
    with_copies = next(n for n, numbers in enumerate(before.source["near_identical"]["records"]) if numbers)
    assert with_copies > 0
    copies.write_text(text[:-2].rpartition("\n")[0] + "\n", encoding="utf-8")
    build(make_recipe(keys), out, workers=1, progress=reporter)
    build_silently(make_recipe(keys), tmp_path / "fresh")
    assert hashes(out) == hashes(tmp_path / "fresh")


def test_matching_is_what_comparing_all_pairs_gives(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    folders, expected = [], []
    signed = rng.integers(0, 300, (60, near_duplicates.BANDS), np.uint64) * np.uint64(1 << 55)
    held_out_rows = np.array([n % 5 == 0 for n in range(60)])
    pool = set(signed[held_out_rows].reshape(-1).tolist())
    for n in range(3):
        partition = slice(n * 20, n * 20 + 20)
        folder = tmp_path / str(n)
        folder.mkdir()
        for run in range(2):
            half = slice(n * 20 + run * 10, n * 20 + run * 10 + 10)
            numbers = np.arange(run * 10, run * 10 + 10, dtype=np.uint32)
            near_duplicates._save_run(
                folder / f"{run:05d}",
                near_duplicates._Signed(signed[half], np.empty(0, np.uint64), numbers, held_out_rows[half]),
            )
        folders.append(folder)
        expected.append(
            [
                m
                for m in range(20)
                if not held_out_rows[partition][m] and pool & set(signed[partition][m].tolist())
            ]
        )
    assert near_duplicates.find_near_duplicates(folders) == expected
    assert any(expected)
