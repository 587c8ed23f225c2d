"""`l2t report`: what every format shows, what it refuses, and that no name of a stranger's becomes more than text."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made_scores import evaluation
from rich.console import Console
from typer.testing import CliRunner

from l2t_hub.cli.app import app
from l2t_hub.cli.terminal import out
from l2t_hub.console import SafeConsole
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import Evaluation
from l2t_hub.evaluate.merging import Result, merge
from l2t_hub.evaluate.results import Estimate, Measure, MeasureDifference
from l2t_hub.report.score_report import as_text, make_report, score_section
from l2t_hub.report.score_sheets import measures_sheet, seeds_sheets
from l2t_hub.report.sheet import Figure
from l2t_hub.report.terminal_report import render_report, render_section

FORMATS = ("markdown", "latex", "csv", "html")


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the console a width of its own: it has taken that of the terminal when it was imported."""
    monkeypatch.setattr(out, "_width", 100)


def report(*arguments: object) -> str:
    """Run `l2t report` in this process; its errors are raised."""
    done = CliRunner().invoke(app, ["report", *map(str, arguments)])
    if isinstance(done.exception, Exception):
        raise done.exception
    return done.stdout


@pytest.fixture
def two(tmp_path: Path) -> Path:
    evaluation(tmp_path / "two.json", {"raw": 0.6, "l2t": 0.8})
    return tmp_path / "two.json"


def test_the_terminal_shows_tables_and_what_they_mean(two: Path) -> None:
    said = report(two)
    assert re.search(r"phenomenon_00 +24 +\d+\.\d \[\d+, \d+\] +\d+\.\d \[\d+, \d+\] +[+-]\d+\.\d", said)
    assert re.search(r"all items +288 ", said)
    assert "l2t − raw" in said
    words = " ".join(said.split())  # lines end where the terminal does
    assert "these two checkpoints differ on these items" in words
    assert "no leading space, summed" in words


def test_two_models_and_their_difference_fit_in_80_columns_and_brackets_are_no_markup(tmp_path: Path) -> None:
    made = evaluation(
        tmp_path / "e.json",
        {"[raw]": 0.6, "a-rather-long-name-of-a-model": 0.8},
        names="determiner_noun_agreem{}",
    )
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render_section(score_section(made, narrow=True, plots=False)))
    text = capture.get()
    assert "[raw]" in text
    for row in made.models[0].phenomena:
        line = next(line for line in text.splitlines() if row.phenomenon in line)
        figures = rf"{row.phenomenon} +24 +(\d+\.\d \[\d+, \d+\] +){{2}}[+-]\d+\.\d \[[+-]\d+, [+-]\d+\]"
        assert re.search(figures, line), line


def test_other_measures_have_their_differences_and_less_of_a_loss_is_better(tmp_path: Path) -> None:
    made = evaluation(tmp_path / "e.json", {"raw": 0.6, "l2t": 0.8})
    loss = Measure("loss (nats per token)", "typo", 2.5, 2.25, 2.75, 9, "lower")
    models = tuple(replace(model, measures=(loss,)) for model in made.models)
    less = MeasureDifference(loss.name, "typo", Estimate(-0.5, -0.75, -0.25), 9, "lower")
    comparison = replace(made.comparisons[0], measures=(less,))
    table = measures_sheet(replace(made, models=models, comparisons=(comparison,)))
    assert table is not None
    assert table.header == ("measure", "items", "raw", "l2t", "l2t − raw")
    (row,) = table.rows
    shown, change = row[2], row[4]
    assert isinstance(shown, Figure)
    assert isinstance(change, Figure)
    assert (shown.main(), shown.interval()) == ("2.500", "[2.250, 2.750]")
    assert (change.main(), change.interval(0)) == ("-0.500", "[-0.750, -0.250]")
    assert change.is_marked
    assert change.is_good


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_the_figures_of_the_results(two: Path, form: str) -> None:
    said = report(two, "--format", form)
    results = json.loads(two.read_text())
    share = results["models"][1]["micro"]["accuracy"]["value"]
    shown = f"{share}" if form == "csv" else f"{100 * share:.1f}"
    assert shown in said
    assert re.search(r"phenomenon\\?[ _]?\\?_?00|phenomenon_00", said)


