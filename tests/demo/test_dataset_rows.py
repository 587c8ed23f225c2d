"""Rows by number from Parquet files: the right ones, whatever the files hold, and none that could take the memory."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2t_hub.dataset.views import EXAMPLES, RAW_TEXT
from l2t_hub.demo import dataset_rows
from l2t_hub.demo.dataset_place import DatasetPlace
from l2t_hub.demo.dataset_rows import MAX_CHARACTERS, CutText, read_rows
from l2t_hub.demo.page_headers import page_totals
from l2t_hub.errors import UserError
from l2t_hub.records.dataset_manifest import ShardEntry

NAME = "data/raw/train-{:05d}-of-00002.parquet"


def entry(number: int, rows: int) -> ShardEntry:
    return ShardEntry(
        path=NAME.format(number),
        config="raw",
        view="raw",
        split="train",
        partition=0,
        rows=rows,
        tokens=0,
        bytes=0,
        sha256="0" * 64,
    )


def table(texts: list[str | None]) -> pa.Table:
    ids = [f"d{n}" for n in range(len(texts))]
    return pa.table({"document_id": ids, "text": texts, "tokens": [7] * len(texts)}, schema=RAW_TEXT)


Write = Callable[..., tuple[DatasetPlace, ShardEntry]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a table as a file of raw rows, and return where it is and its entry in a manifest."""

    def written(rows: pa.Table, number: int = 0, **how: Any) -> tuple[DatasetPlace, ShardEntry]:
        path = tmp_path / NAME.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, path, **how)
        return DatasetPlace(f"set {tmp_path.name}", tmp_path), entry(number, rows.num_rows)

    return written


def refused(place: DatasetPlace, shard: ShardEntry, start: int = 0, stop: int = 1) -> str:
    with pytest.raises(UserError) as caught:
        list(read_rows(place, [shard], start, stop))
    return caught.value.message


def test_every_range_of_rows_is_the_one_asked_for(write: Write) -> None:
    texts = [f"text {n}" for n in range(23)]
    place, first = write(table(texts[:10]), 0, row_group_size=3)
    _, second = write(table(texts[10:]), 1, row_group_size=4)
    for start in range(0, 23, 2):
        for stop in (start, start + 1, start + 7, 40):
            found = list(read_rows(place, [first, second], start, stop))
            assert [number for number, _ in found] == list(range(23))[start:stop]
            assert [row["text"] for _, row in found] == [CutText(text) for text in texts[start:stop]]


def test_long_missing_and_broken_texts_are_shown_as_what_they_are(write: Write) -> None:
    long = "ä" * (MAX_CHARACTERS + 1)
    broken = pa.array([b"a\xffb", b"x"]).cast(pa.binary())
    rows = table(["a", None, long, "x" * 3_000_000])
    place, shard = write(rows)
    found = [row["text"] for _, row in read_rows(place, [shard], 0, 4)]
    assert found[:2] == [CutText("a"), None]
    assert found[2] == CutText(long[:-1], f"{2 * len(long):,} bytes")
    assert found[3] == CutText("x" * MAX_CHARACTERS, "3,000,000 bytes")
    raw = pa.StringArray.from_buffers(2, *broken.buffers()[1:])
    place, shard = write(table(["", ""]).set_column(1, "text", raw), 1)
    assert next(read_rows(place, [shard], 0, 1))[1]["text"] == CutText("a\ufffdb")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["tokens"]), "has no column `tokens`, which raw rows have"),
        (lambda t: t.set_column(2, "tokens", pa.array(["1"])), "column `tokens` is string, not int32"),
        (lambda t: t.set_column(1, "text", pa.array([{"a": 1}])), "column `text` is struct<a: int64>"),
        (lambda t: pa.concat_tables([t, t]), "has 2 rows, and the manifest says 1"),
    ],
)
def test_files_that_are_not_as_the_manifest_says_are_refused(
    write: Write, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    place, _ = write(change(table(["a"])))
    assert message in refused(place, entry(0, 1))


def test_a_row_group_is_refused_before_it_is_read_if_it_is_too_large(write: Write) -> None:
    # 80 MB that take a few kilobytes as a file.
    place, shard = write(table(["a" * 20_000_000] * 4), use_dictionary=False, compression="zstd")
    assert Path(place.directory or "", shard.path).stat().st_size < 100_000
    assert "a row group of 76 MB" in refused(place, shard)
    noise = random.Random(0).randbytes(13_000_000).hex()
    place, shard = write(table([noise]), 1, use_dictionary=False, compression="none")
    assert "a row group of 24 MB" in refused(place, shard)


def test_a_text_that_repeats_is_in_memory_once(write: Write) -> None:
    # 1,000 rows of 4 MB each, stored once: 4 GB for whoever decodes each row.
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["b" * 4_000_000]))
    rows = table([""] * 1000).set_column(1, "text", text)
    place, shard = write(rows, compression="zstd", store_schema=False)
    before = pa.total_allocated_bytes()
    found = read_rows(place, [shard], 990, 1000)
    assert next(found)[1]["text"] == CutText("b" * MAX_CHARACTERS, "4,000,000 bytes")
    assert pa.total_allocated_bytes() - before < 40_000_000


