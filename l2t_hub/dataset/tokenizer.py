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
from l2t_hub.errors import UserError
from l2t_hub.mixture import is_held_out
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import TokenizerInfo
from l2t_hub.records.reading import read_json
from l2t_hub.tokens.encode import Encoder
from l2t_hub.tokens.load import TOKENIZER_FILE, encoder_of, load_encoder, load_tokenizer

TRAINED = "trained.json"


def prepare_tokenizer(
    recipe: Recipe, source: Source, workspace: Workspace, before: TokenizerInfo | None, reporter: Reporter
) -> TokenizerInfo:
    """Save the recipe's tokenizer in the workspace.

    A tokenizer is trained only if neither the workspace nor the dataset in the output directory has one that still
    applies; `before` is the entry of that dataset's manifest.
    """
    folder = workspace.folder / TOKENIZER
    if recipe.tokenizer.name is not None:
        where = recipe.where("tokenizer.name")
        tokenizer = load_tokenizer(recipe.tokenizer.name, recipe.tokenizer.revision, where=where)
        return _save(tokenizer, recipe, None, folder)
    key = training_key(recipe, source)
    unfinished = _parse_info(workspace.read_json(TRAINED))
    for saved, info in ((folder, unfinished), (workspace.out / TOKENIZER, before)):
        if info is not None and info.trained == key and _is_intact(saved, info):
            if saved != folder:
                with disk_errors(folder):
                    shutil.copytree(saved, folder, dirs_exist_ok=True)
            return info
    from l2t_hub.tokens.train_bpe import train_bpe

    size = recipe.tokenizer.vocab_size
    reporter.message(f"training a byte-level BPE tokenizer with {size:,} entries on the training documents")
    tokenizer = train_bpe(_training_texts(recipe, source), size, where=recipe.where("tokenizer.vocab_size"))
    info = _save(tokenizer, recipe, key, folder)
    workspace.write_json(TRAINED, info.model_dump())
    return info


def training_key(recipe: Recipe, source: Source) -> str:
    """Return the hash of everything that decides a trained tokenizer."""
    inputs = [source.inputs(rank) for rank in range(recipe.build.partitions)]
    split, size = [recipe.validation.share, recipe.validation.files], recipe.tokenizer.vocab_size
    columns = [recipe.source.text_column, recipe.source.id_column, recipe.build.on_error]
    return digest([inputs, columns, recipe.source.limit, recipe.seed, split, size, version("tokenizers")])


@lru_cache(maxsize=1)
def encoder(folder: Path, info: TokenizerInfo) -> Encoder:
    """Return the encoder of a saved tokenizer. A process has one, so its word cache serves all its partitions."""
    return load_encoder(folder, bos_id=info.bos_id, eos_id=info.eos_id, pad_id=info.pad_id)


def _save(tokenizer: Any, recipe: Recipe, key: str | None, folder: Path) -> TokenizerInfo:
    """Write a tokenizer's files and return its entry for the manifest. `key` is None for a named tokenizer."""
    section = recipe.tokenizer
    where = recipe.where("tokenizer.name")
    encoder = encoder_of(tokenizer, bos=section.bos, eos=section.eos, where=where)
    shutil.rmtree(folder, ignore_errors=True)
    with disk_errors(folder):
        folder.mkdir(parents=True)
        tokenizer.save_pretrained(folder)
    definition = json.loads((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))
    return TokenizerInfo(
        name=recipe.tokenizer.name,
        revision=recipe.tokenizer.revision,
        trained=key,
        sha256=digest([definition, encoder.bos_id, encoder.eos_id, encoder.pad_id]),
        vocab_size=encoder.vocab_size,
        bos_id=encoder.bos_id,
        eos_id=encoder.eos_id,
        pad_id=int(encoder.pad_id or 0),
        method=encoder.method,
    )


def _parse_info(tree: Any) -> TokenizerInfo | None:
    try:
        return TokenizerInfo.model_validate(tree)
    except ValidationError:
        return None


def _is_intact(folder: Path, info: TokenizerInfo) -> bool:
    """Whether a saved tokenizer is still the one that its entry describes."""
    try:
        definition = read_json(folder / TOKENIZER_FILE)
    except UserError:
        return False
    return bool(digest([definition, info.bos_id, info.eos_id, info.pad_id]) == info.sha256)


def _training_texts(recipe: Recipe, source: Source) -> Iterator[str]:
    """Yield the texts of all documents that are not held out, in source order."""
    seed, share = recipe.seed, recipe.validation.share
    for rank in range(recipe.build.partitions):
        for record in source.read(rank):
            if isinstance(record, Document) and not is_held_out(seed, record, share):
                yield record.text
