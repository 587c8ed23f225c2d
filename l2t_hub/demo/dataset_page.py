"""A page of rows of a dataset: which rows, what is in them, and the code that loads the same ones.

`read_page` is the function behind the tab and the API. It knows nothing of Gradio.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from l2t_hub.demo.dataset_place import VIEWS, ShownDataset
from l2t_hub.demo.dataset_rows import MAX_CHARACTERS, CutText, Row, read_rows
from l2t_hub.demo.packed_texts import decoded_texts, load_decoder
from l2t_hub.errors import UserError, nearest
from l2t_hub.records.reading import quoted

ROWS_PER_PAGE = (5, 10, 20, 50)
MAX_PAGE = 10**12


@dataclass(frozen=True)
class PageRow:
    """A row: its number in the split, from 0 as `load_dataset` counts, and what is in it by column.

    The texts of a packed row are in `texts`, decoded one by one; `padding` is the number of positions after them.
    """

    number: int
    columns: Mapping[str, CutText | int | None]
    texts: tuple[CutText, ...] = ()
    padding: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types. `cut` has the whole size of each column that is cut."""
        plain = {name: v.text if isinstance(v, CutText) else v for name, v in self.columns.items()}
        cut = {name: v.whole for name, v in self.columns.items() if isinstance(v, CutText) and v.whole}
        packed = (
            {} if self.padding is None else {"texts": [t.text for t in self.texts], "padding": self.padding}
        )
        return {"number": self.number, **plain, **packed, "cut": cut}


@dataclass(frozen=True)
class DatasetPage:
    """A page of rows. `page` counts from 1. `repo` and `revision` are empty for a local directory.

    `task` is empty where the rows are not of one task. `code` loads these rows with `datasets`.
    """

    dataset: str
    repo: str
    revision: str
    view: str
    task: str
    split: str
    page: int
    pages: int
    rows_per_page: int
    total: int
    rows: tuple[PageRow, ...]
    code: str
    notices: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the rows are, such as "typo examples, train, rows 11 to 20 of 1,234"."""
        what = f"{self.task or 'all'} examples" if self.view == "examples" else f"{self.view} rows"
        if not self.rows:
            return f"{what}, {self.split}: no rows"
        first, last = self.rows[0].number + 1, self.rows[-1].number + 1
        return f"{what}, {self.split}, rows {first:,} to {last:,} of {self.total:,}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        known = {name: value for name, value in vars(self).items() if name not in ("rows", "notices")}
        return {**known, "rows": [row.as_dict() for row in self.rows], "notices": list(self.notices)}


def read_page(
    dataset: ShownDataset, view: str, task: str, split: str, page: int = 1, rows: int = 10
) -> DatasetPage:
    """Return a page of a view ("examples", "raw", "packed") of a dataset; `task` "" stands for all tasks.

    Pages count from 1; a negative number is the last page, and one after the last is the last, with a notice. Raises
    UserError for a view, task or split that the dataset does not have, and if its files cannot be read.
    """
    config = _checked(dataset, view, task, split)
    shards = dataset.shards(config, split)
    total = sum(shard.rows for shard in shards)
    rows = min(max(rows, 1), ROWS_PER_PAGE[-1])
    pages = max(1, -(-total // rows))
    shown = pages if page < 0 else min(max(page, 1), pages)
    start, stop = (shown - 1) * rows, min(shown * rows, total)
    notices = [] if page <= shown else [f"There is no page {page:,}. This is page {shown:,} of {pages:,}."]
    found = list(read_rows(dataset.place, shards, start, stop))
    if view == "packed":
        made = list(_packed_rows(dataset, found, notices))
    else:
        made = [PageRow(number, _single_values(row)) for number, row in found]
    code = load_code(dataset, view, config, split, start, stop - start)
    place = dataset.place
    return DatasetPage(
        place.name, place.repo, place.commit, view, task, split, shown, pages, rows, total, tuple(made), code,
        tuple(notices),
    )  # fmt: skip


def settled(dataset: ShownDataset, view: str, task: str, split: str) -> tuple[str, str, str, list[str]]:
    """Return view, task and split as they are, or what the dataset has instead, with a sentence for each change."""
    notices = []
    if view not in dataset.views:
        there = _first(dataset.views, "rows that can be shown", dataset)
        notices += [f"This dataset has no {quoted(view)} rows. Its {there} rows are shown."] if view else []
        view = there
    if view != "examples":
        task = ""
    elif task and task not in dataset.tasks:
        notices.append(f"This dataset has no examples of {quoted(task)}. All tasks are shown.")
        task = ""
    splits = dataset.splits(task or view)
    if split not in splits:
        there = _first(splits, "splits", dataset)
        notices += [f"There is no split {quoted(split)} here. The split {there} is shown."] if split else []
        split = there
    return view, task, split, notices


def _first(names: list[str], what: str, dataset: ShownDataset) -> str:
    if not names:
        raise UserError(
            f"{dataset.place.name} has no {what}", "It may be a dataset whose rows were left out."
        )
    return names[0]


def _checked(dataset: ShownDataset, view: str, task: str, split: str) -> str:
    """Return the configuration of a view or a task. Raises UserError for what the dataset does not have."""
    if view not in dataset.views:
        raise UserError(
            f"{dataset.place.name} has no {quoted(view)} rows", nearest(view[:100], dataset.views or VIEWS)
        )
    if task and view != "examples":
        raise UserError(f"{view} rows are not of one task", "Leave the task out, or choose the examples.")
    if task and task not in dataset.tasks:
        raise UserError(
            f"{dataset.place.name} has no examples of {quoted(task)}", nearest(task[:100], dataset.tasks)
        )
    config = task or view
    if split not in dataset.splits(config):
        raise UserError(
            f"{dataset.place.name} has no split {quoted(split)} of {config}",
            nearest(split[:100], dataset.splits(config)),
        )
    return config


def _single_values(row: Row) -> dict[str, CutText | int | None]:
    return {name: value for name, value in row.items() if not isinstance(value, list)}


def _packed_rows(
    dataset: ShownDataset, found: list[tuple[int, Row]], notices: list[str]
) -> Iterator[PageRow]:
    """Yield training sequences as their texts, decoded with the dataset's tokenizer, or as token IDs without it."""
    try:
        decode = load_decoder(dataset)
    except UserError as error:
        notices.append(f"Token IDs are shown, because the tokenizer cannot be used: {error.message}.")
        decode = None
    for number, row in found:
        ids, lengths, columns = row["input_ids"], row["lengths"], _single_values(row)
        if not isinstance(ids, list) or not isinstance(lengths, list):
            yield PageRow(number, columns, (), 0)
            continue
        texts, padding, problem = decoded_texts(ids, lengths, decode, MAX_CHARACTERS)
        if problem:
            notices.append(f"Row {number + 1:,}: {problem}")
        yield PageRow(number, {**columns, "tokens": len(ids) - padding}, texts, padding)


