"""The scoreboard without a browser: what is put together, what is kept apart, the pairs behind a score, its files."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
import pytest
from saved_scores import PER_PHENOMENON, PHENOMENA, probes, save

from l2t_hub.demo.model_pool import ModelPool, score_with
from l2t_hub.demo.page_context import ModelChoice, PageContext
from l2t_hub.demo.pairs_behind import NO_SAMPLES, NO_TEXTS, CellPairs, cell_reader, score_cell
from l2t_hub.demo.score_files import board_downloads, board_plots, pairs_csv
from l2t_hub.demo.score_reading import Scoreboard, api_functions
from l2t_hub.demo.score_sources import ScoreSource, read_source, source_reader
from l2t_hub.demo.scoreboard import MAX_COLUMNS, ScoresBySuite, board, collect, sorted_table
from l2t_hub.demo.scoreboard_tab import add_scoreboard_tab, parse_sort
from l2t_hub.demo.scoreboard_view import board_page, cell_page
from l2t_hub.demo.tab import Tab
from l2t_hub.errors import UserError
from l2t_hub.report.score_report import as_csv, score_table

HOSTILE = '<img src=x onerror="1">\u202e"\'&'


def scores_of(*places: Path) -> ScoresBySuite:
    return collect([read_source(ScoreSource(place.name, str(place), owners=True)) for place in places])


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two model directories with results of their own, on the same pairs."""
    for name, share in (("raw", 0.5), ("l2t", 0.9)):
        save(tmp_path / name / "eval" / "probes.json", {name: share})
    return tmp_path / "raw", tmp_path / "l2t"


@pytest.fixture
def tool(two: tuple[Path, Path]) -> Scoreboard:
    models = {place.name: str(place) for place in two}
    context = PageContext(models, ModelPool(models, memory=1 << 30))
    return Scoreboard(context, {}, source_reader(), cell_reader())


def behind(scores: ScoresBySuite, model: str, phenomenon: str = PHENOMENA[0]) -> CellPairs:
    return cell_reader()(scores.suites[0], scores.later, model, phenomenon)


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_models_of_several_directories_are_compared_pair_by_pair_with_the_reports_figures(
    two: tuple[Path, Path],
) -> None:
    scores = scores_of(*two)
    shown = board(scores.suite(None))
    assert (shown.labels, scores.notes, shown.notes) == (("raw", "l2t"), (), ())
    assert shown.evaluation.comparisons[0].paired
    page = Tags(board_page(shown, [], ("", False), {}))
    figures = [row["value"] for row in csv.DictReader(io.StringIO(as_csv(score_table([shown.evaluation]))))]
    assert all(f"{100 * float(value):.1f}" in page.text for value in figures)
    assert "To compare recipes, score at least 3 seeds of each" in page.text
    buttons = [(a["data-model"], a["data-phenomenon"]) for tag, a in page.tags if "data-phenomenon" in a]
    assert sorted(buttons) == sorted((model, name) for model in ("raw", "l2t") for name in PHENOMENA)
    turned = board(scores.suite(None), (), "l2t")
    assert turned.labels == ("l2t", "raw")


def test_a_broken_source_is_named_and_the_others_are_shown(two: tuple[Path, Path], tmp_path: Path) -> None:
    broken, empty = tmp_path / "broken", tmp_path / "empty"
    empty.mkdir()
    save(broken / "eval" / "probes.json", {"broken": 0.5})
    tree = json.loads((broken / "eval" / "probes.json").read_text())
    tree["models"][0]["micro"]["correct"] = 1
    (broken / "eval" / "probes.json").write_text(json.dumps(tree))
    scores = scores_of(broken, two[0], empty)
    assert scores.suites[0].labels == ("raw",)
    assert re.search(r"^broken: probes.json: these scores contradict themselves", scores.notes[0])
    assert scores.notes[1].startswith("empty: no results.")
    with pytest.raises(UserError, match="No scores to show"):
        scores_of(broken).suite(None)


