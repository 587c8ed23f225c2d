"""The scoring engine as a model class of lm-evaluation-harness, registered there as `l2t`.

lm-eval knows the name once this module is imported. Its own command gets it with

    python -m l2t_hub.evaluate.harness_model --model l2t --model_args pretrained=MODEL --tasks blimp

which takes all arguments of `lm_eval`. Encoding, requests and generation are those of lm-eval's `hf` model class;
only how log-likelihoods are computed differs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM

from l2t_hub.errors import UserError
from l2t_hub.scoring import Scorer, load_scorer
from l2t_hub.scoring.engine import score_sequences
from l2t_hub.scoring.trie import TokenSequence

ONE_PREFIX = "one_prefix_method"
"""Column that says whether the one-prefix method applies to a pair, as in BLiMP."""
EncodedRequest = tuple[Any, list[int], list[int]]
"""lm-eval's own form: the request's two strings, the context's token ids and the continuation's."""


@dataclass(frozen=True)
class Spacings:
    """A text without a context: its tokens, and log-likelihood and tokens with its leading space added or removed."""

    tokens: int
    respaced: float
    respaced_tokens: int


@dataclass(frozen=True)
class OnePrefix:
    """The word in which two texts first differ, given what precedes it: log-probabilities, also respaced."""

    own: tuple[float, float]
    respaced: tuple[float, float]


@register_model("l2t")
class HarnessModel(HFLM):  # type: ignore[misc]
    """A causal language model whose log-likelihoods come from the engine.

    With `all_readings`, texts without a context are also scored with a space before them, or without it if they have
    one; `spacings` has what came out. Of pairs whose data say that the one-prefix method applies, the words that
    differ are scored, too: `one_prefix` has them by the two texts. `pretrained` is a loaded `Scorer`, a directory or
    a Hub name. `batch_tokens` bounds the input tokens of a forward pass; lm-eval's `batch_size` only applies to
    generation.
    """

    def __init__(
        self,
        pretrained: Scorer | str,
        *,
        revision: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        prefix_token_id: int | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        batch_tokens: int | None = None,
        max_length: int | None = None,
        all_readings: bool = False,
    ) -> None:
        if isinstance(pretrained, str):
            name = f"{pretrained}@{revision}" if revision else pretrained
            pretrained = load_scorer(name, device=device, dtype=dtype, prefix_id=prefix_token_id)
        super().__init__(
            pretrained=pretrained.model,
            tokenizer=pretrained.tokenizer,
            softmax_dtype="float32",
            prefix_token_id=pretrained.prefix_id,
            max_length=max_length,
            batch_size=1 if batch_size in (None, "auto") else int(batch_size),
        )
        self.scorer = pretrained
        self.batch_tokens = batch_tokens
        self.all_readings = all_readings
        self.spacings: dict[str, Spacings] = {}
        self.one_prefix: dict[tuple[str, str], OnePrefix] = {}

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-likelihood, whether every token was the likeliest) of each request's continuation."""
        asked = [request.args for request in requests]
        split = list(self._split(asked))
        if not self.all_readings:
            return self._loglikelihood_tokens(split, disable_tqdm=disable_tqdm)
        own = {strings[1]: ids for strings, _, ids in split if not strings[0]}
        respaced = self._split([("", _respaced(text)) for text in own])
        # A text that is nothing but its space has no other spacing.
        others = {text: request for text, request in zip(own, respaced, strict=True) if request[2]}
        words = self._different_words(_one_prefix_pairs(requests))
        further = [*others.values(), *(request for group in words.values() for request in group)]
        answers = self._loglikelihood_tokens([*split, *further], disable_tqdm=disable_tqdm)
        values = iter([value for value, _ in answers[len(split) :]])
        for text, (_, _, ids) in others.items():
            self.spacings[text] = Spacings(len(own[text]), next(values), len(ids))
        for pair in words:
            self.one_prefix[pair] = OnePrefix((next(values), next(values)), (next(values), next(values)))
        return answers[: len(split)]

    def forget(self) -> None:
        """Drop the scores of other readings, once the task that they belong to is done."""
        self.spacings.clear()
        self.one_prefix.clear()

    def _different_words(
        self, pairs: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], list[EncodedRequest]]:
        """Encode the words in which the texts of each pair differ, after what they share: two texts, two respaced.

        Where the tokens of one word begin those of the other, the shorter one is never less probable, whatever the
        model: such pairs are left out.
        """
        texts = [text for pair in pairs for text in (*pair, *map(_respaced, pair))]
        ends = [end for i in range(0, len(texts), 2) for end in _up_to_difference(texts[i], texts[i + 1])]
        encoded = self.tokenizer(ends, add_special_tokens=False)["input_ids"] if ends else []
        requests: list[EncodedRequest] = []
        for i in range(0, len(ends), 2):
            shared = _shared(encoded[i], encoded[i + 1])
            for text, ids in zip(texts[i : i + 2], encoded[i : i + 2], strict=True):
                requests.append((("", text), [self.prefix_token_id, *ids[:shared]], ids[shared:]))
        groups = (requests[i : i + 4] for i in range(0, len(requests), 4))
        return {
            pair: group
            for pair, group in zip(pairs, groups, strict=True)
            if all(scored for _, _, scored in group)
        }

    def _split(self, asked: Sequence[tuple[str, str]]) -> Iterator[EncodedRequest]:
        """Encode contexts and continuations as lm-eval does."""
        alone = [continuation for context, continuation in asked if not context]
        # Tens of thousands of sentences without a context: encoded together, ten times as fast as one by one.
        encoded = iter(self.tokenizer(alone, add_special_tokens=False)["input_ids"] if alone else [])
        for context, continuation in asked:
            if context:
                ids, scored = self._encode_pair(context, continuation)
            else:
                ids, scored = [self.prefix_token_id], next(encoded)
                if scored and scored[0] == self.prefix_token_id:
                    ids, scored = scored[:1], scored[1:]
            yield (context, continuation), ids, scored

    def _loglikelihood_tokens(
        self, requests: Sequence[EncodedRequest], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        scores = score_sequences(
            self.model, [self._sequence(request) for request in requests], batch_tokens=self.batch_tokens
        )
        answers = list(zip(scores.sums(), scores.greedy(), strict=True))
        for (request, _, _), answer in zip(requests, answers, strict=True):
            if request is not None:
                self.cache_hook.add_partial("loglikelihood", request, answer)
        return answers

    def _sequence(self, request: EncodedRequest) -> TokenSequence:
        """Cut a context that is too long from the left, as lm-eval does. Raises UserError if that is not enough."""
        strings, context, continuation = request
        text = repr(strings[1] if strings else "")
        shown = text if len(text) < 60 else f"{text[:60]}..."
        if not continuation:
            raise UserError(
                f"{self.scorer.source.name}: the tokenizer returns no tokens for {shown}",
                "Remove empty texts from the data, or check the model's tokenizer.json.",
            )
        if len(continuation) > self.max_length:
            raise UserError(
                f"{shown}: {len(continuation)} tokens, but {self.scorer.source.name} reads at most {self.max_length}",
                "Shorten or remove this text.",
            )
        ids = tuple(context + continuation)[-(self.max_length + 1) :]
        return TokenSequence(ids, len(ids) - len(continuation))


def _one_prefix_pairs(requests: Sequence[Any]) -> list[tuple[str, str]]:
    """Return the different pairs of texts without a context to which the data say that the one-prefix method applies.

    Pairs that differ in their first word have no common beginning, and are left out.
    """
    texts: dict[Any, list[str]] = {}
    for request in requests:
        doc = getattr(request, "doc", None)
        if not request.args[0] and isinstance(doc, Mapping) and doc.get(ONE_PREFIX):
            texts.setdefault((request.task_name, request.doc_id), []).append(request.args[1])
    pairs = dict.fromkeys((pair[0], pair[1]) for pair in texts.values() if len(pair) == 2)
    return [pair for pair in pairs if " " in _up_to_difference(*pair)[0].strip()]


def _up_to_difference(first: str, second: str) -> tuple[str, str]:
    """Return each text up to the end of the first word in which they differ, without punctuation after it."""
    words = [text.split(" ") for text in (first, second)]
    same = _shared(*words)
    ends = (" ".join(text[: same + 1]) for text in words)
    one, other = (end.rstrip(".,;:!?") for end in ends)
    return one, other


def _shared(first: Sequence[Any], second: Sequence[Any]) -> int:
    """Return how many items two sequences share at their beginning."""
    different = (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(different, min(len(first), len(second)))


def _respaced(text: str) -> str:
    return text[1:] if text.startswith(" ") else f" {text}"


def main() -> None:
    """Run lm-eval's command with `l2t` among its model classes."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
