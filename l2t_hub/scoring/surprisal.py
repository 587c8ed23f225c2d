"""The surprisal of sentences under a causal language model, per token and in total.

Surprisal is -log2 p(token | preceding tokens), in bits. The context of the first token is the prefix token: the
tokenizer's BOS, or its EOS if it has no BOS. lm-evaluation-harness does the same, so its log-likelihoods are equal.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from l2t_hub.errors import UserError
from l2t_hub.scoring.loading import Scorer


@dataclass(frozen=True)
class Token:
    """One token of a sentence. Its text is `sentence[start:end]`.

    Tokens that are bytes of the same character, as in an emoji, all have that character as their text.
    """

    id: int
    text: str
    start: int
    end: int
    bits: float
    """Surprisal in bits: -log2 p(token | prefix and all tokens before it)."""


@dataclass(frozen=True)
class Score:
    """A sentence with its tokens and their surprisal under one model."""

    sentence: str
    tokens: tuple[Token, ...]

    @property
    def bits(self) -> float:
        """Surprisal of the sentence in bits: -log2 of its probability after the prefix token."""
        return math.fsum(token.bits for token in self.tokens)

    @property
    def log_probability(self) -> float:
        """Natural logarithm of the sentence's probability, as in lm-evaluation-harness."""
        return -self.bits * math.log(2)


def score(scorer: Scorer, sentences: Sequence[str], *, batch_tokens: int | None = None) -> list[Score]:
    """Return one score per sentence, in the same order. Batching does not change the scores.

    A forward pass reads at most `batch_tokens` tokens, or one longer sentence. An empty sentence has no tokens and
    0 bits.

    Raises UserError if the tokenizer is not a fast one or returns no tokens, or if a sentence is too long for the
    model.
    """
    from l2t_hub.scoring.engine import score_sequences
    from l2t_hub.scoring.trie import TokenSequence

    if not sentences:
        return []
    if not scorer.tokenizer.is_fast:
        raise UserError(
            f"{scorer.source.name}: the tokenizer is slow: it does not report the positions of tokens",
            "Use a model with a tokenizer.json.",
        )
    encoded = scorer.tokenizer(list(sentences), add_special_tokens=False, return_offsets_mapping=True)
    ids: list[list[int]] = encoded["input_ids"]
    for sentence, sequence in zip(sentences, ids, strict=True):
        if sentence.strip() and not sequence:
            raise UserError(
                f"{scorer.source.name}: the tokenizer returns no tokens for {sentence[:40]!r}",
                "Check the model's tokenizer files. Without a tokenizer.json the tokenizer is empty.",
            )
        if scorer.max_tokens is not None and len(sequence) > scorer.max_tokens:
            raise UserError(
                f"{sentence[:40]!r}...: {len(sequence)} tokens, but the model reads at most {scorer.max_tokens}",
                "Shorten the sentence.",
            )
    sequences = [TokenSequence((scorer.prefix_id, *sequence)) for sequence in ids]
    scores = score_sequences(scorer.model, sequences, batch_tokens=batch_tokens)
    if not all(map(math.isfinite, scores.values)):
        raise UserError(
            f"{scorer.source.name}: the model returns NaN instead of probabilities",
            "Its training diverged, or its weights are damaged. Check its loss curve.",
        )
    return [
        Score(sentence, tuple(_tokens(sentence, row, offsets, scores.of(i))))
        for i, (sentence, row, offsets) in enumerate(
            zip(sentences, ids, encoded["offset_mapping"], strict=True)
        )
    ]


def _tokens(
    sentence: str, ids: list[int], offsets: list[tuple[int, int]], nats: Iterable[float]
) -> Iterator[Token]:
    for token_id, (start, end), value in zip(ids, offsets, nats, strict=True):
        yield Token(token_id, sentence[start:end], start, end, -float(value) / math.log(2))