def test_suites_and_protocols_are_kept_apart(tmp_path: Path) -> None:
    save(tmp_path / "a" / "eval" / "probes.json", {"a": 0.5})
    save(tmp_path / "b" / "eval" / "probes.json", {"b": 0.5}, limit=None)
    save(tmp_path / "c" / "eval" / "own.json", {"c": 0.5}, suite="own")
    scores = scores_of(*(tmp_path / name for name in "abc"))
    names = [suite.name for suite in scores.suites]
    assert len(set(names)) == 3
    assert names[-1] == "own"
    assert all(re.fullmatch(r"probes \(protocol [0-9a-f]{8}\)", name) for name in names[:2])
    assert "they differ in the examples per task (8 and all)" in scores.notes[0]
    assert [scores.suite(name).labels for name in names] == [("a",), ("b",), ("c",)]
    with pytest.raises(UserError, match=r"no scores on such a suite.*own"):
        scores.suite("owm")


def test_rows_are_sorted_by_any_column_and_sums_stay_at_the_end(two: tuple[Path, Path]) -> None:
    shown = board(scores_of(*two).suite(None))
    plain = sorted_table(shown)
    for place, column in enumerate(plain.header):
        up = sorted_table(shown, column)
        down = sorted_table(shown, column, descending=True)
        values = [getattr(row[place], "value", row[place]) for row in up.rows[:-2]]
        assert values == sorted(values)
        assert [getattr(row[place], "value", row[place]) for row in down.rows[:-2]] == values[::-1]
        assert up.rows[-2:] == down.rows[-2:] == plain.rows[-2:]
    assert sorted_table(shown, "nothing") == plain
    heads = [a for _, a in Tags(board_page(shown, [], ("l2t", True), {})).tags if "aria-sort" in a]
    assert [head["aria-sort"] for head in heads] == ["none", "none", "none", "descending", "none"]


@pytest.mark.parametrize("text", ["", "[", "[1, 2]", '"ab"', "[" * 5000, '{"a": 1, "b": 2}', "null"])
def test_a_sort_order_that_makes_no_sense_sorts_nothing(text: str, two: tuple[Path, Path]) -> None:
    column, descending = parse_sort(text)
    shown = board(scores_of(*two).suite(None))
    assert sorted_table(shown, column, descending=descending) == sorted_table(shown)


def test_the_pairs_behind_a_score_are_those_that_it_counts_wrong_ones_first(two: tuple[Path, Path]) -> None:
    scores = scores_of(*two)
    cell = behind(scores, "raw")
    saved = next(
        row for row in scores.suites[0].entries[0].scores.phenomena if row.phenomenon == PHENOMENA[0]
    )
    assert (cell.total, cell.wrong) == (saved.total, saved.total - saved.correct)
    assert 0 < cell.wrong < cell.total == len(cell.rows)
    assert [row.right for row in cell.rows] == [False] * cell.wrong + [True] * (cell.total - cell.wrong)
    bits = [row.bits or 0 for row in cell.rows]
    assert bits == sorted(bits)
    assert bits[cell.wrong - 1] < 0 < bits[cell.wrong]
    asked = {row["id"]: (row["good"], row["bad"]) for row in probes()}
    assert all((row.good, row.bad) == asked[row.id] for row in cell.rows)
    assert all(row.other_bits == pytest.approx((row.bits or 0) / 2) for row in cell.rows)
    page = cell_page(cell, lambda good, bad: "?to=compare")
    assert page.index(cell.rows[0].good or "-") < page.index(cell.rows[-1].good or "-")
    assert page.count('href="?to=compare"') == cell.total
    listed = list(csv.DictReader(io.StringIO(pairs_csv(cell))))
    assert [row["good"] for row in listed] == [row.good for row in cell.rows]
    with pytest.raises(UserError, match=r"no score on elipsis.*ellipsis"):
        behind(scores, "raw", "elipsis")
    with pytest.raises(UserError, match="no such model has scores"):
        behind(scores, "nobody")


def test_old_results_have_the_sentences_of_the_bundled_pairs_or_say_that_they_have_none(
    tmp_path: Path,
) -> None:
    save(tmp_path / "old" / "eval" / "probes.json", {"old": 0.5}, texts=False)
    assert behind(scores_of(tmp_path / "old"), "old").rows[0].good
    save(tmp_path / "own" / "eval" / "own.json", {"own": 0.5}, texts=False, suite_sha256="c" * 64)
    cell = behind(scores_of(tmp_path / "own"), "own")
    assert {row.good for row in cell.rows} == {None}
    assert cell.note == NO_TEXTS
    page = cell_page(cell, lambda good, bad: "?to=compare")
    assert NO_TEXTS in page
    assert "?to=compare" not in page


