"""Tiny tokenizers of every family, trained on a few lines, and hostile texts to test them with."""

import json
from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from l2t_hub.tokens.encode import Encoder

MARK = "\u2581"

LINES = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind; it's used to foxes.",
    "She'll say: \"We've seen 1,234 of them (in 1998), they're all the same!\" He'd agree...",
    "Größe, naïve, façade, Ångström, éléphant, über-cool, ça va? ¿Qué tal? Привет, мир! Как дела?",
    "你好，世界。今日は良い天気ですね。 안녕하세요 세계 مرحبا بالعالم שלום עולם नमस्ते दुनिया",
    "def f(x):\n    return x ** 2\t# tab\n\n\tif x == 10:\r\n        print('a  b')",
    "😀 emoji 👩‍👩‍👧 and <b>tags</b> [1] {2} a_b-c ___ @@@ ### $$$ (()) <<>> 3.14 10% x=y+z",
    "the the the cat cats catting dog dogs dogged a an of to in on at by as is it be or no so",
]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
SPECIAL = [AddedToken(t, special=True, normalized=False) for t in ("<unk>", "<s>", "</s>")]
MASK = AddedToken("[MASK]", lstrip=True, rstrip=True, special=True, normalized=False)
MORE = [
    AddedToken("  ", normalized=False),
    AddedToken("a b", normalized=False),
    AddedToken("fox", single_word=True, normalized=False),
    AddedToken("\n\n", normalized=False),
]


def byte_level(
    pre: list[pre_tokenizers.PreTokenizer], norm: normalizers.Normalizer | None = None
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    if norm is not None:
        tokenizer.normalizer = norm
    tokenizer.pre_tokenizer = pre[0] if len(pre) == 1 else pre_tokenizers.Sequence(pre)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, show_progress=False, special_tokens=SPECIAL, initial_alphabet=sorted(alphabet)
    )
    tokenizer.train_from_iterator(LINES * 2, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def split(regex: str) -> list[pre_tokenizers.PreTokenizer]:
    """A `Split` on a regular expression, then ByteLevel, as in newer models."""
    return [
        pre_tokenizers.Split(Regex(regex), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]


@cache
def _sentencepiece_model(newlines: bool) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges like Mistral's: marks before words, runs of marks, a token per byte.

    Without `newlines`, the vocabulary has a newline only as a byte, as Mistral's does.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    lines = LINES if newlines else [part for line in LINES for part in line.splitlines()]
    tokenizer.train_from_iterator(lines * 2, trainers.BpeTrainer(vocab_size=300, show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *model["vocab"]]
    merges = [tuple(pair) for pair in model["merges"]] + [(MARK, MARK), (MARK * 2, MARK * 2)]
    tokens += [MARK * 2, MARK * 4]
    vocab: dict[str, int] = {}
    for token in tokens:
        vocab.setdefault(token, len(vocab))
    return vocab, merges


def sentencepiece(
    norm: normalizers.Normalizer | None = None,
    pre: pre_tokenizers.PreTokenizer | None = None,
    byte_fallback: bool = True,
    newlines: bool = True,
    extra: tuple[tuple[str, str], ...] = (),
) -> Tokenizer:
    vocab, merges = _sentencepiece_model(newlines)
    for left, right in extra:
        vocab = {**vocab, left + right: len(vocab)}
    model = models.BPE(
        vocab, [*merges, *extra], unk_token="<unk>", fuse_unk=True, byte_fallback=byte_fallback, dropout=None
    )
    tokenizer = Tokenizer(model)
    if norm is not None:
        tokenizer.normalizer = norm
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def prepend_replace(*before: normalizers.Normalizer) -> normalizers.Normalizer:
    return normalizers.Sequence([*before, normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])


def wordpiece(norm: normalizers.Normalizer | None, pre: pre_tokenizers.PreTokenizer) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    if norm is not None:
        tokenizer.normalizer = norm
    tokenizer.pre_tokenizer = pre
    special = [AddedToken(t, special=True, normalized=False) for t in ("[UNK]", "[CLS]", "[SEP]")]
    trainer = trainers.WordPieceTrainer(vocab_size=260, show_progress=False, special_tokens=[*special, MASK])
    tokenizer.train_from_iterator(LINES * 2, trainer)
    return tokenizer


def unigram(
    norm: normalizers.Normalizer | None = None, pre: list[pre_tokenizers.PreTokenizer] | None = None
) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    if norm is not None:
        tokenizer.normalizer = norm
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(pre) if pre else pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, show_progress=False, special_tokens=SPECIAL, unk_token="<unk>"
    )
    tokenizer.train_from_iterator(LINES * 2, trainer)
    return tokenizer


def with_tokens(tokenizer: Tokenizer, *tokens: AddedToken) -> Tokenizer:
    tokenizer.add_tokens(list(tokens))
    return tokenizer


def without_pre_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    definition = json.loads(tokenizer.to_str()) | {"pre_tokenizer": None}
    return Tokenizer.from_str(json.dumps(definition))


_BYTE = pre_tokenizers.ByteLevel
_META = pre_tokenizers.Metaspace
_BERT = normalizers.BertNormalizer
_FOLD = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])
_DIGITS = pre_tokenizers.Digits(individual_digits=True)

