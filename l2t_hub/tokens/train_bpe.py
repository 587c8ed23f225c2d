"""Training a byte-level BPE tokenizer on a recipe's own text, for recipes that name no tokenizer."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from l2t_hub.errors import UsageError, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BOS, EOS = "<s>", "</s>"
SMALLEST = 2 + 256
"""The special tokens and one token per byte: below this there is no byte-level vocabulary."""

# The pieces that Qwen2's tokenizer cuts a text into (transformers, models/qwen2/tokenization_qwen2.py).
# transformers 5 gives every model of type qwen2 a tokenizer with this pipeline, whatever its tokenizer.json
# says: one trained in any other would come back from AutoTokenizer with other ids.
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_bpe(
    texts: Iterable[str], vocab_size: int, *, where: str = "tokenizer.vocab_size"
) -> "PreTrainedTokenizerFast":
    """Train on `texts`; the same texts in the same order give the same tokenizer, byte for byte.

    Byte-level BPE (Radford et al. 2019) with Qwen2's normalisation (NFC) and pieces: any text can be encoded, so the
    unknown token never occurs. `<s>` (id 0) is BOS, `</s>` (id 1) is EOS and padding. Small texts may give fewer than
    `vocab_size` entries.
    Save it with `save_pretrained`. Raises UsageError if `vocab_size` is under 258, UserError if there is no
    text.
    """
    if vocab_size < SMALLEST:
        raise UsageError(
            f"{where}: {vocab_size} entries are too few for a byte-level tokenizer",
            hint=f"it needs at least {SMALLEST}: {BOS}, {EOS} and one for each byte",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    pieces = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(_at_least_one(texts, where), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B:1", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return _wrap(tokenizer)


def _at_least_one(texts: Iterable[str], where: str) -> Iterator[str]:
    empty = True
    for text in texts:
        empty = empty and not text.strip()
        yield text
    if empty:
        raise UserError(
            f"{where}: there is no text to train a tokenizer on", hint="check the source and its filters"
        )


def _wrap(tokenizer: Tokenizer) -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        unk_token=EOS,
        clean_up_tokenization_spaces=False,
    )
