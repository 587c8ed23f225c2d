"""What the encoder promises besides equality: bounded memory, types, BOS, copies, clear errors, a useful cache."""

import pickle
import random
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest
from tokenizers import AddedToken, Tokenizer, models

from l2t_hub.errors import UserError
from l2t_hub.tokens import encode
from l2t_hub.tokens.encode import Encoder
from l2t_hub.tokens.wordwise import WordTable

from .families import LINES, SAFE, byte_level, sentencepiece


def library_ids(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def texts_of_rare_words(count: int, words: int) -> list[str]:
    rng = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [" ".join("".join(rng.choices(letters, k=8)) for _ in range(words)) for _ in range(count)]


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    return SAFE["gpt2"]()


def test_the_cache_keeps_its_limit_and_the_ids_stay_correct(gpt2: Tokenizer) -> None:
    limit = 300_000
    encoder = Encoder(gpt2, cache_bytes=limit)
    for text in texts_of_rare_words(40, 300):
        ids = encoder.encode([text]).ids
        assert encoder.table.nbytes <= limit
        assert ids.tolist() == library_ids(gpt2, [text])[0]
    assert encoder.table.evictions >= 3


def test_frequent_words_survive_an_eviction(gpt2: Tokenizer) -> None:
    table = WordTable(60_000, np.uint16, [])
    for start in range(0, 3_000, 100):
        keys = [b"the", b"dog", *(b"word%d" % n for n in range(start, start + 100))]
        rows, missing = table.lookup(keys)
        assert (b"the" in missing) == (start == 0), "a word used in every batch was removed"
        lengths = np.ones(len(missing), np.int32)
        table.store(missing, np.arange(len(missing)), lengths, np.zeros(len(missing), np.uint8))
        table.settle(rows)
    assert table.evictions >= 2


def test_the_reported_bytes_are_the_memory_used(gpt2: Tokenizer) -> None:
    encoder = Encoder(gpt2, cache_bytes=1 << 30)
    texts = texts_of_rare_words(60, 500)
    encoder.encode(LINES)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0] - encoder.table.nbytes
    encoder.encode(texts)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert encoder.table.nbytes > 2_000_000
    assert held == pytest.approx(encoder.table.nbytes, rel=0.15)


def test_ids_are_uint16_while_the_vocabulary_fits(gpt2: Tokenizer) -> None:
    assert Encoder(gpt2).encode(["the dog"]).ids.dtype == np.uint16
    vocab = {f"w{n}": n for n in range(65_537)} | {"<unk>": 65_537}
    wide = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    encoder = Encoder(wide)
    encoded = encoder.encode(["w65536"])
    assert (encoded.ids.dtype, encoded.ids.tolist(), encoded.lengths.dtype) == (np.uint32, [65_536], np.int32)


@pytest.mark.parametrize("name", ["gpt2", "mistral, prepend", "bert, uncased", "unigram"])
def test_empty_batches_and_texts(name: str) -> None:
    encoder = Encoder(SAFE[name](), bos_id=1)
    empty = encoder.encode([])
    assert (empty.ids.dtype, len(empty.ids), len(empty.lengths)) == (np.uint16, 0, 0)
    assert encoder.count([]).tolist() == []
    assert encoder.encode(["", "the", ""], bos=True).lengths.tolist()[::2] == [1, 1]
    assert encoder.encode([""]).lengths.tolist() == [0]
    ending = Encoder(SAFE[name](), eos_id=2)
    assert ending.encode(["", ""], eos=True).ids.tolist() == [2, 2]
    assert ending.encode([], eos=True).ids.dtype == np.uint16
    assert ending.count([], eos=True).tolist() == []


def test_bos_and_eos_cannot_be_added_without_their_tokens(gpt2: Tokenizer) -> None:
    with pytest.raises(ValueError, match="no BOS"):
        Encoder(gpt2).encode(["the"], bos=True)
    with pytest.raises(ValueError, match="no EOS"):
        Encoder(gpt2).count(["the"], eos=True)


def test_chunks_do_not_change_the_ids(gpt2: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*LINES, "", " ", *LINES[::-1]] * 3
    monkeypatch.setattr(encode, "CHUNK_CHARACTERS", 150)
    encoded = Encoder(gpt2).encode(texts)
    expected = library_ids(gpt2, texts)
    assert encoded.ids.tolist() == [id for ids in expected for id in ids]
    assert encoded.lengths.tolist() == [len(ids) for ids in expected]


