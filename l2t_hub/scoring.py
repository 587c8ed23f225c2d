"""How probable a causal language model finds a sentence: per token and summed, batched. The project's one scorer.

Surprisal is -log2 p(token | what stands before it), in bits. The first token has the prefix token as its context: the
tokenizer's BOS, or its EOS where it has no BOS, as in lm-evaluation-harness, whose log-likelihoods these equal.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2t_hub.errors import UserError, nearest
from l2t_hub.tokens.load import load_exact_tokenizer

BATCH_TOKENS = 2048
"""Tokens in one batch, padding included: 256 MiB of float32 logits with a vocabulary of 32,768."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True)
class Token:
    """One token of a sentence: `text` is `sentence[start:end]`, the characters it stands for.

    Tokens that share one character (the bytes of an emoji) all have that character as their text.
    """

    id: int
    text: str
    start: int
    end: int
    bits: float
    """Surprisal in bits: -log2 p(token | prefix and all tokens before it)."""


@dataclass(frozen=True)
class Score:
    """A sentence as one model sees it."""

    sentence: str
    tokens: tuple[Token, ...]

    @property
    def bits(self) -> float:
        """Surprisal of the whole sentence in bits: -log2 of its probability given the prefix token."""
        return math.fsum(token.bits for token in self.tokens)

    @property
    def log_probability(self) -> float:
        """Natural logarithm of the sentence's probability, the unit of lm-evaluation-harness."""
        return -self.bits * math.log(2)


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: a directory, or a Hub name with an optional revision (`namespace/name@revision`).

    `location` is what is loaded: the directory, the Hub name, or the directory a Hub model was brought to.
    """

    name: str
    location: str
    revision: str | None
    is_local: bool


@dataclass(frozen=True)
class Scorer:
    """A model in evaluation mode, its tokenizer, and the token that stands in front of every sentence."""

    model: Any
    tokenizer: Any
    prefix_id: int
    source: ModelSource

    @property
    def prefix(self) -> str:
        """The prefix token as text, such as `<s>`."""
        return str(self.tokenizer.convert_ids_to_tokens(self.prefix_id))

    @property
    def max_tokens(self) -> int | None:
        """The longest sentence the model can score, in tokens; None where its configuration names no limit."""
        limit = getattr(self.model.config, "max_position_embeddings", None)
        return int(limit) if limit else None


def find_model(name: str) -> ModelSource:
    """Say where a model lies; looks at the disk, never at the network.

    Raises UserError for a path that is no model directory.
    """
    path = Path(name)
    if path.is_dir():
        if not (path / "config.json").is_file():
            inside = [str(child.parent) for child in sorted(path.glob("*/config.json"))]
            hint = f"Models in it: {', '.join(inside)}" if inside else "A trained model's directory has one."
            raise UserError(f"{name}: no model directory, it has no config.json", hint)
        return ModelSource(name, str(path), None, is_local=True)
    location, _, revision = name.partition("@")
    if path.exists() or not _HUB_NAME.fullmatch(location):
        siblings = [str(p) for p in path.parent.glob("*") if p.is_dir()] if path.parent.is_dir() else []
        hint = (
            nearest(name, siblings) if siblings else "Give a model directory or a Hub name, namespace/name."
        )
        raise UserError(f"{name}: no such model directory", hint)
    return ModelSource(name, location, revision or None, is_local=False)


def load_scorer(
    model: "str | ModelSource", *, device: str | None = None, prefix_id: int | None = None
) -> Scorer:
    """Load a model and its tokenizer from a directory or the Hub, in the precision it was saved in.

    Only safetensors are read, and no code that comes with a model is ever run.
    `device` is a torch device; by default the first GPU, or else the CPU. `prefix_id` replaces the prefix token.
    Raises UserError if there is no such model, if it cannot be loaded, or if there is no token to use as prefix.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    source = model if isinstance(model, ModelSource) else find_model(model)
    name = source.name
    where: dict[str, Any] = {"trust_remote_code": False}
    if source.revision:
        where["revision"] = source.revision
    try:
        tokenizer = load_exact_tokenizer(source.location, source.revision)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source.location, dtype="auto", use_safetensors=True, **where
        )
        loaded.to(torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0]
        hint = (
            ""
            if source.is_local
            else "It is no directory here; the Hub has it only if this machine is online."
        )
        raise UserError(f"{name}: cannot load this model: {reason}", hint or None) from error
    loaded.eval()
    return Scorer(loaded, tokenizer, _prefix(name, tokenizer, prefix_id), source)


