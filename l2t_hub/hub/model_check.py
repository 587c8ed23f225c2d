"""Whether a stranger's model may be loaded: a bounded configuration, no code, and exactly the weights it needs.

transformers trusts what it loads. It follows switches of `config.json` to kernels and quantisers, allocates what the
configuration asks for, and fills weights that are missing with random numbers.
"""

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from l2t_hub.artifacts import CONFIG, WEIGHTS
from l2t_hub.errors import UserError
from l2t_hub.hub.unsafe_files import REMOTE_CODE_FILES, has_auto_map
from l2t_hub.records.reading import parse_json, read_bounded
from l2t_hub.records.repo_path import inside

INDEX = f"{WEIGHTS}.index.json"
MAX_CONFIG_BYTES = 1 << 20
MAX_HEADER_BYTES = 64_000_000
MAX_LAYERS = 1_000
MAX_NUMBER = 2**31 - 1
_REMEDY = "Use a model whose files are unchanged since its release."


def read_model_config(directory: Path, name: str) -> dict[str, Any]:
    """Return a model's `config.json` without the switches that choose how it is loaded.

    `name` is what errors call the model. Raises UserError if the file is missing or malformed, if a number is out of
    bounds, or if one of the model's files asks for code or for a quantiser.
    """
    for file in REMOTE_CODE_FILES:
        path = inside(directory, file)
        if file != CONFIG and not path.is_file():
            continue
        content = read_bounded(path, MAX_CONFIG_BYTES)
        tree = (
            parse_json(content, f"{name}: {file}")
            if file == CONFIG
            else _any_json(content, f"{name}: {file}")
        )
        if not isinstance(tree, dict):
            raise UserError(f"{name}: {file} is not a JSON object", _REMEDY)
        if has_auto_map(tree):
            raise UserError(
                f"{name}: refused: {file} has `auto_map`, which makes transformers run code from the repository",
                "l2t only loads models whose classes are part of transformers.",
            )
        if file == CONFIG:
            config = tree
    if "quantization_config" in config:
        raise UserError(
            f"{name}: {CONFIG} has `quantization_config`, and l2t loads no quantised weights",
            "Use the unquantised model.",
        )
    _check_numbers(config, name)
    return {key: value for key, value in config.items() if not key.endswith(("_implementation", "_impl"))}


def _any_json(content: bytes, where: str) -> Any:
    """Parse JSON with numbers of any size, such as a tokenizer's `model_max_length`. Raises UserError."""
    try:
        return from_json(content)
    except ValueError as error:
        raise UserError(f"{where}: not JSON: {error}", _REMEDY) from None


def _check_numbers(config: Mapping[str, Any], name: str) -> None:
    """Raise UserError for a number that no model has, before anything is allocated or looped over."""
    nodes: list[tuple[str, Any]] = list(config.items())
    while nodes:
        key, value = nodes.pop()
        if isinstance(value, dict):
            nodes.extend(value.items())
        elif isinstance(value, list):
            nodes.extend((key, entry) for entry in value)
        elif isinstance(value, int) and not isinstance(value, bool):
            counted = key.startswith(("num_", "n_")) or "layer" in key
            if abs(value) > (MAX_LAYERS if counted else MAX_NUMBER):
                raise UserError(f"{name}: {CONFIG}: {key[:60]!r} is larger than any model's", _REMEDY)


def check_weights(directory: Path, name: str, wanted: int) -> None:
    """Check that a model's files hold as many weights as its architecture has, and that they fit into memory.

    `wanted` counts the elements of all parameters, tied ones once. Only the headers are read. Raises UserError.
    """
    stored, stored_bytes = count_weights(directory, name)
    if stored < wanted:
        raise UserError(
            f"{name}: the weights are incomplete: {stored:,} of the {wanted:,} numbers that {CONFIG} asks for",
            "Download the model again, or use another revision.",
        )
    available = _available_memory()
    if stored_bytes > available:
        raise UserError(
            f"{name}: the weights take {stored_bytes / 1e9:.1f} GB, and {available / 1e9:.1f} GB of memory are free",
            "Close other programs, or use a machine with more memory.",
        )


def count_weights(directory: Path, name: str) -> tuple[int, int]:
    """Return how many numbers a model's safetensors files hold, and their bytes, by the headers. Raises UserError."""
    stored = stored_bytes = 0
    for file in _weight_files(directory, name):
        header = read_tensor_header(inside(directory, file), f"{name}: {file}")
        for tensor, entry in header.items():
            if tensor != "__metadata__":
                stored += prod(entry["shape"])
                stored_bytes += entry["data_offsets"][1] - entry["data_offsets"][0]
    return stored, stored_bytes


def check_loaded(name: str, loading: Mapping[str, Any]) -> None:
    """Raise UserError if transformers had to invent or leave out weights; `loading` is its `output_loading_info`."""
    for what, keys in (
        ("lack", loading.get("missing_keys")),
        ("have unknown", loading.get("unexpected_keys")),
        ("have misshapen", loading.get("mismatched_keys")),
    ):
        if keys:
            raise UserError(
                f"{name}: refused: the weights {what} tensors ({len(keys)})",
                "A model with other weights than its architecture's cannot be scored. Use another revision.",
            )


def _weight_files(directory: Path, name: str) -> list[str]:
    """The safetensors files that transformers would read, checked to be names inside the repository."""
    if inside(directory, WEIGHTS).is_file():
        return [WEIGHTS]
    index = inside(directory, INDEX)
    if not index.is_file():
        raise UserError(
            f"{name}: no safetensors weights; loading a pickle would run its code",
            f"Use a repository or a revision with a {WEIGHTS}.",
        )
    tree = parse_json(read_bounded(index, MAX_HEADER_BYTES), f"{name}: {INDEX}")
    files = tree.get("weight_map") if isinstance(tree, dict) else None
    if not isinstance(files, dict) or not all(isinstance(file, str) for file in files.values()):
        raise UserError(f"{name}: {INDEX} has no `weight_map` of file names", _REMEDY)
    return sorted(set(files.values()))


def read_tensor_header(path: Path, where: str) -> dict[str, Any]:
    """Return the header of a safetensors file, whose entries the library checks when it opens the file.

    `where` is what errors call the file. Raises UserError if it is not complete.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
        with path.open("rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            content = file.read(min(size, MAX_HEADER_BYTES + 1))
    except (SafetensorError, OSError, struct.error) as error:
        raise UserError(f"{where}: not a complete safetensors file: {error}", _REMEDY) from None
    header: dict[str, Any] = parse_json(content.rstrip(b" "), where, "a safetensors header", _REMEDY)
    return header


def _available_memory() -> int:
    """Bytes of memory that a program can still take."""
    import psutil

    return int(psutil.virtual_memory().available)
