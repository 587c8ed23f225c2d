"""The surprisal of sentences under a causal language model, per token and in total, computed in batches.

Surprisal is -log2 p(token | preceding tokens), in bits. The context of the first token is the prefix token: the
tokenizer's BOS, or its EOS if it has no BOS. lm-evaluation-harness does the same, so its log-likelihoods are equal.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import CONFIG
from l2t_hub.errors import UserError, nearest
from l2t_hub.hub.download import download
from l2t_hub.hub.model_check import check_loaded, check_weights, read_model_config
from l2t_hub.text import visible
from l2t_hub.tokens.load import load_exact_tokenizer

BATCH_TOKENS = 2048
"""Tokens in a batch, padding included. With a vocabulary of 32,768 they need 256 MiB of float32 logits."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


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


@dataclass(frozen=True)
class ModelSource:
    """A model's origin: a directory, or a Hub name with an optional revision (`namespace/name@revision`).

    `name` is as the user gave it. `location` is what gets loaded: the directory, the Hub name, or the directory that
    a Hub model was downloaded to.
    """

    name: str
    location: str
    revision: str | None
    is_local: bool


@dataclass(frozen=True)
class Scorer:
    """A model in evaluation mode, its tokenizer, and the id of the token that precedes every sentence."""

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
        """The longest sentence that the model can score, in tokens; None if its configuration sets no limit."""
        limit = getattr(self.model.config, "max_position_embeddings", None)
        return int(limit) if limit else None


def find_model(name: str) -> ModelSource:
    """Return a model's origin. A name that is not a path is taken for a Hub name, without using the network.

    Raises UserError for a path without a model.
    """
    path = Path(name)
    if path.is_dir():
        if not (path / CONFIG).is_file():
            inside = ", ".join(str(child.parent) for child in sorted(path.glob(f"*/{CONFIG}")))
            hint = f"Models in it: {inside}" if inside else "Give a directory that `l2t train` wrote."
            raise UserError(f"{name}: not a model directory: it has no {CONFIG}", hint)
        return ModelSource(name, str(path), None, is_local=True)
    location, _, revision = name.partition("@")
    if path.exists() or not _HUB_NAME.fullmatch(location):
        siblings = [str(p) for p in path.parent.glob("*") if p.is_dir()] if path.parent.is_dir() else []
        hint = (
            nearest(name, siblings) if siblings else "Give a model directory or a Hub name (namespace/name)."
        )
        raise UserError(f"{name}: no such model directory", hint)
    return ModelSource(name, location, revision or None, is_local=False)