def test_an_encoding_that_builds_texts_from_each_other_is_refused(write: Write) -> None:
    how = {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}
    place, shard = write(table(["ab" * 9, "ab" * 10]), **how)
    assert "an encoding that this page does not read" in refused(place, shard)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_headers_of_pages_add_up_to_what_the_footer_says(write: Write, version: str) -> None:
    texts = [f"text {n % 50}" for n in range(5000)]
    place, shard = write(table(texts), data_page_version=version, data_page_size=4096, compression="zstd")
    content = Path(place.directory or "", shard.path).read_bytes()
    group = pq.read_metadata(Path(place.directory or "", shard.path)).row_group(0)
    for number in range(group.num_columns):
        chunk = group.column(number)
        start, end = dataset_rows._place_of(chunk)
        totals = page_totals(content[start:end], "x")
        # The footer counts the headers themselves too.
        assert 0 <= chunk.total_uncompressed_size - totals.memory < 100 * 60
        dictionary = 50 if number == 1 else len(set(range(5000))) if number == 0 else 1
        assert totals.values == 5000 + dictionary


def test_pages_whose_headers_lie_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    # Field 1: kind 0. Field 2: 2 GB in memory. Field 3: 0 bytes here. Field 5: 1 value, plain.
    header = bytes([0x15, 0, 0x15, *[0xFE, 0xFF, 0xFF, 0xFF, 0x0F], 0x15, 0, 0x2C, 0x15, 2, 0x15, 0, 0, 0])
    assert page_totals(header * 3, "x") == (3 * (2**31 - 1), 3)
    for broken in (b"\x15", b"\x19\xf5\xff\xff\xff\x0f", b"\x1c" * 50, b"\x15" + b"\xff" * 20, b"\x1d"):
        with pytest.raises(UserError, match="damaged"):
            page_totals(broken, "x")
    place, shard = write(table(["a"]))
    monkeypatch.setattr(dataset_rows, "MAX_GROUP_VALUES", 0)
    assert "a row group of" in refused(place, shard)


def test_a_damaged_file_gives_a_sentence(write: Write) -> None:
    place, shard = write(table([f"some text {n}" for n in range(50)]), row_group_size=10)
    path = Path(place.directory or "", shard.path)
    whole = path.read_bytes()
    draw = random.Random(1)
    outcomes = set()
    for number in range(150):
        content = bytearray(whole)
        for _ in range(3):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content[: draw.randrange(len(content))] if number % 5 == 0 else content)
        dataset_rows._footer.cache_clear()
        try:
            outcomes.add(len(list(read_rows(place, [shard], 5, 15))))
        except UserError:
            outcomes.add("refused")
    assert {10, "refused"} <= outcomes
    path.unlink()
    dataset_rows._footer.cache_clear()
    assert "is missing" in refused(place, shard)


def test_a_file_outside_the_directory_is_not_read(write: Write, tmp_path: Path) -> None:
    place, shard = write(table(["secret"]))
    path = tmp_path / shard.path
    outside = tmp_path.parent / f"{tmp_path.name}-outside.parquet"
    path.rename(outside)
    path.symlink_to(outside)
    message = refused(place, shard)
    assert "leads out of the directory" in message
    assert str(tmp_path.parent) not in message


def test_examples_and_their_columns_are_read(tmp_path: Path) -> None:
    path = "data/examples/typo/train-00000-of-00001.parquet"
    (tmp_path / path).parent.mkdir(parents=True)
    values = ["d", 2, "typo", "character", "a prompt", "A:", "an answer", "not read", 9]
    pq.write_table(pa.table([[v] for v in values], schema=EXAMPLES), tmp_path / path)
    shard = ShardEntry(
        path=path, config="typo", view="examples", split="train", partition=0, rows=1, tokens=9, bytes=0, sha256="0" * 64
    )  # fmt: skip
    ((number, row),) = read_rows(DatasetPlace("x", tmp_path), [shard], 0, 5)
    assert number == 0
    assert {k: v.text if isinstance(v, CutText) else v for k, v in row.items()} == {
        "document_id": "d",
        "block": 2,
        "task": "typo",
        "prompt": "a prompt",
        "anchor": "A:",
        "completion": "an answer",
        "tokens": 9,
    }