def test_csv_has_a_row_for_each_model_and_cell_with_its_difference(two: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(report(two, "--format", "csv"))))
    assert len(rows) == 2 * (1 + 1 + 12 + 4)
    overall = {row["label"]: row for row in rows if row["kind"] == "all"}
    assert overall["raw"]["difference"] == ""
    assert overall["l2t"]["baseline"] == "raw"
    difference = float(overall["l2t"]["value"]) - float(overall["raw"]["value"])
    assert float(overall["l2t"]["difference"]) == pytest.approx(difference)
    assert float(overall["l2t"]["difference_low"]) < difference < float(overall["l2t"]["difference_high"])


def test_files_get_the_format_of_their_ending(two: Path, tmp_path: Path) -> None:
    out = [tmp_path / "new" / f"r.{ending}" for ending in ("md", "tex", "csv", "html")]
    report(two, *(word for file in out for word in ("--out", file)))
    markdown = out[0].read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", markdown)
    assert len(pictures) == 2
    assert all((out[0].parent / path).read_bytes().startswith(b"\x89PNG") for path in pictures)
    latex = out[1].read_text(encoding="utf-8")
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == latex.count(r"\toprule") > 0
    html = out[3].read_text(encoding="utf-8")
    assert html.count("<svg") == 2
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)|@import|url\((?!#)""", html)
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--format", "makrdown"], "Did you mean 'markdown'"),
        (["--out", "report.docx"], "names no format"),
        (["--out", "."], "names no format"),
        (["--baseline", "rw"], "Did you mean 'raw'"),
        (["--fail-under", "0.75"], "not a percentage"),
        (["--fail-under", "blipm=70"], "no results of blipm"),
        (["--compare-to", "papre"], "Did you mean 'paper'"),
        (["--compare-to", "paper"], "its scores are of blimp"),
    ],
)
def test_wrong_arguments_are_named(two: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        report(two, *arguments)


def test_below_its_threshold_a_model_fails_the_command_after_the_report(two: Path) -> None:
    assert "all items" in report(two, "--fail-under", "30")
    with pytest.raises(UserError, match=r"raw has \d\d\.\d\d% on probes, below 75%") as error:
        report(two, "--fail-under", "probes=75")
    assert error.value.exit_code == 1
    done = CliRunner().invoke(app, ["report", str(two), "--fail-under", "75"])
    assert "all items" in done.stdout


def test_folders_and_model_directories_stand_for_the_results_in_them(two: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "eval").mkdir(parents=True)
    for file in (two, two.with_name("two.samples.jsonl")):
        shutil.copy(file, model / "eval" / file.name.replace("two", "probes"))
    (model / "config.json").write_text("{}")
    assert report(model) == report(two) == report(tmp_path)
    for empty in (tmp_path / "model" / "config.json", tmp_path / "none"):
        (tmp_path / "none").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=r"no results|not the scores"):
            report(empty)


def test_results_that_are_damaged_are_not_skipped(two: Path, tmp_path: Path) -> None:
    (tmp_path / "worse.json").write_text(two.read_text().replace('"correct": ', '"correct": 9', 1))
    with pytest.raises(UserError, match=r"worse\.json: these scores contradict themselves"):
        report(tmp_path)


def test_published_scores_stand_beside_ours_with_the_scale_in_words(tmp_path: Path) -> None:
    evaluation(
        tmp_path / "blimp.json",
        {"mine": 0.7, "same": 0.79, "seed1": 0.6, "seed2": 0.6},
        {
            "mine": {"tokens": 10_000_000},
            "same": {"parameters": 450_000_000, "tokens": 100_000_000_000},
            "seed1": {"tokens": 20_000_000},
            "seed2": {"tokens": 20_000_000},
        },
        suite="blimp",
    )
    said = " ".join(report(tmp_path / "blimp.json", "--compare-to", "paper", "--format", "markdown").split())
    assert "| paper: l2t-500m-disjoint | 450,000,000 | 104,857,600,000 | 80.2 |" in said
    assert "mine has 5,000,000 parameters (a 90th of the published 450,000,000)" in said
    assert "was trained on 10,000,000 tokens (a 10,486th of the published 104,857,600,000)" in said
    assert "The scales differ, so the distance between these scores says nothing about a recipe." in said
    assert "same has 450,000,000 parameters (about the published 450,000,000)" in said
    assert "The scale is the same" in said
    assert (
        said.count(
            "2 models have 5,000,000 parameters (a 90th of the published 450,000,000) and were trained on"
        )
        == 1
    )


HOSTILE = (
    r"<script>alert(1)</script>[x](javascript:y)`|$\frac{$ \input{/etc/passwd} &#_^~%"
    + "\x1b[31m\u202egnp\n\n# x"
)