def _prefix(name: str, tokenizer: Any, prefix_id: int | None) -> int:
    for candidate in (prefix_id, tokenizer.bos_token_id, tokenizer.eos_token_id):
        if candidate is not None:
            return int(candidate)
    raise UserError(
        f"{name}: its tokenizer has neither a BOS nor an EOS token, so a first word has no context",
        "Set `bos_token` in its tokenizer_config.json.",
    )


def score(scorer: Scorer, sentences: Sequence[str], *, batch_tokens: int = BATCH_TOKENS) -> list[Score]:
    """Score sentences; the results come in the order of `sentences` and do not depend on how they are batched.

    A batch is padded on the right and holds at most `batch_tokens` tokens, or one longer sentence.
    An empty sentence has no tokens and 0 bits. Raises UserError for a sentence longer than the model can read.
    """
    if not sentences:
        return []
    if not scorer.tokenizer.is_fast:
        raise UserError(f"{scorer.source.name}: its tokenizer is no fast one, which knows where tokens start")
    encoded = scorer.tokenizer(list(sentences), add_special_tokens=False, return_offsets_mapping=True)
    ids: list[list[int]] = encoded["input_ids"]
    for sentence, sequence in zip(sentences, ids, strict=True):
        if sentence.strip() and not sequence:
            raise UserError(
                f"{scorer.source.name}: its tokenizer makes no tokens of {sentence[:40]!r}",
                "Are its tokenizer files there? A tokenizer without tokenizer.json is empty.",
            )
        if scorer.max_tokens is not None and len(sequence) > scorer.max_tokens:
            raise UserError(
                f"{sentence[:40]!r}...: {len(sequence)} tokens are more than the {scorer.max_tokens} of the model",
                "Shorten the sentence.",
            )
    bits: list[list[float]] = [[] for _ in ids]
    for batch in batches([len(sequence) for sequence in ids], batch_tokens):
        values = _surprisals(scorer, [ids[i] for i in batch])
        for i, row in zip(batch, values, strict=True):
            bits[i] = row
    return [
        Score(sentence, tuple(_tokens(sentence, *row)))
        for sentence, *row in zip(sentences, ids, encoded["offset_mapping"], bits, strict=True)
    ]


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Group the positions of non-zero lengths, longest first, so that no padded group exceeds `batch_tokens`."""
    batch: list[int] = []
    for i in sorted((i for i, n in enumerate(lengths) if n), key=lambda i: -lengths[i]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _surprisals(scorer: Scorer, ids: list[list[int]]) -> list[list[float]]:
    """Bits per token of each row; one forward pass over [prefix, row without its last token], padded on the right."""
    import torch

    width = len(ids[0])
    device = scorer.model.device
    targets = torch.tensor([row + [scorer.prefix_id] * (width - len(row)) for row in ids], device=device)
    prefix = torch.full((len(ids), 1), scorer.prefix_id, device=device)
    lengths = torch.tensor([len(row) for row in ids], device=device)
    mask = torch.arange(width, device=device) < lengths[:, None]
    inputs = torch.cat([prefix, targets[:, :-1]], dim=1)
    with torch.inference_mode():
        logits = scorer.model(input_ids=inputs, attention_mask=mask.long(), use_cache=False).logits
        # In float32 whatever the model's precision: a bfloat16 softmax cannot tell near sentences apart.
        logits = logits.float()
        nats = logits.logsumexp(-1) - logits.gather(2, targets[..., None]).squeeze(-1)
    rows: list[list[float]] = (nats.double() / math.log(2)).tolist()
    return [row[: len(sequence)] for row, sequence in zip(rows, ids, strict=True)]


def _tokens(
    sentence: str, ids: list[int], offsets: list[tuple[int, int]], bits: list[float]
) -> Iterator[Token]:
    for token_id, (start, end), surprisal in zip(ids, offsets, bits, strict=True):
        yield Token(token_id, sentence[start:end], start, end, surprisal)
