"""The transform of a partition: the other document of an example, batches, and what they must not change."""

from pathlib import Path

import pytest
from dataset_helpers import RecipeFactory, build_silently, hashes

from l2t_hub.artifacts import TOKENIZER
from l2t_hub.corpus.document import Document
from l2t_hub.corpus.sentences import splitter
from l2t_hub.corpus.source import open_source
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.pipeline import transform_setup
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.tokenizer import prepare_tokenizer
from l2t_hub.dataset.transform import PartitionTransform, TransformSetup
from l2t_hub.dataset.verify import verify
from l2t_hub.dataset.views import ExampleRow
from l2t_hub.dataset.workspace import open_workspace
from l2t_hub.mixture import is_validation
from l2t_hub.recipe import Recipe
from l2t_hub.tasks.registry import TASKS
from l2t_hub.tokens import encode
from l2t_hub.tokens.load import encoder_of, load_tokenizer


def partition_of(recipe: Recipe) -> PartitionTransform:
    encoder = encoder_of(load_tokenizer(str(recipe.tokenizer.name)))
    return PartitionTransform(TransformSetup(recipe, TASKS, splitter("sentencex"), encoder, 1))


def test_the_other_document_is_the_previous_one_of_the_same_split(make_recipe: RecipeFactory) -> None:
    mixed = make_recipe({"validation.share": 0.3})
    documents = [Document(f"d{n}", f"Text {n}.") for n in range(700)]
    batches = partition_of(mixed).batches(iter(documents))
    pairs = [(e.document.id, e.other.document.id, e.split) for batch in batches for e in batch if e.other]
    assert len(pairs) == 700
    for split in ("train", "validation"):
        ids = [d.id for d in documents if is_validation(42, d.id, 0.3) == (split == "validation")]
        expected = list(zip(ids, [ids[1], *ids[:-1]], strict=True))
        assert [(a, b) for a, b, s in pairs if s == split] == expected


def test_finished_documents_are_released(make_recipe: RecipeFactory) -> None:
    kept = [
        e
        for batch in partition_of(make_recipe()).batches(Document(f"d{n}", "T.") for n in range(600))
        for e in batch
    ]
    assert all(document.other is None for document in kept), (
        "after its batch, a document releases its other document"
    )


def test_one_document_alone_has_no_other_document(tmp_path: Path, make_recipe: RecipeFactory) -> None:
    (tmp_path / "a.txt").write_text("She came home late. He had gone out before. Nobody was there. " * 12)
    keys = {"source.path": str(tmp_path / "a.txt"), "validation.share": 0.0, "build.partitions": 1}
    manifest = build_silently(
        make_recipe({**keys, "mixture.scheme": "single", "mixture.task": "deletion"}), tmp_path / "out"
    )
    assert Ledger.from_json(manifest.ledger).get("assign", "train", "task").dropped == {
        "no other document": 1
    }
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
        partition = PartitionTransform(setup)
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
