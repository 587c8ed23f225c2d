"""Evaluation end to end: fake models through lm-eval's own interface, real tiny ones, the report and its errors."""

import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import LM
from rich.console import Console

from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import Evaluation, evaluate, read_evaluation, render_table
from l2t_hub.evaluate.evaluation import short_names
from l2t_hub.evaluate.freshness import is_current
from l2t_hub.evaluate.harness import LoadedPart, as_lm, run
from l2t_hub.evaluate.results import Sample, write_evaluation
from l2t_hub.evaluate.statistics import accuracies
from l2t_hub.evaluate.suites import PROBES, SUITES, get_suite
from l2t_hub.scoring import load_scorer, score


def read_pairs() -> Iterator[dict[str, str]]:
    for file in sorted((PROBES / "data").glob("*.jsonl")):
        yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())


GOOD = {pair["good"] for pair in read_pairs()}


class Oracle(LM):
    """Gives a good sentence one log-likelihood and a bad one another."""

    def __init__(self, good: float, bad: float) -> None:
        super().__init__()
        self.values = {True: good, False: bad}

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        assert all(request.args[0] == "" for request in requests)
        return [(self.values[request.args[1] in GOOD], False) for request in requests]

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        raise NotImplementedError

    def generate_until(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("good", "bad", "accuracy", "ties"), [(-1, -2, 1.0, 0), (-2, -1, 0.0, 0), (-1, -1, 0.0, 864)]
)
def test_a_model_that_knows_scores_1_one_that_knows_better_0_and_ties_are_wrong(
    probe_tasks: list[LoadedPart], good: float, bad: float, accuracy: float, ties: int
) -> None:
    samples, tasks = run(Oracle(good, bad), "oracle", SUITES["probes"], probe_tasks, None)
    phenomena, micro, macro = accuracies(samples)
    assert len(samples) == 864
    assert {row.accuracy.value for row in phenomena} == {accuracy}
    assert (micro.accuracy.value, macro.value) == (accuracy, accuracy)
    assert sum(sample.tie for sample in samples) == ties
    assert all(task.target_delimiter == "" and task.shots == 0 and task.version == "1.0" for task in tasks)
    assert len({task.examples_sha256 for task in tasks}) == 12


@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_model_whose_likelihoods_are_not_finite_is_an_error(
    probe_tasks: list[LoadedPart], value: float
) -> None:
    with pytest.raises(UserError, match="no finite probability"):
        run(Oracle(value, value), "diverged", SUITES["probes"], probe_tasks, 2)


@pytest.fixture(scope="module")
def evaluated(
    tiny_models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Evaluation, Path]:
    out = tmp_path_factory.mktemp("scores") / "new folder" / "scores.json"
    return evaluate([str(model) for model in tiny_models], "probes", out, device="cpu"), out


def test_the_report_says_what_was_run(
    evaluated: tuple[Evaluation, Path], tiny_models: tuple[Path, Path]
) -> None:
    report, _ = evaluated
    assert report.protocol.suite == "probes"
    assert sum(task.examples for task in report.protocol.tasks) == 864
    assert [model.label for model in report.models] == ["raw", "l2t"]
    for model, path in zip(report.models, tiny_models, strict=True):
        assert (model.model, model.revision, model.prefix_token) == (str(path), None, "<s>")
        assert [row.phenomenon for row in model.phenomena] == sorted(
            row.phenomenon for row in model.phenomena
        )
        assert [row.total for row in model.phenomena] == [72] * 12
        assert model.micro.accuracy.value == pytest.approx(model.macro.value)
        assert len(model.weights_sha256 or "") == 64
    assert report.models[0].weights_sha256 != report.models[1].weights_sha256
    (comparison,) = report.comparisons
    assert (comparison.model, comparison.baseline) == ("l2t", "raw")
    gained = report.models[1].micro.correct - report.models[0].micro.correct
    assert comparison.micro.only_model - comparison.micro.only_baseline == gained


def test_the_report_is_read_back_as_it_was_written(evaluated: tuple[Evaluation, Path]) -> None:
    report, out = evaluated
    assert read_evaluation(out) == report
    assert json.loads(out.read_text(encoding="utf-8")) == json.loads(json.dumps(report.as_dict()))
    assert {path.name for path in out.parent.iterdir()} == {"scores.json", "scores.samples.jsonl"}


