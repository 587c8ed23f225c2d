"""Typicality: ratings as they are read, planted figures whose correlations are known, and tiny models end to end."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from l2t_hub.cli.app import app
from l2t_hub.cli.terminal import out as console
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import typicality
from l2t_hub.evaluate.psychometric_results import read_psychometric
from l2t_hub.evaluate.typicality import (
    EXAMPLES,
    FIGURES,
    LAST,
    NEAREST,
    SENTENCES,
    correlations,
    read_typicality,
    sentence,
    spearman,
    typicality_differences,
    typicality_measures,
)
from l2t_hub.scoring import load_scorer, score

BIRDS = ("robin", "sparrow", "owl", "hen", "penguin", "ostrich")
TOOLS = ("hammer", "saw", "drill", "ruler", "rope", "tape")


def write_ratings(path: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    if rows is None:
        named = [("bird", BIRDS), ("tool", TOOLS)]
        rows = [
            {"category": category, "member": member, "typicality": 9 - i}
            for category, members in named
            for i, member in enumerate(members)
        ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_ratings_are_read_by_the_names_of_the_release_and_ranks_are_turned_round(tmp_path: Path) -> None:
    plain = read_typicality(str(write_ratings(tmp_path / "a.csv")))
    assert [c.name for c in plain.categories] == ["bird", "tool"]
    assert plain.categories[0].ratings == (9, 8, 7, 6, 5, 4)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    released = [
        {"Category": r["category"], "Response": r["member"], "Typicality_Scores": r["typicality"]}
        for r in rows
    ]
    assert read_typicality(str(write_ratings(tmp_path / "b.csv", released))) == plain
    ranks = [
        {"category": r["category"], "member": r["member"], "rank": 10 - int(r["typicality"])} for r in rows
    ]
    by_rank = read_typicality(str(write_ratings(tmp_path / "c.csv", ranks))).categories[0]
    assert spearman(by_rank.ratings, plain.categories[0].ratings) == pytest.approx(1)


def test_rows_that_cannot_be_used_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [{"category": "bird", "member": m, "typicality": str(i)} for i, m in enumerate(BIRDS)]
    rows += [{**rows[0], "typicality": "9"}, {**rows[0], "member": "kiwi", "typicality": ""}]
    rows += [{"category": "tool", "member": m, "typicality": "3"} for m in TOOLS]
    rows += [{"category": "metal", "member": "iron", "typicality": "3"}]
    found = read_typicality(str(write_ratings(tmp_path / "a.csv", rows)))
    assert [c.name for c in found.categories] == ["bird"]
    assert list(found.left_out.values()) == [1, 1, 7]
    with pytest.raises(UserError, match="no category with 5 members of different ratings"):
        read_typicality(str(write_ratings(tmp_path / "b.csv", rows[:4])))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "category,membr,typicality\nbird,robin,3\n",
            r"a.csv:2: no column 'member'. Did you mean 'membr'",
        ),
        ("a.csv", "category,member,typicality\n,robin,3\n", "a.csv:2: category and member must be texts"),
        ("a.csv", "category,member,typicality\nbird,robin,high\n", "a.csv:2: typicality must be a number"),
        ("a.csv", "category,member,typicality\nbird,robin,inf\n", "typicality must be a number"),
        ("a.jsonl", '{"category": "bird", "member": 7, "typicality": 3}', "a.jsonl:1: category and member"),
        ("a.jsonl", '{"category": "bird", "member": "owl", "rank": true}', "rank must be a number"),
        ("a.txt", "robin\nowl\n", "ratings cannot be read from .txt"),
        ("a.csv", "category,member,typicality\n", "no category with 5 members"),
    ],
)
def test_bad_ratings_are_located(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_typicality(str(tmp_path / name))


def test_too_many_ratings_and_a_missing_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typicality, "MAX_ROWS", 5)
    with pytest.raises(UserError, match="more than 5 ratings"):
        read_typicality(str(write_ratings(tmp_path / "a.csv")))
    with pytest.raises(UsageError, match=r"no such file of ratings"):
        read_typicality(str(tmp_path / "b.csv"))


def test_sentences_have_articles_and_are_in_lower_case() -> None:
    assert sentence("Owl", "bird") == "an owl is a bird"
    assert sentence("hammer", "a Tool") == "a hammer is a tool"


def test_correlations_are_those_of_the_states_and_of_the_scored_sentences(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    scorer = load_scorer(str(tiny_models[0]), device="cpu")
    data = read_typicality(str(write_ratings(tmp_path / "a.csv")))
    found = correlations("m", scorer, data)
    assert tuple(found) == FIGURES

    def states(text: str) -> Any:
        ids = [scorer.prefix_id, *scorer.tokenizer(text, add_special_tokens=False)["input_ids"]]
        with torch.inference_mode():
            made = scorer.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        return torch.stack(made)[:, 0, 1:].double().mean(dim=1)

    for i, category in enumerate(data.categories):
        similar = torch.stack(
            [torch.cosine_similarity(states(m), states(category.name), dim=1) for m in category.members]
        )
        for figure, values in ((NEAREST, similar[:, 1:].amax(dim=1)), (LAST, similar[:, -1])):
            assert found[figure][i] == pytest.approx(spearman(category.ratings, values.tolist()))
        for count, figure in enumerate(SENTENCES):
            context = "".join(EXAMPLES[:count])
            means = []
            for member in category.members:
                (whole,) = score(scorer, [context + sentence(member, category.name)])
                bits = [token.bits for token in whole.tokens if token.end > len(context)]
                means.append(-float(np.mean(bits)))
            assert found[figure][i] == pytest.approx(spearman(category.ratings, means)), figure


def test_means_and_differences_have_intervals_over_categories() -> None:
    one = {LAST: (0.5, 0.7, None, 0.6), NEAREST: (None, None, None, None)}
    other = {LAST: (0.1, 0.5, 0.9, None), NEAREST: (0.1, 0.2, 0.3, 0.4)}
    (mean,) = typicality_measures(one)
    assert (mean.cell, mean.examples, mean.value) == (LAST, 3, pytest.approx(0.6))
    assert mean.low == pytest.approx(0.6 - 4.302653 * 0.1 / 3**0.5)
    (change,) = typicality_differences(one, other)
    assert (change.cell, change.examples, change.difference.value) == (LAST, 2, pytest.approx(0.3))
    assert change.difference.low == pytest.approx(0.3 - 12.7062 * 0.1, abs=1e-4)
    (wide,) = typicality_measures({LAST: (-1.0, 1.0)})
    assert (wide.low, wide.high) == (-1, 1)


def test_the_command_measures_typicality_and_the_report_has_it_in_every_format(
    tiny_models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 200)  # the console took that of the terminal when it was imported
    ratings, out = write_ratings(tmp_path / "ratings.csv"), tmp_path / "psychometric.json"
    names = [str(model) for model in tiny_models]
    asked = ["--suite", "psychometric", "--typicality", str(ratings), "--out", str(out)]
    done = CliRunner().invoke(app, ["eval", *names, *asked])
    assert done.exit_code == 0, done.output
    results = read_psychometric(out)
    assert results.rated is not None
    assert results.rated.categories == (("bird", 6), ("tool", 6))
    measured = {m.cell: m for m in typicality_measures(results.models[1].typicality)}
    value = measured[SENTENCES[0]].value
    shown = f"{value:.3f}"
    for form in ("terminal", "markdown", "latex", "html", "csv"):
        said = CliRunner().invoke(app, ["report", str(out), "--format", form])
        assert said.exit_code == 0, said.output
        assert (str(value) if form == "csv" else shown) in said.stdout.replace("{-}", "-"), form
        assert "distance effect, R2" in said.stdout
    said = CliRunner().invoke(app, ["report", str(out), "--format", "csv"])
    rows = list(csv.DictReader(said.stdout.splitlines()))
    assert {row["tokens"] for row in rows} == {""}
    assert {row["model"] for row in rows} == set(names)
    assert len(rows) == 2 * (2 * 15 + len(FIGURES))
    done = CliRunner().invoke(app, ["eval", names[0], "--suite", "probes", "--typicality", str(ratings)])
    assert isinstance(done.exception, UsageError)
    assert "--typicality is for the suite psychometric" in str(done.exception)
    done = CliRunner().invoke(
        app, ["report", str(out), "--push", "org/scores", "--hub", "http://127.0.0.1:9"]
    )
    assert done.exit_code != 0


def test_a_sentence_beyond_the_context_names_the_model_and_the_text(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    scorer = load_scorer(str(tiny_models[0]), device="cpu")
    data = read_typicality(str(write_ratings(tmp_path / "a.csv")))
    long = replace(data.categories[0], members=(*BIRDS[:-1], "x" * 190))
    with pytest.raises(UserError, match=r"m: 'x{60}' has \d+ tokens, but the model reads at most 128"):
        correlations("m", scorer, replace(data, categories=(long,)))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(models=[]),
        lambda t: t["models"].append(t["models"][0]),
        lambda t: t["models"][0]["summary"].pop(),
        lambda t: t["models"][0].update(label="x" * 1000),
        lambda t: t["models"][0].update(typicality={"unknown": []}),
        lambda t: t["models"][0].update(typicality={LAST: [0.5]}),
        lambda t: t["models"][0]["summary"][0].update(mean="high"),
        lambda t: t.update(schema=9),
    ],
)
def test_figures_that_cannot_be_are_refused(
    change: Any, tiny_models: tuple[Path, Path], psychometric_file: Path, tmp_path: Path
) -> None:
    tree = json.loads(psychometric_file.read_text())
    change(tree)
    (tmp_path / "x.json").write_text(json.dumps(tree))
    with pytest.raises(UserError, match=r"x\.json: (these (are not )?figures|the figures have schema)"):
        read_psychometric(tmp_path / "x.json")
