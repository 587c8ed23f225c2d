"""Fixtures of the build's tests: a small real corpus and a tokenizer, made once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dataset_helpers import recipe_of

from l2t_hub.recipe import Recipe
from l2t_hub.tokens.train_bpe import train_bpe

SAMPLE = Path(__file__).resolve().parents[2] / "l2t_hub" / "corpus" / "sample"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled sample as one JSON LineReporter file, so that it can be cut anywhere."""
    path = tmp_path_factory.mktemp("corpus") / "sample.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for text in sorted(SAMPLE.rglob("*.txt")):
            record = {"id": text.relative_to(SAMPLE).as_posix(), "text": text.read_text(encoding="utf-8")}
            file.write(json.dumps(record) + "\n")
    return path


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """A small tokenizer, trained once, so that most tests need not."""
    folder = tmp_path_factory.mktemp("tokenizer")
    lines = corpus.read_text(encoding="utf-8").splitlines()
    train_bpe((json.loads(line)["text"] for line in lines), 1000).save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(corpus: Path, tokenizer: Path) -> Callable[..., Recipe]:
    """Make a recipe over the corpus: `recipe({"mixture.scheme": "raw"})`; keys are dotted."""

    def make(keys: dict[str, Any] | None = None) -> Recipe:
        return recipe_of(corpus, tokenizer, keys)

    return make
