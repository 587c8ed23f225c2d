"""Greedy decoding with a cache, one token a pass, or several with drafts of the model's further heads.

Self-speculative decoding after Gloeckle et al. 2024 (arXiv 2404.19737): after a pass, head 1 has chosen the next
token, and the heads from 2 on draft those after it. The next pass reads all of them at once. Head 1 then chooses a
token after each, and drafts are kept as long as they are what it chose. So the text is that of head 1 alone.

A pass that reads several tokens rounds differently from one that reads one, so that almost equal logits may change
places. Where the best two differ by less than TIE, the token is therefore chosen by a pass without a cache over the
text up to there. That pass depends on the text alone, so that both ways of decoding choose the same token.
"""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from l2t_hub.errors import UserError
from l2t_hub.train.prediction_heads import PredictionHeads

TIE = 1e-4
"""Logits that differ by less than this part of the largest logit count as a tie. Rounding in fp32 is far below it."""


@dataclass
class Drafted:
    """New tokens, how many passes they took, and how many drafts of each head were offered and accepted."""

    tokens: list[int] = field(default_factory=list)
    passes: int = 0
    offered: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)

    def drafts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return offered and accepted drafts by head, from the second."""
        return tuple(self.offered), tuple(self.accepted)

    def count(self, offered: int, accepted: int) -> None:
        """Count a pass."""
        self.passes += 1
        for i in range(offered):
            self.offered[i] += 1
            self.accepted[i] += i < accepted


class _Reader:
    """A model that reads a text piece by piece, and keeps keys and values of what it read in caches."""

    def __init__(self, model: Any, heads: PredictionHeads | None, cache: DynamicCache | None) -> None:
        self.model, self.heads = model, heads
        self.body, self.output = model.base_model, model.get_output_embeddings()
        own = DynamicCache(config=model.config) if cache is None else cache
        self.caches = own, DynamicCache()

    def read(self, tokens: Sequence[int]) -> list[torch.Tensor]:
        """Return the states of each head after each of the next tokens, (tokens, width) for each head."""
        ids = torch.tensor([tokens], device=self.model.device)
        own, of_heads = self.caches
        inputs = {"input_ids": ids, "past_key_values": own, "use_cache": True}
        if self.heads is None:
            return [self.body(**inputs).last_hidden_state[0]]
        return [state[0] for state in self.heads.states(self.model, inputs, self.heads.count, of_heads)]

    def forget(self, count: int) -> None:
        """Forget the last tokens."""
        for cache in self.caches if count else ():
            cache.crop(-count)

    def choices(self, states: torch.Tensor) -> "list[int | None]":
        """Return the likeliest next token after each state, None where two are almost equal."""
        logits = self.output(states).float()
        values, tokens = logits.topk(2)
        if not bool(values.isfinite().all()):
            raise UserError(
                "the model returns NaN instead of logits",
                "Its training diverged, or its weights are damaged. Check its loss curve.",
            )
        close = (values[:, 0] - values[:, 1]) <= TIE * logits.abs().amax(1)
        return [
            None if tie else token for token, tie in zip(tokens[:, 0].tolist(), close.tolist(), strict=True)
        ]

    def choose_alone(self, text: Sequence[int]) -> int:
        """Return the likeliest token after a text, read at once and without a cache."""
        ids = torch.tensor([text], device=self.model.device)
        state = self.body(input_ids=ids, use_cache=False).last_hidden_state[0, -1]
        return int(self.output(state).float().argmax())


def continue_tokens(
    model: Any, heads: PredictionHeads | None, prompt: Sequence[int], new: int, ends: Collection[int]
) -> Drafted:
    """Continue a prompt by up to `new` of head 1's likeliest tokens, up to and with one of `ends`.

    With `heads`, they draft; the tokens are the same. Raises UserError if a logit is not finite.
    """
    *_, result = [Drafted(), *stream_tokens(model, heads, prompt, new, ends)]
    return result


@torch.inference_mode()
def stream_tokens(
    model: Any,
    heads: PredictionHeads | None,
    prompt: Sequence[int],
    new: int,
    ends: Collection[int],
    cache: DynamicCache | None = None,
) -> Generator[Drafted, None, None]:
    """Continue a prompt as `continue_tokens` does. After each pass the same object is yielded, with what there is.

    To go on later without `heads`, give the same `cache` again, and the prompt with the tokens that were yielded.
    """
    reader, text = _Reader(model, heads, cache), list(prompt)
    further = heads.count - 1 if heads is not None else 0
    result = Drafted(offered=[0] * further, accepted=[0] * further)
    unread, drafts = text[0 if cache is None else cache.get_seq_length() :], list[int]()
    while len(result.tokens) < new:
        states = reader.read([*unread, *drafts])
        last = len(unread) - 1
        found = _right_tokens(reader, states[0][last:], text, drafts)
        right = len(found) - 1
        result.count(len(drafts), right)
        ended = next((i for i, token in enumerate(found) if token in ends), None)
        if ended is not None:
            result.tokens += found[: ended + 1]
            yield result
            return
        result.tokens += found
        yield result
        text = text + found
        reader.forget(len(drafts) - right)
        # The next pass gives one token more than it has drafts.
        wanted = min(further, new - len(result.tokens) - 1)
        drafts = [
            int(model.lm_head(state[last + right]).argmax()) for state in states[1 : 1 + max(wanted, 0)]
        ]
        unread = found[-1:]


def _right_tokens(
    reader: _Reader, states: torch.Tensor, text: Sequence[int], drafts: Sequence[int]
) -> list[int]:
    """Return the drafts that head 1 chooses too, up to the first that it does not, and its next choice."""
    found: list[int] = []
    for place, choice in enumerate(reader.choices(states)):
        token = choice if choice is not None else reader.choose_alone([*text, *found])
        found.append(token)
        if place == len(drafts) or drafts[place] != token:
            break
    return found
