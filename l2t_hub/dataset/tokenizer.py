"""The tokenizer of a build: loaded by name or trained on the training documents, and saved in the dataset."""

import json
import shutil
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from l2t_hub.artifacts import TOKENIZER, disk_errors
from l2t_hub.corpus.source import Document, Source, digest
from l2t_hub.dataset.progress import Reporter
from l2t_hub.dataset.workspace import Workspace
from l2t_hub.mixture import is_validation
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import TokenizerInfo
from l2t_hub.tokens.encode import Encoder
from l2t_hub.tokens.load import TOKENIZER_FILE, encoder_of, load_encoder, load_tokenizer

KEY = "trained.json"


def prepare_tokenizer(
    recipe: Recipe, source: Source, space: Workspace, finished: TokenizerInfo | None, report: Reporter
) -> TokenizerInfo:
    """Put the recipe's tokenizer into the workspace; a trained one is trained only if none is there that still holds.

    `finished` is the tokenizer entry of the manifest of a dataset that already lies in the output directory.
    """
    folder = space.folder / TOKENIZER
    if recipe.tokenizer.name is not None:
        return _save(_load(recipe), recipe, None, folder)
    key = training_key(recipe, source)
    unfinished = _parsed(space.read(KEY))
    for place, known in ((folder, unfinished), (space.out / TOKENIZER, finished)):
        if known is not None and known.trained == key and _holds(place, known):
            if place != folder:
                with disk_errors(folder):
                    shutil.copytree(place, folder, dirs_exist_ok=True)
            return known
    from l2t_hub.tokens.train_bpe import train_bpe

    report.say(
        f"training a byte-level BPE tokenizer of {recipe.tokenizer.vocab_size:,} entries on the training documents"
    )
    where = recipe.where("tokenizer.vocab_size")
    tokenizer = train_bpe(_training_texts(recipe, source), recipe.tokenizer.vocab_size, where=where)
    info = _save(tokenizer, recipe, key, folder)
    space.write(KEY, info.model_dump())
    return info


def training_key(recipe: Recipe, source: Source) -> str:
    """The hash of everything that decides a trained tokenizer."""
    inputs = [source.inputs(n) for n in range(recipe.build.partitions)]
    share, size = recipe.validation.share, recipe.tokenizer.vocab_size
    columns = [recipe.source.text_column, recipe.source.id_column, recipe.build.on_error]
    return digest([inputs, columns, recipe.source.limit, recipe.seed, share, size, version("tokenizers")])


@lru_cache(maxsize=1)
def encoder(folder: Path, info: TokenizerInfo) -> Encoder:
    """The encoder of a saved tokenizer. One per process: its word cache stays warm from partition to partition."""
    return load_encoder(folder, bos_id=info.bos_id, eos_id=info.eos_id, pad_id=info.pad_id)


def _load(recipe: Recipe) -> Any:
    where = recipe.where("tokenizer.name")
    return load_tokenizer(str(recipe.tokenizer.name), recipe.tokenizer.revision, where=where)


def _save(tokenizer: Any, recipe: Recipe, key: str | None, folder: Path) -> TokenizerInfo:
    """Write a tokenizer's files and read from it what the build needs."""
    ready = encoder_of(tokenizer, bos=recipe.tokenizer.bos, where=recipe.where("tokenizer.bos"))
    shutil.rmtree(folder, ignore_errors=True)
    with disk_errors(folder):
        folder.mkdir(parents=True)
        tokenizer.save_pretrained(folder)
    definition = json.loads((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))
    ids = [ready.bos_id, ready.eos_id, ready.pad_id]
    return TokenizerInfo(
        name=recipe.tokenizer.name,
        revision=recipe.tokenizer.revision,
        trained=key,
        sha256=digest([definition, *ids]),
        vocab_size=ready.vocab_size,
        bos_id=ready.bos_id,
        eos_id=ready.eos_id,
        pad_id=int(ready.pad_id or 0),
        method=ready.method,
    )


def _parsed(tree: Any) -> TokenizerInfo | None:
    try:
        return TokenizerInfo.model_validate(tree)
    except ValidationError:
        return None


def _holds(folder: Path, known: TokenizerInfo) -> bool:
    """Whether a saved tokenizer is still what its entry says."""
    try:
        definition = json.loads((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(digest([definition, known.bos_id, known.eos_id, known.pad_id]) == known.sha256)


def _training_texts(recipe: Recipe, source: Source) -> Iterator[str]:
    """The texts of all documents that are not held out, in source order."""
    for partition in range(recipe.build.partitions):
        for record in source.read(partition):
            if isinstance(record, Document) and not is_validation(
                recipe.seed, record.id, recipe.validation.share
            ):
                yield record.text
