"""Text, CSV and JSON arrays: however a file is cut into partitions, encoded or compressed, the documents are the same."""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l2t_hub.corpus import inspection
from l2t_hub.corpus.document import Document, Dropped
from l2t_hub.corpus.encodings import Detector, codec_name, has_lines
from l2t_hub.corpus.source import LocalSource, open_source
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import recipe_from_tree

EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def source_of(file: Path, partitions: int = 1, on_error: str = "stop", **keys: Any) -> LocalSource:
    build = {"partitions": partitions, "on_error": on_error}
    source = open_source(
        recipe_from_tree({"name": "t", "source": {"path": str(file), **keys}, "build": build})
    )
    assert isinstance(source, LocalSource)
    return source


def records_of(source: LocalSource) -> list[Document | Dropped]:
    return [record for n in range(len(source.partitions)) for record in source.read(n)]


def texts_of(path: Path, partitions: int = 1, **keys: Any) -> list[str]:
    return [r.text for r in records_of(source_of(path, partitions, **keys)) if isinstance(r, Document)]


@pytest.fixture(autouse=True)
def _cut_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files are cut at every record, as large ones are every CUT_BYTES."""
    monkeypatch.setattr(inspection, "CUT_BYTES", 1)


# ------------------------------------------------------------------------------------------------------------ text

LINES = st.sampled_from(
    ["A sentence here.", "and it goes on", "", "  ", "\t", "Été à Paris.", "你好，世界。今天很好", "\x0c", 'He said: "No!"', "x" * 50]
)  # fmt: skip
TEXTS = st.tuples(st.lists(LINES, max_size=25), st.sampled_from(["\n", "\r\n"]), st.booleans()).map(
    lambda t: t[1].join(t[0]) + (t[1] if t[2] else "")
)


@given(text=TEXTS, split_on=st.sampled_from(["none", "lines", "blank_lines", 1, 2, 5, 30]), data=st.data())
@EXAMPLES
def test_any_number_of_partitions_gives_the_documents_of_the_whole_text(
    tmp_path: Path, text: str, split_on: str | int, data: st.DataObject
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    whole = records_of(source_of(path, split_on=split_on))
    partitions = data.draw(st.integers(2, 12))
    parts = source_of(path, partitions, split_on=split_on)
    assert records_of(parts) == whole
    assert parts.records == len(whole)
    with gzip.open(tmp_path / "b.txt.gz", "wb") as file:
        file.write(text.encode())
    zipped = records_of(source_of(tmp_path / "b.txt.gz", partitions, split_on=split_on))
    assert [getattr(r, "text", r) for r in zipped] == [getattr(r, "text", r) for r in whole]
    limit = data.draw(st.integers(1, 8))
    assert records_of(source_of(path, partitions, split_on=split_on, limit=limit)) == whole[:limit]
    (tmp_path / "b.txt.gz").unlink()


@given(text=TEXTS, split_on=st.sampled_from(["lines", "blank_lines", 1, 3, 10]))
@EXAMPLES
def test_splitting_loses_and_repeats_nothing_but_blank_text(
    tmp_path: Path, text: str, split_on: str | int
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    documents = [r for r in records_of(source_of(path, 3, split_on=split_on)) if isinstance(r, Document)]
    assert "".join("".join(d.text.split()) for d in documents) == "".join(text.split())
    assert len({d.id for d in documents}) == len(documents)
    for document in documents:
        assert document.text == document.text.strip()
        start = int(document.id.removeprefix("a@"))
        assert text.encode()[start:].decode().lstrip().replace("\r\n", "\n").startswith(document.text[:20])


def test_what_the_splits_are(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(b"\xef\xbb\xbfOne two.\r\nThree\r\n\r\n \r\nFour five six. Seven eight.\r\nNine")
    assert texts_of(path) == ["One two.\nThree\n\n \nFour five six. Seven eight.\nNine"]
    assert texts_of(path, split_on="lines") == ["One two.", "Three", "Four five six. Seven eight.", "Nine"]
    paragraphs = ["One two.\nThree", "Four five six. Seven eight.\nNine"]
    assert texts_of(path, split_on="blank_lines") == paragraphs
    # Two words or more, up to the end of a sentence; four at most.
    words = ["One two.", "Three\n\n \nFour five six.", "Seven eight.", "Nine"]
    assert texts_of(path, split_on=2) == words
    first, *_ = records_of(source_of(path, split_on="lines"))
    assert isinstance(first, Document)
    assert first.id == "book@3", "the byte order mark is not part of the first line"


def test_a_text_without_sentence_ends_is_cut_after_twice_the_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word " * 1000)
    assert [len(text.split()) for text in texts_of(tmp_path / "a.txt", split_on=30)] == [60] * 16 + [40]


def test_characters_of_scripts_without_spaces_count_as_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("今天天气很好。我们去公园。" * 50, encoding="utf-8")
    texts = texts_of(tmp_path / "a.txt", split_on=20)
    assert "".join(texts) == "今天天气很好。我们去公园。" * 50
    assert {len(text) for text in texts[:-1]} <= set(range(20, 41))
    assert all(text.endswith("。") for text in texts)


def test_one_very_long_document_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("A sentence here. " * 200_000)
    (note,) = source_of(tmp_path / "book.txt").notes
    assert note.startswith("warning: book.txt is one document of 3.4 MB.")
    assert "Set source.split_on: blank_lines, lines, or a number of words such as 500." in note
    assert source_of(tmp_path / "book.txt", split_on=500).notes == []


# ------------------------------------------------------------------------------------------------------- encodings

PROSE = {
    "cp1252": "Größe und Maß sind für die Übung nötig. „Schön“, sagte er – und ging zur Straße.",
    "cp1251": "Съешь ещё этих мягких французских булок, да выпей чаю. Привет, мир! Как дела?",
    "gb18030": "你好，世界。今天天气很好，我们一起去公园散步吧。他说他不想去。",
    "shift_jis": "今日は良い天気ですね。公園へ散歩に行きましょう。彼は行きたくないと言いました。",
    "cp949": "안녕하세요 세계. 오늘은 날씨가 좋네요. 공원에 산책하러 갑시다.",
    "cp1256": "مرحبا بالعالم. الطقس جميل اليوم، هيا نذهب إلى الحديقة.",
}


@pytest.mark.parametrize("encoding", PROSE)
@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_an_encoding_is_detected_and_told(tmp_path: Path, encoding: str, suffix: str) -> None:
    lines = [PROSE[encoding]] * 30
    data = "\r\n".join(lines).encode(encoding)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    source = source_of(path, 3, split_on="lines")
    assert [r.text for r in records_of(source) if isinstance(r, Document)] == lines
    (found,) = source.encodings.values()
    (note,) = source.notes
    assert note == f"warning: not UTF-8, read {path.name} as {found}. If that is wrong, set source.encoding."
    assert {"encoding": found}.items() <= source.inputs(0)[0].items()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl", ".json"])
def test_unicode_with_a_byte_order_mark_or_zeros_is_read(tmp_path: Path, encoding: str, suffix: str) -> None:
    rows = [{"id": f"d{n}", "text": f"Line {n}, \u201cquoted\u201d: caf\u00e9."} for n in range(40)]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(WRITERS[suffix](rows).encode(encoding))
    keys = {"split_on": "lines"} if suffix == ".txt" else {}
    assert texts_of(path, 3, **keys) == [row["text"] for row in rows]


@given(
    encoding=st.sampled_from(
        ["utf-8", "latin-1", "cp1252", "koi8-r", "utf-16", "gb18030", "shift_jis", "cp437"]
    ),
    characters=st.lists(st.text(max_size=30), min_size=1, max_size=8),
    partitions=st.integers(1, 5),
)
@EXAMPLES
def test_a_named_encoding_decodes_what_it_encoded(
    tmp_path: Path, encoding: str, characters: list[str], partitions: int
) -> None:
    rows = [
        {"id": str(n), "text": "x" + text.encode(encoding, "ignore").decode(encoding).replace("\0", "") + "x"}
        for n, text in enumerate(characters)
    ]
    expected = [row["text"].replace("\r\n", "\n").replace("\r", "\n") for row in rows]
    for suffix in (".csv", ".jsonl", ".json"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(WRITERS[suffix](rows).encode(encoding))
        assert texts_of(path, partitions, encoding=encoding) == expected


def test_a_few_bad_bytes_in_utf8_are_damage_and_not_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Été à Paris, déjà vu.\n".encode() * 20 + b"caf\xe9\n" + "Élève.\n".encode() * 20)
    with pytest.raises(UserError, match=r"a\.txt, byte [\d,]+: byte [\d,]+ is not UTF-8"):
        texts_of(path, split_on="lines")
    records = records_of(source_of(path, 4, "drop", split_on="lines"))
    assert [r.reason for r in records if isinstance(r, Dropped)] == ["not UTF-8"]
    assert len(records) == 41


def test_json_is_utf8_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"id": 1, "text": "Größe"}\n'.encode("latin-1") * 3)
    with pytest.raises(UserError, match=r"line 1: byte 21 is not UTF-8.*\n.*source\.encoding"):
        texts_of(path)
    assert texts_of(path, encoding="latin-1") == ["Größe"] * 3


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl"])
def test_a_byte_order_mark_is_no_place_to_lose_a_record(tmp_path: Path, suffix: str) -> None:
    rows = [{"id": str(n), "text": "a"} for n in range(3)]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(WRITERS[suffix](rows).encode("utf-8-sig"))
    keys = {"split_on": "lines"} if suffix == ".txt" else {}
    for partitions in range(1, path.stat().st_size + 2):
        assert texts_of(path, partitions, **keys) == ["a", "a", "a"]


def test_bytes_that_a_named_encoding_has_not_are_dropped_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,text\n1,good\n2,bad \x81\n")
    with pytest.raises(UserError, match=r"row at byte 15: it has bytes that are not cp1252"):
        texts_of(path, encoding="windows-1252")
    records = records_of(source_of(path, 2, "drop", encoding="cp1252"))
    assert records == [Document("1", "good"), Dropped("not in the source's encoding")]


def test_utf16_cut_short_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Some words here".encode("utf-16")[:-1])
    with pytest.raises(UserError, match=r"a\.txt: damaged or cut short: .*utf-16"):
        texts_of(path)


@given(st.binary(max_size=400))
@EXAMPLES
def test_detection_takes_any_bytes_and_names_a_codec(data: bytes) -> None:
    detector = Detector()
    for start in range(0, len(data), 7):
        detector.feed(data[start : start + 7])
    assert codec_name(detector.encoding()) is not None
    if data.isascii() and b"\0" not in data:
        assert detector.encoding() == "utf-8"


def test_which_encodings_have_lines() -> None:
    assert all(has_lines(str(codec_name(name))) for name in ("utf8", "ascii", "Latin-1", "cp1252", "koi8-r"))
    assert not any(has_lines(name) for name in ("utf-16", "gb18030", "shift_jis", "cp037", "iso2022_jp"))


# ------------------------------------------------------------------------------------------------------------- CSV


def write_csv(rows: list[dict[str, str]], delimiter: str = ",", end: str = "\r\n") -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end)
    writer.writerow(list(rows[0]))
    writer.writerows(list(row.values()) for row in rows)
    return buffer.getvalue()


WRITERS: dict[str, Callable[[list[dict[str, str]]], str]] = {
    ".txt": lambda rows: "\n".join(row["text"] for row in rows),
    ".csv": write_csv,
    ".jsonl": lambda rows: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
    ".json": lambda rows: json.dumps(rows, ensure_ascii=False, indent=1),
}
FIELDS = st.lists(
    st.sampled_from(["a", "B c", ",", ";", "\t", '"', '""', "\n", "\r\n", "\n\n", "é", "你", " ", "|", "'"]),
    max_size=8,
).map("".join)


@given(
    fields=st.lists(FIELDS, min_size=1, max_size=15),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    partitions=st.integers(1, 10),
)
@EXAMPLES
def test_csv_with_quoted_newlines_is_cut_exactly(
    tmp_path: Path, fields: list[str], delimiter: str, end: str, partitions: int
) -> None:
    rows = [{"n": str(n), "text": text, "id": f"d{n}"} for n, text in enumerate(fields)]
    path = tmp_path / "a.csv"
    path.write_bytes(write_csv(rows, delimiter, end).encode())
    source = source_of(path, partitions)
    records = records_of(source)
    assert source.records == len(records) == len(rows)
    for record, row in zip(records, rows, strict=True):
        text = row["text"].replace("\r\n", "\n").replace("\r", "\n")
        assert record == (Document(row["id"], text) if text.strip() else Dropped("empty text"))
    numbered = records_of(source_of(path, partitions, id_column=None))
    assert len({r.id for r in numbered if isinstance(r, Document)}) == sum(
        isinstance(r, Document) for r in numbered
    )
    assert numbered == records_of(source_of(path, 1, id_column=None))


def test_a_large_csv_has_partitions_of_about_equal_size(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [{"id": str(n), "text": "a line\n" * rng.randint(1, 20)} for n in range(500)]
    (tmp_path / "a.csv").write_text(write_csv(rows))
    source = source_of(tmp_path / "a.csv", 10)
    sizes = [len(list(source.read(n))) for n in range(10)]
    assert sum(sizes) == 500
    assert max(sizes) < 100


def test_a_csv_delimiter_is_the_one_that_gives_the_columns(tmp_path: Path) -> None:
    for name, delimiter in (("a.csv", ";"), ("b.tsv", "\t"), ("c.csv", "|"), ("d.tsv", ",")):
        (tmp_path / name).write_text(write_csv([{"id": "1", "text": "one, two; three | four"}], delimiter))
        assert texts_of(tmp_path / name) == ["one, two; three | four"]
    (tmp_path / "e.csv").write_text(write_csv([{"id": "1", "text": "a"}], "#"))
    with pytest.raises(UsageError, match=r"e\.csv has no column 'text'. Did you mean 'id#text'"):
        source_of(tmp_path / "e.csv")
    assert texts_of(tmp_path / "e.csv", delimiter="#") == ["a"]


def test_a_csv_column_that_is_missing_or_there_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,body,n\n1,a,2\n")
    with pytest.raises(UsageError, match=r"source\.text_column: .*a\.csv has no column 'text'.*id, body, n"):
        source_of(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("id,text,text\n1,a,2\n")
    with pytest.raises(UsageError, match=r"b\.csv has 2 columns 'text'"):
        source_of(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("text,n\na,x\nb,7\n")
    assert texts_of(tmp_path / "c.csv", id_column=None) == ["a", "b"]
    with pytest.raises(UsageError, match=r"a token count must be an integer of at least 0, not 'x'"):
        texts_of(tmp_path / "c.csv", id_column=None, token_count_column="n")


def test_a_broken_csv_row_is_located_or_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,text\n1,good\n2,"bad" quotes\n3,a,b\n,no id\n5,also good\n6,"never closed\n7,x\n')
    with pytest.raises(UserError, match=r"a\.csv, row at byte 15: not CSV: .*\n.*double quotes"):
        texts_of(path)
    records = records_of(source_of(path, 3, "drop"))
    assert [r.id for r in records if isinstance(r, Document)] == ["1", "5"]
    reasons = ["unreadable row", "unreadable row", "null id", "unreadable row"]
    assert [r.reason for r in records if isinstance(r, Dropped)] == reasons


def test_an_empty_csv_has_no_records(tmp_path: Path) -> None:
    for content in ("", "\n\n", "id,text\n"):
        (tmp_path / "a.csv").write_text(content)
        assert records_of(source_of(tmp_path / "a.csv", 3)) == []


# ------------------------------------------------------------------------------------------------------ JSON arrays


@given(
    texts=st.lists(st.text(max_size=20), min_size=1, max_size=10),
    indent=st.sampled_from([None, 2]),
    limit=st.integers(1, 12),
)
@EXAMPLES
def test_a_json_array_gives_the_documents_of_json_lines(
    tmp_path: Path, texts: list[str], indent: int | None, limit: int
) -> None:
    rows = [{"id": n, "text": text, "meta": {"n": n, "x": 0.5}} for n, text in enumerate(texts)]
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=indent))
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = {"token_count_column": "meta.n"}
    lines = records_of(source_of(tmp_path / "b.jsonl", **keys))
    array = source_of(tmp_path / "a.json", 3, **keys)
    assert records_of(array) == lines
    assert records_of(source_of(tmp_path / "a.json", 2, limit=limit, **keys)) == lines[:limit]


def test_a_json_array_that_breaks_off_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"id": 1, "text": "a"}, 5, {"id": 2, "text": "b"}, {"id": 3, "te')
    with pytest.raises(UserError, match=r"a\.json, item 1: not a JSON object"):
        texts_of(path)
    reasons = ["unreadable row", "rest of a damaged file: a.json"]
    records = records_of(source_of(path, 2, "drop"))
    assert [r.id for r in records if isinstance(r, Document)] == ["1", "2"]
    assert [r.reason for r in records if isinstance(r, Dropped)] == reasons
    path.write_text('[{"id": 1, "text": "a"}, {"id": 2, "text": ]')
    with pytest.raises(
        UserError, match=r"a\.json: the array cannot be read to its end: parse error: unallowed token"
    ):
        texts_of(path)


def test_a_missing_column_of_an_array_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"id": 1, "body": "a"}]')
    with pytest.raises(UsageError, match=r"a\.json has no column 'text'"):
        source_of(tmp_path / "a.json")


# ---------------------------------------------------------------------------------------------------------- recipes


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"split_on": "pages"}, "split_on"),
        ({"split_on": 0}, "`source.split_on` must be a number of words, not 0"),
        (
            {"encoding": "latin-99"},
            "`source.encoding` must be auto or an encoding of Python, such as latin-1",
        ),
        ({"encoding": "zlib"}, "not 'zlib'"),
        ({"delimiter": "::"}, "`source.delimiter` must be one character"),
        ({"delimiter": '"'}, "`source.delimiter` must be one character"),
        (
            {"path": None, "dataset": "a/b", "split_on": "lines"},
            "applies to `source.path`, not to a Hub dataset",
        ),
    ],
)
def test_wrong_keys_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        source_of(tmp_path, **{"path": str(tmp_path), **keys})


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("a.jsonl", {"split_on": "lines"}, r"source\.split_on applies to text files, not to a\.jsonl"),
        ("a.txt", {"delimiter": ";"}, r"source\.delimiter applies to CSV files, not to a\.txt"),
        ("a.parquet", {"encoding": "cp1252"}, r"source\.encoding applies to text, CSV and JSON files, not"),
    ],
)
def test_keys_that_do_not_apply_are_refused(
    tmp_path: Path, name: str, keys: dict[str, Any], message: str
) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(UsageError, match=message):
        source_of(tmp_path / name, **keys)
