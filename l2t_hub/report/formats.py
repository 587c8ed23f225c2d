"""A report as Markdown and as LaTeX. Every text is escaped: models, suites and phenomena may be a stranger's."""

import re
import unicodedata
from collections.abc import Iterator, Mapping

from l2t_hub.report.outline import Report, ReportSection
from l2t_hub.report.sheet import Cell, Figure, Sheet
from l2t_hub.templates import escape
from l2t_hub.text import REPLACEMENT, visible

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "−": "$-$",
    "–": "--",
    "“": "``",
    "”": "''",
    REPLACEMENT: "?",
}


def plain_cell(cell: str | int | None) -> str:
    """Return a cell that has no interval as text."""
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell


def markdown(document: Report, pictures: Mapping[str, str]) -> str:
    """Return a report as Markdown. `pictures` has the path of each plot, by SECTION-NAME.svg; others are left out."""
    lines = [f"# {escape(document.title)}", ""]
    lines += [line for note in document.notes for line in (f"> {escape(note)}", "")]
    for number, section in enumerate(document.sections):
        shown = {name: pictures.get(f"{number}-{name}.svg") for name in section.plots}
        lines += markdown_section(section, {name: path for name, path in shown.items() if path})
    return "\n".join(lines).rstrip() + "\n"


def markdown_section(section: ReportSection, pictures: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a section. `pictures` has the paths of the plots that are shown, by name."""
    yield from (f"## {escape(section.title)}", "")
    for sentence in section.sentences:
        yield from (f"> {escape(sentence)}", "")
    for name, path in pictures.items():
        yield from (f"![{escape(section.plots[name].describes)}]({path})", "")
    for table in section.sheets:
        yield from markdown_sheet(table)
    yield from (f"- {escape(line)}" for line in section.fine_print)
    yield ""


def markdown_sheet(table: Sheet) -> Iterator[str]:
    """Yield the lines of a table after its caption."""
    yield from (str(escape(table.caption)), "")
    yield f"| {' | '.join(map(escape, table.header))} |"
    yield f"|---|{'---:|' * (len(table.header) - 1)}"
    first_overall = len(table.rows) - table.overall
    for number, row in enumerate(table.rows):
        cells = [markdown_cell(cell) for cell in row]
        if number >= first_overall:
            cells[0] = f"**{cells[0]}**"
        yield f"| {' | '.join(cells)} |"
    yield ""


def markdown_cell(cell: Cell) -> str:
    """Return a cell of a Markdown table."""
    if isinstance(cell, Figure):
        return f"{cell.main()} {cell.interval()}".rstrip()
    return str(escape(plain_cell(cell)))


def latex(document: Report) -> str:
    """Return the tables of a report as LaTeX for the package booktabs, each after what it shows."""
    lines = [r"% Needs \usepackage{booktabs}"]
    for section in document.sections:
        lines += [f"% {_comment(sentence)}" for sentence in section.sentences]
        for table in section.sheets:
            lines += _latex_table(table)
    return "\n".join(lines) + "\n"


def _latex_table(table: Sheet) -> Iterator[str]:
    yield from ("", r"\begin{table}", r"  \centering")
    yield rf"  \caption{{{latex_text(table.caption)}}}"
    yield rf"  \begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}"
    yield r"    \toprule"
    yield f"    {' & '.join(map(latex_text, table.header))} \\\\"
    yield r"    \midrule"
    for number, row in enumerate(table.rows):
        if table.overall and number == len(table.rows) - table.overall:
            yield r"    \midrule"
        yield f"    {' & '.join(map(_latex_cell, row))} \\\\"
    yield from (r"    \bottomrule", r"  \end{tabular}", r"\end{table}")


def _latex_cell(cell: Cell) -> str:
    if not isinstance(cell, Figure):
        return latex_text(plain_cell(cell))
    value = f"${cell.main()}$" if cell.signed else cell.main()
    if not cell.interval():
        return value
    interval = re.sub(r"[+-][0-9.]+", lambda match: f"${match[0]}$", cell.interval())
    return f"{value} {{\\scriptsize {interval}}}"


def latex_text(text: str) -> str:
    """Return text as one line of LaTeX that shows it character by character."""
    return "".join(_LATEX.get(character, character) for character in " ".join(_shown(text).split()))


def _comment(text: str) -> str:
    return " ".join(_shown(text).replace(REPLACEMENT, "?").split())


def _shown(text: str) -> str:
    """Replace what LaTeX cannot show or would not show in its place: format characters, too."""
    return "".join(REPLACEMENT if unicodedata.category(c) == "Cf" else c for c in visible(text))
