"""The trained tokenizer: the same bytes for the same text, loadable by transformers, lossless on any text."""

import hashlib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config

from l2t_hub.errors import UsageError, UserError
from l2t_hub.tokens.load import encoder_of
from l2t_hub.tokens.train_bpe import train_bpe

from .families import LINES

TEXTS = [f"{line} {line[::-1]} number {n}" for n in range(40) for line in LINES]
TRAIN = """
import sys
from l2t_hub.tokens.train_bpe import train_bpe
texts = sys.stdin.buffer.read().decode().split("\\x1e")
train_bpe(texts, 600).save_pretrained(sys.argv[1])
"""


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_bpe(TEXTS, 600)


def test_any_process_trains_the_same_bytes(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path / "here")
    expected = digests(tmp_path / "here")
    assert {"tokenizer.json", "tokenizer_config.json"} <= set(expected)
    for number, (seed, threads) in enumerate([("1", "1"), ("77", "3")]):
        folder = tmp_path / f"process-{number}"
        variables = {"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
        subprocess.run(
            [sys.executable, "-c", TRAIN, str(folder)],
            input="\x1e".join(TEXTS).encode(),
            env=os.environ | variables,
            check=True,
        )
        assert digests(folder) == expected


def test_special_tokens_and_size(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.is_fast
    assert (loaded.bos_token, loaded.eos_token, loaded.pad_token) == ("<s>", "</s>", "</s>")
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id) == (0, 1, 1)
    assert len(loaded) == 600
    assert loaded("the dog")["input_ids"][0] == 0, "BOS comes first, as in the training data"
    assert encoder_of(loaded).method == "words"


@given(text=st.text(st.characters(codec="utf-8", max_codepoint=0x10FFF), max_size=60))
@settings(max_examples=200, deadline=None)
def test_every_text_is_decoded_from_its_ids_in_nfc(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    encoded = encoder_of(tokenizer).encode([text])
    decoded = tokenizer.decode(encoded.ids.tolist(), clean_up_tokenization_spaces=False)
    assert decoded == unicodedata.normalize("NFC", text)


def test_a_short_text_gives_a_small_vocabulary() -> None:
    assert 258 <= len(train_bpe(["a small text"], 4096)) < 300


def test_too_few_entries() -> None:
    with pytest.raises(UsageError, match=r"r\.yaml:9: 257 entries are too few"):
        train_bpe(TEXTS, 257, where="r.yaml:9")
    assert len(train_bpe(TEXTS, 258)) == 258


@pytest.mark.parametrize("texts", [[], [""], ["  ", "\n"]])
def test_no_text(texts: list[str]) -> None:
    with pytest.raises(UserError, match="no text to train"):
        train_bpe(iter(texts), 300)


@given(text=st.text(st.characters(codec="utf-8"), max_size=80))
@settings(max_examples=100, deadline=None)
def test_beside_a_qwen2_model_auto_tokenizer_gives_the_same_ids(
    tokenizer: PreTrainedTokenizerFast, as_auto: PreTrainedTokenizerFast, text: str
) -> None:
    assert as_auto(text)["input_ids"] == tokenizer(text)["input_ids"]


@pytest.fixture(scope="module")
def as_auto(
    tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> PreTrainedTokenizerFast:
    """The tokenizer as AutoTokenizer loads it from the directory of a qwen2 model."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer.save_pretrained(folder)
    Qwen2Config().save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)
