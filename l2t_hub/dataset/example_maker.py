"""The examples of documents: assign a task, draw the partner, cut into blocks, make an example of each.

Whoever makes examples makes them here: builds and streams, the held-out text, the suite `tasks` and the demo page.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from l2t_hub.corpus.blocks import SHORT, blocks
from l2t_hub.corpus.document import Document
from l2t_hub.corpus.source_languages import SourceLanguages
from l2t_hub.dataset.drops import NO_EXAMPLE, NO_OTHER
from l2t_hub.dataset.ledger import FlowKey, Ledger
from l2t_hub.dataset.partners import Partners, SourceText, find_partners
from l2t_hub.dataset.views import ExampleRow, Split
from l2t_hub.mixture import NO_TASK, assign, generator, is_held_out
from l2t_hub.recipe import Recipe
from l2t_hub.tasks.base import Drop, Task, make_example, render
from l2t_hub.tasks.languages import Language
from l2t_hub.tasks.registry import available


@dataclass
class SplitDocument(SourceText):
    """A document with its split."""

    split: Split


@dataclass(frozen=True, slots=True)
class SplitExample:
    """A row of the examples view, not encoded yet, with its split."""

    split: Split
    row: ExampleRow


@dataclass(frozen=True)
class ExampleMaker:
    """Makes the examples of documents; `tasks` are those of the mixture that each language has the data for.

    `ledger` counts what is made and dropped, `file_drops` the documents that gave nothing, by file and reason.
    """

    recipe: Recipe
    tasks: Mapping[Language, Mapping[str, Task]]
    partners: Partners
    ledger: Ledger = field(default_factory=Ledger)
    file_drops: Counter[tuple[str, str]] = field(default_factory=Counter)

    def examples(self, source: SplitDocument, token_count: int) -> list[SplitExample]:
        """Assign a document its task and make an example of each block."""
        recipe, document, split = self.recipe, source.document, source.split
        tasks = self.tasks[source.language]
        partner = self.partners.of(document.id, split, source.language.code)
        if partner is None:
            tasks = {name: task for name, task in tasks.items() if not task.needs_other}
        assigned = assign(recipe.seed, document.id, len(source.sentences), recipe.mixture, tasks)
        if assigned.task is None:
            reason = NO_OTHER if partner is None and not tasks else NO_TASK
            self.ledger.count(FlowKey("assign", split, "task"), reason)
            self.file_drops[document.file, reason] += 1
            return []
        task = tasks[assigned.task]
        self.ledger.count(FlowKey("assign", split, task.name))
        kept, short = blocks(
            source.sentences,
            token_count,
            recipe.blocks.tokens_per_block,
            recipe.blocks.min_words,
            source.language,
            task.blocks_per_unit,
        )
        self.ledger.add(FlowKey("block", split, task.name), len(kept) + short, len(kept), {SHORT: short})
        other = partner.sentences if task.needs_other and partner is not None else ()
        examples: list[SplitExample] = []
        for number, block in kept:
            rng = generator(recipe.seed, document.id, "example", task.name, number)
            example = make_example(task, block, other, rng, f"document '{document.id}', block {number}")
            if isinstance(example, Drop):
                self.ledger.count(FlowKey("make", split, task.name), example.reason)
                continue
            anchor, text = render(example, rng, block.language)
            sides = (example.prompt, anchor, example.completion, text)
            row = ExampleRow(document.id, number, task.name, task.level, *sides)
            examples.append(SplitExample(split, row))
        self.ledger.count(FlowKey("make", split, task.name), units=len(examples))
        self.ledger.count(FlowKey("document", split, task.name), None if examples else NO_EXAMPLE)
        if not examples:
            self.file_drops[document.file, NO_EXAMPLE] += 1
        return examples


def tasks_by_language(
    tasks: Mapping[str, Task], languages: SourceLanguages
) -> dict[Language, dict[str, Task]]:
    """Return the tasks of each language, without those that it leaves out."""
    return {language: available(tasks, language) for language in languages.languages}


def split_document(recipe: Recipe, languages: SourceLanguages, document: Document) -> SplitDocument:
    """Return a document with the split that the recipe puts it into."""
    held_out = is_held_out(recipe.seed, document, recipe.validation.share)
    return SplitDocument(document, languages, "validation" if held_out else "train")


def maker_among(
    recipe: Recipe, tasks: Mapping[str, Task], languages: SourceLanguages, documents: Sequence[Document]
) -> ExampleMaker:
    """Return what makes examples of some documents, with partners among them, as if they were a whole partition."""
    partners = find_partners(recipe, tasks, languages, documents)
    return ExampleMaker(recipe, tasks_by_language(tasks, languages), partners)
