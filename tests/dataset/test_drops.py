"""What a build dropped is summed up at its end, by reason and by file, with what to change; no examples at all stop it."""

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_helpers import PROSE, RecipeFactory, RecordingReporter, write_rows

from l2t_hub.dataset.build import build
from l2t_hub.errors import UserError
from l2t_hub.records.dataset_manifest import Manifest

TEXT = PROSE * 4


def built(recipe: Any, out: Path, workers: int = 1) -> tuple[Manifest, list[str]]:
    reporter = RecordingReporter()
    return build(recipe, out, workers=workers, progress=reporter), reporter.lines


def rows_of(texts: list[str | None], prefix: str = "d") -> list[dict[str, Any]]:
    return [{"id": f"{prefix}{n}", "text": text} for n, text in enumerate(texts)]


@pytest.fixture
def two_files(tmp_path: Path) -> Path:
    """Forty good documents, and others without text or with too few words, in two files."""
    folder = tmp_path / "source"
    folder.mkdir()
    write_rows(folder / "a.jsonl", rows_of([TEXT] * 40 + [None] * 7 + [" "] * 2))
    write_rows(folder / "b.jsonl", rows_of([None] * 5 + ["Too short. By far."] * 30, "e"))
    return folder


def test_drops_are_summed_up_by_reason_and_file(
    tmp_path: Path, two_files: Path, make_recipe: RecipeFactory
) -> None:
    keys = {
        "source.path": str(two_files),
        "mixture.scheme": "shared",
        "mixture.tasks": ["one", "space"],
        "validation.near_duplicates": "keep",
    }
    _, lines = built(make_recipe(keys), tmp_path / "one")
    assert "dropped 14 of 84 records: 12 null text (a.jsonl 7, b.jsonl 5); 2 empty text (a.jsonl 2)" in lines
    (documents,) = [line for line in lines if line.startswith("dropped 30 of 70 documents for tasks")]
    assert documents.endswith("30 no block gave an example (b.jsonl 30)")
    (blocks,) = [line for line in lines if line.startswith("dropped 30 of") and "blocks" in line]
    assert blocks.endswith("30 under min_words")
    (null,) = [line for line in lines if line.startswith("warning") and "null text" in line]
    assert null == (
        "warning: 12 of 84 records were dropped (null text). Check that source.text_column (text) is the column with "
        "the text."
    )
    (short,) = [line for line in lines if line.startswith("warning") and "under min_words" in line]
    assert "A block needs blocks.min_words (20) words. Short documents have one short block" in short
    # The lines do not depend on the workers, on an interruption, or on partitions that an earlier dataset had.
    manifest, parallel = built(make_recipe(keys), tmp_path / "two", workers=3)
    drops = [line for line in lines if "dropped" in line]
    assert [line for line in parallel if "dropped" in line] == drops
    manifest_file = tmp_path / "two" / "l2t_manifest.json"
    (tmp_path / "two" / manifest.shards[0].path).unlink()
    _, repaired = built(make_recipe(keys), tmp_path / "two")
    assert [line for line in repaired if "dropped" in line] == drops
    assert json.loads(manifest_file.read_text()) == manifest.as_dict()


@pytest.mark.parametrize("scheme", ["disjoint", "shared"])
def test_a_task_mixture_without_examples_stops_and_says_what_to_change(
    tmp_path: Path, make_recipe: RecipeFactory, scheme: str
) -> None:
    path = write_rows(tmp_path / "a.jsonl", rows_of(["Only a few words. And some more."] * 50))
    recipe = make_recipe(
        {"source.path": path, "mixture.scheme": scheme, "validation.near_duplicates": "keep"}
    )
    with pytest.raises(
        UserError, match=r"mixture\.scheme: 50 documents, of which \d+ for tasks, gave no example"
    ) as caught:
        built(recipe, tmp_path / "out")
    assert " under min_words)" in str(caught.value)
    assert "or lower blocks.min_words" in str(caught.value)
    assert not (tmp_path / "out" / "l2t_manifest.json").exists()
    raw = make_recipe({"source.path": path, "mixture.scheme": "raw", "validation.near_duplicates": "keep"})
    assert built(raw, tmp_path / "raw")[0].totals["train"]["raw_documents"] > 0


def test_no_validation_document_and_a_far_share_are_warned_of(
    tmp_path: Path, make_recipe: RecipeFactory
) -> None:
    path = write_rows(tmp_path / "a.jsonl", rows_of([f"{TEXT} Number {n}." for n in range(4)]))
    keys = {"source.path": path, "seed": 3, "validation.share": 0.01, "build.partitions": 1}
    _, lines = built(make_recipe({**keys, "mixture.raw_share": 0.9, "seed": 1}), tmp_path / "out")
    (held_out,) = [line for line in lines if "held out" in line]
    assert held_out.startswith("warning: no document is held out: validation.share is 0.01, of 4 documents.")
    assert "source.split_on" in held_out
    (share,) = [line for line in lines if "mixture.raw_share asks for 90%" in line]
    assert share.startswith("warning: ")


def test_examples_that_are_too_long_are_warned_of(tmp_path: Path, make_recipe: RecipeFactory) -> None:
    keys = {"blocks.tokens_per_block": 400, "mixture.scheme": "shared", "packing.sequence_length": 512}
    _, lines = built(make_recipe(keys), tmp_path / "out")
    (line,) = [line for line in lines if line.startswith("warning") and "over 512 tokens" in line]
    assert (
        "set blocks.tokens_per_block (now 400) to at most about 170, or a higher packing.sequence_length"
        in line
    )


def test_the_bundled_sample_needs_no_warning_but_of_tasks_without_examples(
    tmp_path: Path, make_recipe: RecipeFactory
) -> None:
    _, lines = built(make_recipe(), tmp_path / "out")
    assert [
        line for line in lines if line.startswith("warning") and "no training example of" not in line
    ] == []


def test_detected_encodings_and_very_long_documents_are_told_and_recorded(
    tmp_path: Path, make_recipe: RecipeFactory
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for n in range(12):
        (folder / f"{n}.txt").write_bytes(
            (f"Der Bär läuft über die Straße Nummer {n} und fällt. " * 60).encode("cp1252")
        )
    manifest, lines = built(make_recipe({"source.path": str(folder)}), tmp_path / "out")
    assert manifest.source["encodings"] == {f"{n}.txt": "cp1252" for n in range(12)}
    (note,) = [line for line in lines if "not UTF-8" in line]
    listed = "0.txt as cp1252, 1.txt as cp1252, 10.txt as cp1252 and 9 more files"
    assert note == f"warning: not UTF-8, read {listed}. If that is wrong, set source.encoding."
