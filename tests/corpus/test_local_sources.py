"""Local sources: every format gives the same documents, partitions only divide them, errors name file and row."""

import bz2
import gzip
import hashlib
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2t_hub.corpus.document import Document, Dropped
from l2t_hub.corpus.source import LocalSource, open_source
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import recipe_from_tree

ROWS = [{"id": f"d{n}", "text": f"Text number {n}. " * (n % 7 + 1), "n": n} for n in range(97)]


def source_of(path: Path | str, build: dict[str, Any] | None = None, **keys: Any) -> LocalSource:
    tree = {"name": "t", "source": {"path": str(path), **keys}, "build": build or {}}
    source = open_source(recipe_from_tree(tree))
    assert isinstance(source, LocalSource)
    return source


def all_records(source: LocalSource) -> list[Document | Dropped]:
    return [record for n in range(len(source.partitions)) for record in source.read(n)]


def write_parquet(path: Path, rows: list[dict[str, Any]], group: int = 10) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)
    return path


def write_lines(path: Path, rows: list[dict[str, Any]], opener: Callable[..., Any] = open) -> Path:
    with opener(path, "wb") as file:
        file.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
    return path


def zst(path: Path, mode: str) -> Any:
    return pa.output_stream(str(path), compression="zstd")


FORMATS = {
    "a.parquet": write_parquet,
    "a.jsonl": write_lines,
    "a.json": write_lines,
    "a.ndjson": write_lines,
    "a.jsonl.gz": lambda p, r: write_lines(p, r, gzip.open),
    "a.jsonl.bz2": lambda p, r: write_lines(p, r, bz2.open),
    "a.jsonl.xz": lambda p, r: write_lines(p, r, lzma.open),
}


def write_zst(path: Path, rows: list[dict[str, Any]]) -> Path:
    with pa.output_stream(str(path), compression="zstd") as stream:
        for row in rows:
            stream.write(json.dumps(row).encode() + b"\n")
    return path


FORMATS["a.jsonl.zst"] = write_zst
EXPECTED = [(row["id"], row["text"]) for row in ROWS]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("partitions", [1, 2, 5, 40])
def test_every_format_and_division_gives_the_same_documents_in_order(
    tmp_path: Path, name: str, partitions: int
) -> None:
    path = FORMATS[name](tmp_path / name, ROWS)
    source = source_of(path, {"partitions": partitions})
    assert [(d.id, d.text) for d in all_records(source) if isinstance(d, Document)] == EXPECTED
    assert len(source.partitions) == partitions
    if name in ("a.parquet", "a.jsonl"):
        assert source.records == len(ROWS)
        sizes = [len(list(source.read(n))) for n in range(partitions)]
        assert max(sizes) <= 3 * len(ROWS) / partitions + 1, "partitions are of about equal size"


@pytest.mark.parametrize("limit", [1, 10, 11, 45, 96, 97, 500])
@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.jsonl.gz"])
def test_a_limit_takes_the_first_records_of_the_whole_source(tmp_path: Path, name: str, limit: int) -> None:
    for part, rows in (("1", ROWS[:40]), ("2", ROWS[40:])):
        folder = tmp_path / part
        folder.mkdir()
        FORMATS[name](folder / name, rows)
    source = source_of(tmp_path, {"partitions": 3}, limit=limit)
    assert [(d.id, d.text) for d in all_records(source) if isinstance(d, Document)] == EXPECTED[:limit]


