"""Changes that make partitions stale, and the reasons that a build gives."""

from pathlib import Path

import pytest
from dataset_helpers import RecipeFactory, RecordingReporter, build_silently, hashes

from l2t_hub.dataset.build import build
from l2t_hub.dataset.verify import verify
from l2t_hub.records.dataset_manifest import read_manifest

STALE = [
    ({"mixture.raw_share": 0.3}, "mixture.raw_share changed from 0.5 to 0.3"),
    ({"seed": 7}, "seed changed from 42 to 7"),
    ({"build.partitions": 2}, "build.partitions changed from 3 to 2"),
    ({"tokenizer.bos": False}, "tokenizer.bos changed from True to False"),
]


@pytest.mark.parametrize(("keys", "reason"), STALE)
def test_a_changed_recipe_is_rebuilt_and_the_reason_given(
    make_recipe: RecipeFactory, tmp_path: Path, keys: dict[str, object], reason: str
) -> None:
    limit = {"source.limit": 30}
    build_silently(make_recipe(limit), tmp_path / "out")
    reporter = RecordingReporter()
    build(make_recipe({**limit, **keys}), tmp_path / "out", workers=1, progress=reporter)
    assert reason in reporter.text
    assert "already finished" not in reporter.text
    build_silently(make_recipe({**limit, **keys}), tmp_path / "fresh")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")


def test_a_changed_description_rewrites_the_card_and_no_shard(
    make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build_silently(make_recipe({"source.limit": 30}), out)
    reporter = RecordingReporter()
    build(
        make_recipe({"source.limit": 30, "description": "A new description."}),
        out,
        workers=1,
        progress=reporter,
    )
    assert "3 of 3 partitions are already finished" in reporter.text
    assert "A new description." in (out / "README.md").read_text()
    assert verify(out).problems == []


def test_a_changed_file_rebuilds_what_reads_it(
    make_recipe: RecipeFactory, tmp_path: Path, corpus: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    lines = corpus.read_text(encoding="utf-8").splitlines(keepends=True)
    for n in range(3):
        (source / f"{n}.jsonl").write_text("".join(lines[n * 20 : n * 20 + 20]), encoding="utf-8")
    (source / "1.jsonl").write_text((source / "0.jsonl").read_text().replace('{"id": "', '{"id": "x'))
    keys = {"source.path": str(source), "build.partitions": 3}
    build_silently(make_recipe(keys), tmp_path / "out")
    text = (source / "2.jsonl").read_text(encoding="utf-8")
    (source / "2.jsonl").write_text(text.replace(" the ", " The ", 1), encoding="utf-8")
    reporter = RecordingReporter()
    build(make_recipe(keys), tmp_path / "out", workers=1, progress=reporter)
    assert "source file 2.jsonl changed" in reporter.text
    assert "partitions are already finished" in reporter.text
    build_silently(make_recipe(keys), tmp_path / "fresh")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")


def test_another_version_of_a_library_rebuilds(
    make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2t_hub.dataset import keys as build_keys
    from l2t_hub.dataset import manifest

    build_silently(make_recipe({"source.limit": 30}), tmp_path / "out")
    versions = manifest.made_by(make_recipe({}))
    monkeypatch.setattr(build_keys, "made_by", lambda recipe: {**versions, "pyarrow": "99.0.0"})
    reporter = RecordingReporter()
    build(make_recipe({"source.limit": 30}), tmp_path / "out", workers=1, progress=reporter)
    assert f"version of pyarrow changed from {versions['pyarrow']} to 99.0.0" in reporter.text
    assert read_manifest(tmp_path / "out").made_by["pyarrow"] == "99.0.0"
