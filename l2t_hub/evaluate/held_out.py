"""The held-out text of a run: the same passages for every model of it, as raw text and as examples of each task.

A model's own validation split is a mixture as its training split is, so losses on it compare nothing. These passages
are the beginnings of documents that the seed holds out, drawn by address among the first documents of the source; the
tokenizer and the mixture have no say. Examples are made as for a dataset of that one task.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from l2t_hub.artifacts import write_text
from l2t_hub.corpus.document import Document
from l2t_hub.corpus.source import digest, open_source
from l2t_hub.corpus.source_languages import SourceLanguages, source_languages
from l2t_hub.dataset.example_maker import SplitDocument, maker_among
from l2t_hub.dataset.ledger import RAW
from l2t_hub.dataset.manifest import made_by
from l2t_hub.dataset.partners import Pool
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate.task_examples import estimated_tokens
from l2t_hub.mixture import is_held_out, uniform
from l2t_hub.recipe import Recipe
from l2t_hub.recipe.schema import MixtureSection
from l2t_hub.records.bounds import Name, Sha256
from l2t_hub.records.reading import Record, explain, parse_json, read_bounded
from l2t_hub.tasks.base import Task
from l2t_hub.tasks.registry import tasks_for
from l2t_hub.train.locate import DatasetLocation

SEARCHED_DOCUMENTS = 20_000
"""Documents at the start of the source among which the passages are drawn."""
PASSAGE_CHARACTERS = 2_000
R = TypeVar("R", bound=Record)
REMEDY = "Delete it: the same command makes it again."


class HeldOutHeader(Record):
    """The first line of a file of held-out text: what its documents were held out from."""

    held_out_from: Sha256


class HeldOutText(Record):
    """A text of the held-out text. `part` is raw or a task."""

    part: Name
    document_id: str
    text: str


@dataclass(frozen=True)
class HeldOut:
    """Texts by part, raw text first."""

    texts: Mapping[str, tuple[str, ...]]

    def sha256(self, part: str) -> str:
        """Return the SHA-256 of a part's texts."""
        return hashlib.sha256(json.dumps(self.texts[part]).encode()).hexdigest()


def held_out_from(seed: int, contents: Mapping[str, str], validation: Mapping[str, Any]) -> str:
    """Return the hash of what decides which documents are held out. Two datasets with the same hold out the same."""
    files = validation.get("files")
    return digest([seed, dict(contents), validation["share"], list(files) if files else None])


def held_out_file(folder: Path, recipe: Recipe, dataset: DatasetLocation) -> Path:
    """Return the name of a recipe's held-out text in a folder: releases share it if it is the same for them."""
    evaluation, tree = recipe.evaluation, recipe.resolved()
    decides = {
        "held out from": held_out_from(recipe.seed, dataset.manifest.source["contents"], tree["validation"]),
        "made by": made_by(recipe),
        "recipe": [tree["source"], tree["blocks"], tree["mixture"]["modules"], evaluation.held_out_documents],
        "modules": dataset.manifest.modules,
    }
    return folder / f"{digest(decides)[:16]}.jsonl"


def make_held_out(recipe: Recipe, path: Path) -> None:
    """Write the held-out text of a recipe, as JSON Lines.

    Without a held-out document there is none. Raises what reading the source raises.
    """
    source = open_source(recipe)
    languages = source_languages(recipe)
    records = chain.from_iterable(map(source.read, range(recipe.build.partitions)))
    passages = _passages(recipe, languages, islice(records, SEARCHED_DOCUMENTS))
    rows = [(RAW, passage.id, passage.text) for passage in passages]
    for task in tasks_for(recipe.mixture.modules).values() if passages else ():
        rows += _examples(recipe, task, languages, passages)
    header = HeldOutHeader(
        held_out_from=held_out_from(recipe.seed, source.contents, recipe.validation.model_dump(mode="json"))
    )
    texts = (HeldOutText(part=part, document_id=document, text=text) for part, document, text in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(record.model_dump_json() + "\n" for record in (header, *texts)))


def read_held_out(path: Path, dataset: DatasetLocation) -> HeldOut:
    """Read the held-out text of a file.

    Raises UserError if the file is malformed, UsageError if a model that is trained on the dataset may have seen the
    text, since it was held out from another source or with another seed.
    """
    lines = read_bounded(path).splitlines()
    header = _parsed(HeldOutHeader, lines[0] if lines else b"", f"{path}, line 1")
    manifest = dataset.manifest
    contents, recipe = manifest.source["contents"], manifest.recipe
    if header.held_out_from != held_out_from(recipe["seed"], contents, recipe["validation"]):
        raise UsageError(
            f"{path}: its documents were held out from another source, or with another seed or share, than those of "
            f"{dataset.name}; the model may be trained on them",
            "Name another file with --held-out: the command makes it.",
        )
    texts: dict[str, list[str]] = {}
    for number, line in enumerate(lines[1:], start=2):
        row = _parsed(HeldOutText, line, f"{path}, line {number}")
        texts.setdefault(row.part, []).append(row.text)
    return HeldOut({part: tuple(rows) for part, rows in texts.items()})


def _parsed(schema: type[R], line: bytes, where: str) -> R:
    try:
        return schema.model_validate(parse_json(line, where, "held-out text", REMEDY))
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, schema)}", REMEDY) from None


def _passages(recipe: Recipe, languages: SourceLanguages, records: Iterator[Any]) -> list[Document]:
    """Draw documents among the held-out ones, and cut each to its beginning."""
    pool = Pool()
    for record in records:
        if isinstance(record, Document) and is_held_out(recipe.seed, record, recipe.validation.share):
            pool.offer(uniform(recipe.seed, record.id, "held-out text"), record)
    documents = pool.documents()[: recipe.evaluation.held_out_documents]
    return [beginning(document, languages) for document in documents]


def beginning(
    document: Document, languages: SourceLanguages, characters: int = PASSAGE_CHARACTERS
) -> Document:
    """Return a document's first sentences, at most `characters` characters."""
    text = document.text[:characters]
    if len(document.text) > characters:
        sentences = languages.sentences(text, languages.of(document))
        if len(sentences) > 1:  # the last one is cut off
            text = text[: max(text.rfind(sentences[-1]), 0)].rstrip() or text
    # Blocks are cut by an estimate, so that models with different tokenizers get the same examples.
    return Document(document.id, text, estimated_tokens(text), document.language, document.file)


def _examples(
    recipe: Recipe, task: Task, languages: SourceLanguages, passages: Sequence[Document]
) -> list[tuple[str, str, str]]:
    """Return (task, document, text) of the examples that a dataset of the single task has of the passages."""
    mixture = MixtureSection(scheme="single", task=task.name, modules=recipe.mixture.modules)
    single = recipe.model_copy(update={"mixture": mixture})
    maker = maker_among(single, {task.name: task}, languages, passages)
    return [
        (task.name, example.row.document_id, example.row.text)
        for passage in passages
        for example in maker.examples(
            SplitDocument(passage, languages, "validation"), passage.token_count or 0
        )
    ]
