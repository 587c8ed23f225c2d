"""`validation.files`: documents are held out from some files only."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecipeFactory, build_silently, write_rows

from l2t_hub.corpus.source import open_source
from l2t_hub.dataset import near_duplicates
from l2t_hub.dataset.tokenizer import training_key
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UsageError
from l2t_hub.mixture import is_validation

PROSE = "The clerk counted every sheep that passed the gate, and wrote the number down in a book. "


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three files of 60 documents each, two of them in a folder."""
    folder = tmp_path / "source"
    (folder / "later").mkdir(parents=True)
    for name in ("shard-0", "later/shard-1", "later/shard-2"):
        rows = [{"id": f"{name}:{n}", "text": f"Number {n} of {name}. " + PROSE * 6} for n in range(60)]
        write_rows(folder / f"{name}.jsonl", rows)
    return folder


def held_out(out: Path) -> set[str]:
    files = [*out.glob("data/raw/validation-*"), *out.glob("data/examples/*/validation-*")]
    return {i for path in files for i in pq.read_table(path).column("document_id").to_pylist()}


@pytest.mark.parametrize(
    ("globs", "names"),
    [
        (["shard-0.jsonl"], {"shard-0"}),
        (["later/*"], {"later/shard-1", "later/shard-2"}),
        (["shard-[02]*"], {"shard-0", "later/shard-2"}),
        (None, {"shard-0", "later/shard-1", "later/shard-2"}),
    ],
)
@pytest.mark.parametrize("partitions", [1, 5])
def test_documents_are_held_out_from_these_files_alone(
    make_recipe: RecipeFactory,
    tmp_path: Path,
    shards: Path,
    globs: list[str] | None,
    names: set[str],
    partitions: int,
) -> None:
    keys = {"source.path": str(shards), "validation.files": globs, "build.partitions": partitions}
    build_silently(make_recipe({**keys, "validation.near_duplicates": "keep"}), tmp_path / "out")
    expected = {f"{name}:{n}" for name in names for n in range(60) if is_validation(42, f"{name}:{n}", 0.1)}
    assert held_out(tmp_path / "out") <= expected
    assert len(held_out(tmp_path / "out")) > 0.8 * len(expected), (
        "the task of the others needs longer documents"
    )
    assert verify(tmp_path / "out").problems == []
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert ("10% of the documents of the files" in card) == (globs is not None)


def test_the_files_decide_the_tokenizer_and_the_near_duplicates(
    make_recipe: RecipeFactory, shards: Path
) -> None:
    """Both passes see the split, so their results are kept only for the same files."""
    keys = {"source.path": str(shards), "tokenizer.name": None}
    recipes = [make_recipe({**keys, "validation.files": globs}) for globs in (None, ["shard-0*"])]
    for key in (training_key, lambda recipe, source: near_duplicates._key(recipe, source, 0)):
        one, other = (key(recipe, open_source(recipe)) for recipe in recipes)
        assert one != other


def test_a_glob_that_matches_no_file_is_named(make_recipe: RecipeFactory, shards: Path) -> None:
    recipe = make_recipe({"source.path": str(shards), "validation.files": ["shard-0*", "shard0.jsonl"]})
    with pytest.raises(
        UsageError, match=r"validation\.files: no file of the source matches 'shard0\.jsonl'\. Did you mean"
    ) as error:
        open_source(recipe)
    assert "With null, all files are meant" in (error.value.hint or "")
