"""The transform of a partition: batches, caches, and what they must not change."""

from pathlib import Path

import pytest
from dataset_helpers import RecipeFactory, build_silently, hashes

from l2t_hub.artifacts import TOKENIZER
from l2t_hub.corpus.source import open_source
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.partners import find_partners
from l2t_hub.dataset.pipeline import transform_setup
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.tokenizer import prepare_tokenizer
from l2t_hub.dataset.transform import PartitionTransform
from l2t_hub.dataset.verify import verify
from l2t_hub.dataset.views import ExampleRow
from l2t_hub.dataset.workspace import open_workspace
from l2t_hub.errors import UserError
from l2t_hub.tokens import encode


def test_one_document_alone_has_no_other_document(tmp_path: Path, make_recipe: RecipeFactory) -> None:
    (tmp_path / "a.txt").write_text("She came home late. He had gone out before. Nobody was there. " * 12)
    keys = {"source.path": str(tmp_path / "a.txt"), "validation.share": 0.0, "build.partitions": 1}
    recipe = make_recipe({**keys, "mixture.scheme": "single", "mixture.task": "deletion"})
    with pytest.raises(
        UserError, match=r"1 document, of which 1 for tasks, gave no example \(dropped: 1 no other document\)"
    ):
        build_silently(recipe, tmp_path / "out")
    manifest = build_silently(make_recipe({**keys, "mixture.scheme": "shared"}), tmp_path / "out")
    assert "no other document" not in Ledger.from_json(manifest.ledger).get("assign", "train", "task").dropped
    assert verify(tmp_path / "out").problems == []


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_examples_do_not_depend_on_the_size_of_batches(
    make_recipe: RecipeFactory, tmp_path: Path, size: int
) -> None:
    recipe = make_recipe({"build.partitions": 1, "source.limit": 60})
    source = open_source(recipe)
    with open_workspace(tmp_path / "out") as workspace:
        info = prepare_tokenizer(recipe, source, workspace, None, SilentReporter())
        setup = transform_setup(recipe, workspace.folder / TOKENIZER, info)

    def rows(size: int) -> list[ExampleRow]:
        partners = find_partners(recipe, setup.tasks, setup.languages, source.read(0))
        partition = PartitionTransform(setup, partners)
        batches = partition.batches(source.read(0), size=size)
        return [example.row for batch in batches for example in partition.examples(batch)]

    assert len(rows(size)) > 30
    assert rows(size) == rows(13)


def test_neither_cache_nor_chunk_size_changes_a_byte(
    make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has built other partitions before gives the same bytes as a new worker."""
    small = make_recipe({"source.limit": 60})
    build_silently(small, tmp_path / "usual")
    monkeypatch.setattr(encode.Encoder.__init__, "__kwdefaults__", {
        **encode.Encoder.__init__.__kwdefaults__, "cache_bytes": 50_000,
    })  # fmt: skip
    monkeypatch.setattr(encode, "CHUNK_CHARACTERS", 5_000)
    build_silently(small, tmp_path / "forgetful")
    assert hashes(tmp_path / "forgetful") == hashes(tmp_path / "usual")
