"""Matrices as text: what is read, what is asked, and how it is scored and reported."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from l2t_hub.cli.app import app
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import read_evaluation
from l2t_hub.evaluate.matrices import read_matrices
from l2t_hub.evaluate.read_results import read_samples
from l2t_hub.scoring import Scorer, load_scorer

ROWS = [
    {"prompt": "1, 2, ", "options": ["3", "9"], "answer": 0, "group": "count"},
    {"prompt": "a, b, ", "options": ["x", "y", "c"], "answer": 2, "group": "letters"},
    {"prompt": "b, c, ", "options": ["d", "e"], "answer": 1, "group": "letters"},
]


def write_items(path: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or ROWS))
    return path


def panel(kind: int, size: int, colour: int) -> list[dict[str, str]]:
    return [{"Type": str(kind), "Size": str(size), "Color": str(colour)}]


def matrix(first: int = 1) -> dict[str, Any]:
    return {"rpm": [panel(first, i % 6, i % 10) for i in range(16)]}


def log_probability(scorer: Scorer, prompt: str, option: str) -> float:
    """The log-probability of an option, and of the space before it, as lm-eval reads them: without a prefix token."""
    whole, context = (
        scorer.tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in (prompt + option, prompt.rstrip())
    )
    with torch.inference_mode():
        logs = scorer.model(torch.tensor([whole])).logits[0].double().log_softmax(dim=1)
    return sum(float(logs[i - 1, whole[i]]) for i in range(len(context), len(whole)))


def test_items_are_read_from_lines_tables_and_lists_in_cells(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = read_matrices(str(write_items(tmp_path / "a.jsonl")))
    assert [d["phenomenon"] for d in lines.documents] == ["count", "letters", "letters"]
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    cells = [[r["prompt"], json.dumps(r["options"]), str(r["answer"]), r["group"]] for r in ROWS]
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
    (tmp_path / "a.csv").write_text("\n".join(["prompt,options,answer,group", *quoted]) + "\n")
    assert read_matrices(str(tmp_path / "a.parquet")).sha256 == lines.sha256
    assert read_matrices(str(tmp_path / "a.csv")).sha256 == lines.sha256


def test_a_released_matrix_becomes_rows_of_panels_and_the_subset_says_which(tmp_path: Path) -> None:
    file = tmp_path / "center_single.json"
    file.write_text(json.dumps({"7": matrix(), "9": matrix(2)}))
    found = read_matrices(str(file))
    assert [d["id"] for d in found.documents] == ["7", "9"]
    first = found.documents[0]
    assert first["prompt"].startswith("row 1: (3,0.1,0), (3,0.2,10), (3,0.3,20); row 2: (3,0.4,30), ")
    assert first["prompt"].endswith("row 3: (3,0.1,60), (3,0.2,70), ")
    assert (first["options"][0], len(first["options"]), first["answer"]) == ("(3,0.3,80);", 8, 0)
    (tmp_path / "subset.json").write_text("[9]")
    assert [d["id"] for d in read_matrices(str(file)).documents] == ["9"]
    (tmp_path / "subset.json").write_text('["9", "11"]')
    with pytest.raises(UserError, match=r"subset\.json: center_single\.json has no item '11'"):
        read_matrices(str(file))


def test_empty_texts_and_equal_options_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        {**ROWS[0], "prompt": " "},
        {**ROWS[0], "options": ["3", ""]},
        {**ROWS[0], "options": ["3", "3 "]},
    ]
    found = read_matrices(str(write_items(tmp_path / "a.jsonl", rows)))
    assert found.dropped == {"an empty prompt or option": 2, "two equal options": 1}
    assert found.notes()[0].startswith("2 of 6 items left out: an empty prompt or option (first: ")
    with pytest.raises(UserError, match="no item to score"):
        read_matrices(str(write_items(tmp_path / "b.jsonl", rows[3:])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": 2}, r"a.jsonl:1: column 'answer' must be the index of the right option, 0 to 1"),
        ({"answer": "c"}, "column 'answer' must be"),
        ({"answer": True}, "column 'answer' must be"),
        ({"options": ["3"]}, "column 'options' must be a list of 2 to 32 texts"),
        ({"options": "3 or 9"}, "column 'options': cannot be read as a JSON list of texts"),
        ({"options": ["3", 9]}, "prompt and options must be texts"),
        ({"prompt": "x" * 30_000}, "up to 20,000 characters"),
        ({"group": ["a"]}, "column 'group' must be a name"),
    ],
)
def test_wrong_items_are_located(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        read_matrices(str(write_items(tmp_path / "a.jsonl", [{**ROWS[0], **change}])))


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([1], "not an object of matrices by id"),
        ({"a": {"rpm": [panel(1, 1, 1)] * 15}}, "item 'a': no list `rpm` of 16 panels"),
        ({"a": {"rpm": [panel(1, 1, 1) * 2] * 16}}, "a panel is not one shape"),
        ({"a": {"rpm": [[{"Type": "x", "Size": 1, "Color": 1}]] * 16}}, "whole numbers Type, Size and Color"),
        ({"a": {"rpm": [panel(1, 1, 1)] * 16}}, "no item to score"),
    ],
)
def test_a_file_that_is_not_of_the_release_is_refused(tree: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(tree))
    with pytest.raises(UserError, match=message):
        read_matrices(str(tmp_path / "m.json"))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no column 'options'\. Did you mean 'option'"):
        read_matrices(
            str(write_items(tmp_path / "a.jsonl", [{"prompt": "a", "option": ["b", "c"], "answer": 0}]))
        )


def test_the_command_scores_the_options_and_the_results_are_those_of_a_suite(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    items, out = write_items(tmp_path / "items.jsonl"), tmp_path / "scores"
    names = [str(model) for model in tiny_models]
    asked = ["--suite", "psychometric", "--matrices", str(items), "--out", str(out), "--limit", "3"]
    done = CliRunner().invoke(app, ["eval", *names, *asked])
    assert done.exit_code == 0, done.output
    found = read_evaluation(out / "matrices.json")
    assert [(row.phenomenon, row.total) for row in found.models[0].phenomena] == [
        ("count", 1),
        ("letters", 2),
    ]
    assert found.comparisons[0].micro.total == 3
    scorer = load_scorer(names[1], device="cpu")
    samples = dict(read_samples(out / "matrices.json", found))["l2t"]
    for sample, row in zip(samples, ROWS, strict=True):
        expected = [log_probability(scorer, row["prompt"], option) for option in row["options"]]
        assert list(sample.log_likelihoods) == pytest.approx(expected, abs=1e-3)
        assert sample.correct == (max(range(len(expected)), key=expected.__getitem__) == row["answer"])
    said = CliRunner().invoke(app, ["report", str(out)])
    assert "letters" in said.stdout
    assert "numbers 1 to 8" in said.stdout
    done = CliRunner().invoke(app, ["eval", names[0], "--matrices", str(items)])
    assert "--matrices is for the suite psychometric" in str(done.exception)
