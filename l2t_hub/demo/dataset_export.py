"""The rows on the screen as files: CSV for spreadsheets, and a Markdown snippet with the code that loads them."""

from typing import Any

from l2t_hub.demo.dataset_page import DatasetPage, PageRow
from l2t_hub.demo.dataset_rows import CutText
from l2t_hub.templates import escape, fence
from l2t_hub.text import csv_text

COLUMNS = {
    "examples": ("row", "document_id", "block", "task", "prompt", "anchor", "completion", "tokens", "cut"),
    "raw": ("row", "document_id", "text", "tokens", "cut"),
    "packed": ("row", "kind", "text_number", "text", "tokens", "cut"),
}


def page_csv(page: DatasetPage) -> str:
    """Return the rows as CSV; a text of a packed row is a row of its own. `cut` names the columns that are cut."""
    columns = COLUMNS[page.view]
    cells = [
        {"row": row.number, **values, "cut": " ".join(values["cut"])}
        for row in page.rows
        for values in (_packed(row) if page.view == "packed" else [row.as_dict()])
    ]
    return csv_text(columns, ([each.get(column) for column in columns] for each in cells))


def _packed(row: PageRow) -> list[dict[str, Any]]:
    plain = row.as_dict()
    return [
        {**plain, "text_number": n, "text": text.text, "cut": ["text"] if text.whole else []}
        for n, text in enumerate(row.texts)
    ]


def page_markdown(page: DatasetPage) -> str:
    """Return the rows as Markdown: a title, each row's texts in code blocks, and the code that loads them."""
    lines = [f"### {escape(page.dataset)}: {escape(page.title)}", ""]
    for row in page.rows:
        task = row.columns.get("task")
        about = f", {escape(task.text)}" if isinstance(task, CutText) else ""
        lines += [f"**Row {row.number + 1:,}{about}**", ""]
        named = [(name, row.columns.get(name)) for name in ("prompt", "completion", "text")]
        texts = [(name, text) for name, text in named if isinstance(text, CutText)]
        for name, text in (*texts, *((f"text {n}", text) for n, text in enumerate(row.texts, 1))):
            cut = f" (cut; the whole text has {text.whole})" if text.whole else ""
            lines += [f"{name}{cut}:", "", fence(text.text), ""]
    lines += ["To load these rows:", "", fence(page.code, "python")]
    return "\n".join(lines) + "\n"
