"""`l2t tasks`: the tasks as a list, and one task at work on a text with what it changed highlighted."""

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from l2t_hub.errors import UserError
from l2t_hub.tasks import registry
from l2t_hub.tasks.base import DROPS, Block, Drop, Example, Task, render
from l2t_hub.tasks.show import Shown, show

PASSAGE = (
    "The old ferry leaves at seven, and nobody waits for late passengers. My sister once missed it because she had "
    "stopped to buy 3 pears. She watched the boat grow small, then ate every pear herself on the cold stone steps. "
    "By the time the next ferry came, the wind had turned and the harbour lamps were lit. Neither of us has ever "
    "been late again, although the baker on the quay still asks whether she would like some fruit for the journey. "
    "We laugh, we buy bread instead, and we are always the first on board."
)
OTHER = (
    "The museum keeps its largest clock in the cellar. It has not struck since the flood.",
    "Two carpenters are paid to wind it anyway.",
)


@dataclass(frozen=True)
class Showing:
    """One example with its making: task, source, prompt, anchor, completion, text, or the reason for none."""

    task: Task
    shown: Shown
    anchor: str
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; `dropped` names the reason where there is no example."""
        made = self.shown.made
        told = {"task": self.task.name, "level": self.task.level, "source": self.shown.source}
        if isinstance(made, Drop):
            return {**told, "dropped": made.reason}
        return {**told, **asdict(made), "anchor": self.anchor, "text": self.text}

    def panel(self) -> Panel:
        """For a terminal: the source with what the task removed, the prompt with what it added, the completion."""
        made, title = self.shown.made, f"{self.task.name} · {self.task.level}: {self.task.description}"
        source = _marked(self.shown.source, self.shown.removed, "bold red underline")
        if isinstance(made, Drop):
            why = DROPS.get(made.reason, made.reason)
            return Panel(
                Group(_part("source", source), Text(f"no example: {why}", style="yellow")), title=title
            )
        prompt = _marked(made.prompt, self.shown.added, "bold green underline")
        anchor = Text(self.anchor, style="cyan") if self.anchor else Text("(none drawn)", style="dim")
        parts = (
            ("source", source),
            ("prompt", prompt),
            ("anchor", anchor),
            ("completion", Text(made.completion)),
        )
        return Panel(Group(*(_part(name, body) for name, body in parts)), title=title, title_align="left")


def list_tasks(modules: Sequence[str] = ()) -> list[dict[str, str]]:
    """Every task by name, level and one-line description; `modules` add a user's own."""
    tasks = registry.tasks_for(modules).values()
    return [{"name": task.name, "level": task.level, "description": task.description} for task in tasks]


def tasks_table(rows: Sequence[dict[str, str]]) -> Table:
    """The list as a table."""
    table = Table("level", "task", "what the model must do", header_style="bold")
    for row in rows:
        table.add_row(row["level"], row["name"], row["description"])
    return table


def show_task(
    name: str, text: str | None, seed: int, split: Callable[[str], list[str]], modules: Sequence[str] = ()
) -> Showing:
    """Make one example from a text (default: a short passage) with the generator of `seed`.

    `split` cuts a text into sentences.

    Raises UsageError for an unknown task, UserError for a text without a word.
    """
    task = registry.get(name, registry.tasks_for(modules))
    sentences = split(PASSAGE if text is None else text)
    if not sentences:
        raise UserError("--text has no words in it", 'For example: --text "Birds sing. The cat listens."')
    rng = random.Random(seed)
    shown = show(task, Block(tuple(sentences)), [s for other in OTHER for s in split(other)], rng)
    anchor, whole = render(shown.made, rng) if isinstance(shown.made, Example) else ("", "")
    return Showing(task, shown, anchor, whole)


def _part(name: str, body: Text) -> Group:
    return Group(Text(name, style="bold dim"), body, Text(""))


def _marked(text: str, spans: Sequence[tuple[int, int]], style: str) -> Text:
    marked = Text(text)
    for start, end in spans:
        marked.stylize(style, start, end)
    return marked
