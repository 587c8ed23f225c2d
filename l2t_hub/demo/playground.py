"""An example of a task on a visitor's text: what a build would make of it, for a seed.

Pure but for reading the bundled sample, from which the other document of a task comes if the visitor gives none.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from l2t_hub.corpus.document import Document
from l2t_hub.corpus.files import SAMPLE
from l2t_hub.corpus.source import open_source
from l2t_hub.corpus.source_languages import source_languages
from l2t_hub.dataset.drops import NO_OTHER
from l2t_hub.dataset.example_maker import ExampleMaker, SplitDocument, maker_among
from l2t_hub.dataset.views import ExampleRow
from l2t_hub.errors import UserError, nearest
from l2t_hub.evaluate.held_out import beginning
from l2t_hub.evaluate.task_examples import TaskExample, estimated_tokens, single_task
from l2t_hub.extras import installed
from l2t_hub.mixture import NO_TASK
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.tasks.base import DROPS, Block, Task
from l2t_hub.tasks.languages import Language, language
from l2t_hub.tasks.languages.folder import LanguageFile, package_codes, package_folder, read_about
from l2t_hub.tasks.languages.segmenter import EXTRA
from l2t_hub.tasks.registry import TASKS, get_for
from l2t_hub.tasks.showcase import Span, changes
from l2t_hub.text import counted

MAX_CHARACTERS = 1_000
"""Characters of a text that are used. A text of so few is one block."""
MAX_SEED = 2**31 - 1
USUAL_WORDS = 20
"""Builds drop shorter blocks, so models have not been trained on any."""
OWN_ID, OTHER_ID = "your text", "your other text"
EXAMPLE_IDS = (
    "narrative/a-trespasser",
    "encyclopaedic/axolotl",
    "how-to/bleed-a-radiator",
    "letters/ablative-absolute",
    "argument/a-right-to-repair",
)
"""Documents of the bundled sample that are offered as texts."""


@dataclass(frozen=True)
class DrawnExample:
    """An example of a task on a block, with the changed spans of block and prompt.

    `partner` says which document the task took a sentence from, and `notes` what a visitor should know.
    """

    task: Task
    seed: int
    block: Block
    row: ExampleRow
    removed: tuple[Span, ...]
    added: tuple[Span, ...]
    partner: str = ""
    notes: tuple[str, ...] = ()

    @property
    def example(self) -> TaskExample:
        """The example as models read it."""
        return TaskExample.of(self.row)

    def as_dict(self) -> dict[str, Any]:
        """Return the example as JSON types."""
        return {
            "task": self.task.name,
            "level": self.task.level,
            "seed": self.seed,
            "language": self.block.language.code,
            "source": self.block.text,
            "prompt": self.row.prompt,
            "anchor": self.row.anchor,
            "completion": self.row.completion,
            "text": self.row.text,
            "other_document": self.partner,
            "notes": list(self.notes),
        }


def draw_example(task: str, text: str, seed: int, other: str = "", code: str = "en") -> DrawnExample:
    """Make an example of a task of a text, as a build with this seed would.

    `other` is the text that `last` and `deletion` take a sentence from; without one it is drawn from ours.
    Raises UserError that says why there is no example, UsageError for a task that there is not in the language.
    """
    spoken = _language(code)
    chosen = get_for(task, TASKS, spoken)
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"The seed must be a whole number from 0 to {MAX_SEED:,}.")
    recipe = single_task(_recipe(code).model_copy(update={"seed": seed}), task)
    languages = source_languages(recipe)
    own = Document(OWN_ID, cleaned(text), language=code)
    document = beginning(own, languages, MAX_CHARACTERS)
    partners = _partners(document, other, code) if chosen.needs_other else []
    maker = maker_among(recipe, {task: chosen}, languages, [document, *partners])
    source = SplitDocument(document, languages, "train")
    if not source.sentences:
        raise UserError("There is no text.", "Type one, or choose an example.")
    made = maker.examples(source, estimated_tokens(document.text))
    if not made:
        raise _no_example(chosen, maker, len(source.sentences))
    block = Block(tuple(source.sentences), spoken)
    row = made[0].row
    partner = maker.partners.of(OWN_ID, "train", code) if chosen.needs_other else None
    return DrawnExample(
        chosen,
        seed,
        block,
        row,
        *changes(chosen, block, row.prompt),
        partner.document.id if partner else "",
        _notes(own, document, block),
    )


def cleaned(text: str) -> str:
    """Return a pasted text without space around it, and without halves of characters, which tokenizers refuse."""
    bounded = (text or "").strip()[: 4 * MAX_CHARACTERS]
    return bounded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def texts_offered() -> dict[str, tuple[str, str]]:
    """Return the texts that a visitor can choose: title -> (language code, text)."""
    languages = source_languages(_recipe("en"))
    sample = {document.id: document for document in _sample()}
    found = {}
    for name in EXAMPLE_IDS:
        kind, _, title = name.partition("/")
        text = beginning(sample[name], languages, MAX_CHARACTERS).text.strip()
        found[f"{title.replace('-', ' ').capitalize()} ({kind})"] = ("en", text)
    for code, about in _about().items():
        if about.passage:
            found[f"A ferry ({about.name})"] = (code, about.passage)
    return found


def languages_offered() -> dict[str, str]:
    """Return the languages that have data, English first: name -> code."""
    return {about.name: code for code, about in _about().items()}


@cache
def _about() -> dict[str, LanguageFile]:
    """Return the descriptions of the languages, without their word lists, which take time to read.

    Where ICU is not installed, scripts without spaces are left out: their words could not be found.
    """
    folders = {code: package_folder(code) for code in package_codes()}
    found = {code: read_about(folder) for code, folder in folders.items() if folder is not None}
    usable = {code: about for code, about in found.items() if about.spaces or installed(EXTRA)}
    return dict(sorted(usable.items(), key=lambda item: (item[0] != "en", item[1].name)))


def _language(code: str) -> Language:
    if code not in _about():  # a path would be read as a folder of data
        raise UserError(f"There is no language '{code[:20]}' here.", nearest(code[:20], _about()))
    return language(code)


@cache
def _recipe(code: str) -> Recipe:
    return recipe_from_tree(
        {
            "name": "playground",
            "source": {"path": SAMPLE, "language": code},
            "blocks": {"min_words": 1},
            "validation": {"share": 0},
        }
    )


@cache
def _sample() -> tuple[Document, ...]:
    source = open_source(_recipe("en"))
    return tuple(record for record in source.read(0) if isinstance(record, Document))


def _partners(own: Document, other: str, code: str) -> list[Document]:
    """Return the documents that the other one is drawn from: the visitor's, or ours without the visitor's text."""
    if typed := cleaned(other):
        return [Document(OTHER_ID, typed[:MAX_CHARACTERS], language=code)]
    if code == "en":
        return [document for document in _sample() if own.text not in document.text]
    passage = language(code).about.other
    return [Document("the bundled passage", passage, language=code)] if passage else []


def _no_example(task: Task, maker: ExampleMaker, sentences: int) -> UserError:
    """Return why a text gave no example, from the ledger."""
    stages = [maker.ledger.total(stage).dropped for stage in ("assign", "block", "make")]
    reason = next((name for dropped in stages for name in dropped), "")
    if reason == NO_OTHER:
        return UserError(
            f"The task {task.name} needs a second text.", "Type one into the box for the other text."
        )
    if reason == NO_TASK:
        return UserError(
            f"The task {task.name} needs a text of at least {counted(task.min_sentences, 'sentence')}, and this one "
            f"has {sentences}.",
            "Add a sentence, or choose another task.",
        )
    why = DROPS.get(reason, "the text has too few words")
    return UserError(
        f"The task {task.name} makes no example of this text: {why}.", "Change the text, or the task."
    )


def _notes(own: Document, used: Document, block: Block) -> tuple[str, ...]:
    notes = []
    if used.text != own.text:
        notes.append(
            f"The text was cut to its first {len(used.text):,} characters: the page reads at most {MAX_CHARACTERS:,}."
        )
    if len(block.words) < USUAL_WORDS:
        notes.append(
            f"The text has {counted(len(block.words), 'word')}. Models are trained on texts of {USUAL_WORDS} or more."
        )
    return tuple(notes)
