"""What makes a build fast changes nothing in it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dataset_helpers import hashes, make, recipe_of

from l2t_hub.artifacts import TOKENIZER
from l2t_hub.corpus.source import open_source
from l2t_hub.dataset.pipeline import transform_setup
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.tokenizer import prepare_tokenizer
from l2t_hub.dataset.transform import PartitionTransform
from l2t_hub.dataset.views import ExampleRow
from l2t_hub.dataset.workspace import open_workspace
from l2t_hub.recipe import Recipe
from l2t_hub.tokens import encode

Recipes = Callable[..., Recipe]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_examples_do_not_depend_on_the_size_of_batches(recipe: Recipes, tmp_path: Path, size: int) -> None:
    one = recipe({"build.partitions": 1, "source.limit": 60})
    source = open_source(one)
    with open_workspace(tmp_path / "out") as space:
        info = prepare_tokenizer(one, source, space, None, SilentReporter())
        setup = transform_setup(one, space.folder / TOKENIZER, info)

    def rows(size: int) -> list[ExampleRow]:
        partition = PartitionTransform(setup)
        batches = partition.batches(source.read(0), size=size)
        return [example.row for batch in batches for example in partition.examples(batch)]

    assert len(rows(size)) > 30
    assert rows(size) == rows(13)


def test_neither_the_cache_nor_the_chunks_show_in_the_bytes(
    recipe: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition made by a worker that has done others before equals one made by a fresh worker."""
    small = recipe({"source.limit": 60})
    make(small, tmp_path / "usual")
    monkeypatch.setattr(encode.Encoder.__init__, "__kwdefaults__", {
        **encode.Encoder.__init__.__kwdefaults__, "cache_bytes": 50_000,
    })  # fmt: skip
    monkeypatch.setattr(encode, "CHUNK_CHARACTERS", 5_000)
    make(small, tmp_path / "forgetful")
    assert hashes(tmp_path / "forgetful") == hashes(tmp_path / "usual")


def test_token_ids_are_stored_as_byte_streams(recipe: Recipes, tmp_path: Path) -> None:
    make(recipe({"source.limit": 20}), tmp_path / "out")
    (first, *_) = sorted((tmp_path / "out" / "data" / "packed").glob("*.parquet"))
    group = pq.read_metadata(first).row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert "BYTE_STREAM_SPLIT" in columns["input_ids.list.element"].encodings
    assert columns["input_ids.list.element"].compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" not in columns["kind"].encodings


def test_a_build_with_a_local_tokenizer_needs_no_torch(corpus: Path, tokenizer: Path, tmp_path: Path) -> None:
    """Importing it takes longer than building a million words."""
    code = (
        "import json, sys; from pathlib import Path; from l2t_hub.dataset.build import build;"
        "from l2t_hub.dataset.progress import SilentReporter; from l2t_hub.recipe import recipe_from_tree;"
        "build(recipe_from_tree(json.loads(sys.argv[1])), Path(sys.argv[2]), workers=1, progress=SilentReporter());"
        "print({'torch', 'datasets'} & sys.modules.keys())"
    )
    tree = json.dumps(recipe_of(corpus, tokenizer, {"source.limit": 10}).resolved())
    command = [sys.executable, "-c", code, tree, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr
