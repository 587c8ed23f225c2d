"""The paper's own numbers on a million words of real text: blocks per task, uniform choice of tasks, shares."""

from collections import Counter
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from dataset_helpers import build_silently

from l2t_hub.corpus.blocks import blocks
from l2t_hub.corpus.document import Document
from l2t_hub.corpus.sentences import splitter
from l2t_hub.corpus.source import open_source
from l2t_hub.dataset.ledger import Ledger
from l2t_hub.dataset.verify import verify
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.records.dataset_manifest import Manifest
from l2t_hub.tasks import language
from l2t_hub.tasks.registry import TASKS
from l2t_hub.tokens.load import encoder_of, load_tokenizer

pytestmark = pytest.mark.shared_data


BLOCKS = 2963


FILL_MIDDLE = 4939


def real_text_recipe(shared_data: Path, **sections: Any) -> Recipe:
    tree: dict[str, Any] = {
        "name": "counts",
        "source": {"path": str(shared_data / "gutenberg" / "sample-1m.parquet")},
        "tokenizer": {"name": str(shared_data / "tokenizer-32k")},
        "blocks": {"sentences": "blingfire"},
    }
    return recipe_from_tree({**tree, **sections})


def test_blocks_of_twenty_words_with_blingfire_and_the_32k_tokenizer(shared_data: Path) -> None:
    """A document's token count excludes BOS; with BOS, one more document would get another block."""
    recipe = real_text_recipe(shared_data)
    split = splitter("blingfire")
    encoder = encoder_of(load_tokenizer(str(recipe.tokenizer.name)))
    documents = [r for r in open_source(recipe).read(0) if isinstance(r, Document)]
    assert len(documents) == 953
    counts = encoder.count([d.text for d in documents]).tolist()
    kept = Counter[int]()
    for document, count in zip(documents, counts, strict=True):
        sentences = split(document.text)
        for unit in (1, 2):
            kept[unit] += len(blocks(sentences, count, 512, 20, language(), unit)[0])
    assert kept == {1: BLOCKS, 2: FILL_MIDDLE}


def single_task_counts(shared_data: Path, out: Path, task: str) -> tuple[int, Manifest]:
    build = {"raw": "none", "packed": False, "examples": "none"}
    mixture = {"scheme": "single", "task": task}
    manifest = build_silently(real_text_recipe(shared_data, mixture=mixture, build=build), out)
    return Ledger.from_json(manifest.ledger).total("block").went_out, manifest


@pytest.mark.parametrize("task", ["one", "fill_middle"])
def test_single_task_recipes_cut_the_methods_number_of_blocks(
    shared_data: Path, tmp_path: Path, task: str
) -> None:
    count, manifest = single_task_counts(shared_data, tmp_path / "out", task)
    assert count == (FILL_MIDDLE if task == "fill_middle" else BLOCKS)
    ledger = Ledger.from_json(manifest.ledger)
    make = ledger.total("make")
    assert make.came_in == count
    assert make.went_out >= (4800 if task == "fill_middle" else BLOCKS)


@pytest.mark.slow
@pytest.mark.parametrize("task", sorted(set(TASKS) - {"one", "fill_middle"}))
def test_every_single_task_recipe_cuts_the_same_blocks(shared_data: Path, tmp_path: Path, task: str) -> None:
    assert single_task_counts(shared_data, tmp_path / "out", task)[0] == BLOCKS


@pytest.fixture(scope="module")
def million(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The default recipe over a million words."""
    out = tmp_path_factory.mktemp("million") / "out"
    manifest = build_silently(real_text_recipe(shared_data, build={"partitions": 2}), out, workers=2)
    assert verify(out).problems == []
    return manifest


def test_the_realised_mixture_on_real_text(million: Manifest) -> None:
    parts = million.mixture["parts"]
    documents = {name: part["documents"] for name, part in parts.items()}
    assert sum(documents.values()) == 953
    assert abs(documents["raw"] / 953 - 0.5) < 4 * sqrt(0.25 / 953)
    expected = (953 - documents["raw"]) / 14
    tasks = {name: n for name, n in documents.items() if name != "raw"}
    assert set(tasks) == set(TASKS)
    assert sum((n - expected) ** 2 / expected for n in tasks.values()) < 40, (
        "chi-square, 13 degrees of freedom"
    )
    assert million.mixture["raw_share"]["tokens"] == pytest.approx(0.38, abs=0.04), (
        "docs/method.md states 0.38"
    )
    held_out = million.totals["validation"]
    share = (held_out["raw_documents"] + held_out["task_documents"]) / 953
    assert abs(share - 0.1) < 4 * sqrt(0.09 / 953)


def test_the_ledger_of_a_million_words_adds_up_to_the_last_token(million: Manifest) -> None:
    ledger = Ledger.from_json(million.ledger)
    assert ledger.check(packed=True) == []
    positions = ledger.total("pack")
    assert positions.came_in == 2048 * sum(s.rows for s in million.shards if s.view == "packed")
    assert ledger.total("tokens").went_out == positions.went_out
    assert million.totals["train"]["fill"] > 0.99
