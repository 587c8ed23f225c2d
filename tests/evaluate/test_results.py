"""Score files: what is written, and errors for what cannot be written or read."""

import json
from pathlib import Path

import pytest

from l2t_hub.errors import UserError
from l2t_hub.evaluate import Evaluation, read_evaluation
from l2t_hub.evaluate.results import write_evaluation


def test_results_are_read_as_they_were_written(evaluated: tuple[Evaluation, Path]) -> None:
    evaluation, out = evaluated
    assert read_evaluation(out) == evaluation
    assert json.loads(out.read_text(encoding="utf-8")) == json.loads(json.dumps(evaluation.as_dict()))
    assert {path.name for path in out.parent.iterdir()} == {"scores.json", "scores.samples.jsonl", ".tasks"}


def test_scores_that_cannot_be_written_leave_nothing(
    evaluated: tuple[Evaluation, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="the disk is full"):
        write_evaluation(evaluated[0], [], tmp_path / "scores.json")
    assert list(tmp_path.iterdir()) == []


def test_invalid_score_files_are_errors(evaluated: tuple[Evaluation, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_evaluation(tmp_path / "none.json")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"schema": 1}')
    with pytest.raises(UserError, match="not the scores of an evaluation"):
        read_evaluation(wrong)
    wrong.write_text(json.dumps(evaluated[0].as_dict()).replace("0.95", "NaN"))
    with pytest.raises(UserError, match="cannot be read as the scores of an evaluation"):
        read_evaluation(wrong)
    wrong.write_text(json.dumps({**evaluated[0].as_dict(), "schema": 99}))
    with pytest.raises(UserError, match="schema 99"):
        read_evaluation(wrong)
