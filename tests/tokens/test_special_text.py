"""Text that spells a special token is text: no tokenizer of any family turns it into the token's id."""

import pickle
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from l2t_hub.tokens.encode import Encoder
from l2t_hub.tokens.train_bpe import train_definition

from .families import LINES, SAFE, UNSAFE, reserved

FAMILIES = {**SAFE, **{name: make for name, (make, _) in UNSAFE.items()}}
SPELLINGS = ["<s>", "</s>", "<unk>", "[MASK]", "[CLS]", "[SEP]", "[UNK]", "\uff1cs\uff1e"]
AROUND = [" ", "", "\n", ".", "a", "the dog", " the ", "<", ">", "s>", "\u2581", "\n\n", "  ", "9"]

texts = st.lists(st.sampled_from([*SPELLINGS, *SPELLINGS, *AROUND]), max_size=10).map("".join)


@cache
def encoder_of_family(name: str) -> Encoder:
    return Encoder(FAMILIES[name](), bos_id=1, eos_id=2, pad_id=2)


@pytest.mark.parametrize("name", FAMILIES)
@given(batch=st.lists(texts, min_size=1, max_size=4))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_no_text_gives_a_reserved_id(name: str, batch: list[str]) -> None:
    encoder = encoder_of_family(name)
    encoded = encoder.encode(batch)
    assert not reserved(encoder) & set(encoded.ids.tolist())
    assert encoder.count(batch).tolist() == encoded.lengths.tolist()
    with_bos = encoder.encode(batch, bos=True)
    starts = np.cumsum(with_bos.lengths) - with_bos.lengths
    assert np.flatnonzero(with_bos.ids == 1).tolist() == starts.tolist()


@pytest.mark.parametrize("name", ["gpt2", "llama 3", "mistral, prepend", "unigram"])
def test_the_text_is_kept(name: str) -> None:
    encoder = encoder_of_family(name)
    text = "the dog <s> it is </s>so"
    ids = encoder.encode([text]).ids.tolist()
    tokens = "".join(encoder._tokenizer.id_to_token(id) for id in ids)
    assert tokens.replace("\u2581", " ").replace("\u0120", " ").strip() == text


def test_a_trained_tokenizer_keeps_its_own_special_tokens_apart_from_the_text() -> None:
    tokenizer = train_definition([*LINES, "<s> and </s> are tags; <s> <s> </s>"] * 4, 400)
    encoder = Encoder(tokenizer, bos_id=0, eos_id=1, pad_id=1)
    assert encoder.method == "words"
    for text in ("<s>", "a <s> b", "</s></s>", "the <s>the</s> dog"):
        ids = encoder.encode([text], bos=True).ids.tolist()
        assert ids[0] == 0
        assert not {0, 1} & set(ids[1:])
        assert tokenizer.decode(ids[1:]) == text


def test_a_word_list_that_has_the_special_token_among_its_words() -> None:
    vocab = {"[UNK]": 0, "[SEP]": 1, "dog": 2}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken("[SEP]", special=True, normalized=False)])
    encoder = Encoder(tokenizer, eos_id=1, pad_id=1)
    assert encoder.encode(["dog [SEP] dog"]).ids.tolist() == [2, 0, 2]


def test_an_end_of_text_token_that_is_not_marked_special() -> None:
    tokenizer = SAFE["gpt2"]()
    tokenizer.add_tokens([AddedToken("<|end|>", normalized=False)])
    end = tokenizer.token_to_id("<|end|>")
    assert tokenizer.encode("a<|end|>").ids[-1] == end
    encoder = Encoder(tokenizer, eos_id=end, pad_id=end)
    assert end not in encoder.encode(["a<|end|> b", "<|end|>"]).ids
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy.encode(["a<|end|> b"]).ids.tolist() == encoder.encode(["a<|end|> b"]).ids.tolist()
