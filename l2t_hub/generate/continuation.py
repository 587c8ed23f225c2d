"""Texts continued by a model: loading it, encoding the prompts, and what came out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import PREDICTION_HEADS
from l2t_hub.errors import UserError
from l2t_hub.scoring import Scorer, load_scorer
from l2t_hub.text import counted


@dataclass(frozen=True)
class Continuation:
    """The greedy continuation of a prompt.

    `tokens` are the new ones, an end-of-sequence token included. `passes` counts the forward passes of the model.
    `offered` and `accepted` count drafts: how often one was offered, and how often it and all before it were right,
    for the first draft of a pass, the second, and so on.
    """

    prompt: str
    text: str
    tokens: tuple[int, ...]
    passes: int
    offered: tuple[int, ...] = ()
    accepted: tuple[int, ...] = ()


@dataclass(frozen=True)
class Generation:
    """The continuations of all prompts, and the seconds that they took together, loading not included."""

    model: str
    continuations: tuple[Continuation, ...]
    seconds: float

    @property
    def tokens(self) -> int:
        """New tokens."""
        return sum(len(one.tokens) for one in self.continuations)

    @property
    def passes(self) -> int:
        """Forward passes of the model."""
        return sum(one.passes for one in self.continuations)

    @property
    def acceptance(self) -> dict[int, float | None]:
        """For each further head, the share of its drafts that became text; None if it offered none."""
        drafts = max((len(one.offered) for one in self.continuations), default=0)
        offered = [sum(one.offered[i] for one in self.continuations) for i in range(drafts)]
        accepted = [sum(one.accepted[i] for one in self.continuations) for i in range(drafts)]
        return {i + 2: accepted[i] / offered[i] if offered[i] else None for i in range(drafts)}

    def as_dict(self) -> dict[str, Any]:
        """Return the generation as JSON types."""
        return {
            "model": self.model,
            "continuations": [
                {"prompt": one.prompt, "text": one.text, "tokens": len(one.tokens), "passes": one.passes}
                for one in self.continuations
            ],
            "tokens": self.tokens,
            "passes": self.passes,
            "seconds": round(self.seconds, 3),
            "tokens_per_pass": round(self.tokens / self.passes, 3) if self.passes else None,
            "acceptance": {str(head): share for head, share in self.acceptance.items()},
        }

    def summary(self) -> str:
        """Return one line with tokens, passes and, if there were drafts, the share of each head that became text."""
        rate = self.tokens / max(self.seconds, 1e-9)
        line = (
            f"{counted(self.tokens, 'token')} in {counted(self.passes, 'forward pass')}, {rate:,.0f} tokens/s"
        )
        if not self.acceptance:
            return line
        shares = (
            f"head {head}: {'none offered' if share is None else f'{share:.1%}'}"
            for head, share in self.acceptance.items()
        )
        return f"{line}; {self.tokens / max(self.passes, 1):.2f} tokens a pass; drafts accepted: {', '.join(shares)}"


def generate(
    model: str,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 64,
    speculative: bool = False,
    device: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Generation:
    """Continue each prompt with the tokens that the model finds likeliest, up to an end-of-sequence token.

    `speculative` drafts with the heads beside the model and gives the same text. The weights are computed with in
    fp32, so that a rounding error rarely decides between two tokens. `progress` is called with 1 per prompt.

    Raises UserError if the model cannot be loaded, has no further heads to draft with, returns NaN, or reads fewer
    tokens than a prompt and its continuation have; UsageError for an unknown device.
    """
    scorer = load_scorer(model, device=device, dtype="float32")
    from l2t_hub.generate.decoding import continue_tokens
    from l2t_hub.train.heads_file import read_heads

    directory = Path(scorer.source.location)
    heads = read_heads(directory, scorer.source.name, scorer.model) if speculative else None
    if speculative and heads is None:
        raise UserError(
            f"{scorer.source.name}: it has no {PREDICTION_HEADS}, so there are no heads to draft with",
            "Train it with `objective.kind: mtp`, or leave out --speculative.",
        )
    encoded = [_encoded(scorer, prompt, max_new_tokens) for prompt in prompts]
    continuations = []
    start = time.perf_counter()
    for prompt, ids in zip(prompts, encoded, strict=True):
        drafted = continue_tokens(scorer.model, heads, ids, max_new_tokens, _end_ids(scorer))
        text = scorer.tokenizer.decode(drafted.tokens, skip_special_tokens=True)
        continuations.append(
            Continuation(prompt, text, tuple(drafted.tokens), drafted.passes, *drafted.drafts())
        )
        if progress:
            progress(1)
    return Generation(scorer.source.name, tuple(continuations), time.perf_counter() - start)


def _encoded(scorer: Scorer, prompt: str, new: int) -> list[int]:
    """Return the tokens of a prompt after the prefix, as for scoring."""
    ids = [scorer.prefix_id, *scorer.tokenizer(prompt, add_special_tokens=False)["input_ids"]]
    if scorer.max_tokens is not None and len(ids) + new > scorer.max_tokens:
        raise UserError(
            f"{prompt[:40]!r}: {len(ids)} tokens and {new} new ones are more than the {scorer.max_tokens} that "
            f"{scorer.source.name} reads",
            "Shorten the prompt, or lower --max-new-tokens.",
        )
    return ids


def _end_ids(scorer: Scorer) -> frozenset[int]:
    """Return the tokens that end a text: the tokenizer's, and those of the model's generation settings."""
    own = scorer.model.generation_config.eos_token_id
    ids = [scorer.tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])]
    return frozenset(token for token in ids if token is not None)
