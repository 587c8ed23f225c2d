"""A report on the terminal: its tables and sentences."""

import textwrap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.text import Text

from l2t_hub.console import WholeTable
from l2t_hub.report.formats import plain_cell
from l2t_hub.report.outline import Report, ReportSection
from l2t_hub.report.sheet import Cell, Figure, Sheet

NARROWEST = 12


def render_report(document: Report) -> Group:
    """Return a report for the terminal."""
    parts: list[Any] = [*(Text(f"note: {note}") for note in document.notes)]
    return Group(*parts, *map(render_section, document.sections))


def render_section(section: ReportSection) -> Group:
    """Return the tables and sentences of a section for the terminal."""
    return Group(render_tables(section), "", *map(Text, section.sentences))


def render_tables(section: ReportSection) -> Group:
    """Return the tables of a section for the terminal."""
    return Group(*(part for table in section.sheets for part in ("", _rich_table(table))))


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
    rows = [[_rich_cell(cell) for cell in row] for row in table.rows]
    for i, name in enumerate(table.header):
        width = max((row[i].cell_len for row in rows), default=0)
        made.add_column(Text(_folded(name, width) if i else name), justify="right" if i else "left")
    for number, row in enumerate(rows):
        if table.overall and number == len(rows) - table.overall:
            made.add_section()
        made.add_row(*row)
    return made


def _rich_cell(cell: Cell) -> Text:
    if not isinstance(cell, Figure):
        return Text(plain_cell(cell))
    text = f"{cell.main()} {cell.interval(0)}".rstrip()
    if not cell.is_marked:
        return Text(f"{text}  " if cell.signed else text)
    return Text(f"{text} *", style="green" if cell.is_good else "red")


def _folded(name: str, width: int) -> str:
    """Return a name in lines as wide as its column: a long one would take the room of the figures."""
    return "\n".join(textwrap.wrap(name, max(width, NARROWEST)))
