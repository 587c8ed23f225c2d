"""Pages of a dataset that `l2t build` made: rows, texts of packed rows, code, files, mixture and ledger."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pyarrow.parquet as pq
import pytest

from l2t_hub.dataset.ledger import RAW
from l2t_hub.demo.changed_parts import changed_parts
from l2t_hub.demo.dataset_export import page_csv, page_markdown
from l2t_hub.demo.dataset_facts import dataset_facts
from l2t_hub.demo.dataset_page import DatasetPage, PageRow, read_page, settled
from l2t_hub.demo.dataset_place import ShownDataset, find_dataset
from l2t_hub.demo.dataset_rows import CutText
from l2t_hub.demo.dataset_view import facts_html, rows_html
from l2t_hub.errors import UserError
from l2t_hub.tokens.load import load_exact_tokenizer

HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m</textarea>"


def opened(folder: Path) -> ShownDataset:
    return find_dataset("tiny", {"tiny": str(folder)}, guests=False)


@pytest.fixture
def dataset(tiny_dataset: Path) -> ShownDataset:
    return opened(tiny_dataset)


@pytest.fixture
def copy(tiny_dataset: Path, tmp_path: Path) -> Path:
    """A copy of the dataset, for a test to break."""
    return copytree(tiny_dataset, tmp_path / "copy")


def all_rows(dataset: ShownDataset, view: str, task: str, split: str) -> list[PageRow]:
    first = read_page(dataset, view, task, split, 1, 50)
    pages = [read_page(dataset, view, task, split, n, 50) for n in range(2, first.pages + 1)]
    return [row for page in (first, *pages) for row in page.rows]


def test_the_pages_have_every_row_of_every_view_once(dataset: ShownDataset, tiny_dataset: Path) -> None:
    assert dataset.views == ["examples", "raw", "packed"]
    assert len(dataset.tasks) > 5
    for view, task in (*((view, "") for view in dataset.views), ("examples", dataset.tasks[0])):
        for split in dataset.splits(task or view):
            folder = f"examples/{task or '*'}" if view == "examples" else view
            files = sorted(tiny_dataset.glob(f"data/{folder}/{split}-*.parquet"))
            stored = [row for file in files for row in pq.read_table(file).to_pylist()]
            rows = all_rows(dataset, view, task, split)
            assert [row.number for row in rows] == list(range(len(stored)))
            for shown, there in zip((row.as_dict() for row in rows), stored, strict=True):
                if view == "packed":
                    assert (shown["kind"], shown["tokens"]) == (there["kind"], sum(there["lengths"]))
                else:
                    kept = {
                        name: value
                        for name, value in shown.items()
                        if name in there and name not in shown["cut"]
                    }
                    assert kept
                    assert kept == {name: there[name] for name in kept}


def test_packed_rows_are_their_texts(dataset: ShownDataset, tiny_dataset: Path) -> None:
    tokenizer = load_exact_tokenizer(tiny_dataset / "tokenizer")
    stored = pq.read_table(sorted(tiny_dataset.glob("data/packed/train-*"))[0]).slice(0, 5).to_pylist()
    shown = read_page(dataset, "packed", "", "train", 1, 5)
    assert shown.notices == ()
    for row, there in zip(shown.rows, stored, strict=True):
        ends = [sum(there["lengths"][: n + 1]) for n in range(len(there["lengths"]))]
        texts = [
            tokenizer.decode(there["input_ids"][end - n : end])
            for end, n in zip(ends, there["lengths"], strict=True)
        ]
        assert [text.text for text in row.texts] == texts
        assert row.padding == len(there["input_ids"]) - ends[-1]
    kinds = {row.columns["kind"] for row in all_rows(dataset, "packed", "", "train")}
    assert kinds == {CutText("raw"), CutText("task")}


def test_page_numbers_are_kept_in_bounds(dataset: ShownDataset) -> None:
    last = read_page(dataset, "examples", "", "train", -1, 5)
    assert last.page == last.pages > 2
    beyond = read_page(dataset, "examples", "", "train", last.pages + 7, 5)
    assert beyond.rows == last.rows
    assert beyond.notices == (
        f"There is no page {last.pages + 7:,}. This is page {last.pages:,} of {last.pages:,}.",
    )
    assert read_page(dataset, "examples", "", "train", 0, 5).page == 1
    assert read_page(dataset, "examples", "", "train", 1, 10**9).rows_per_page == 50


def test_what_the_dataset_does_not_have_is_refused_or_replaced(dataset: ShownDataset) -> None:
    for view, task, split, message in (
        ("exemples", "", "train", "has no 'exemples' rows"),
        ("raw", "typo", "train", "raw rows are not of one task"),
        ("examples", "typoo" * 50, "train", "has no examples of 'typoo"),
        ("examples", "", "test", "has no split 'test' of examples"),
    ):
        with pytest.raises(UserError) as caught:
            read_page(dataset, view, task, split)
        assert message in caught.value.message
    assert settled(dataset, "packed", "typo", "validation") == ("packed", "", "validation", [])
    assert settled(dataset, "", "", "") == ("examples", "", "train", [])
    view, task, split, notices = settled(dataset, "x", HOSTILE, "test")
    assert (view, task, split, len(notices)) == ("examples", "", "train", 3)


@pytest.mark.parametrize(
    "name", ["../etc", "/etc", "~", "https://example.org/a", "a", "a/b/c", "tiny@main", ""]
)
def test_a_visitor_cannot_name_a_path_or_an_address(name: str, tiny_dataset: Path) -> None:
    for guests in (False, True):
        with pytest.raises(UserError, match="is not "):
            find_dataset(name, {"tiny": str(tiny_dataset)}, guests=guests)
    with pytest.raises(UserError, match="is not a dataset of this page"):
        find_dataset("org/name", {}, guests=False)
    with pytest.raises(UserError, match="is not a revision"):
        find_dataset("org/name@../../x", {}, guests=True)


def test_a_directory_without_a_manifest_or_with_a_broken_one_gets_a_sentence(copy: Path) -> None:
    manifest = copy / "l2t_manifest.json"
    tree = json.loads(manifest.read_text())
    tree["shards"][0]["path"] = "../../etc/passwd"
    manifest.write_text(json.dumps(tree))
    with pytest.raises(UserError, match="cannot be read as a manifest"):
        opened(copy)
    manifest.unlink()
    with pytest.raises(UserError, match="is not a dataset made by l2t"):
        opened(copy)


def test_another_tokenizer_than_the_manifest_lists_is_not_used(copy: Path) -> None:
    path = copy / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text() + "\n")
    shown = read_page(opened(copy), "packed", "", "train", 1, 5)
    assert "is not the file that the manifest lists" in shown.notices[0]
    assert shown.rows[0].texts[0].text.split()[0].isdecimal()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tree: tree.update(
                decoder={"type": "Replace", "pattern": {"Regex": "(a*)*"}, "content": ""}
            ),
            "regular",
        ),
        (lambda tree: tree.update(decoder={"type": "Fuse", "x": "y" * 100}), "long text"),
        (lambda tree: tree["model"]["vocab"].update({"x" * 2000: 9999}), "a token of 2,000 characters"),
        (lambda tree: tree.update(model=[]), "is not a tokenizer"),
    ],
)
def test_a_tokenizer_that_could_take_long_is_not_used(
    copy: Path, change: Callable[[dict], None], message: str
) -> None:
    path = copy / "tokenizer" / "tokenizer.json"
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    from hashlib import sha256

    manifest = opened(copy)
    files = {**manifest.manifest.files, "tokenizer/tokenizer.json": sha256(path.read_bytes()).hexdigest()}
    changed = replace(manifest, manifest=manifest.manifest.model_copy(update={"files": files}))
    shown = read_page(changed, "packed", "", "train", 1, 5)
    assert message in shown.notices[0]


def test_the_mixture_and_the_ledger_are_those_of_the_manifest(dataset: ShownDataset) -> None:
    facts = dataset_facts(dataset)
    parts = {part.name: part for part in facts.parts}
    assert set(parts) >= {RAW, *dataset.tasks}
    assert sum(part.token_share for part in facts.parts) == pytest.approx(1)
    assert sum(part.example_share for part in facts.parts) == pytest.approx(1)
    assert parts[RAW].token_share == pytest.approx(facts.raw_share["tokens"], abs=1e-6)
    assert facts.problems == ()
    for stage in facts.stages:
        assert stage.came_in == stage.went_out + sum(count for _, count in stage.dropped)
    html = facts_html(facts)
    assert "It adds up" in html
    for part in facts.parts:
        assert f"<td>{part.tokens:,}</td>" in html
        assert f">{part.token_share:.1%}</span>" in html
    fit = next(stage for stage in facts.stages if stage.stage == "fit")
    assert f"{fit.went_out:,}<br>examples that fit a sequence" in html


def test_a_ledger_that_does_not_add_up_is_said(copy: Path) -> None:
    manifest = copy / "l2t_manifest.json"
    tree = json.loads(manifest.read_text())
    row = next(row for row in tree["ledger"] if row["stage"] == "fit")
    row["out"] -= 1
    row["dropped"][HOSTILE] = 0
    manifest.write_text(json.dumps(tree))
    facts = dataset_facts(opened(copy))
    assert facts.problems
    assert "The ledger does not add up." in facts_html(facts)
    tree["ledger"] += [{**row, "what": f"task {n}"} for n in range(6000)]
    manifest.write_text(json.dumps(tree))
    with pytest.raises(UserError, match="more than this page adds up"):
        dataset_facts(opened(copy))


def hostile_page(dataset: ShownDataset) -> DatasetPage:
    page = read_page(dataset, "examples", "", "train", 1, 5)
    text = CutText(f"=1+1 {HOSTILE}\n```\n| a | b |", "9,999 bytes")
    columns = {
        name: CutText(HOSTILE, "9 bytes") if name == "anchor" else text for name in page.rows[0].columns
    }
    return replace(page, dataset=HOSTILE, rows=(PageRow(0, columns), PageRow(1, dict.fromkeys(columns))))


def test_hostile_rows_are_shown_as_text(dataset: ShownDataset) -> None:
    page = hostile_page(dataset)
    html = rows_html(page)
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html
    assert "Cut here. The whole text has 9,999 bytes." in html
    assert "(missing)" in html
    cells = [cell for row in csv.reader(io.StringIO(page_csv(page))) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert any(cell.startswith("'=1+1") for cell in cells)
    markdown = page_markdown(page)
    assert "\x1b" not in markdown
    assert "````text" in markdown


def test_the_files_have_what_is_on_the_screen(dataset: ShownDataset) -> None:
    page = read_page(dataset, "examples", dataset.tasks[0], "train", 1, 5)
    rows = list(csv.DictReader(io.StringIO(page_csv(page))))
    assert [int(row["row"]) for row in rows] == [0, 1, 2, 3, 4][: len(page.rows)]
    shown = page.rows[0].as_dict()
    assert rows[0]["prompt"].removeprefix("'") == shown["prompt"]
    assert shown["completion"] in page_markdown(page)
    assert page.code in page_markdown(page)
    packed = read_page(dataset, "packed", "", "train", 1, 5)
    texts = list(csv.DictReader(io.StringIO(page_csv(packed))))
    assert len(texts) == sum(len(row.texts) for row in packed.rows)


@pytest.mark.parametrize(
    ("task", "prompt", "answer", "added", "removed"),
    [
        ("typo", "Thx cat sxt.", "The cat sat.", ["x", "x"], ["e", "a"]),
        ("masked_char", "The c### sat.", "The cat sat.", ["###"], ["at"]),
        ("masked_word", "The +++ $$$ down.", "The cat sat down.", ["+++", "$$$"], ["cat", "sat"]),
        ("space", "Thecatsat.", "The cat sat.", [], [" ", " "]),
        ("random", "The cat murder down on it.", "The cat sat down on it.", ["murder"], ["sat"]),
        ("deletion", "A b. X y z. C d e f.", "A b. C d e f.", ["X y z."], []),
        ("deletion", "A b. X y z. C d e f.", "X y z.", ["X y z."], []),
        ("last", "He ate\n\n[a] a pear\n[b] an egg", "[b] an egg", ["[b] an egg"], []),
        ("typo", "猫x坐在垫子上。", "猫咪坐在垫子上。", ["x"], ["咪"]),
        ("half", "The cat", " sat.", [], []),
        ("typo", "a b c d " * 50, "e f g h " * 50, [], []),
        ("typo", "", "", [], []),
        ("a task of one's own", "The cat.", "The cat!", [], []),
    ],
)
def test_the_changed_parts_of_an_example_are_found(
    task: str, prompt: str, answer: str, added: list[str], removed: list[str]
) -> None:
    put_in, taken_out = changed_parts(task, prompt, answer)
    assert [prompt[start:end] for start, end in put_in] == added
    assert [answer[start:end] for start, end in taken_out] == removed


def test_changed_parts_are_marked_on_the_page(dataset: ShownDataset) -> None:
    page = read_page(dataset, "examples", "masked_word", "train", 1, 50)
    whole = [row for row in page.rows if not row.as_dict()["cut"]]
    assert len(whole) > 3
    for row in whole:
        assert "<mark>" in rows_html(replace(page, rows=(row,)))
