"""The only loader of tokenizers: it reads them from disk or the Hub, checks them and makes an `Encoder`.

transformers is imported inside the functions that need it. The import takes over a second, which build workers
must not pay.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.failures import hub_error
from l2t_hub.hub.names import check_hub_name
from l2t_hub.hub.reachability import check_reachable
from l2t_hub.hub.retry import status_of
from l2t_hub.tokens.encode import CACHE_BYTES, Encoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TOKENIZER_FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"

# Text on which pre-tokenizers differ: contractions, digits, runs of spaces, newlines, accents, punctuation.
_PROBE = "It's 1984, isn't it?  Two  spaces;\n\na new line: Été, naïve, 10,000 (ten thousand) … and  so_on!"


def load_exact_tokenizer(location: str | Path, revision: str | None = None, *, offline: bool = False) -> Any:
    """Load the tokenizer that `tokenizer.json` defines, from a directory or a Hub repository.

    For some model types, qwen2 among them, the AutoTokenizer of transformers 5 keeps the vocabulary but replaces the
    pre-tokenizer with another: token ids are wrong, without a warning. AutoTokenizer is therefore used only
    where there is no `tokenizer.json`. No code from `location` is run. `offline` looks into the Hub cache only.

    Raises the errors of transformers and huggingface_hub, most often OSError or ValueError.
    """
    import transformers

    # Only the attribute that is read is imported, and AutoTokenizer imports torch, which takes another second.
    exact = _has_definition(location, revision, offline)
    loader = transformers.PreTrainedTokenizerFast if exact else transformers.AutoTokenizer
    return loader.from_pretrained(
        str(location),
        revision=revision or "main",
        trust_remote_code=False,
        local_files_only=offline or Path(location).is_dir(),
    )


def auto_tokenizer_agrees(folder: Path) -> bool:
    """Whether AutoTokenizer gives the same ids as the exact tokenizer in a model directory (see
    `load_exact_tokenizer`). The comparison is made on one text on which pre-tokenizers differ.
    """
    from transformers import AutoTokenizer

    exact = load_exact_tokenizer(folder)
    try:
        auto = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return bool(auto(_PROBE)["input_ids"] == exact(_PROBE)["input_ids"])
    except Exception:  # a pre-tokenizer that does not fit the vocabulary fails with errors of many types
        return False


def load_tokenizer(
    name: str, revision: str | None = None, *, where: str = "tokenizer"
) -> "PreTrainedTokenizerFast":
    """Load a fast tokenizer from a directory, a `tokenizer.json`, or a Hub name with an optional revision.

    `where` is the recipe's file, line and key, and starts every error message. Raises UsageError for a path that does
    not exist or holds no fast tokenizer, UserError if the Hub does not return one.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return _from_file(path, where)
    if path.is_dir():
        return _from_directory(path, where)
    try:
        check_hub_name(name, nearby=revision is None)
    except UsageError as error:
        files = f"Give a directory with a {TOKENIZER_FILE}, the path of that file, or a name on the Hub."
        raise UsageError(f"{where}: there is no tokenizer at {error.message}", error.hint or files) from None
    return _from_hub(name, revision, where)


def encoder_of(
    tokenizer: "PreTrainedTokenizerFast",
    *,
    bos: bool = True,
    eos: bool = False,
    cache_bytes: int = CACHE_BYTES,
    where: str = "tokenizer",
) -> Encoder:
    """Make an `Encoder` from a loaded or trained tokenizer.

    Sequences are padded with EOS, as in the paper, or with the padding token if there is no EOS. Raises UsageError
    if `bos` or `eos` is set and there is no such token, or if there is no token to pad with.
    """
    if bos and tokenizer.bos_token_id is None:
        raise UsageError(
            f"{where}: the tokenizer has no BOS token, but the recipe puts one before every example",
            hint=f"Set tokenizer.bos=false, or set bos_token in the tokenizer's {CONFIG_FILE}.",
        )
    if eos and tokenizer.eos_token_id is None:
        raise UsageError(
            f"{where}: the tokenizer has no EOS token, but the recipe puts one after every example",
            hint=f"Set tokenizer.eos=false, or set eos_token in the tokenizer's {CONFIG_FILE}.",
        )
    pad_id = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.pad_token_id
    if pad_id is None:
        raise UsageError(
            f"{where}: the tokenizer has neither an EOS nor a padding token to fill sequences with",
            hint=f"Set eos_token in the tokenizer's {CONFIG_FILE}.",
        )
    return Encoder(
        tokenizer.backend_tokenizer,
        bos_id=tokenizer.bos_token_id,
        eos_id=tokenizer.eos_token_id,
        pad_id=pad_id,
        cache_bytes=cache_bytes,
    )


