"""Minimal pairs of a user's own: every kind of file, suite files, the scores, and what is wrong with bad data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tiny_models import make_tiny_model

from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import evaluate
from l2t_hub.evaluate.own_items import OwnItems
from l2t_hub.evaluate.pair_set import read_pairs, read_spec, spec_from
from l2t_hub.evaluate.suites import chosen_suites, get_suite
from l2t_hub.scoring import load_scorer, score

ROWS = [
    {"ok": "The cat sat.", "wrong": "The cat sit.", "field": "morphology", "frame": "a", "n": 1},
    {"ok": "The children sat.", "wrong": "The children sits.", "field": "morphology", "frame": "b", "n": 2},
    {"ok": "Who sat?", "wrong": "Who did sat?", "field": "syntax", "frame": "c", "n": 3},
]
OPTIONS: dict[str, Any] = {"good": "ok", "bad": "wrong", "by": ["field", "frame"]}


def write_csv(path: Path) -> None:
    path.write_text(
        "ok,wrong,field,frame\n"
        + "".join(f'"{r["ok"]}",{r["wrong"]},{r["field"]},{r["frame"]}\n' for r in ROWS)
    )


def write_tsv(path: Path) -> None:
    path.write_text(
        "ok\twrong\tfield\tframe\n"
        + "".join(f"{r['ok']}\t{r['wrong']}\t{r['field']}\t{r['frame']}\r\n" for r in ROWS)
    )


WRITERS: dict[str, Callable[[Path], object]] = {
    "pairs.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path),
    "pairs.jsonl": lambda path: path.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n"),
    "pairs.csv": write_csv,
    "pairs.tsv": write_tsv,
}


def read(path: Path, **options: Any) -> OwnItems:
    return read_pairs(spec_from(str(path), **options), Path())


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_pairs(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    found = read(tmp_path / name, **OPTIONS)
    assert found.documents[1] == {
        "id": "2",
        "phenomenon": "morphology",
        "paradigm": "b",
        "good": "The children sat.",
        "bad": "The children sits.",
    }
    assert len(found.documents) == 3
    WRITERS["pairs.jsonl"](tmp_path / "other.jsonl")
    assert found.sha256 == read(tmp_path / "other.jsonl", **OPTIONS).sha256


@pytest.mark.parametrize("first", ["good", "bad"])
def test_alternating_lines_say_which_comes_first(first: str, tmp_path: Path) -> None:
    for name in ("agreement", "binding"):
        (tmp_path / f"{name}.txt").write_text("One.\nOther.\n\nThird.\nFourth.\n")
    found = read(tmp_path / "*.txt", first=first, by=["file"])
    assert [document["phenomenon"] for document in found.documents] == ["agreement"] * 2 + ["binding"] * 2
    one, other = ("good", "bad") if first == "good" else ("bad", "good")
    assert (found.documents[0][one], found.documents[0][other]) == ("One.", "Other.")


def test_a_suite_file_keeps_what_was_asked_and_refuses_other_pairs(tmp_path: Path) -> None:
    data = tmp_path / "pairs.jsonl"
    WRITERS["pairs.jsonl"](data)
    file = tmp_path / "elsewhere" / "mine.yaml"
    file.parent.mkdir()
    (asked,) = chosen_suites(None, str(data), good="ok", bad="wrong", by="field, frame", keep=file)
    kept = get_suite(str(file))
    assert (kept.name, kept.digest()) == ("pairs", asked.digest())
    assert yaml.safe_load(file.read_text())["by"] == ["field", "frame"]
    data.write_text(data.read_text().replace("cat", "dog"))
    with pytest.raises(UserError, match="other pairs than when the suite was written"):
        get_suite(str(file))


def test_paths_in_a_suite_file_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS["pairs.jsonl"](tmp_path / "pairs.jsonl")
    (tmp_path / "suite.yaml").write_text("name: mine\npairs: pairs.jsonl\ngood: ok\nbad: wrong\n")
    monkeypatch.chdir("/")
    suite = get_suite(str(tmp_path / "suite.yaml"))
    assert suite.items is not None
    assert {document["phenomenon"] for document in suite.items.documents} == {"all pairs"}


def test_equal_and_empty_sentences_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [*ROWS, {**ROWS[0], "wrong": " The cat sat. "}, {**ROWS[0], "ok": " "}, {**ROWS[0], "ok": ""}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read(tmp_path / "p.jsonl", **OPTIONS)
    assert found.dropped == {"both sentences are equal": 1, "an empty sentence": 2}
    assert (
        found.notes()[0] == f"1 of 6 pairs left out: both sentences are equal (first: {tmp_path}/p.jsonl:4)"
    )
    (tmp_path / "p.jsonl").write_text(json.dumps(rows[3]))
    with pytest.raises(UserError, match="no pair to score"):
        read(tmp_path / "p.jsonl", **OPTIONS)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("p.jsonl", '{"ok": "A.", "wrong": "B."}', {}, r"p.jsonl:1: no column 'good'"),
        ("p.jsonl", '{"good": "A.", "bd": "B."}', {}, "Did you mean 'bd'"),
        ("p.jsonl", '{"good": "A.", "bad": 7}', {}, "column 'bad' must be a text"),
        ("p.jsonl", '{"good": "A.", "bad": "B.", "x": [1]}', {"by": ["x"]}, "must be a name or number"),
        ("p.jsonl", "{", {}, "p.jsonl:1: cannot be read"),
        ("p.jsonl", "[1]", {}, "not a JSON object"),
        ("p.jsonl", "", {}, "no pair to score"),
        ("p.csv", "good,bad\nA.,B.,C.\n", {}, "p.csv:2: not 2 fields"),
        ("p.csv", "good,bad\nA.\n", {}, "p.csv:2: not 2 fields"),
        ("p.csv", 'good,bad\n"A.,B.\n', {}, "not CSV"),
        ("p.txt", "A.\nB.\nC.\n", {"first": "good"}, "the one on line 3 has no partner"),
        ("p.txt", "A.\nB.\n", {}, "which sentence of each two lines comes first"),
        ("p.txt", "A.\nB.\n", {"first": "god"}, "first must be"),
        ("p.parquet", "no parquet", {}, "cannot be read as Parquet"),
        ("p.pkl", "A.", {}, "cannot be read from .pkl"),
    ],
)
def test_bad_data_are_located(
    name: str, content: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name, **options)


def test_text_that_is_not_utf_8_is_located(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(b"A.\n\xff\n")
    with pytest.raises(UserError, match="byte 3: not UTF-8"):
        read(tmp_path / "p.txt", first="good")


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "zorro.jsonl").write_text("")
    with pytest.raises(UsageError, match="no such file of pairs") as caught:
        read(tmp_path / "zoro.jsonl")
    assert "zorro.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\npairs: b\ngod: x\n", "unknown key god. Did you mean 'good'"),
        ("name: a\n", "pairs is missing"),
        ("name: ../a\npairs: b\n", "name must"),
        ("- a\n", "needs the keys name and pairs"),
        ("a: [\n", r"suite.yaml:2: not valid YAML"),
    ],
)
def test_a_wrong_suite_file_is_a_usage_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_spec(tmp_path / "suite.yaml")


@pytest.mark.parametrize(
    ("suite", "pairs", "options", "message"),
    [
        ("blimp", "p.jsonl", {}, "both say what to score on"),
        (None, None, {"good": "ok"}, "--good is about --pairs"),
        (None, None, {"keep": Path("x.yaml")}, "--keep is about --pairs"),
        ("nowhere.yaml", None, {}, "cannot be read"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(
    suite: str | None, pairs: str | None, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        chosen_suites(suite, pairs, **options)


def test_swapped_columns_score_the_complement(tiny_models: tuple[Path, Path], tmp_path: Path) -> None:
    WRITERS["pairs.parquet"](tmp_path / "pairs.parquet")
    model, file = str(tiny_models[0]), str(tmp_path / "pairs.parquet")
    right = evaluate([model], chosen_suites(None, file, good="ok", bad="wrong", by="field")[0], device="cpu")
    swapped = evaluate(
        [model], chosen_suites(None, file, good="wrong", bad="ok", by="field")[0], device="cpu"
    )
    for a, b in zip(right.models[0].readings, swapped.models[0].readings, strict=True):
        assert a.micro.correct + b.micro.correct == 3
    assert [row.phenomenon for row in right.models[0].phenomena] == ["morphology", "syntax"]
    scorer = load_scorer(model, device="cpu")
    sums = [[s.log_probability for s in score(scorer, [" " + r["ok"], " " + r["wrong"]])] for r in ROWS]
    assert right.models[0].micro.correct == sum(good > bad for good, bad in sums)
    assert right.models[0].readings[0].name == "leading space, summed"


def test_notes_about_the_data_are_in_the_results(tiny_models: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, [*ROWS, {**ROWS[0], "ok": ""}])))
    lines: list[str] = []
    (suite,) = chosen_suites(None, str(tmp_path / "p.jsonl"), good="ok", bad="wrong")
    out = tmp_path / "scores.json"
    results = evaluate([str(tiny_models[0])], suite, out, device="cpu", progress=lines.append)
    assert results.protocol.left_out == {"an empty sentence": 1}
    saved = (tmp_path / "scores.samples.jsonl").read_text(encoding="utf-8")
    assert len(saved.splitlines()) == 3
    assert ROWS[1]["ok"] not in saved, "a user's own pairs are not saved, so that no release publishes them"
    assert "1 of 4 pairs left out" in lines[0]
    assert results.protocol.suite_sha256 == suite.digest()


def test_pairs_beyond_the_context_of_one_model_are_left_out_for_all_and_located(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    short = make_tiny_model(tmp_path / "short", seed=4, positions=32)
    rows = [*ROWS, {**ROWS[0], "wrong": "q" * 60}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (suite,) = chosen_suites(None, str(tmp_path / "p.jsonl"), good="ok", bad="wrong")
    lines: list[str] = []
    results = evaluate([str(tiny_models[0]), str(short)], suite, device="cpu", progress=lines.append)
    assert [model.micro.total for model in results.models] == [3, 3]
    assert results.protocol.left_out == {"a sentence is longer than one of the models reads": 1}
    assert (
        lines[0] == "1 of 4 pairs left out: a sentence is longer than one of the models reads (first: pair 4)"
    )
    assert evaluate([str(tiny_models[0])], suite, device="cpu").models[0].micro.total == 4
    (tmp_path / "q.jsonl").write_text(json.dumps(rows[-1]))
    (suite,) = chosen_suites(None, str(tmp_path / "q.jsonl"), good="ok", bad="wrong")
    with pytest.raises(
        UserError, match="pair 1 is longer than one of the models reads, and so are all others"
    ):
        evaluate([str(short)], suite, device="cpu")
