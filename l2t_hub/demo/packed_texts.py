"""The texts of a packed row: cut at their boundaries and decoded with the tokenizer in the dataset.

The tokenizer may be a stranger's. It is checked against the manifest, and used only if what it decodes is bounded: no
regular expressions, no long tokens, no long replacements.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

from pydantic_core import from_json

from l2t_hub.artifacts import TOKENIZER
from l2t_hub.demo.dataset_place import DatasetPlace, ShownDataset
from l2t_hub.demo.dataset_rows import CutText
from l2t_hub.errors import UserError
from l2t_hub.text import counted

Decode = Callable[[Sequence[int]], str]
FILE = f"{TOKENIZER}/tokenizer.json"
MAX_TOKENIZER_BYTES = 32 << 20
MAX_TOKEN_CHARACTERS = 1000
MAX_TEXTS = 100
_MAX_PART = 16


def load_decoder(dataset: ShownDataset) -> Decode:
    """Return the function that decodes token IDs of a dataset. Raises UserError if its tokenizer cannot be used."""
    digest = dataset.manifest.files.get(FILE)
    if digest is None:
        raise UserError(f"the manifest lists no {FILE}")
    return _load(dataset.place, digest)


@lru_cache(maxsize=4)
def _load(place: DatasetPlace, digest: str) -> Decode:
    try:
        content = place.read(FILE, MAX_TOKENIZER_BYTES)
    except OSError:
        raise UserError(f"{FILE} cannot be read") from None
    if sha256(content).hexdigest() != digest:
        raise UserError(f"{FILE} is not the file that the manifest lists")
    from tokenizers import Tokenizer

    try:
        _check_decoder(from_json(content).get("decoder"))
        tokenizer = Tokenizer.from_str(content.decode())
        longest = max(map(len, tokenizer.get_vocab(with_added_tokens=True)), default=0)
    except UserError:
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic of the library is no Exception
        raise UserError(f"{FILE} is not a tokenizer") from None
    if longest > MAX_TOKEN_CHARACTERS:
        raise UserError(f"{FILE} has a token of {longest:,} characters")
    return lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=False))


def _check_decoder(tree: Any) -> None:
    """Raise UserError for a decoder that could take long or make long text of short tokens."""
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, Mapping):
            if "Regex" in node:
                raise UserError(f"{FILE} decodes with a regular expression")
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
        elif isinstance(node, str) and len(node) > _MAX_PART:
            raise UserError(f"{FILE} decodes with a long text")


def decoded_texts(
    ids: Sequence[int], lengths: Sequence[int], decode: Decode | None, limit: int
) -> tuple[tuple[CutText, ...], int, str]:
    """Return the texts of a sequence, the positions of padding after them, and what is wrong with the row, or "".

    A text is cut after `limit` characters, and there are at most twice as many in all. Without `decode`, the texts
    are token IDs.
    """
    if any(length < 1 for length in lengths) or sum(lengths) > len(ids):
        return (), len(ids), "the lengths of its texts do not fit its token IDs."
    texts: list[CutText] = []
    left, start = 2 * limit, 0
    for length in lengths[:MAX_TEXTS]:
        part = ids[start : start + min(length, limit)]
        start += length
        if left > 0:
            try:
                text = decode(part) if decode else " ".join(map(str, part))
            except Exception as error:  # an ID that is no number of the tokenizer's
                return tuple(texts), len(ids) - sum(lengths), f"its token IDs cannot be decoded ({error})."
            kept = text[: min(limit, left)]
            is_cut = len(kept) < len(text) or length > limit
            texts.append(CutText(kept, counted(length, "token") if is_cut else ""))
            left -= len(kept)
    missing = len(lengths) - len(texts)
    problem = f"{counted(missing, 'more text')} in it." if missing else ""
    return tuple(texts), len(ids) - sum(lengths), problem
