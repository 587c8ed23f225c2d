"""`l2t tasks`: the list of tasks, and one task applied to a text, with the changes highlighted."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Any, Final

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from l2t_hub.console import WholeTable
from l2t_hub.errors import UsageError, UserError
from l2t_hub.tasks import registry
from l2t_hub.tasks.base import DROPS, Block, Drop, Example, Task, make_example, render
from l2t_hub.tasks.languages import language as language_of

Span = tuple[int, int]
"""Start and end of a run of characters, as in a slice."""

MAX_CHARACTERS: Final = 4000
"""Above this average length of the two texts, changes are marked by word: comparing takes quadratic time."""


@dataclass(frozen=True)
class Showing:
    """A task applied to a source text.

    `removed` holds the spans of the source that are not in the prompt, `added` the spans of the prompt that are not
    in the source. Both are in order and disjoint. They are empty for a drop, and so are `anchor` and `text`.
    """

    task: Task
    source: str
    result: Example | Drop
    removed: tuple[Span, ...] = ()
    added: tuple[Span, ...] = ()
    anchor: str = ""
    text: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types; `dropped` is the reason if there is no example."""
        head = {"task": self.task.name, "level": self.task.level, "source": self.source}
        if isinstance(self.result, Drop):
            return {**head, "dropped": self.result.reason}
        return {**head, **asdict(self.result), "anchor": self.anchor, "text": self.text}

    def panel(self) -> Panel:
        """Return source, prompt, anchor and completion, with removed text marked in red and added text in green."""
        title = f"{self.task.name} · {self.task.level}: {self.task.description}"
        source = _marked(self.source, self.removed, "bold red underline")
        if isinstance(self.result, Drop):
            reason = DROPS.get(self.result.reason, self.result.reason)
            parts = (_part("source", source), Text(f"no example: {reason}", style="yellow"))
            return Panel(Group(*parts), title=Text(title), title_align="left", expand=False)
        prompt = _marked(self.result.prompt, self.added, "bold green underline")
        anchor = Text(self.anchor, style="cyan") if self.anchor else Text("(none drawn)", style="dim")
        completion = Text(self.result.completion)
        bodies = {"source": source, "prompt": prompt, "anchor": anchor, "completion": completion}
        body = Group(*(_part(*item) for item in bodies.items()))
        return Panel(body, title=Text(title), title_align="left", expand=False)


def list_tasks(modules: Sequence[str] = ()) -> list[dict[str, str]]:
    """Return name, level and description of every task, including those of `modules`."""
    tasks = registry.tasks_for(modules).values()
    return [{"name": task.name, "level": task.level, "description": task.description} for task in tasks]


def tasks_table(rows: Sequence[dict[str, str]]) -> Table:
    """Return the list as a table."""
    table = WholeTable("level", "task", "what the model must do", header_style="bold")
    for row in rows:
        table.add_row(row["level"], row["name"], row["description"])
    return table


def show_task(
    name: str,
    text: str | None,
    seed: int,
    split: Callable[[str], list[str]],
    modules: Sequence[str] = (),
    code: str = "en",
) -> Showing:
    """Make one example from a text (default: a short passage) with the random generator of `seed`.

    `split` splits a text of the language `code` into sentences. Raises UsageError for an unknown task and for one
    that the language leaves out, UserError for a text without words.
    """
    tasks, language = registry.tasks_for(modules), language_of(code)
    task = registry.get_for(name, tasks, language)
    if text is None and not language.about.passage:
        raise UsageError(f"there is no passage in {language.name} to show a task on", "Give a --text.")
    sentences = split(language.about.passage if text is None else text)
    if not sentences:
        raise UserError("--text has no words", 'For example: --text "Birds sing. The cat listens."')
    other = split(language.about.other) if language.about.other else []
    return apply_task(task, Block(tuple(sentences), language), other, random.Random(seed))


def apply_task(task: Task, block: Block, other: Sequence[str], rng: random.Random) -> Showing:
    """Make an example from the block and mark the changes."""
    result = make_example(task, block, other, rng, "this text")
    if isinstance(result, Drop):
        return Showing(task, block.text, result)
    removed, added = changes(task, block, result.prompt)
    return Showing(task, block.text, result, removed, added, *render(result, rng, block.language))


def changes(task: Task, block: Block, prompt: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the changed spans of a block and of a prompt made from it: of sentences, words or characters.

    The task's level decides, and for words also the script: without spaces, they are compared by character.
    """
    if task.level == "sentence":
        return differences(block.text, prompt, sentences=block.sentences)
    by_character = task.level == "character" or not block.language.spaced
    return differences(block.text, prompt, by_character=by_character)


def differences(
    source: str, prompt: str, *, by_character: bool = False, sentences: Sequence[str] = ()
) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the spans of `source` that are not in `prompt`, and the spans of `prompt` that are not in `source`.

    They are compared by word, or by character, or by the sentences given.
    """
    short = len(source) + len(prompt) <= 2 * MAX_CHARACTERS
    whole = sorted((re.escape(s) for s in sentences if s.strip()), key=len, reverse=True)
    unit = re.compile(r"(?s)." if by_character and short else "|".join((*whole, r"\s+", r"\S+")))
    old, new = unit.findall(source), unit.findall(prompt)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    changed = [operation for operation in matcher.get_opcodes() if operation[0] != "equal"]
    old_starts, new_starts = (list(accumulate(map(len, units), initial=0)) for units in (old, new))
    removed = tuple((old_starts[i], old_starts[j]) for _, i, j, _, _ in changed if i < j)
    added = tuple((new_starts[i], new_starts[j]) for _, _, _, i, j in changed if i < j)
    return removed, added


def _part(name: str, body: Text) -> Group:
    return Group(Text(name, style="bold dim"), body, Text(""))


def _marked(text: str, spans: Sequence[Span], style: str) -> Text:
    marked = Text(text)
    for start, end in spans:
        marked.stylize(style, start, end)
    return marked
