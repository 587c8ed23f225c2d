"""Train a byte-level BPE tokenizer on a recipe's own text, for recipes that name no tokenizer."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from l2t_hub.errors import UsageError, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BOS, EOS = "<s>", "</s>"
SMALLEST = 2 + 256
"""The smallest byte-level vocabulary: the special tokens and one token per byte."""

# How Qwen2's tokenizer splits a text (transformers, models/qwen2/tokenization_qwen2.py). The AutoTokenizer of
# transformers 5 uses this pre-tokenizer for every qwen2 model, whatever its tokenizer.json says. A tokenizer
# trained with another one would return other ids there.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_bpe(
    texts: Iterable[str], vocab_size: int, *, where: str = "tokenizer.vocab_size"
) -> "PreTrainedTokenizerFast":
    """Train as `train_definition`, and return a tokenizer of transformers; save it with `save_pretrained`."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=train_definition(texts, vocab_size, where=where),
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        unk_token=EOS,
        clean_up_tokenization_spaces=False,
    )


def train_definition(
    texts: Iterable[str], vocab_size: int, *, where: str = "tokenizer.vocab_size"
) -> Tokenizer:
    """Train on `texts`; the same texts in the same order give the same tokenizer, byte for byte.

    Byte-level BPE (Radford et al. 2019) with Qwen2's normalisation (NFC) and pre-tokenizer. Any text can be encoded,
    so the unknown token never occurs. `<s>` (id 0) is BOS, `</s>` (id 1) is EOS and padding. Short texts may give
    fewer than `vocab_size` entries. transformers is not imported.

    Raises UsageError if `vocab_size` is below 258, UserError if there is no text.
    """
    if vocab_size < SMALLEST:
        raise UsageError(
            f"{where}: {vocab_size} entries are too few for a byte-level tokenizer",
            hint=f"Set at least {SMALLEST}: {BOS}, {EOS} and one entry for each byte.",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(_not_empty(texts, where), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B:1", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return tokenizer


def _not_empty(texts: Iterable[str], where: str) -> Iterator[str]:
    """Yield `texts`. Raises UserError at the end if none of them has a word."""
    empty = True
    for text in texts:
        empty = empty and not text.strip()
        yield text
    if empty:
        raise UserError(
            f"{where}: there is no text to train a tokenizer on",
            "Check the source and its `text_column`. If every document is held out, or nearly repeats one that is, "
            "set a lower `validation.share` or `validation.near_duplicates: keep`.",
        )