def test_a_glob_and_a_directory_read_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for n, name in enumerate(["b/2.jsonl", "a.jsonl", "b/10.jsonl", ".hidden/x.jsonl"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_lines(tmp_path / name, [{"id": n, "text": name}])
    texts = [r.text for r in all_records(source_of(tmp_path)) if isinstance(r, Document)]
    assert texts == ["a.jsonl", "b/10.jsonl", "b/2.jsonl"]
    globbed = source_of(tmp_path / "b" / "*.jsonl")
    assert [r.text for r in all_records(globbed) if isinstance(r, Document)] == ["b/10.jsonl", "b/2.jsonl"]
    assert list(globbed.contents) == ["10.jsonl", "2.jsonl"]


def test_text_files_are_one_document_each_with_the_name_as_id(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a-b.txt").write_bytes("\ufeffDear é.\n\nYours.".encode())
    with gzip.open(tmp_path / "z.text.gz", "wt") as file:
        file.write("Zipped.")
    records = all_records(source_of(tmp_path, {"partitions": 2}))
    assert records == [Document("letters/a-b", "Dear é.\n\nYours."), Document("z", "Zipped.")]


def test_the_bundled_sample_is_found_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    documents = [r for r in all_records(source_of("bundled:sample")) if isinstance(r, Document)]
    assert len(documents) >= 150
    assert sum(len(d.text.split()) for d in documents) >= 25_000
    assert all(d.id.count("/") == 1 and not d.id.endswith(".txt") for d in documents)


def test_without_an_id_column_ids_are_file_and_row_for_any_partitions(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", ROWS)
    ids = [
        [r.id for r in all_records(source_of(tmp_path / "a.parquet", {"partitions": n}, id_column=None))]  # type: ignore[union-attr]
        for n in (1, 4)
    ]
    assert ids[0] == ids[1] == [f"a.parquet:{n}" for n in range(97)]
    write_lines(tmp_path / "a.jsonl", ROWS)
    lines = [
        [r.id for r in all_records(source_of(tmp_path / "a.jsonl", {"partitions": n}, id_column=None))]  # type: ignore[union-attr]
        for n in (1, 4)
    ]
    assert lines[0] == lines[1]
    assert len(set(lines[0])) == 97


def test_nested_token_counts_are_read_and_null_counts_are_none(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "a", "metadata": {"token_count": 7}}, {"id": 2, "text": "b", "metadata": None}]
    for path in (write_parquet(tmp_path / "a.parquet", rows), write_lines(tmp_path / "a.jsonl", rows)):
        records = all_records(source_of(path, token_count_column="metadata.token_count"))
        assert records == [Document("1", "a", 7), Document("2", "b", None)]


def test_null_and_empty_texts_are_dropped_with_a_reason(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": None}, {"id": 2, "text": " \n"}, {"id": 3, "text": ""}, {"id": 4, "text": "x"}]
    for path in (write_parquet(tmp_path / "a.parquet", rows), write_lines(tmp_path / "a.jsonl", rows)):
        records = all_records(source_of(path))
        assert [r.reason if isinstance(r, Dropped) else r.id for r in records] == [
            "null text",
            "empty text",
            "empty text",
            "4",
        ]


def bad_utf8_parquet(path: Path) -> Path:
    text = pa.array([b"fine", b"ab\xffc", b"fine too"])
    table = pa.table({"id": ["1", "2", "3"], "text": text})
    pq.write_table(table, path)
    return path


def mislabelled_parquet(path: Path) -> Path:
    """A string column whose bytes are not UTF-8, as a careless writer may produce."""
    data = pa.array([b"fine", b"ab\xffc", b"fine too"])
    text = pa.StringArray.from_buffers(3, data.buffers()[1], data.buffers()[2])
    pq.write_table(pa.table({"id": ["1", "2", "3"], "text": text}), path)
    return path


def bad_utf8_lines(path: Path) -> Path:
    path.write_bytes(
        b'{"id": 1, "text": "fine"}\n{"id": 2, "text": "ab\xffc"}\n{"id": 3, "text": "fine too"}\n'
    )
    return path


def surrogate_lines(path: Path) -> Path:
    path.write_text(
        '{"id": 1, "text": "fine"}\n{"id": 2, "text": "ab\\ud800c"}\n{"id": 3, "text": "fine too"}\n'
    )
    return path


BAD_BYTES = {
    "binary.parquet": (bad_utf8_parquet, ["row 1", "byte 2 is not UTF-8"]),
    "string.parquet": (mislabelled_parquet, ["row 1", "byte 2 is not UTF-8"]),
    "lines.jsonl": (bad_utf8_lines, ["line 2", "byte 47 is not UTF-8"]),
    "half.jsonl": (surrogate_lines, ["line 2", "character 2", "surrogate"]),
}


@pytest.mark.parametrize("name", BAD_BYTES)
def test_bytes_that_are_not_utf8_stop_with_their_location_or_are_dropped(tmp_path: Path, name: str) -> None:
    write, expected = BAD_BYTES[name]
    path = write(tmp_path / name)
    with pytest.raises(UserError) as caught:
        all_records(source_of(path))
    assert all(part in str(caught.value) for part in (str(path), *expected)), str(caught.value)
    records = all_records(source_of(path, {"on_error": "drop"}))
    assert [r.reason if isinstance(r, Dropped) else r.text for r in records] == [
        "fine",
        "not UTF-8",
        "fine too",
    ]


def test_a_text_file_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("caf\xe9".encode("latin-1"))
    with pytest.raises(
        UserError, match=r"a\.txt: byte 3 is not UTF-8.*\n.*source\.encoding, such as latin-1"
    ):
        all_records(source_of(tmp_path, encoding="utf-8"))


def test_broken_json_names_the_line_and_can_be_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"id": 1, "text": "a"}\n\n{"id": 2, "te\n[1]\n{"id": 4, "text": 5}\n{"id": null, "text": "b"}\n'
    )
    with pytest.raises(UserError, match=r"a\.jsonl, line 3: not JSON"):
        all_records(source_of(path))
    records = all_records(source_of(path, {"on_error": "drop"}))
    assert [r.reason for r in records if isinstance(r, Dropped)] == ["unreadable row"] * 3 + ["null id"]


@pytest.mark.parametrize("content", ['{\n "id": 1,\n "text": "a"\n}', '{"data": [{"id": 1, "text": "a"}]}'])
def test_json_that_is_neither_lines_nor_an_array_is_an_error_with_its_remedy(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match=r"a\.json"):
        all_records(source_of(tmp_path / "a.json"))


def test_a_damaged_row_group_is_located_and_its_rows_are_counted(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", ROWS, group=25)
    start = pq.ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"row group 1 \(rows 25 to 49\): cannot be read"):
        all_records(source_of(path))
    records = all_records(source_of(path, {"on_error": "drop"}))
    assert sum(isinstance(r, Dropped) for r in records) == 25
    assert len(records) == 97


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.bz2", "a.jsonl.xz", "a.jsonl.zst"])
def test_a_compressed_file_cut_short_is_named(tmp_path: Path, name: str) -> None:
    path = FORMATS[name](tmp_path / name, ROWS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=rf"{name}: damaged or cut short"):
        all_records(source_of(path))


def test_corrupt_bytes_in_a_compressed_file_are_named(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "a.jsonl.bz2", "a.jsonl.xz", "a.jsonl.zst"):
        path = FORMATS[name](tmp_path / name, ROWS)
        data = bytearray(path.read_bytes())
        data[30:60] = b"\xff" * 30
        path.write_bytes(data)
        with pytest.raises(UserError, match=rf"{name}: damaged or cut short"):
            all_records(source_of(path))


@pytest.mark.parametrize("limit", [None, 50, 1000])
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.bz2", "a.jsonl.xz", "a.jsonl.zst"])
def test_a_truncated_file_is_read_up_to_the_damage_and_its_rest_is_one_drop(
    tmp_path: Path, name: str, limit: int | None
) -> None:
    rows = [{"id": f"d{n}", "text": hashlib.sha256(str(n).encode()).hexdigest()} for n in range(20_000)]
    path = FORMATS[name](tmp_path / name, rows)
    path.write_bytes(path.read_bytes()[:-20])
    source = source_of(path, {"on_error": "drop", "partitions": 2}, limit=limit)
    records = all_records(source)
    texts = [r.text for r in records if isinstance(r, Document)]
    assert texts
    assert texts == [row["text"] for row in rows[: len(texts)]]
    reasons = [r.reason for r in records if isinstance(r, Dropped)]
    if limit is not None and len(texts) == limit:
        assert reasons == []
    else:
        assert reasons == [f"rest of a damaged file: {name}"]
        assert source.records in (None, len(records))


def test_a_file_that_is_not_parquet_is_dropped_by_name_and_the_others_are_read(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", ROWS[:40])
    (tmp_path / "b.parquet").write_bytes(write_parquet(tmp_path / "x.parquet", ROWS).read_bytes()[:-30])
    (tmp_path / "x.parquet").rename(tmp_path / "c.parquet")
    with pytest.raises(UserError, match=r"b\.parquet: not a Parquet file"):
        source_of(tmp_path)
    source = source_of(tmp_path, {"on_error": "drop", "partitions": 3})
    records = all_records(source)
    assert [r.reason for r in records if isinstance(r, Dropped)] == ["unreadable file: b.parquet"]
    assert len(records) == source.records == 40 + 1 + 97
    assert "b.parquet" in source.contents


def test_a_flipped_bit_is_detected_by_page_checksums(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.Table.from_pylist(ROWS), path, compression=None, use_dictionary=False, write_page_checksum=True
    )
    data = bytearray(path.read_bytes())
    data[data.index(b"Text number 40") + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"row group 0 .*cannot be read"):
        all_records(source_of(path))


def test_a_file_without_records_gives_no_documents(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    (tmp_path / "b.jsonl").write_bytes(b"\n\n")
    assert all_records(source_of(tmp_path, {"partitions": 3})) == []


def not_parquet(path: Path) -> Path:
    path.write_text("this is not Parquet")
    return path


WRONG: list[tuple[str, Callable[[Path], Path], dict[str, Any], type[UserError], str]] = [
    ("a.parquet", not_parquet, {}, UserError, "a.parquet: not a Parquet file"),
    (
        "a.parquet",
        lambda p: write_parquet(p, ROWS),
        {"text_column": "txt"},
        UsageError,
        "'txt'. Did you mean 'text'",
    ),
    (
        "a.jsonl",
        lambda p: write_lines(p, ROWS),
        {"text_column": "txet"},
        UsageError,
        "'txet'. Did you mean 'text'",
    ),
    (
        "a.parquet",
        lambda p: write_parquet(p, ROWS),
        {"id_column": "ids"},
        UsageError,
        "source.id_column: null",
    ),
    ("a.jsonl", lambda p: write_lines(p, ROWS), {"id_column": "ids"}, UsageError, "source.id_column: null"),
    ("a.parquet", lambda p: write_parquet(p, ROWS), {"text_column": "n"}, UsageError, "is int64, not text"),
    (
        "a.parquet",
        lambda p: write_parquet(p, ROWS),
        {"token_count_column": "m.c"},
        UsageError,
        "no column 'm.c'",
    ),
    (
        "a.jsonl",
        lambda p: write_lines(p, ROWS),
        {"token_count_column": "text"},
        UsageError,
        "must be an integer of at least 0",
    ),
    ("a.docx", not_parquet, {}, UsageError, "Known suffixes: .parquet"),
    ("a.parquet", lambda p: p.with_name("b.parquet"), {}, UsageError, "no such file or directory"),
    ("a.parquet", lambda p: write_parquet(p, ROWS).with_name("a.parqet"), {}, UsageError, "mean 'a.parquet'"),
    ("a.parquet", lambda p: p.parent, {}, UsageError, "no files"),
    ("a.parquet", lambda p: p.parent / "*.jsonl", {}, UsageError, "no files"),
]


@pytest.mark.parametrize(("name", "write", "keys", "kind", "expected"), WRONG)
def test_wrong_sources_are_errors_that_say_what_and_where(
    tmp_path: Path,
    name: str,
    write: Callable[[Path], Path],
    keys: dict[str, Any],
    kind: type[UserError],
    expected: str,
) -> None:
    path = write(tmp_path / name)
    with pytest.raises(kind) as caught:
        all_records(source_of(path, **keys))
    assert expected in str(caught.value), str(caught.value)
    assert type(caught.value) is kind


def test_a_directory_with_several_kinds_of_file_is_an_error(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", ROWS)
    write_lines(tmp_path / "b.jsonl", ROWS)
    with pytest.raises(UsageError, match=r"several kinds of file: parquet \(a.parquet\), jsonl \(b.jsonl\)"):
        source_of(tmp_path)


def test_the_contents_change_with_the_bytes_and_not_with_the_path(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write_lines(tmp_path / folder / "a.jsonl", ROWS)
    x, y = (source_of(tmp_path / folder / "a.jsonl") for folder in ("x", "y"))
    assert x.contents == y.contents
    assert x.inputs(0) == y.inputs(0)
    write_lines(tmp_path / "y" / "a.jsonl", ROWS[:-1])
    assert source_of(tmp_path / "y" / "a.jsonl").contents != x.contents