SAFE: dict[str, Callable[[], Tokenizer]] = {
    "gpt2": lambda: byte_level([_BYTE(add_prefix_space=False)]),
    "gpt2, prefix space": lambda: byte_level([_BYTE(add_prefix_space=True)]),
    "gpt2 regex": lambda: byte_level(split(GPT2)),
    "llama 3": lambda: byte_level(split(LLAMA3)),
    "qwen, NFC": lambda: byte_level(split(LLAMA3.replace("{1,3}", "")), normalizers.NFC()),
    "o200k": lambda: byte_level(split(O200K)),
    "cl100k": lambda: byte_level(split(CL100K)),
    "digits": lambda: byte_level([_DIGITS, _BYTE(add_prefix_space=False)]),
    "byte-level, folded": lambda: byte_level(split(LLAMA3), _FOLD),
    "byte-level, added": lambda: with_tokens(byte_level([_BYTE(add_prefix_space=False)]), MASK, *MORE),
    "byte-level, signs added": lambda: with_tokens(
        byte_level(split(CL100K)),
        *(AddedToken(t, normalized=False) for t in ("a,b", "<|im_end|>", "it\u2019s")),
    ),
    "mistral, prepend": lambda: sentencepiece(prepend_replace()),
    "mistral, bytes": lambda: sentencepiece(prepend_replace(), newlines=False),
    "mistral, bytes, metaspace": lambda: sentencepiece(
        pre=_META(prepend_scheme="first", split=False), newlines=False
    ),
    "mistral, prepend, folded": lambda: sentencepiece(prepend_replace(_FOLD)),
    "mistral, metaspace": lambda: sentencepiece(pre=_META(prepend_scheme="always", split=False)),
    "mistral, metaspace first": lambda: sentencepiece(pre=_META(prepend_scheme="first", split=False)),
    "mistral, no bytes": lambda: sentencepiece(prepend_replace(), byte_fallback=False),
    "mistral, added": lambda: with_tokens(sentencepiece(prepend_replace()), MASK, *MORE),
    "gemma": lambda: sentencepiece(
        normalizers.Replace(" ", MARK), pre_tokenizers.Split(" ", "merged_with_previous")
    ),
    "metaspace, split": lambda: sentencepiece(pre=_META(prepend_scheme="always", split=True)),
    "bert, uncased": lambda: wordpiece(_BERT(lowercase=True), pre_tokenizers.BertPreTokenizer()),
    "bert, cased": lambda: wordpiece(_BERT(lowercase=False), pre_tokenizers.BertPreTokenizer()),
    "wordpiece, folded": lambda: wordpiece(_FOLD, pre_tokenizers.Whitespace()),
    "wordpiece, added": lambda: with_tokens(
        wordpiece(_BERT(lowercase=True), pre_tokenizers.BertPreTokenizer()), *MORE
    ),
    "unigram": lambda: unigram(),
    "unigram, NFKC": lambda: unigram(normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])),
    "unigram, old": lambda: unigram(normalizers.Nmt(), [pre_tokenizers.WhitespaceSplit(), _META()]),
    "unigram, added": lambda: with_tokens(unigram(), MASK, *MORE),
}

