"""Examples of every task on text that no model was trained on: the same ones for all models of an evaluation.

Blocks are cut by characters, not tokens, so that models with different tokenizers get the same examples.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import chain, islice
from pathlib import Path

from l2t_hub.corpus.blocks import blocks
from l2t_hub.corpus.document import Document
from l2t_hub.corpus.source import open_source
from l2t_hub.corpus.source_languages import SourceLanguages, source_languages
from l2t_hub.errors import UsageError, UserError
from l2t_hub.mixture import generator
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.tasks.base import Drop, Task, make_example, render
from l2t_hub.tasks.registry import tasks_for
from l2t_hub.text import counted

SEED = 0
MAX_DOCUMENTS = 1_000
"""Records at the start of the text that examples are made of."""
MAX_CHARACTERS = 20_000
"""Characters at the start of a document that examples are made of."""
MAX_BLOCK_CHARACTERS = 8_000
"""Four times the length of a usual block. Longer ones, such as a text without sentences, give no example."""
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


def read_examples(text: str, per_task: int) -> dict[str, list[TaskExample]]:
    """Make up to `per_task` examples of each of the fourteen tasks of a file or folder of English text.

    Raises UsageError if there is no such file, UserError if it cannot be read or no example can be made of it.
    """
    if not Path(text).exists():
        raise UsageError(
            f"--text {text}: no such file or folder", "Give text that the models were not trained on."
        )
    where = {"path": str(Path(text).absolute()), "id_column": None}
    recipe = recipe_from_tree({"name": "held-out-text", "seed": SEED, "source": where})
    languages = source_languages(recipe)
    try:
        documents = _documents(recipe)
    except UserError as error:  # its hint is about the keys of a recipe
        problem = error.message.removeprefix(f"{recipe.where('source.path')}: ")
        raise UserError(
            f"--text: {problem}",
            "Give UTF-8 text: a Parquet, JSON Lines or CSV file with a column `text`, a text file, or a folder.",
        ) from error

    @cache
    def sentences(document: Document) -> tuple[str, ...]:
        return tuple(languages.sentences(document.text, languages.of(document)))

    found = {
        task.name: list(islice(_examples(recipe, task, languages, sentences, documents), per_task))
        for task in tasks_for().values()
    }
    if not all(found.values()):
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


def _examples(
    recipe: Recipe,
    task: Task,
    languages: SourceLanguages,
    split: Callable[[Document], Sequence[str]],
    documents: Sequence[Document],
) -> Iterator[TaskExample]:
    """Make the examples of a task. The other document that some tasks need is the next one in the text."""
    cut = recipe.blocks
    for place, document in enumerate(documents):
        language = languages.of(document)
        sentences = split(document)
        other = documents[(place + 1) % len(documents)]
        if len(sentences) < task.min_sentences or (task.needs_other and other is document):
            continue
        others = split(other) if task.needs_other else ()
        tokens = len(document.text) // CHARACTERS_PER_TOKEN
        kept, _ = blocks(
            sentences, tokens, cut.tokens_per_block, cut.min_words, language, task.blocks_per_unit
        )
        for number, block in kept:
            if len(block.text) > MAX_BLOCK_CHARACTERS:
                continue
            rng = generator(SEED, document.id, "example", task.name, number)
            example = make_example(task, block, others, rng, f"document '{document.id}', block {number}")
            if isinstance(example, Drop):
                continue
            anchor, whole = render(example, rng, language)
            prompt = f"{example.prompt}\n\n{anchor}"
            gap = whole[len(prompt) : len(whole) - len(example.completion)]
            yield TaskExample(task.name, f"{document.id}/{number}", prompt, gap, example.completion)
