"""Signatures: near duplicates share a band, other texts do not, and the batch makes no difference."""

from pathlib import Path
from random import Random

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2t_hub.corpus import minhash
from l2t_hub.corpus.minhash import BANDS, signatures

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdglmnrst"]


def prose(seed: int, words: int) -> list[str]:
    return Random(seed).choices(WORDS, k=words)


def shared(first: str, second: str) -> int:
    """The number of bands in which two texts have the same value."""
    (batch,) = signatures([first, second])
    return int((batch[0] == batch[1]).sum())


@given(st.lists(st.text(max_size=400), max_size=6), st.integers(1, 300))
def test_a_signature_depends_on_its_text_alone(texts: list[str], size: int) -> None:
    alone = [next(signatures([text]))[0] for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash, "BATCH_BYTES", size)
        together = [row for batch in signatures(texts) for row in batch]
    assert np.array_equal(np.array(alone), np.array(together))
    assert all(row.shape == (BANDS,) for row in alone)


def test_case_punctuation_and_white_space_do_not_count() -> None:
    words = prose(1, 120)
    text = " ".join(words)
    assert shared(text, "\n".join(words).upper()) == BANDS
    assert shared(text, "“" + "”—“".join(words) + "…”") == BANDS
    assert shared("One, two", "one two!") == BANDS, "a text of fewer words than a shingle"
    assert shared("Ärger und Übermut", "ÄRGER UND ÜBERMUT") == BANDS
    assert shared("one two", "one three") == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_text_with_a_changed_word_or_a_new_ending_is_a_near_duplicate(seed: int) -> None:
    words = prose(seed, 300)
    changed = [*words]
    changed[Random(seed).randrange(300)] = "zebra"
    assert shared(" ".join(words), " ".join(changed)) > 0
    assert shared(" ".join(words), " ".join([*words, *prose(-1, 10)])) > 0


@pytest.mark.parametrize("seed", range(20))
def test_texts_that_share_a_third_or_their_vocabulary_are_not_near_duplicates(seed: int) -> None:
    common = prose(seed, 150)
    assert (
        shared(" ".join([*common, *prose(seed + 100, 150)]), " ".join([*common, *prose(seed + 200, 150)]))
        == 0
    )
    words = prose(seed, 300)
    assert shared(" ".join(words), " ".join(sorted(words))) == 0


def test_resemblance_is_estimated_without_bias() -> None:
    """Bins agree as often as shingles are shared, even if a text is too short to fill all of them."""
    for length, replaced in ((1000, 200), (60, 12)):
        errors = []
        for seed in range(200):
            common, rest = prose(seed, length - replaced), prose(seed + 1000, replaced)
            texts = [" ".join(common), " ".join([*common, *rest])]
            words, counts = minhash._words([text.encode() for text in texts])
            hashes, owner = minhash._shingles(words, counts)
            sets = [set(hashes[owner == n].tolist()) for n in (0, 1)]
            truth = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
            minima = np.full(2 * minhash.BINS, minhash._EMPTY)
            mixed = minhash._mixed(hashes)
            np.minimum.at(minima, owner * minhash.BINS + (mixed % minhash.BINS).astype(int), mixed)
            bins = minhash._filled(minima.reshape(2, minhash.BINS))
            errors.append((bins[0] == bins[1]).mean() - truth)
        assert abs(np.mean(errors)) < 0.02


@pytest.mark.shared_data
def test_different_pieces_of_the_same_books_are_not_near_duplicates(shared_data: Path) -> None:
    """953 pieces of real books, many by the same author."""
    table = pq.read_table(shared_data / "gutenberg" / "sample-1m.parquet", columns=["text"])
    texts = table.column("text").to_pylist()
    whole = np.concatenate(list(signatures(texts)))
    assert all(len(np.unique(whole[:, band])) == len(texts) for band in range(BANDS))
    halves = np.concatenate(list(signatures([text[: len(text) // 2] for text in texts])))
    assert (halves == whole).any(axis=1).mean() < 0.1, "half of a text is not a near duplicate of it"


def test_a_script_without_spaces_has_a_word_in_each_character() -> None:
    text = "".join(chr(0x4E00 + Random(1).randrange(3000) + n) for n in range(300))
    changed = f"{text[:150]}火{text[151:]}"
    assert 0 < shared(text, changed) < BANDS
    assert shared(text, f"{text[:100]}，{text[100:200]}。「{text[200:]}」") == BANDS, (
        "its punctuation does not count"
    )
    assert shared(text, text[::-1]) == 0
