"""Renders the scoreboard as HTML: the table with its buttons, what it shows in words, plots, and the pairs of a cell.

Every text goes through `visible`. Attributes that the page's script sends back hold names as they are, escaped.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from l2t_hub.demo.examples import phenomenon_title
from l2t_hub.demo.pairs_behind import CellPairs, PairRow
from l2t_hub.demo.scoreboard import Board, sort_value, sorted_table
from l2t_hub.demo.view import scrolling, visible
from l2t_hub.evaluate.conclusions import conclusions
from l2t_hub.report.curve_sheets import curve_sections
from l2t_hub.report.formats import plain_cell
from l2t_hub.report.score_sheets import (
    measures_sheet,
    models_sheet,
    protocol_lines,
    readings_sheet,
    seeds_sheets,
)
from l2t_hub.report.sheet import Cell, Figure, Sheet
from l2t_hub.text import counted

if TYPE_CHECKING:
    from l2t_hub.report.figures import Plot

OUR_SUITES = ("probes", "blimp")
"""Suites whose phenomena are shown with readable names."""
SHOWN = 50
MAX_SHOWN = 500
"""Pairs of a cell on the page; more are in the file of scored examples."""
# matplotlib's style sheet is for all elements of a page, not only its own.
_STYLE = re.compile(r'<style type="text/css">\*\{[^}]*\}</style>')

CompareLink = Callable[[str, str], str]
"""(good, bad) -> address of the tab Compare with this pair and the models of the cell."""


def board_page(
    shown: Board, notes: Iterable[str], sort: tuple[str, bool], plots: "Mapping[str, Plot]"
) -> str:
    """Return the board: what it shows in words, the table, the plots, and how the figures were made."""
    evaluation = shown.evaluation
    readings = evaluation.models[0].readings
    how = f" Minimal pairs are read with {readings[0].name}; other readings are below." if readings else ""
    count = counted(len(shown.labels), "model")
    listed = "".join(f"<li>{visible(note)}</li>" for note in (*notes, *shown.notes))
    said = "".join(f"<li>{visible(sentence)}</li>" for sentence in conclusions(evaluation))
    return (
        '<div class="l2t l2t-board">'
        f'<p class="l2t-summary" role="status">{visible(shown.suite.name)}: {count}</p>'
        f'<ul class="l2t-notes">{listed}</ul>'
        f"{score_html(shown, sort)}"
        f'<p class="l2t-hint">Intervals are 95%. A bold difference has an interval without 0.{visible(how)} '
        "A score opens the pairs behind it.</p>"
        f'<ul class="l2t-conclusions">{said}</ul>'
        f"{''.join(_figure(plot) for plot in plots.values())}"
        f"{_more(shown)}</div>"
    )


def score_html(shown: Board, sort: tuple[str, bool] = ("", False)) -> str:
    """Return the table of phenomena. Its headers sort it; each score of a phenomenon is a button."""
    column, descending = sort
    table = sorted_table(shown, column, descending=descending)
    labels = dict(enumerate(shown.labels, start=2))
    head = "".join(_header(name, column, descending) for name in table.header)
    end = len(table.rows) - table.overall
    body = "".join(_row(row, labels, shown.evaluation.protocol.suite) for row in table.rows[:end])
    foot = "".join(_row(row, {}, "") for row in table.rows[end:])
    name = f"Accuracy in % on {shown.suite.name}, with 95% intervals"
    scores = (
        f'<table class="l2t-scores"><caption class="l2t-kind">{visible(name)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody><tfoot>{foot}</tfoot></table>"
    )
    return f'{scrolling(scores, name)}<p class="l2t-kind" role="status" data-sorted></p>'


def _header(name: str, column: str, descending: bool) -> str:
    order = ("descending" if descending else "ascending") if name == column else "none"
    return (
        f'<th scope="col" aria-sort="{order}"><button type="button" data-sort="{escape(name)}">'
        f'<bdi>{visible(name)}</bdi> <span aria-hidden="true"></span></button></th>'
    )


def _row(row: Sequence[Cell], labels: Mapping[int, str], suite: str) -> str:
    phenomenon = str(row[0])
    title = phenomenon_title(phenomenon) if suite in OUR_SUITES else phenomenon
    cells = [f'<th scope="row" data-value="{escape(phenomenon)}"><bdi>{visible(title)}</bdi></th>']
    for place, cell in enumerate(row[1:], start=1):
        text = cell_html(cell)
        if place in labels:
            text = (
                f'<button type="button" data-model="{escape(labels[place])}" '
                f'data-phenomenon="{escape(phenomenon)}">{text}<span class="l2t-kind">, show pairs</span></button>'
            )
        number = sort_value(cell)[0]
        cells.append(f'<td data-value="{number!r}">{text}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def cell_html(cell: Cell) -> str:
    """Return a cell of a table. A difference whose interval excludes 0 is bold."""
    if not isinstance(cell, Figure):
        return f"<bdi>{visible(plain_cell(cell))}</bdi>"
    main = visible(cell.main().replace("-", "\u2212"))
    interval = visible(cell.interval().replace("-", "\u2212"))
    value = f"<b>{main}</b>" if cell.is_marked else main
    return f'{value} <span class="l2t-interval">{interval}</span>' if interval else value


def sheet_html(table: Sheet) -> str:
    """Return a table that has no buttons, with its caption as the summary that opens it."""
    head = "".join(f'<th scope="col"><bdi>{visible(name)}</bdi></th>' for name in table.header)
    rows = "".join(
        f'<tr><th scope="row">{cell_html(row[0])}</th>'
        + "".join(f"<td>{cell_html(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    title, _, rest = table.caption.partition(": ")
    content = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return _details(visible(f"{title}: {rest}"), scrolling(content, table.caption))


def _details(summary: str, content: str) -> str:
    return f'<details class="l2t-more"><summary>{summary}</summary>{content}</details>'


def _figure(plot: "Plot") -> str:
    drawn = _STYLE.sub("", plot.svg).replace("<svg ", "<svg aria-hidden=true ", 1)
    return (
        f'<figure class="l2t-plot"><figcaption>{visible(plot.describes)}</figcaption>'
        f"{scrolling(drawn, plot.describes)}</figure>"
    )


def _more(shown: Board) -> str:
    evaluation = shown.evaluation
    along = curve_sections(shown.everything, plots=False)
    sheets = (
        models_sheet(evaluation) if len(evaluation.models) > 1 else None,
        *seeds_sheets(evaluation),
        readings_sheet(evaluation),
        measures_sheet(evaluation),
        *(table for section in along for table in section.sheets),
    )
    tables = "".join(sheet_html(table) for table in sheets if table is not None)
    small_print = (line for section in along for line in section.fine_print)
    lines = "".join(
        f"<li>{visible(line)}</li>" for line in (*protocol_lines(evaluation), *_sources(shown), *small_print)
    )
    return f"{tables}{_details('How and on what the models were scored', f'<ul>{lines}</ul>')}"


def _sources(shown: Board) -> Iterable[str]:
    for model in shown.evaluation.models:
        where = shown.suite.entry(model.label).result
        weights = f", weights {model.weights_sha256[:12]}" if model.weights_sha256 else ""
        revision = f"@{model.revision[:12]}" if model.revision else ""
        yield (
            f"{model.label}: {model.model.partition('@')[0]}{revision}{weights}, {model.dtype}, scored "
            f"{where.evaluation.protocol.date[:10]}, from {where.name}"
        )


def cell_page(
    cell: CellPairs, link: CompareLink | None, download: str = "", *, can_score: bool = False
) -> str:
    """Return the pairs behind a score, wrong ones first, each with a link that opens it in Compare."""
    own, other = cell.readings
    head = f"{cell.model} on {phenomenon_title(cell.phenomenon)}: {cell.wrong:,} of {cell.total:,} wrong"
    note = f'<p class="l2t-hint">{visible(cell.note)}</p>' if cell.note else ""
    if not cell.rows:
        more = "<p>The page can score the pairs of this cell now.</p>" if can_score else ""
        return f'<div class="l2t l2t-behind"><h3 tabindex="-1">{visible(head)}</h3>{note}{more}</div>'
    hint = ""
    if any(row.bits is not None for row in cell.rows):
        hint = (
            f"Bits by which the right answer is more probable, {own}"
            + (f"; then {other}" if any(row.other_bits is not None for row in cell.rows) else "")
            + ". Compare reads sentences without a leading space."
        )
    rows, rest = cell.rows[:SHOWN], cell.rows[SHOWN:MAX_SHOWN]
    tables = pairs_table(cell, rows, link)
    if rest:
        tables += _details(f"Show {len(rest):,} more", pairs_table(cell, rest, link))
    left = len(cell.rows) - len(rows) - len(rest)
    beyond = f'<p class="l2t-hint">{left:,} more are in the file of scored examples.</p>' if left else ""
    return (
        f'<div class="l2t l2t-behind"><h3 tabindex="-1">{visible(head)}</h3>{note}'
        f'<p class="l2t-hint">{visible(hint)}</p>{tables}{beyond}{download}</div>'
    )


def pairs_table(cell: CellPairs, rows: Sequence[PairRow], link: CompareLink | None) -> str:
    """Return a table of examples: whether the model was right, the sentences, by how many bits, and the link."""
    other = any(row.other_bits is not None for row in cell.rows)
    names = ["", "example", "bits", *(["other spacing"] if other else []), *(["open"] if link else [])]
    head = "".join(f'<th scope="col">{name or "answer"}</th>' for name in names)
    body = "".join(_pair(row, link, other) for row in rows)
    table = f'<table class="l2t-pairs"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return scrolling(table, f"Pairs of {cell.phenomenon} under {cell.model}")


def _pair(row: PairRow, link: CompareLink | None, other: bool) -> str:
    mark = "✓ right" if row.right else "✗ wrong"
    if row.good is None or row.bad is None:
        example = f"<bdi>{visible(row.id)}</bdi>"
    else:
        example = (
            f'<span class="l2t-kind">grammatical: </span><bdi>{visible(row.good)}</bdi><br>'
            '<span class="l2t-starred"><span aria-hidden="true">*</span>'
            '<span class="l2t-kind">ungrammatical: </span>'
            f"<bdi>{visible(row.bad)}</bdi></span>"
        )
    cells = [f"<td>{_bits(row.bits)}</td>", f"<td>{_bits(row.other_bits)}</td>" if other else ""]
    if link:
        known = row.good is not None and row.bad is not None
        cells.append(
            f'<td><a href="{escape(link(row.good or "", row.bad or ""))}">Compare'
            f'<span class="l2t-kind"> {visible(row.good or "")}</span></a></td>'
            if known
            else "<td></td>"
        )
    kind = "l2t-right" if row.right else "l2t-wrong"
    return f'<tr class="{kind}"><td>{mark}</td><td>{example}</td>{"".join(cells)}</tr>'


def _bits(value: float | None) -> str:
    return "" if value is None else f"{value:+.1f}".replace("-", "\u2212")