def load_code(dataset: ShownDataset, view: str, config: str, split: str, start: int, count: int) -> str:
    """Return Python code that prints the rows of a page, and reads no more of the dataset than it must."""
    place = dataset.place
    pinned = [f"    revision={_literal(place.commit)},"] if place.repo else []
    here = [] if place.repo else ["# A local directory: give its path in place of its name."]
    load = [
        "rows = load_dataset(",
        f"    {_literal(place.repo or dataset.manifest.name)},",
        f"    {_literal(config)},",
        f"    split={_literal(split)},",
        *pinned,
        "    streaming=True,",
        ")",
    ]
    loop = f"for row in rows.skip({start}).take({count}):"
    if view != "packed" or not place.repo:
        return "\n".join(["from datasets import load_dataset", "", *here, *load, loop, "    print(row)"])
    return "\n".join(
        [
            "from datasets import load_dataset",
            "from huggingface_hub import hf_hub_download",
            "from tokenizers import Tokenizer",
            "",
            f"repo, revision = {_literal(place.repo)}, {_literal(place.commit)}",
            'file = hf_hub_download(repo, "tokenizer/tokenizer.json", repo_type="dataset", revision=revision)',
            "tokenizer = Tokenizer.from_file(file)",
            f"config, split = {_literal(config)}, {_literal(split)}",
            "rows = load_dataset(repo, config, split=split, revision=revision, streaming=True)",
            loop,
            "    end = 0",
            '    for length in row["lengths"]:',
            "        start, end = end, end + length",
            '        print(tokenizer.decode(row["input_ids"][start:end], skip_special_tokens=False))',
        ]
    )


def _literal(text: str) -> str:
    """Return a text as a literal of Python and of JSON, in ASCII: it cannot end the string or hide in it."""
    return json.dumps(text)
