"""Tokenizers from disk and Hub: the edge of this room that reads files, checks what it finds and makes an
`Encoder` of it.

transformers is imported where it is used: it takes over a second, which a program that trains its own
tokenizer in a worker should not pay.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from l2t_hub.errors import UsageError, UserError
from l2t_hub.tokens.encode import CACHE_BYTES, Encoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TOKENIZER_FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"


def load_tokenizer(
    name: str, revision: str | None = None, *, where: str = "tokenizer"
) -> "PreTrainedTokenizerFast":
    """Load a fast tokenizer: a folder, a `tokenizer.json`, or a name on the Hub with an optional revision.

    `where` opens the error messages (a recipe's file and line). Raises UsageError for a path that is not
    there or holds no fast tokenizer, UserError if the Hub does not give one.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return _from_file(path, where)
    if path.is_dir():
        return _from_folder(path, where)
    if _looks_like_path(name):
        raise UsageError(
            f"{where}: there is no tokenizer at {name}",
            hint=f"name a folder with a {TOKENIZER_FILE}, that file itself, or a Hub name such as org/model",
        )
    return _from_hub(name, revision, where)


def encoder_of(
    tokenizer: "PreTrainedTokenizerFast",
    *,
    bos: bool = True,
    cache_bytes: int = CACHE_BYTES,
    where: str = "tokenizer",
) -> Encoder:
    """An `Encoder` for a loaded or trained tokenizer; padding is EOS (the paper), or the padding token where
    there is no EOS.

    Raises UsageError if the recipe wants BOS and there is none, or if there is nothing to pad with.
    """
    if bos and tokenizer.bos_token_id is None:
        raise UsageError(
            f"{where}: the tokenizer has no BOS token, and the recipe puts one in front of each example",
            hint=f"set tokenizer.bos=false, or name bos_token in the tokenizer's {CONFIG_FILE}",
        )
    pad_id = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.pad_token_id
    if pad_id is None:
        raise UsageError(
            f"{where}: the tokenizer has neither an EOS nor a padding token to fill sequences with",
            hint=f"name eos_token in the tokenizer's {CONFIG_FILE}",
        )
    return Encoder(
        tokenizer.backend_tokenizer,
        bos_id=tokenizer.bos_token_id,
        eos_id=tokenizer.eos_token_id,
        pad_id=pad_id,
        cache_bytes=cache_bytes,
    )


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.endswith(".json") or name.count("/") > 1 or "\\" in name


def _from_file(path: Path, where: str) -> "PreTrainedTokenizerFast":
    """A lone `tokenizer.json` does not say which token is BOS; the configuration beside it does, so use it if
    it is there.
    """
    from transformers import PreTrainedTokenizerFast

    if path.name == TOKENIZER_FILE and (path.parent / CONFIG_FILE).is_file():
        return _from_folder(path.parent, where)
    try:
        return PreTrainedTokenizerFast(tokenizer_file=str(path))  # type: ignore[no-untyped-call]
    except Exception as error:  # the library raises bare Exceptions
        raise UsageError(f"{where}: {path} holds no tokenizer: {_first_line(error)}") from error


def _from_folder(path: Path, where: str) -> "PreTrainedTokenizerFast":
    if not (path / CONFIG_FILE).is_file() and (path / TOKENIZER_FILE).is_file():
        return _from_file(path / TOKENIZER_FILE, where)
    # By name: to import AutoTokenizer is to import torch, a second more.
    name = "PreTrainedTokenizerFast" if (path / TOKENIZER_FILE).is_file() else "AutoTokenizer"
    loader = getattr(import_module("transformers"), name)
    try:
        tokenizer = loader.from_pretrained(str(path), trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever a broken folder provokes in two libraries
        raise UsageError(
            f"{where}: the folder {path} holds no tokenizer that can be loaded: {_first_line(error)}",
            hint=f"it should have a {TOKENIZER_FILE} and a {CONFIG_FILE}",
        ) from error
    return _fast(tokenizer, str(path), where)


def _from_hub(name: str, revision: str | None, where: str) -> "PreTrainedTokenizerFast":
    """What `AutoTokenizer` finds, then read again by the class that takes `tokenizer.json` as it is.

    transformers 5 gives models of some types a pipeline of its own, whatever the file says. A model that has
    no such file keeps what AutoTokenizer made of its others.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    at = f" at revision {revision}" if revision else ""
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision or "main", trust_remote_code=False)
    except Exception as error:  # network, permissions, formats: the Hub's sentence is the useful one
        raise UserError(
            f"{where}: the tokenizer {name}{at} could not be loaded from the Hub: {_first_line(error)}",
            hint="check the name and the network, log in with `hf auth login` if it is gated, or name a local folder",
        ) from error
    try:
        exact = PreTrainedTokenizerFast.from_pretrained(name, revision=revision or "main")
    except Exception:  # the library says in its own ways that there is no such file
        exact = tokenizer
    return _fast(exact, name, where)


def _fast(tokenizer: object, name: str, where: str) -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UsageError(
            f"{where}: {name} has no fast tokenizer (it loads as {type(tokenizer).__name__}, which is slow)",
            hint=f"choose one with a {TOKENIZER_FILE}; slow tokenizers are not supported",
        )
    return tokenizer


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
