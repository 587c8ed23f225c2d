"""Training documents that repeat an earlier one are dropped by key: exactly or nearly, the same for any division."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecipeFactory, RecordingReporter, build_silently, hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from l2t_hub.dataset import near_duplicates
from l2t_hub.dataset.build import build
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.near_duplicates import NEAR_IDENTICAL, REPEATED, TEXT_OWNERS, TEXTS, find_repeats
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.verify import verify
from l2t_hub.mixture import is_validation
from l2t_hub.reproduce.reproduction import reproduce


def held_out(name: str) -> bool:
    return is_validation(42, name, 0.1)


@pytest.fixture
def copies(corpus: Path, tmp_path: Path) -> Path:
    """The sample with copies between its texts, under training ids: four exact, three with a word changed, two of a
    held-out text.
    """
    records = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    training = [r["text"] for r in records if not held_out(r["id"])]
    validation = [r["text"] for r in records if held_out(r["id"])]
    changed = [text.replace(" the ", " zebra ", 1) for text in training[10:13]]
    new = [training[0], training[0], training[1], training[2], *changed, validation[0], validation[0]]
    ids = [name for n in range(200) if not held_out(name := f"copy-{n}")]
    extra = [{"id": name, "text": text} for name, text in zip(ids, new, strict=False)]
    path = tmp_path / "copies.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in [*records, *extra]), encoding="utf-8")
    return path


def training_ids(out: Path) -> set[str]:
    files = [p for p in (out / "data").rglob("train-*") if "packed" not in p.parts]
    return {i for p in files for i in pq.read_table(p, columns=["document_id"]).column(0).to_pylist()}


def dropped(manifest: Any) -> dict[str, int]:
    return dict(Ledger.from_json(manifest.ledger).get("read").dropped)


def test_exact_and_near_copies_are_dropped_and_counted(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path
) -> None:
    kept = {}
    for duplicates in ("keep", "exact", "near"):
        out = tmp_path / duplicates
        keys = {"source.path": str(copies), "source.duplicates": duplicates, "mixture.scheme": "raw"}
        manifest = build_silently(make_recipe(keys), out)
        kept[duplicates] = {name for name in training_ids(out) if name.startswith("copy-")}
        expected = {"keep": {}, "exact": {REPEATED["exact"]: 4}, "near": {REPEATED["near"]: 7}}[duplicates]
        assert dropped(manifest) == {NEAR_IDENTICAL: 2, **expected}
        assert verify(out).problems == []
        assert (manifest.source.get("duplicates") is None) == (duplicates == "keep")
    assert [len(names) for names in kept.values()] == [7, 3, 0]
    card = (tmp_path / "near" / "README.md").read_text(encoding="utf-8")
    assert "a training document that nearly repeats one before it in the source is dropped" in card


def test_copies_of_held_out_documents_repeat_each_other_where_they_are_kept(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path
) -> None:
    keys = {
        "source.path": str(copies),
        "source.duplicates": "exact",
        "validation.near_duplicates": "keep",
        "mixture.scheme": "raw",
    }
    reporter = RecordingReporter()
    manifest = build(make_recipe(keys), tmp_path / "out", workers=1, progress=reporter)
    assert dropped(manifest) == {REPEATED["exact"]: 5}
    assert manifest.source["near_identical"] is None
    assert "looking for duplicates: 3 partitions" in reporter.text


@pytest.mark.parametrize("duplicates", ["exact", "near"])
def test_partitions_workers_and_slices_change_nothing(
    make_recipe: RecipeFactory,
    copies: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    duplicates: str,
) -> None:
    kept = []
    for partitions, size in ((1, 10**9), (7, 50)):
        monkeypatch.setattr(near_duplicates, "SLICE_VALUES", size)
        monkeypatch.setattr(near_duplicates, "RUN_DOCUMENTS", size)
        keys = {"source.path": str(copies), "source.duplicates": duplicates, "build.partitions": partitions}
        recipe, out = make_recipe({**keys, "mixture.scheme": "raw"}), tmp_path / str(partitions)
        build_silently(recipe, out)
        kept.append(training_ids(out))
    assert kept[0] == kept[1]
    build_silently(recipe, tmp_path / "parallel", workers=3)
    assert hashes(tmp_path / "7") == hashes(tmp_path / "parallel")
    reporter = RecordingReporter()
    build(recipe, tmp_path / "7", workers=1, progress=reporter)
    assert reporter.lines == [f"{tmp_path / '7'}: already finished, nothing has changed"], "no second pass"


def test_a_source_that_grows_loses_no_document_that_it_had(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path
) -> None:
    sets = []
    for n, limit in enumerate((100, 182, 185, None)):
        keys = {"source.path": str(copies), "source.limit": limit, "source.duplicates": "near"}
        build_silently(make_recipe({**keys, "mixture.scheme": "raw"}), tmp_path / str(n))
        sets.append(training_ids(tmp_path / str(n)))
    assert all(smaller <= larger for smaller, larger in pairwise(sets))


def test_a_dataset_without_duplicates_is_reproduced(
    make_recipe: RecipeFactory, copies: Path, tmp_path: Path
) -> None:
    recipe = make_recipe({"source.path": str(copies), "source.duplicates": "near"})
    build_silently(recipe, tmp_path / "out")
    report = reproduce(
        tmp_path / "out", source=str(copies), workers=1, out=tmp_path / "again", progress=SilentReporter()
    )
    assert report.equal


@given(
    documents=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.booleans()), max_size=40),
    slice_values=st.integers(1, 50),
    run=st.integers(1, 10),
)
@settings(max_examples=60, deadline=None)
def test_the_first_of_equal_values_stays(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[tuple[int, int, bool]],
    slice_values: int,
    run: int,
) -> None:
    """Against a loop in the order of the source. A document is a partition, a value, and whether it is left out."""
    folder = tmp_path_factory.mktemp("runs")
    in_order = sorted(range(len(documents)), key=lambda n: documents[n][0])
    parts: list[list[tuple[int, bool]]] = [[] for _ in range(4)]
    for n in in_order:
        partition, value, out = documents[n]
        parts[partition].append((value * ((1 << 64) // 7), out))
    expected: list[list[int]] = [[] for _ in parts]
    seen: set[int] = set()
    for partition, part in enumerate(parts):
        for number, (value, out) in enumerate(part):
            if not out:
                expected[partition] += [number] if value in seen else []
                seen.add(value)
        for start in range(0, len(part), run):
            values = np.array([value for value, _ in part[start : start + run]], np.uint64)
            owners = np.arange(start, start + len(values), dtype=np.uint32)
            order = np.argsort(values, kind="stable")
            place = folder / str(partition) / f"{start:05d}"
            place.mkdir(parents=True)
            np.save(place / TEXTS, values[order])
            np.save(place / TEXT_OWNERS, owners[order])
    left_out = [[number for number, (_, out) in enumerate(part) if out] for part in parts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "SLICE_VALUES", slice_values)
        found = find_repeats([folder / str(n) for n in range(4)], "exact", left_out)
    assert found == expected