def test_examples_that_are_not_those_of_the_results_are_refused(two: tuple[Path, Path]) -> None:
    samples = two[0] / "eval" / "probes.samples.jsonl"
    samples.write_text(samples.read_text().replace('"correct": false', '"correct": true'))
    with pytest.raises(UserError, match="the SHA-256 differs"):
        behind(scores_of(two[0]), "raw")


def test_without_saved_decisions_the_page_scores_the_bundled_pairs_itself(
    tmp_path: Path, tiny_models: tuple[str, str]
) -> None:
    out = tmp_path / "tiny-raw" / "eval" / "probes.json"
    save(out, {"tiny-raw": 0.5})
    out.with_name("probes.samples.jsonl").unlink()
    scores = scores_of(tmp_path / "tiny-raw")
    cell = behind(scores, "tiny-raw")
    assert (cell.rows, cell.note, cell.can_score) == ((), NO_SAMPLES, True)
    pool = ModelPool({"tiny-raw": tiny_models[0]}, memory=1 << 30)
    with pool.use(ModelChoice("tiny-raw")) as scorer:
        cell = score_cell(scores.suites[0], "tiny-raw", PHENOMENA[0], scorer, "tiny-raw")
    assert len(cell.rows) == PER_PHENOMENON
    for row in cell.rows:
        good, bad = score_with(pool, ModelChoice("tiny-raw"), [row.good or "", row.bad or ""])
        assert row.bits == pytest.approx(bad.bits - good.bits, abs=1e-4)
        assert row.right == (good.bits < bad.bits)
    right = sum(row.right for row in cell.rows)
    assert f"{right} of 8 pairs right. The saved score counts {cell.total - cell.wrong} of 8" in cell.note
    other = tmp_path / "other" / "eval" / "own.json"
    save(other, {"m": 0.5}, suite="own")
    other.with_name("own.samples.jsonl").unlink()
    assert not behind(scores_of(tmp_path / "other"), "m").can_score


def test_names_and_sentences_of_strangers_are_text(tmp_path: Path) -> None:
    out = tmp_path / "m" / "eval" / "own.json"
    save(out, {HOSTILE: 0.5, "fine": 0.5}, suite=HOSTILE)
    for file in (out, out.with_name("own.samples.jsonl")):
        text = file.read_text().replace(PHENOMENA[0], json.dumps(HOSTILE)[1:-1])
        file.write_text(text.replace("The man praised", json.dumps(HOSTILE)[1:-1]))
    tree = json.loads(out.read_text())
    from l2t_hub.artifacts import sha256_of

    tree["samples_sha256"] = sha256_of(out.with_name("own.samples.jsonl"))
    out.write_text(json.dumps(tree))
    scores = scores_of(tmp_path / "m")
    shown = board(scores.suite(None))
    cell = behind(scores, HOSTILE, HOSTILE)
    assert any(HOSTILE in (row.good or "") for row in cell.rows)
    plots = board_plots(shown)
    pages = [
        board_page(shown, [HOSTILE], (HOSTILE, False), plots),
        board_downloads(shown, plots),
        cell_page(cell, lambda good, bad: "?"),
    ]
    for page in pages:
        assert "<img" not in page
        assert "\u202e" not in Tags(page).text
        assert not any(name.startswith("on") for _, attributes in Tags(page).tags for name in attributes)
    sent = [a for _, a in Tags(pages[0]).tags if a.get("data-phenomenon") == HOSTILE]
    assert {a["data-model"] for a in sent} == {HOSTILE, "fine"}


def test_many_models_are_cut_to_some_columns_and_checkpoints_become_curves(tmp_path: Path) -> None:
    shares = {f"run/step-{step}": 0.4 + step / 100 for step in range(1, 4)}
    facts: dict[str, Any] = {
        label: {"tokens": 1000 * i, "recipe_sha256": "d" * 64, "seed": 1, "step": i, "model": label}
        for i, label in enumerate(shares, start=1)
    }
    shares |= {f"other-{number:02}": 0.5 for number in range(MAX_COLUMNS + 3)}
    save(tmp_path / "m" / "eval" / "probes.json", shares, facts)
    suite = scores_of(tmp_path / "m").suite(None)
    shown = board(suite)
    assert len(shown.labels) == MAX_COLUMNS
    assert shown.labels[:2] == ("run/step-3", "other-00")
    assert "12 of 16 models are shown" in shown.notes[0]
    assert {"differences", "by-tokens", "by-compute"} == set(board_plots(shown))
    few = board(suite, ["run/step-1", "other-05"])
    assert few.labels == ("run/step-3", "run/step-1", "other-05")
    assert not few.notes