def test_a_report_is_current_until_models_suite_or_versions_change(
    evaluated: tuple[Evaluation, Path],
    tiny_models: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, out = evaluated
    models = [(str(model), model) for model in tiny_models]
    assert is_current(out, "probes", models)
    assert not is_current(tmp_path / "none.json", "probes", models)
    assert not is_current(out, "probes", models[::-1])
    assert not is_current(out, "probes", models[:1])
    assert not is_current(out, "blimp", models)
    broken = tmp_path / "broken.json"
    broken.write_text(out.read_text()[:-20])
    assert not is_current(broken, "probes", models)
    assert not is_current(out, "probes", [models[0], (models[1][0], tiny_models[0])])
    edited = shutil.copytree(PROBES, tmp_path / "probes")
    (edited / "data" / "binding.jsonl").write_text("")
    monkeypatch.setitem(SUITES, "probes", replace(SUITES["probes"], task_folder=edited))
    assert not is_current(out, "probes", models)


def test_a_revision_that_changes_no_weights_keeps_scores_current(
    evaluated: tuple[Evaluation, Path], tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    report, _ = evaluated
    published = [replace(m, model=f"org/{m.label}@{'a' * 40}") for m in report.models]
    write_evaluation(replace(report, models=tuple(published)), [], tmp_path / "scores.json")
    names = [(f"org/{m.label}", directory) for m, directory in zip(report.models, tiny_models, strict=True)]
    assert is_current(tmp_path / "scores.json", "probes", names)
    assert not is_current(
        tmp_path / "scores.json", "probes", [("else/" + names[0][0], names[0][1]), names[1]]
    )


def test_every_example_is_kept_and_is_what_the_scorer_says(
    evaluated: tuple[Evaluation, Path], tiny_models: tuple[Path, Path]
) -> None:
    report, out = evaluated
    rows = [json.loads(line) for line in (out.parent / str(report.samples_file)).read_text().splitlines()]
    samples = [Sample(**{**row, "log_likelihoods": tuple(row["log_likelihoods"])}) for row in rows]
    assert len(samples) == 2 * 864
    mine = {sample.id: sample for sample in samples if sample.model == "l2t"}
    assert sum(sample.correct for sample in mine.values()) == report.models[1].micro.correct
    scorer = load_scorer(str(tiny_models[1]), device="cpu")
    for pair in list(read_pairs())[::40]:
        bad, good = mine[pair["id"]].log_likelihoods
        assert mine[pair["id"]].paradigm == pair["paradigm"]
        ours = [result.log_probability for result in score(scorer, [pair["bad"], pair["good"]])]
        assert [bad, good] == pytest.approx(ours, abs=1e-3)
        assert mine[pair["id"]].correct == (good > bad)


def test_scores_do_not_depend_on_the_batch_size(
    tiny_models: tuple[Path, Path], probe_tasks: list[LoadedPart]
) -> None:
    scorer = load_scorer(str(tiny_models[0]), device="cpu")
    one, _ = run(as_lm(scorer, 1), "m", SUITES["probes"], probe_tasks, 3)
    many, _ = run(as_lm(scorer, 64), "m", SUITES["probes"], probe_tasks, 3)
    for a, b in zip(one, many, strict=True):
        assert a.log_likelihoods == pytest.approx(b.log_likelihoods, abs=1e-3)


def test_the_table_shows_every_phenomenon_and_the_difference(evaluated: tuple[Evaluation, Path]) -> None:
    report, _ = evaluated
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render_table(report))
    text = capture.get()
    for row in report.models[0].phenomena:
        line = next(line for line in text.splitlines() if row.phenomenon in line)
        figures = rf"{row.phenomenon} +72 +(\d+\.\d \[\d+, \d+\] +){{2}}[+-]\d+\.\d \[[+-]\d+, [+-]\d+\]"
        assert re.search(figures, line), line
    assert "l2t - raw" in text
    assert f"{100 * report.models[0].micro.accuracy.value:.1f} [" in text
    assert f"{100 * report.comparisons[0].macro.value:+.1f} [" in text


def test_labels_limit_and_progress(tiny_models: tuple[Path, Path]) -> None:
    told: list[str] = []
    report = evaluate([str(tiny_models[0])], labels=["[mine]"], limit=2, device="cpu", progress=told.append)
    assert report.models[0].label == "[mine]"
    assert report.models[0].micro.total == 24
    assert report.protocol.limit == 2
    assert report.comparisons == ()
    assert report.samples_file is None
    (line,) = told
    assert re.fullmatch(r"\[mine\]: 24 examples in \d+\.\d s", line)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(render_table(report))
    assert "[mine]" in capture.get()


def test_an_unknown_suite_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="Did you mean 'blimp'"):
        get_suite("blmp")
    with pytest.raises(UsageError):
        evaluate(["anything"], "blmp")


def test_a_missing_model_is_an_error_before_anything_runs(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    with pytest.raises(UserError, match="no such model directory"):
        evaluate([str(tiny_models[0]), str(tmp_path / "nowhere")], out=out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": []}, "no model"),
        ({"labels": ["a"]}, "as many different labels"),
        ({"labels": ["a", "a"]}, "as many different labels"),
        ({"batch_size": 0}, "batch_size"),
        ({"limit": 0}, "limit"),
    ],
)
def test_wrong_arguments_are_usage_errors(
    tiny_models: tuple[Path, Path], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(**{"models": [str(model) for model in tiny_models], **arguments})


def test_a_model_given_twice_and_a_folder_as_file_are_usage_errors(tiny_models: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="given twice"):
        evaluate([str(tiny_models[0]), f"{tiny_models[0]}/"])
    with pytest.raises(UsageError, match="this is a directory"):
        evaluate([str(tiny_models[0])], out=tiny_models[1])


def test_scores_that_cannot_be_written_leave_nothing(
    evaluated: tuple[Evaluation, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_evaluation(evaluated[0], [], tmp_path / "scores.json")
    assert list(tmp_path.iterdir()) == []


def test_reading_what_is_no_report_is_an_error(evaluated: tuple[Evaluation, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_evaluation(tmp_path / "none.json")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"schema": 1}')
    with pytest.raises(UserError, match="no evaluation report"):
        read_evaluation(wrong)
    wrong.write_text(json.dumps({**evaluated[0].as_dict(), "schema": 99}))
    with pytest.raises(UserError, match="schema 99"):
        read_evaluation(wrong)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/raw", "runs/l2t"], ["raw", "l2t"]),
        (["runs/raw/model/", "runs/l2t/model"], ["raw/model", "l2t/model"]),
        (["one"], ["one"]),
        (["model", "other/model"], ["model", "other/model"]),
        (["org/a@v1", "org/a@v2"], ["a@v1", "a@v2"]),
    ],
)
def test_short_names_tell_models_apart(paths: list[str], names: list[str]) -> None:
    assert short_names(paths) == names
