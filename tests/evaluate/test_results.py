"""Score files: what is written, and errors for what cannot be written or read."""

import json
import shutil
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import pytest

from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UserError
from l2t_hub.evaluate import Evaluation, read_evaluation
from l2t_hub.evaluate.read_results import read_samples
from l2t_hub.evaluate.results import MAX_TEXT, write_evaluation
from l2t_hub.evaluate.suites import PROBES


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


WRONG = {
    "a count that does not fit": lambda t: t["models"][0]["micro"].update(correct=1),
    "more right than there are": lambda t: t["models"][0]["phenomena"][0].update(correct=73),
    "an interval without its value": lambda t: t["models"][0]["macro"].update(low=0.99, high=1.0),
    "two models of one label": lambda t: t["models"][1].update(label=t["models"][0]["label"]),
    "no models": lambda t: t.update(models=[], comparisons=[]),
    "no tasks": lambda t: t["protocol"].update(tasks=[]),
    "a model without a phenomenon": lambda t: t["models"][1]["phenomena"].pop(),
    "a comparison with nobody": lambda t: t["comparisons"][0].update(baseline="somebody"),
    "a difference that does not fit": lambda t: t["comparisons"][0]["micro"].update(only_model=864),
    "samples of nobody": lambda t: t.update(samples_of=["somebody"]),
    "an endless name": lambda t: t["protocol"].update(suite="x" * 1000),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_results_that_contradict_themselves_are_refused(
    evaluated: tuple[Evaluation, Path], tmp_path: Path, wrong: str
) -> None:
    tree = json.loads(evaluated[1].read_text(encoding="utf-8"))
    WRONG[wrong](tree)
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(UserError, match="contradict themselves"):
        read_evaluation(path)


def test_a_file_of_millions_of_values_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    path.write_text(json.dumps({"schema": 2, "models": [0] * 300_000}))
    with pytest.raises(UserError, match="more values than"):
        read_evaluation(path)


def test_samples_of_minimal_pairs_have_their_sentences_and_old_ones_are_still_read(
    evaluated: tuple[Evaluation, Path], tmp_path: Path
) -> None:
    evaluation, out = evaluated
    rows = [
        json.loads(line)
        for file in (PROBES / "data").glob("*.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    asked = {row["id"]: (row["good"], row["bad"]) for row in rows}
    samples = dict(read_samples(out, evaluation))["l2t"]
    assert {s.id: s.texts if s.gold == 0 else s.texts[::-1] for s in samples} == asked
    tree = [asdict(sample) for sample in samples]
    without = "".join(json.dumps({k: v for k, v in one.items() if k != "texts"}) + "\n" for one in tree)
    (tmp_path / str(evaluation.samples_file)).write_text(without, encoding="utf-8")
    own = replace(evaluation, samples_sha256=sha256(without.encode()).hexdigest())
    assert dict(read_samples(tmp_path / out.name, own)) == {"l2t": [replace(s, texts=()) for s in samples]}


def test_samples_are_read_model_by_model_and_only_if_they_are_the_results_own(
    evaluated: tuple[Evaluation, Path], tmp_path: Path
) -> None:
    evaluation, out = evaluated
    groups = dict(read_samples(out, evaluation))
    assert [(label, len(samples)) for label, samples in groups.items()] == [("raw", 864), ("l2t", 864)]
    for name in (out.name, str(evaluation.samples_file)):
        shutil.copy(out.parent / name, tmp_path)
    samples = tmp_path / str(evaluation.samples_file)
    lines = samples.read_text(encoding="utf-8")
    samples.write_text(lines.replace('"correct": true', '"correct": false', 1), encoding="utf-8")
    with pytest.raises(UserError, match="the SHA-256 differs"):
        list(read_samples(tmp_path / out.name, evaluation))
    for broken in (
        '{"model": 1}\n',
        lines.replace('"log_likelihoods": [', '"log_likelihoods": [1e999, ', 1),
        lines.replace('"measures": {}', '"measures": {"unknown": 1.0}', 1),
        lines.replace('"texts": ["', f'"texts": ["{"x" * (MAX_TEXT + 1)}', 1),
        lines.replace('"texts": ["', '"texts": ["one more", "', 1),
    ):
        samples.write_text(broken, encoding="utf-8")
        own = replace(evaluation, samples_sha256=sha256_of(samples))
        with pytest.raises(UserError, match=r"not scored examples|contradicts itself"):
            list(read_samples(tmp_path / out.name, own))
    samples.unlink()
    with pytest.raises(UserError, match="is missing"):
        list(read_samples(tmp_path / out.name, evaluation))