def load_scorer(
    model: str | ModelSource, *, device: str | None = None, prefix_id: int | None = None
) -> Scorer:
    """Load a model and its tokenizer from a directory or the Hub, in the precision it was saved in.

    Only safetensors weights are read, and no code from the model's repository is run. `device` is a torch device; the
    default is the first GPU, or the CPU if there is none. `prefix_id` replaces the prefix token.

    Raises UserError if the model does not exist, cannot be loaded, or has no token to use as prefix, if its weights
    are not those of its architecture, or if loading it would run code.
    """
    import torch

    source = model if isinstance(model, ModelSource) else find_model(model)
    directory = _local_directory(source)
    try:
        tokenizer = load_exact_tokenizer(directory)
        loaded = _load_model(directory, source.name)
        loaded.to(torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
    except UserError:
        raise
    except Exception as error:  # a stranger's files raise errors of many types in three libraries
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise UserError(f"{source.name}: cannot load this model: {visible(reason[:300])}") from error
    loaded.eval()
    found = replace(source, location=str(directory))
    return Scorer(loaded, tokenizer, _prefix(source.name, tokenizer, prefix_id), found)


def _local_directory(source: ModelSource) -> Path:
    """Return the directory of a model, downloaded and checked if it is on the Hub, or from the cache when offline."""
    from huggingface_hub import is_offline_mode, snapshot_download

    if source.is_local or Path(source.location).is_dir():
        return Path(source.location)
    if not is_offline_mode():
        return download(source.location, "model", source.revision, say=lambda line: None).directory
    try:
        return Path(snapshot_download(source.location, revision=source.revision, local_files_only=True))
    except (OSError, ValueError):
        raise UserError(
            f"{source.name}: not a local directory, and not in the Hub cache of this machine",
            "Check the name, or go online: HF_HUB_OFFLINE is set.",
        ) from None


def _load_model(directory: Path, name: str) -> Any:
    """Load a model after checking its configuration and the headers of its weights, and check what was loaded."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    models: Any = AutoModelForCausalLM  # its methods are not typed
    config = AutoConfig.for_model(**read_model_config(directory, name))
    with torch.device("meta"):
        architecture = models.from_config(config)
    check_weights(directory, name, sum(parameter.numel() for parameter in architecture.parameters()))
    loaded, loading = models.from_pretrained(
        directory,
        config=config,
        dtype="auto",
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    check_loaded(name, loading)
    return loaded


def _prefix(name: str, tokenizer: Any, prefix_id: int | None) -> int:
    for candidate in (prefix_id, tokenizer.bos_token_id, tokenizer.eos_token_id):
        if candidate is not None:
            return int(candidate)
    raise UserError(
        f"{name}: the tokenizer has neither a BOS nor an EOS token, so a first word has no context",
        "Set `bos_token` in the model's tokenizer_config.json.",
    )


def score(scorer: Scorer, sentences: Sequence[str], *, batch_tokens: int = BATCH_TOKENS) -> list[Score]:
    """Return one score per sentence, in the same order. Batching does not change the scores.

    A batch is padded on the right and has at most `batch_tokens` tokens, or one longer sentence. An empty sentence
    has no tokens and 0 bits.

    Raises UserError if the tokenizer is not a fast one or returns no tokens, or if a sentence is too long for the
    model.
    """
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
    bits: list[list[float]] = [[] for _ in ids]
    for batch in batches([len(sequence) for sequence in ids], batch_tokens):
        values = _surprisals(scorer, [ids[i] for i in batch])
        if not all(math.isfinite(value) for row in values for value in row):
            raise UserError(
                f"{scorer.source.name}: the model returns NaN instead of probabilities",
                "Its training diverged, or its weights are damaged. Check its loss curve.",
            )
        for i, row in zip(batch, values, strict=True):
            bits[i] = row
    return [
        Score(sentence, tuple(_tokens(sentence, *row)))
        for sentence, *row in zip(sentences, ids, encoded["offset_mapping"], bits, strict=True)
    ]


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Group the indices of non-zero lengths, longest first, so that no padded batch exceeds `batch_tokens`.

    A length above `batch_tokens` forms a batch by itself.
    """
    batch: list[int] = []
    for i in sorted((i for i, n in enumerate(lengths) if n), key=lambda i: -lengths[i]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _surprisals(scorer: Scorer, ids: list[list[int]]) -> list[list[float]]:
    """Return the bits per token of each row of ids, longest first, from one forward pass.

    The input is the prefix and the row without its last token, padded on the right.
    """
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
        # Always in float32: a bfloat16 softmax is too coarse to compare similar sentences.
        logits = logits.float()
        nats = logits.logsumexp(-1) - logits.gather(2, targets[..., None]).squeeze(-1)
    rows: list[list[float]] = (nats.double() / math.log(2)).tolist()
    return [row[: len(sequence)] for row, sequence in zip(rows, ids, strict=True)]


def _tokens(
    sentence: str, ids: list[int], offsets: list[tuple[int, int]], bits: list[float]
) -> Iterator[Token]:
    for token_id, (start, end), surprisal in zip(ids, offsets, bits, strict=True):
        yield Token(token_id, sentence[start:end], start, end, surprisal)
