"""A report on the terminal: its tables and sentences."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.text import Text

from l2t_hub.console import WholeTable
from l2t_hub.report.formats import plain_cell
from l2t_hub.report.outline import Report
from l2t_hub.report.sheet import Cell, Figure, Sheet


def render_report(document: Report) -> Group:
    """Return a report for the terminal."""
    parts: list[Any] = [*(Text(f"note: {note}") for note in document.notes)]
    for section in document.sections:
        for table in section.sheets:
            parts += ["", _rich_table(table)]
        parts += ["", *(Text(sentence) for sentence in section.sentences)]
    return Group(*parts)


def _rich_table(table: Sheet) -> WholeTable:
    marked = any(isinstance(cell, Figure) and cell.is_marked for row in table.rows for cell in row)
    made = WholeTable(
        title=Text(table.caption + (" *: the interval of the difference excludes 0." if marked else "")),
        title_justify="left",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    for i, name in enumerate(table.header):
        made.add_column(Text(name), justify="right" if i else "left")
    for number, row in enumerate(table.rows):
        if table.overall and number == len(table.rows) - table.overall:
            made.add_section()
        made.add_row(*map(_rich_cell, row))
    return made


def _rich_cell(cell: Cell) -> Text:
    if not isinstance(cell, Figure):
        return Text(plain_cell(cell))
    text = f"{cell.main()} {cell.interval(0)}".rstrip()
    if not cell.is_marked:
        return Text(f"{text}  " if cell.signed else text)
    return Text(f"{text} *", style="green" if cell.value > 0 else "red")
