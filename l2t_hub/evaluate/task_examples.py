"""Examples of every task on text that no model was trained on: the same ones for all models of an evaluation.

They are made as a build makes them, with the same rule for the other document that some tasks need. Blocks are cut
by characters, not tokens, so that models with different tokenizers get the same examples.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path

from l2t_hub.corpus.document import Document
from l2t_hub.corpus.source import open_source
from l2t_hub.corpus.source_languages import SourceLanguages, source_languages
from l2t_hub.dataset.example_maker import SplitDocument, maker_among, split_document
from l2t_hub.dataset.views import ExampleRow
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.recipe.schema import MixtureSection
from l2t_hub.tasks.base import Task
from l2t_hub.tasks.registry import tasks_for
from l2t_hub.text import counted

SEED = 0
MAX_DOCUMENTS = 1_000
"""Records at the start of the text that examples are made of."""
MAX_CHARACTERS = 20_000
"""Characters at the start of a document that examples are made of."""
MAX_SIDE_CHARACTERS = 8_000
"""Four times the length of a usual block. Examples with a longer side, as of text without sentences, are left out."""
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class TaskExample:
    """An example: the model reads `prompt`, which ends with the anchor, and is to write `completion`."""

    task: str
    id: str
    prompt: str
    gap: str
    """What stands between them: a space or nothing."""
    completion: str

    @classmethod
    def of(cls, row: ExampleRow) -> "TaskExample":
        """Return the example of a row of the examples view."""
        prompt = f"{row.prompt}\n\n{row.anchor}"
        gap = row.text[len(prompt) : len(row.text) - len(row.completion)]
        return cls(row.task, f"{row.document_id}/{row.block}", prompt, gap, row.completion)

    @property
    def text(self) -> str:
        """The text that a model is trained on."""
        return self.prompt + self.gap + self.completion


def read_examples(
    text: str, per_task: int, tokens_per_block: int | None = None, *, partial: bool = False
) -> dict[str, list[TaskExample]]:
    """Make up to `per_task` examples of each of the fourteen tasks of a file or folder of English text.

    `tokens_per_block` is that of a recipe. Raises UsageError if there is no such file, UserError if it cannot be read
    or no example of a task can be made of it, with `partial` of any task.
    """
    if not Path(text).exists():
        raise UsageError(
            f"--text {text}: no such file or folder", "Give text that the models were not trained on."
        )
    where = {"path": str(Path(text).absolute()), "id_column": None}
    tree = {"name": "held-out-text", "seed": SEED, "source": where, "validation": {"share": 0}}
    if tokens_per_block is not None:
        tree["blocks"] = {"tokens_per_block": tokens_per_block}
    recipe = recipe_from_tree(tree)
    languages = source_languages(recipe)
    try:
        # Kept over all tasks, so that each document is split into sentences once.
        documents = [split_document(recipe, languages, document) for document in _documents(recipe)]
    except UserError as error:  # its hint is about the keys of a recipe
        problem = error.message.removeprefix(f"{recipe.where('source.path')}: ")
        raise UserError(
            f"--text: {problem}",
            "Give UTF-8 text: a Parquet, JSON Lines or CSV file with a column `text`, a text file, or a folder.",
        ) from error

    found = {
        task.name: list(islice(_examples(recipe, task, languages, documents), per_task))
        for task in tasks_for().values()
    }
    if not (any if partial else all)(found.values()):
        missing = ", ".join(name for name, examples in found.items() if not examples)
        raise UserError(
            f"--text {text}: no example of {missing} can be made of its {counted(len(documents), 'document')}",
            "Give more text: several documents of several sentences, such as JSON Lines or a folder of files.",
        )
    return found


def _documents(recipe: Recipe) -> list[Document]:
    source = open_source(recipe)
    records = chain.from_iterable(map(source.read, range(recipe.build.partitions)))
    return [
        replace(record, text=record.text[:MAX_CHARACTERS])
        for record in islice(records, MAX_DOCUMENTS)
        if isinstance(record, Document)
    ]


def sha256_of_examples(examples: Sequence[TaskExample]) -> str:
    """Return the SHA-256 of some examples."""
    return hashlib.sha256(json.dumps([asdict(example) for example in examples]).encode()).hexdigest()


def single_task(recipe: Recipe, task: str) -> Recipe:
    """Return a recipe that makes examples of one task of every document of enough sentences."""
    mixture = MixtureSection(scheme="disjoint", raw_share=0, tasks=(task,))
    return recipe.model_copy(update={"mixture": mixture})


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has, whatever the tokenizer."""
    return len(text) // CHARACTERS_PER_TOKEN


def _examples(
    recipe: Recipe, task: Task, languages: SourceLanguages, documents: Sequence[SplitDocument]
) -> Iterator[TaskExample]:
    """Make the examples of a task as for a dataset of these documents, and leave out the long ones."""
    single = single_task(recipe, task.name)
    maker = maker_among(single, {task.name: task}, languages, [source.document for source in documents])
    for source in documents:
        for example in maker.examples(source, estimated_tokens(source.document.text)):
            row = example.row
            if max(len(row.prompt), len(row.completion)) <= MAX_SIDE_CHARACTERS:
                yield TaskExample.of(row)
