"""JSON that a stranger wrote: what is refused, and how it is said."""

import os
from pathlib import Path
from typing import Any

import pytest

from l2t_hub.errors import UserError
from l2t_hub.records.reading import MAX_BYTES, parse_json, quoted, read_bounded, read_json


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + closing * depth


REFUSED = {
    "empty": (b"", "EOF"),
    "blank": (b"  \n", "EOF"),
    "word": (b"nope", "line 1 column"),
    "cut off": (b'{"a": [1, 2', "line 1 column"),
    "two values": (b"{} {}", "trailing characters"),
    "comment": (b"{} // hello", "trailing characters"),
    "trailing comma": (b"[1,]", "trailing comma"),
    "single quotes": (b"{'a': 1}", "line 1 column"),
    "NaN": (b'{"a": NaN}', "line 1 column 7"),
    "Infinity": (b'{"a": Infinity}', "line 1 column 7"),
    "-Infinity": (b'{"a": -Infinity}', "line 1 column 8"),
    "infinite float": (b'{"a": 1e999}', "too large"),
    "minus infinite float": (b"[-1e400]", "too large"),
    "2 to the 64": (b"[18446744073709551616]", "too large"),
    "-2 to the 64": (b"[-18446744073709551616]", "too large"),
    "31 digits": (b"[1000000000000000019884624838657]", "too large"),
    "digits": (b"[" + b"9" * 5000 + b"]", "too large|out of range"),
    "key twice": (b'{"a": 1, "b": 2, "a": 3}', "'a' is there twice"),
    "key twice below": (b'{"x": [{"a": 1, "a": 1}]}', "'a' is there twice"),
    "key twice by escape": (b'{"a": 1, "\\u0061": 1}', "'a' is there twice"),
    "lone surrogate": (b'["\\ud800"]', "hex escape"),
    "low surrogate": (b'["\\udc00"]', "surrogate"),
    "surrogate key": (b'{"\\ud800": 1}', "hex escape"),
    "raw surrogate": (b'["\xed\xa0\x80"]', "unicode"),
    "latin-1": (b'["\xe9"]', "unicode"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "line 1 column 1"),
    "BOM": (b"\xef\xbb\xbf{}", "line 1 column 1"),
    "control character": (b'["a\nb"]', "control character"),
    "101 deep": (nested(101), "100 deep"),
    "101 objects deep": (nested(101, b'{"a":', b"}").replace(b":}", b":1}", 1), "100 deep"),
    "100,000 deep": (nested(100_000), "recursion limit"),
    "open": (b"[" * 1_000_000, "recursion limit"),
    "NUL": (b"\x00", "line 1 column 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_json_is_one_sentence_with_its_file(name: str) -> None:
    content, problem = REFUSED[name]
    with pytest.raises(UserError, match=problem) as refused:
        parse_json(content, "dir/record.json")
    assert refused.value.message.startswith("dir/record.json: cannot be read: ")
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("content", "tree"),
    [
        (b"{}", {}),
        (b" [1, -2.5, 1e3, true, null] ", [1, -2.5, 1000.0, True, None]),
        (b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}', {"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}),
        ('{"é": "漢\\ud83d\\ude00"}'.encode(), {"é": "漢😀"}),
        (b"[18446744073709551615]", [2**64 - 1]),
        (b"[1000000000000000019884624838656]", [int(1e30)]),
        (b'"\\u0000\\n"', "\x00\n"),
    ],
)
def test_good_json_is_read(content: bytes, tree: Any) -> None:
    assert parse_json(content, "x") == tree


def test_a_hundred_levels_are_read() -> None:
    tree = parse_json(nested(100), "x")
    for _ in range(99):
        (tree,) = tree
    assert tree == []


def test_size_and_number_of_values_are_bounded_before_anything_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "l2t_manifest.json"
    path.write_bytes(b'{"a": "' + b"a" * MAX_BYTES + b'"}')
    with pytest.raises(UserError, match=r"l2t_manifest\.json: larger than the 64 MB"):
        read_json(path)
    with pytest.raises(UserError, match="larger than 64 MB"):
        parse_json(path.read_bytes(), "x")
    with pytest.raises(UserError, match="more than 8,000,000 values"):
        parse_json(b"[" + b"{}," * 5_000_000 + b"{}]", "x")


def test_a_record_is_a_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, problem in (
        (tmp_path / "pipe", "not a plain file"),
        (tmp_path, "directory"),
        (Path("/dev/zero"), "not a plain file"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(UserError, match=problem):
            read_bounded(path)


def test_what_is_quoted_is_short_and_printable() -> None:
    assert quoted("a\x1b[31m\u202e\n") == "'a\\x1b[31m\\u202e\\n'"
    assert len(quoted("x" * 10**6)) < 70
    assert quoted(3) == "3"