UNSAFE: dict[str, tuple[Callable[[], Tokenizer], str]] = {
    "stripped": (lambda: byte_level([_BYTE()], normalizers.Strip()), "Strip"),
    "regular expression": (lambda: byte_level(split(r"\w+ \w+|\s+|\S+")), "unknown part"),
    "no cut": (lambda: byte_level([_BYTE(use_regex=False)]), "without cutting"),
    "space after": (lambda: byte_level([pre_tokenizers.Split(" ", "merged_with_previous")]), "Split"),
    "scripts": (lambda: byte_level([pre_tokenizers.UnicodeScripts(), *split(GPT2)]), "UnicodeScripts"),
    "unigram, one piece": (
        lambda: without_pre_tokenizer(unigram(normalizers.Replace(" ", MARK))),
        "nothing cuts",
    ),
    "crossing merge": (lambda: sentencepiece(prepend_replace(), extra=(("e", MARK),)), "across a space"),
    "regex replace": (lambda: unigram(normalizers.Replace(Regex(" {2,}"), " ")), "Replace"),
    "space added": (
        lambda: with_tokens(byte_level([_BYTE()]), AddedToken(" ", normalized=False)),
        "single space",
    ),
    "normalised added": (
        lambda: with_tokens(byte_level(split(GPT2), normalizers.NFKC()), AddedToken("x y", normalized=True)),
        "normalised text",
    ),
}

_BLANKS = list(
    " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u200b\u180e\ufeff"
)
_PIECES = [
    *_BLANKS, " ", " ", " ", "  ", "   ", "\n\n", "\n\n", "a.\n\nb", "\r\n", " \n", "\n ", "\t ", "\xa0 ",
    MARK, MARK * 2, "Ġ", "Ċ", "\x00", "\u0301", "\u0600", "\u200d", "\ufe0f", "\ufffd", "\U0010ffff", "\ue000",
    "the", "The", "dog", "cats", "fox", "it's", "IT'S", "'S", "'re", "don't", "ſt", "İ", "ß", "ǅ", "éa", "e\u0301", "Å", "ﬁ", "´", "½",
    "1", "12", "1234", "٣", "²", "x=1", "a b", "...", "!?", "'", "''", "\"", "-", "_", "___", "$$$", "(a)", "/", "\\",
    "dog,", "dog\u201d", "it\u2019s", "a\u2014b", "end\u2026", "a\u2017", "a\u2018\u2019", "x\u0301,", "the-", "a,b", "<|im_end|>", "im_end",
    "你好", "世界", "。", "今日は", "안녕", "각", "سلام", "שלום", "नमस्ते", "😀", "👩‍👩‍👧", "🇬🇧",
    "<s>", "</s>", "<unk>", "<s", "s>", "[MASK]", "[mask]", "[MASK", "[UNK]", "[CLS]", "<0x0A>", "<0x41>", "x" * 70, "é" * 30,
]  # fmt: skip


def reserved(encoder: Encoder) -> set[int]:
    """The ids of an encoder that no text may give: special tokens but the unknown one, BOS, EOS and padding."""
    definition = json.loads(encoder._tokenizer.to_str())
    special = {token["id"] for token in definition["added_tokens"] if token["special"]}
    unknown = {encoder._tokenizer.token_to_id(token) for token in ("<unk>", "[UNK]")}
    given = {encoder.bos_id, encoder.eos_id, encoder.pad_id} - {None}
    return {id for id in special | given if id is not None} - unknown


hostile_texts = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=14).map("".join),
    st.lists(st.sampled_from(_PIECES), max_size=14).map(" ".join),
    st.text(max_size=30),
    st.lists(st.one_of(st.sampled_from(_PIECES), st.characters(codec="utf-8")), max_size=20).map("".join),
)