def test_downloads_are_what_is_shown(two: tuple[Path, Path]) -> None:
    shown = board(scores_of(*two).suite(None))
    links = {
        a["download"]: a["href"] or ""
        for tag, a in Tags(board_downloads(shown, board_plots(shown))).tags
        if tag == "a"
    }
    assert set(links) == {"probes.csv", "probes.md", "probes-differences.png"}
    from base64 import b64decode

    files = {name: b64decode(link.partition(",")[2]) for name, link in links.items()}
    assert files["probes.csv"].decode("utf-8-sig") == as_csv(score_table([shown.evaluation]))
    assert "| l2t − raw |" in files["probes.md"].decode()
    assert files["probes-differences.png"].startswith(b"\x89PNG")


def test_the_functions_of_the_api_give_rows_and_pairs(tool: Scoreboard) -> None:
    scoreboard, scored_pairs = api_functions(tool)
    rows = scoreboard(["raw", "l2t"])
    assert {row["label"] for row in rows} == {"raw", "l2t"}
    overall = next(row for row in rows if (row["label"], row["kind"]) == ("l2t", "all"))
    assert overall["baseline"] == "raw"
    assert overall["difference"] == pytest.approx(
        overall["value"] - next(r for r in rows if r["kind"] == "all")["value"]
    )
    pairs = scored_pairs(["raw", "l2t"], "l2t", PHENOMENA[1])
    assert len(pairs) == PER_PHENOMENON
    json.dumps([rows, pairs])
    with pytest.raises(UserError, match="No scores to show"):
        scoreboard(["/etc"])
    with pytest.raises(UserError, match="no such model"):
        scored_pairs(["raw"], "l2t", PHENOMENA[1])


def made_tab(context: PageContext) -> Tab:
    with gr.Blocks():
        return add_scoreboard_tab(context)


def test_the_button_shows_scores_and_a_link_opens_a_cell(tool: Scoreboard) -> None:
    tab = made_tab(tool.context)
    suite, columns, baseline, page, files, pairs, ask = tab.show(["raw", "l2t"], None, [], None, "", "", "")
    assert (suite["value"], columns["value"], baseline["value"]) == ("probes", [], "raw")
    assert "probes: 2 models" in page
    assert "probes.csv" in files
    assert (pairs, ask["visible"]) == ("", False)
    *_, opened, ask = tab.show(
        ["raw", "l2t"], "probes", [], "gone", '["l2t", "descending"]', "l2t", PHENOMENA[0]
    )
    links = [a["href"] for tag, a in Tags(opened).tags if tag == "a" and "download" not in a]
    asked = parse_qs((links[0] or "").removeprefix("?"))
    assert asked["tab"] == ["compare"]
    assert {"l2t", "raw"} <= {value for values in asked.values() for value in values}
    nothing = tab.show(["raw"], "blimp", [], None, "", "", "")
    assert "no scores on such a suite" in nothing[3]
    unknown = tab.show(["raw", "../etc", "https://x.org/y"], None, [], None, "", "", "")
    assert unknown[3].count("this page does not offer that model") == 2


def test_a_model_is_only_called_the_pages_own_if_it_is(tool: Scoreboard) -> None:
    suite = tool.scores(["raw"]).suite(None)
    entry = suite.entry("raw")

    def named(model: str, models: dict[str, str], *, guests: bool = False) -> str | None:
        context = PageContext(models, tool.context.pool, guest_models=guests)
        scores = replace(entry.scores, model=model)
        return replace(tool, context=context).page_model(replace(entry, scores=scores))

    assert named("/home/x/raw", {"raw": "/srv/raw", "l2t": "/srv/l2t"}) == "raw"
    assert named("org/raw@step-5", {"raw": "org/raw"}) == "raw@step-5"
    assert named("org/raw", {"a/raw": "/a/raw", "b/raw": "/b/raw"}) is None
    assert named("other/m", {"raw": "org/raw"}) is None
    assert named("other/m@v1", {"raw": "org/raw"}, guests=True) == "other/m@v1"
    assert named("../etc/passwd", {"raw": "org/raw"}, guests=True) is None
