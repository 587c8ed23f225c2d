"""Models loaded for scoring, from a directory or the Hub: safetensors weights only, and no code of theirs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from l2t_hub.artifacts import CONFIG
from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.hub.download import download, parse_name
from l2t_hub.hub.model_check import check_loaded, check_weights, read_model_config
from l2t_hub.records.bounds import is_repo
from l2t_hub.scoring.replicas import add_replicas
from l2t_hub.text import visible
from l2t_hub.tokens.load import load_exact_tokenizer

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class ModelSource:
    """A model's origin: a directory, or a Hub name with an optional revision (`namespace/name@revision`).

    `name` is as the user gave it. `location` is what gets loaded: the directory, the Hub name, or the directory that
    a Hub model was downloaded to. A checkpoint has its `step` and the `run` it belongs to, a directory or a Hub name.
    """

    name: str
    location: str
    revision: str | None
    is_local: bool
    run: str | None = None
    step: int | None = None


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
    """Return a model's origin: a directory, or else a Hub name. Does not use the network.

    Raises UserError for a path without a model, UsageError for a name that is neither a path nor a Hub name.
    """
    path = Path(name)
    if path.is_dir():
        if not (path / CONFIG).is_file():
            inside = ", ".join(str(child.parent) for child in sorted(path.glob(f"*/{CONFIG}")))
            hint = f"Models in it: {inside}" if inside else "Give a directory that `l2t train` wrote."
            raise UserError(f"{name}: not a model directory: it has no {CONFIG}", hint)
        return ModelSource(name, str(path), None, is_local=True)
    if path.exists():
        raise UserError(f"{name}: this is a file, not a model directory", f"Give the directory of {CONFIG}.")
    location, revision = parse_name(name)
    return ModelSource(name, location, revision, is_local=False)


def load_scorer(
    model: str | ModelSource,
    *,
    device: str | None = None,
    dtype: str | None = None,
    prefix_id: int | None = None,
) -> Scorer:
    """Load a model and its tokenizer from a directory or the Hub.

    Only safetensors weights are read, and no code from the model's repository is run. `device` is a torch device, or
    several separated by commas, each of which gets a copy of the model; the default is the first GPU, or the CPU if
    there is none. `dtype` is `float32` or `bfloat16`; the default is the precision the model was saved in.
    `prefix_id` replaces the prefix token.

    Raises UsageError for an unknown device or precision. Raises UserError if the model does not exist, cannot be
    loaded, or has no token to use as prefix, if its weights are not those of its architecture, or if loading it would
    run code.
    """
    import torch

    where, *further = [_device(name) for name in (device.split(",") if device else [None])]
    if dtype is not None and dtype not in DTYPES:
        raise UsageError(f"dtype is '{dtype}'. {nearest(dtype, DTYPES)}", f"Known: {', '.join(DTYPES)}.")
    source = model if isinstance(model, ModelSource) else find_model(model)
    found = fetch_model(source)
    directory = Path(found.location)
    try:
        tokenizer = load_exact_tokenizer(directory)
        loaded = _load_model(directory, source.name).to(where)
        if dtype is not None:
            loaded = loaded.to(getattr(torch, dtype))
    except UserError:
        raise
    except Exception as error:  # a stranger's files raise errors of many types in three libraries
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise UserError(f"{source.name}: cannot load this model: {visible(reason[:300])}") from error
    loaded.eval()
    if further:
        add_replicas(loaded, further)
    return Scorer(loaded, tokenizer, _prefix(source.name, tokenizer, prefix_id), found)


def _device(name: str | None) -> Any:
    """Return a torch device by name, by default the first GPU or else the CPU. Raises UsageError if it is missing."""
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise UsageError(
            f"device is '{name}': torch knows no such device", "Use cpu, cuda or cuda:N."
        ) from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device is '{name}', but torch finds {torch.cuda.device_count()} CUDA devices here",
            "Use --device cpu, or install a torch with CUDA.",
        )
    return device


def fetch_model(source: ModelSource) -> ModelSource:
    """Return a model with its directory as location, downloaded and checked if it is on the Hub.

    When offline, the directory is that of the cache. The name of a repo is never taken for a path: `is_local` says
    which of the two a source is. Raises UserError if the model does not exist or the download fails.
    """
    from huggingface_hub import is_offline_mode, snapshot_download

    if source.is_local or not is_repo(source.location):
        return source
    if not is_offline_mode():
        fetched = download(source.location, "model", source.revision, say=lambda line: None)
        return replace(source, location=str(fetched.directory))
    try:
        cached = snapshot_download(source.location, revision=source.revision, local_files_only=True)
    except (OSError, ValueError):
        raise UserError(
            f"{source.name}: not a local directory, and not in the Hub cache of this machine",
            "Check the name, or go online: HF_HUB_OFFLINE is set.",
        ) from None
    return replace(source, location=cached)


def _load_model(directory: Path, name: str) -> Any:
    """Load a model after checking its configuration and the headers of its weights, and check what was loaded."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    models: Any = AutoModelForCausalLM  # its methods are not typed
    config = AutoConfig.for_model(**read_model_config(directory, name))
    with torch.device("meta"):
        architecture = models.from_config(config)
    check_weights(directory, name, sum(parameter.numel() for parameter in architecture.parameters()))
    with _without_progress_bar():
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


@contextmanager
def _without_progress_bar() -> Iterator[None]:
    """Keep transformers' bar of loaded weights off the terminal, which has the caller's own messages."""
    from transformers.utils import logging

    if not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _prefix(name: str, tokenizer: Any, prefix_id: int | None) -> int:
    for candidate in (prefix_id, tokenizer.bos_token_id, tokenizer.eos_token_id):
        if candidate is not None:
            return int(candidate)
    raise UserError(
        f"{name}: the tokenizer has neither a BOS nor an EOS token, so a first word has no context",
        "Set `bos_token` in the model's tokenizer_config.json.",
    )