@pytest.fixture
def hostile(tmp_path: Path) -> list[Evaluation]:
    result = evaluation(
        tmp_path / "h.json", {HOSTILE: 0.6, "=1+cmd|' /C calc'!A0": 0.8, "_hidden": 0.7}, names="$x_{}|<b>"
    )
    merged, _ = merge([Result("h", tmp_path / "h.json", result)])
    return [replace(e, protocol=replace(e.protocol, suite="<i>\\suite|")) for e in merged]


@pytest.mark.parametrize("form", FORMATS)
def test_hostile_names_are_text_in_every_format(hostile: list[Evaluation], form: str) -> None:
    text = as_text(form, make_report(hostile, ["a note <u>"]))
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)
    if form == "html":
        assert not re.search(r"<(script|b|i|u)[\s>]|href=[\"'](?!#)", text)
    if form == "markdown":
        assert "<script" not in text.replace(r"\<", "&lt;")
        table = [line for line in text.splitlines() if line.startswith("|")]
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in table[:2]}
        assert len(bars) == 1
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert not any(value.startswith(("=", "@", "\t")) for row in rows for value in row.values())
    if form == "latex":
        body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        assert r"\input" not in body
        assert r"\frac" not in body
        assert not re.search(r"(?<!\\)%", body)
        assert len(re.findall(r"(?<!\\)\$", body)) % 2 == 0


def test_hostile_names_are_text_on_the_terminal(hostile: list[Evaluation]) -> None:
    console = SafeConsole(width=100, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(render_report(make_report(hostile, [], narrow=True, plots=False)))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", said)
    assert "<script>" in said
    assert isinstance(console, Console)


def test_many_models_fit_on_a_terminal(tmp_path: Path) -> None:
    evaluation(tmp_path / "many.json", {f"model-{i}": 0.5 + i / 40 for i in range(6)})
    said = report(tmp_path / "many.json")
    row = next(line for line in said.splitlines() if line.startswith("phenomenon_00"))
    assert len(re.findall(r"\d+\.\d", row)) == 6
    assert all(len(line.rstrip()) <= 100 for line in said.splitlines() if not line.startswith("model-"))


def test_seeds_of_recipes_have_a_table_with_their_spread(tmp_path: Path) -> None:
    shares = {
        f"{name}-{seed}": share + seed / 100
        for name, share in (("raw", 0.6), ("l2t", 0.8))
        for seed in range(3)
    }
    facts = {label: {"recipe_sha256": label[:3], "seed": int(label[-1])} for label in shares}
    evaluation(tmp_path / "seeds.json", shares, facts)
    said = report(tmp_path / "seeds.json", "--format", "markdown")
    assert "mean accuracy in % over 3 and 3 seeds" in said
    assert re.search(r"\| \*\*all items\*\* \| 8\d\.\d \| \d\.\d \| 6\d\.\d \| \d\.\d \| \+\d+\.\d \[", said)
    assert "Over 3 and 3 seeds, the recipe of l2t-0" in said


def test_losses_of_recipes_are_compared_over_their_seeds(tmp_path: Path) -> None:
    shares = {f"{name}-{seed}": 0.6 for name in ("raw", "l2t") for seed in range(3)}
    facts = {label: {"recipe_sha256": label[:3], "seed": int(label[-1])} for label in shares}
    made = evaluation(tmp_path / "seeds.json", shares, facts)
    losses = {"raw-0": 2.0, "raw-1": 2.1, "raw-2": 2.2, "l2t-0": 1.0, "l2t-1": 1.1, "l2t-2": 1.2}

    def measured(own: Evaluation, cells: tuple[str, ...]) -> Evaluation:
        rows = {
            label: tuple(
                Measure("loss (nats per token)", cell, loss, None, None, 9, "lower") for cell in cells
            )
            for label, loss in losses.items()
        }
        return replace(own, models=tuple(replace(m, measures=rows[m.label]) for m in own.models))

    assert len(seeds_sheets(made)) == 1
    _, table = seeds_sheets(measured(made, ("typo", "half")))
    assert [row[0] for row in table.rows] == ["loss (nats per token), typo", "loss (nats per token), half"]
    *means, difference = (cell for cell in table.rows[0] if isinstance(cell, Figure))
    assert [cell.main() for cell in means] == ["1.100", "0.100", "2.100", "0.100"]
    assert difference.is_marked
    assert difference.is_good
    # Student's t with four degrees of freedom: 2.776 times the standard error, 0.0816.
    assert (difference.main(), difference.interval()) == ("-1.000", "[-1.227, -0.773]")
    alone = measured(made, ("typo",)).models[0]
    assert seeds_sheets(replace(made, models=(alone,))) == []
