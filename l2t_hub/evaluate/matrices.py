"""Matrices as text, or any other items of a prompt and options: the answer is the most probable option.

Two forms of data: rows of prompt, options and answer; and the JSON file of the release of Shah et al. (2024), whose
panels become text as in the code of the L2T paper: (type, size, colour), in rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from l2t_hub.errors import UserError
from l2t_hub.evaluate.own_items import Document, OwnItems, own_items
from l2t_hub.evaluate.pair_files import PLACE, Row, column_of, read_rows
from l2t_hub.records.reading import parse_json, read_bounded

NAME = "matrices"
PROMPT, OPTIONS, ANSWER, GROUP = "prompt", "options", "answer", "group"
COLUMNS = (PROMPT, OPTIONS, ANSWER)
MAX_TEXT = 20_000
MAX_OPTIONS = 32
PANELS, SHOWN = 16, 8
"""Panels of a released matrix: eight are shown, then come eight options, the right one first."""
SUBSET = "subset.json"
MAX_NAME = 200
# A key that no data have.
_ID = "\0id"


def read_matrices(file: str) -> OwnItems:
    """Read and check items. Those with an empty text or two equal options are left out and counted.

    A `subset.json` beside a file of the release lists the items that are asked, as it does there. Raises UsageError
    for a missing column, UserError for data that cannot be read or if no item is left.
    """
    rows = _released(Path(file)) if Path(file).suffix == ".json" else read_rows(file, Path(), None, "items")
    return own_items(file, "item", rows, _document, _problem, matrices_task)


def _document(row: Row, number: int) -> Document:
    place = row[PLACE]
    prompt, options, answer = (column_of(row, column) for column in COLUMNS)
    if isinstance(options, str):  # a CSV file has no lists
        options = parse_json(options.encode(), f"{place}: column '{OPTIONS}'", "a JSON list of texts")
    if not isinstance(options, list) or not 2 <= len(options) <= MAX_OPTIONS:
        raise UserError(f"{place}: column '{OPTIONS}' must be a list of 2 to {MAX_OPTIONS} texts")
    if not all(isinstance(text, str) and len(text) <= MAX_TEXT for text in (prompt, *options)):
        raise UserError(f"{place}: prompt and options must be texts of up to {MAX_TEXT:,} characters")
    if isinstance(answer, str) and answer.isdecimal() and len(answer) < len(str(MAX_TEXT)):
        answer = int(answer)
    if type(answer) is not int or not 0 <= answer < len(options):
        raise UserError(
            f"{place}: column '{ANSWER}' must be the index of the right option, 0 to {len(options) - 1}"
        )
    group = row.get(GROUP) or NAME
    if not isinstance(group, str | int) or len(str(group)) > MAX_NAME:
        raise UserError(f"{place}: column '{GROUP}' must be a name of up to {MAX_NAME} characters")
    return {
        "id": str(row.get(_ID, number))[:MAX_NAME],
        "phenomenon": str(group),
        PROMPT: prompt,
        OPTIONS: options,
        ANSWER: answer,
    }


def _problem(document: Document) -> str | None:
    texts = [text.strip() for text in document[OPTIONS]]
    if not document[PROMPT].strip() or not all(texts):
        return "an empty prompt or option"
    return "two equal options" if len(set(texts)) < len(texts) else None


def _released(path: Path) -> Iterator[Row]:
    """Yield the items of a file of the release: an object of matrices by id, each with its panels under `rpm`."""
    tree = parse_json(read_bounded(path), str(path), "matrices")
    if not isinstance(tree, dict):
        raise UserError(
            f"{path}: not an object of matrices by id, as in the release of Shah et al. (2024)",
            f"Items of your own are JSON Lines, CSV or Parquet with {', '.join(COLUMNS)}.",
        )
    subset = path.with_name(SUBSET)
    listed = None
    if subset.is_file():
        found = parse_json(read_bounded(subset), str(subset), "a list of ids")
        if not isinstance(found, list):
            raise UserError(f"{subset}: not a list of the ids of {path.name}")
        listed = set(map(str, found))
        if unknown := sorted(listed - tree.keys()):
            raise UserError(
                f"{subset}: {path.name} has no item {unknown[0][:60]!r}",
                f"Move {SUBSET} away to ask all items of {path.name}.",
            )
    for name, matrix in tree.items():
        if listed is not None and name not in listed:
            continue
        place = f"{path}, item {name[:60]!r}"
        panels = matrix.get("rpm") if isinstance(matrix, dict) else None
        if not isinstance(panels, list) or len(panels) != PANELS:
            raise UserError(f"{place}: no list `rpm` of {PANELS} panels")
        texts = [_panel(panel, place) for panel in panels]
        yield {
            PLACE: place,
            _ID: name,
            PROMPT: "row 1: {}, {}, {}; row 2: {}, {}, {}; row 3: {}, {}, ".format(*texts),
            OPTIONS: [f"{text};" for text in texts[SHOWN:]],
            ANSWER: 0,
        }


def _panel(entities: Any, place: str) -> str:
    """Return a panel of one shape as text: corners, size in tenths, and colour in tens."""
    shape = entities[0] if isinstance(entities, list) and len(entities) == 1 else None
    try:
        if not isinstance(shape, Mapping):
            raise TypeError
        kind, size, colour = (int(str(shape[key])[:9]) for key in ("Type", "Size", "Color"))
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{place}: a panel is not one shape with whole numbers Type, Size and Color"
        ) from None
    return f"({kind + 2},{(size + 1) / 10},{colour * 10})"


def matrices_task(name: str, documents: Sequence[Document]) -> dict[str, Any]:
    """Return the lm-eval task of some items: options continue their prompt as they are."""

    def data(**_: Any) -> dict[str, Any]:
        from datasets import Dataset

        return {"test": Dataset.from_list(list(documents))}

    metrics = ("acc", "acc_norm")
    return {
        "task": f"l2t_{name}",
        "custom_dataset": data,
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": lambda document: document[PROMPT],
        "doc_to_choice": lambda document: document[OPTIONS],
        "doc_to_target": lambda document: document[ANSWER],
        "num_fewshot": 0,
        "target_delimiter": "",
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in metrics
        ],
        "metadata": {"version": 1.0},
    }