def load_encoder(folder: Path, *, bos_id: int | None, eos_id: int | None, pad_id: int | None) -> Encoder:
    """Make an `Encoder` from a directory with a `tokenizer.json`, without importing transformers."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    return Encoder(tokenizer, bos_id=bos_id, eos_id=eos_id, pad_id=pad_id)


def _has_definition(location: str | Path, revision: str | None, offline: bool) -> bool:
    """Whether a directory or Hub repository has a `tokenizer.json`.

    A Hub that cannot be reached raises an error: it must not look like a repository without the file. A repository or
    revision that does not exist returns False, because the error that AutoTokenizer then raises is clearer.
    """
    if Path(location).is_dir():
        return (Path(location) / TOKENIZER_FILE).is_file()
    from huggingface_hub import hf_hub_download, is_offline_mode
    from huggingface_hub.errors import (
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        hf_hub_download(str(location), TOKENIZER_FILE, revision=revision, local_files_only=offline)
    except (RemoteEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError):
        return False
    except LocalEntryNotFoundError:
        if offline or is_offline_mode():  # only the cache counts, and it does not have the file
            return False
        raise
    return True


def _from_file(path: Path, where: str) -> "PreTrainedTokenizerFast":
    """Load a `tokenizer.json`, with the configuration beside it if there is one: only that names the BOS token."""
    from transformers import PreTrainedTokenizerFast

    if path.name == TOKENIZER_FILE and (path.parent / CONFIG_FILE).is_file():
        return _from_directory(path.parent, where)
    try:
        return PreTrainedTokenizerFast(tokenizer_file=str(path))  # type: ignore[no-untyped-call]
    except Exception as error:  # the library raises bare Exceptions
        raise UsageError(f"{where}: {path} is not a tokenizer file: {_first_line(error)}") from error


def _from_directory(path: Path, where: str) -> "PreTrainedTokenizerFast":
    if not (path / CONFIG_FILE).is_file() and (path / TOKENIZER_FILE).is_file():
        return _from_file(path / TOKENIZER_FILE, where)
    try:
        tokenizer = load_exact_tokenizer(path)
    except Exception as error:  # a broken directory raises errors of many types from two libraries
        raise UsageError(
            f"{where}: the directory {path} has no tokenizer that can be loaded: {_first_line(error)}",
            hint=f"It needs a {TOKENIZER_FILE} and a {CONFIG_FILE}.",
        ) from error
    return _fast(tokenizer, str(path), where)


def _from_hub(name: str, revision: str | None, where: str) -> "PreTrainedTokenizerFast":
    from huggingface_hub.constants import ENDPOINT

    at_revision = f" at revision {revision}" if revision else ""
    what = f"{where}: cannot load the tokenizer {name}{at_revision} from the Hub"
    offline = None
    try:
        check_reachable(ENDPOINT)
    except UserError as error:  # it may still be in the cache
        offline = error
    try:
        tokenizer = load_exact_tokenizer(name, revision, offline=offline is not None)
    except Exception as error:  # network, permissions, formats: the library's own sentence helps most
        if offline is not None:
            raise UserError(f"{what}: {offline.message}", offline.hint) from None
        if status_of(error) is not None:
            raise hub_error(error, what, ENDPOINT) from error
        raise UserError(
            f"{what}: {_first_line(error)}",
            hint="Check the name and the network. Log in with `hf auth login` if the repository is gated or private, "
            "or give a local directory.",
        ) from error
    return _fast(tokenizer, name, where)


def _fast(tokenizer: object, name: str, where: str) -> "PreTrainedTokenizerFast":
    from transformers import PreTrainedTokenizerFast

    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UsageError(
            f"{where}: {name} has no fast tokenizer: it loads as {type(tokenizer).__name__}, which is slow",
            hint=f"Choose a tokenizer with a {TOKENIZER_FILE}. Slow tokenizers are not supported.",
        )
    return tokenizer


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