def test_a_pickled_copy_encodes_the_same_and_starts_with_an_empty_cache(gpt2: Tokenizer) -> None:
    encoder = Encoder(gpt2, bos_id=1, eos_id=2, pad_id=2, cache_bytes=123_456)
    encoder.encode(LINES)
    copy = pickle.loads(pickle.dumps(encoder))
    assert len(copy.table) == 0
    assert len(encoder.table) > 50
    assert (copy.bos_id, copy.eos_id, copy.pad_id, copy.cache_bytes) == (1, 2, 2, 123_456)
    assert copy.encode(LINES, bos=True).ids.tolist() == encoder.encode(LINES, bos=True).ids.tolist()


def test_truncation_and_padding_of_the_file_are_ignored() -> None:
    tokenizer = SAFE["gpt2"]()
    expected = library_ids(tokenizer, LINES)
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=64)
    encoder = Encoder(tokenizer)
    assert encoder.encode(LINES).lengths.tolist() == [len(ids) for ids in expected]
    assert tokenizer.truncation is not None, "the caller's tokenizer is not changed"


@pytest.mark.parametrize("name", ["gpt2", "stripped"])
def test_a_lone_surrogate_is_an_error_that_leaves_the_encoder_usable(name: str) -> None:
    from .families import UNSAFE

    encoder = Encoder(SAFE[name]() if name in SAFE else UNSAFE[name][0]())
    good = encoder.encode(LINES).ids.tolist()
    with pytest.raises(UserError, match=r"text 1 of the batch, which starts with 'bad .*lone surrogate"):
        encoder.encode(["fine new words", "bad \ud800 text"])
    assert encoder.encode(LINES).ids.tolist() == good
    assert encoder.encode(["fine new words"]).lengths.sum() > 0


@pytest.mark.parametrize(
    "text", ["a  b   c", "x \n\n y\n z", "tab\t x", "  lead", "tail \n", "\n", " ", "a\r\n b"]
)
def test_blanks_of_everyday_texts_do_not_need_the_library(gpt2: Tokenizer, text: str) -> None:
    encoder = Encoder(gpt2)
    assert encoder.encode([text]).ids.tolist() == library_ids(gpt2, [text])[0]
    assert encoder.texts_by_library == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt2", 2),
        ("bert, uncased", 2),
        ("mistral, bytes", 2),
        ("mistral, bytes, metaspace", 2),
        ("llama 3", 1),
    ],
)
def test_paragraphs_are_separated_where_that_is_safe(name: str, expected: int) -> None:
    """An entry for both sides of an empty line would be as rare as a sentence."""
    tokenizer = SAFE[name]()
    encoder = Encoder(tokenizer)
    text = "dog\n\nThe"
    assert encoder.encode([text]).ids.tolist() == library_ids(tokenizer, [text])[0]
    assert len(encoder.table) == expected


def test_only_texts_with_added_tokens_are_encoded_by_the_library(gpt2: Tokenizer) -> None:
    gpt2 = Tokenizer.from_str(gpt2.to_str())
    gpt2.add_tokens([AddedToken("<br>", normalized=False)])
    encoder = Encoder(gpt2)
    texts = ["the dog", "the <br> dog", "the </s> cat"]
    assert encoder.encode(texts).ids.tolist() == [id for ids in library_ids(gpt2, texts) for id in ids]
    assert encoder.texts_by_library == 1


def test_a_model_that_ignores_merges_is_checked_by_its_vocabulary() -> None:
    safe = sentencepiece(SAFE["mistral, prepend"]().normalizer)
    model = safe.model
    model.ignore_merges = True
    safe.model = model
    assert Encoder(safe).method == "words"
    crossing = sentencepiece(safe.normalizer, extra=(("e", "\u2581"),))
    model = crossing.model
    model.ignore_merges = True
    crossing.model = model
    assert "across a space" in Encoder(crossing).reason


def test_dropout_is_never_cached() -> None:
    tokenizer = byte_level([SAFE["gpt2"]().pre_tokenizer])
    model = tokenizer.model
    model.dropout = 0.5
    tokenizer.model = model
    encoder = Encoder(tokenizer)
    assert encoder.method == "library"
    assert "at random" in encoder.reason


def test_equal_on_a_million_words_of_books(shared_data) -> None:
    tokenizer = Tokenizer.from_file(str(shared_data / "tokenizer-32k" / "tokenizer.json"))
    texts = pq.read_table(shared_data / "gutenberg" / "sample-1m.parquet")["text"].to_pylist()
    encoder = Encoder(tokenizer, bos_id=1)
    encoded = encoder.encode(texts, bos=True)
    assert encoder.method == "words"
    assert encoder.texts_by_library == 0
    parts = np.split(encoded.ids, encoded.starts[1:])
    for part, ids in zip(parts, tokenizer.encode_batch(texts), strict=True):
        assert part.tolist() == ids.ids
