"""Fixtures of the dataset tests: a small real corpus and a tokenizer, made once per session."""

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_helpers import RecipeFactory, read_texts, recipe_of

from l2t_hub.recipe import Recipe
from l2t_hub.tokens.train_bpe import train_bpe

SAMPLE = Path(__file__).resolve().parents[2] / "l2t_hub" / "corpus" / "sample"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled sample as one JSON Lines file, which can be cut at any line."""
    path = tmp_path_factory.mktemp("corpus") / "sample.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for text in sorted(SAMPLE.rglob("*.txt")):
            record = {"id": text.relative_to(SAMPLE).as_posix(), "text": text.read_text(encoding="utf-8")}
            file.write(json.dumps(record) + "\n")
    return path


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """A small trained tokenizer, so that most tests need not train one."""
    folder = tmp_path_factory.mktemp("tokenizer")
    train_bpe(read_texts(corpus).values(), 1000).save_pretrained(folder)
    return folder


@pytest.fixture
def make_recipe(corpus: Path, tokenizer: Path) -> RecipeFactory:
    """Makes recipes over the corpus: `make_recipe({"mixture.scheme": "raw"})`. Keys are dotted."""

    def make(keys: dict[str, Any] | None = None) -> Recipe:
        return recipe_of(corpus, tokenizer, keys)

    return make
