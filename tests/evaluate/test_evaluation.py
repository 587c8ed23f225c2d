"""Evaluation of tiny models: the results, the samples, and errors before anything runs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from probe_pairs import PAIRS
from tiny_models import make_tiny_model

from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate import Evaluation, evaluate, read_evaluation
from l2t_hub.evaluate.evaluation import short_names
from l2t_hub.evaluate.model_facts import bos_notes
from l2t_hub.evaluate.results import Sample
from l2t_hub.evaluate.several import evaluate_suites
from l2t_hub.evaluate.suites import get_suite, get_suites
from l2t_hub.scoring import engine, load_scorer, score


def test_the_results_describe_the_run(
    evaluated: tuple[Evaluation, Path], tiny_models: tuple[Path, Path]
) -> None:
    evaluation, _ = evaluated
    assert evaluation.protocol.suite == "probes"
    assert sum(task.examples for task in evaluation.protocol.tasks) == 864
    assert [model.label for model in evaluation.models] == ["raw", "l2t"]
    for model, path in zip(evaluation.models, tiny_models, strict=True):
        assert (model.model, model.revision, model.prefix_token) == (str(path), None, "<s>")
        assert [row.phenomenon for row in model.phenomena] == sorted(
            row.phenomenon for row in model.phenomena
        )
        assert [row.total for row in model.phenomena] == [72] * 12
        assert model.micro.accuracy.value == pytest.approx(model.macro.value)
        assert model.weights_sha256 == sha256_of(path / "model.safetensors")
    assert evaluation.models[0].weights_sha256 != evaluation.models[1].weights_sha256
    (comparison,) = evaluation.comparisons
    assert (comparison.model, comparison.baseline) == ("l2t", "raw")
    gained = evaluation.models[1].micro.correct - evaluation.models[0].micro.correct
    assert comparison.micro.only_model - comparison.micro.only_baseline == gained


def test_every_sample_is_written_and_agrees_with_the_scorer(
    evaluated: tuple[Evaluation, Path], tiny_models: tuple[Path, Path]
) -> None:
    evaluation, out = evaluated
    rows = [json.loads(line) for line in (out.parent / str(evaluation.samples_file)).read_text().splitlines()]
    samples = [Sample(**{**row, "log_likelihoods": tuple(row["log_likelihoods"])}) for row in rows]
    assert len(samples) == 2 * 864
    by_id = {sample.id: sample for sample in samples if sample.model == "l2t"}
    assert sum(sample.correct for sample in by_id.values()) == evaluation.models[1].micro.correct
    scorer = load_scorer(str(tiny_models[1]), device="cpu")
    for pair in PAIRS[::40]:
        bad, good = by_id[pair["id"]].log_likelihoods
        assert by_id[pair["id"]].paradigm == pair["paradigm"]
        ours = [result.log_probability for result in score(scorer, [pair["bad"], pair["good"]])]
        assert [bad, good] == pytest.approx(ours, abs=1e-3)
        assert by_id[pair["id"]].correct == (good > bad)


def test_labels_limit_and_progress(tiny_models: tuple[Path, Path]) -> None:
    lines: list[str] = []
    evaluation = evaluate(
        [str(tiny_models[0])], labels=["[mine]"], limit=2, device="cpu", progress=lines.append
    )
    assert evaluation.models[0].label == "[mine]"
    assert evaluation.models[0].micro.total == 24
    assert evaluation.protocol.limit == 2
    assert evaluation.comparisons == ()
    assert evaluation.samples_file is None
    note, line = lines
    assert note.startswith("note: ")
    assert "the tokenizer adds no BOS token to a text; texts are scored after one <s>" in note
    assert re.fullmatch(r"\[mine\]: 24 examples in \d+\.\d s", line)


def test_an_unknown_suite_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="Did you mean 'blimp'"):
        get_suite("blmp")
    with pytest.raises(UsageError):
        evaluate(["anything"], "blmp")


def test_a_missing_model_is_an_error_before_anything_runs(
    tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    with pytest.raises(UserError, match="nowhere: no such file or directory"):
        evaluate([str(tiny_models[0]), str(tmp_path / "nowhere")], out=out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": []}, "No model"),
        ({"labels": ["a"]}, "2 different labels"),
        ({"labels": ["a", "a"]}, "2 different labels"),
        ({"batch_tokens": 0}, "batch_tokens"),
        ({"device": "gpu7"}, "torch knows no such device"),
        ({"dtype": "float23"}, "Did you mean 'float32'"),
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
def test_short_names_differ(paths: list[str], names: list[str]) -> None:
    assert short_names(paths) == names


def test_a_model_of_another_language_is_warned_about(
    tiny_models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from l2t_hub.evaluate import evaluation

    record = SimpleNamespace(recipe={"source": {"language": ["de", "./it"]}})
    monkeypatch.setattr(evaluation.TrainingRecord, "find", lambda directory: record)
    lines: list[str] = []
    source = SimpleNamespace(name="my-model", location=str(tmp_path))
    evaluation._say_notes(get_suite("probes"), [source], lines.append)  # type: ignore[list-item]
    assert lines == [
        "warning: my-model was trained on text in German and language it, and the examples of probes are English. "
        "A score near chance says nothing of the model."
    ]
    record.recipe["source"]["language"] = "en"
    evaluation._say_notes(get_suite("probes"), [source], lines.append)  # type: ignore[list-item]
    assert len(lines) == 1


def test_several_suites_have_a_file_each_and_one_without_data_does_not_stop_the_others(
    tiny_models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def unreachable(path: str, **_: Any) -> None:
        raise ConnectionError(f"Couldn't reach '{path}' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    suites, names = get_suites("general, probes"), [str(model) for model in tiny_models]
    lines: list[str] = []
    with pytest.raises(UsageError, match=r"each of 2 suites has its own"):
        evaluate_suites(names, suites, tmp_path / "scores.json")
    results = evaluate_suites(names, suites, tmp_path, limit=1, device="cpu", progress=lines.append)
    assert [path.name for path in results.files] == ["probes.json"]
    assert read_evaluation(results.files[0]).models[0].micro == results.evaluations[0].models[0].micro
    assert results.scored_names == sorted(names)
    assert any(line.startswith("general: no results: suite 'general': its data") for line in lines)
    with pytest.raises(UserError, match=r"suite general: .* cannot be loaded"):
        results.check()
    with pytest.raises(UsageError, match="'probes' is given twice"):
        get_suites("probes,probes")
    with pytest.raises(UsageError, match="names no suite"):
        get_suites(",")


@pytest.mark.parametrize("broken", ["pickle", "full"])
def test_a_model_that_cannot_be_scored_is_named_and_the_others_are_scored(
    broken: str, tiny_models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = make_tiny_model(tmp_path / "third", seed=3)
    reason = "too little memory"
    if broken == "pickle":
        (third / "model.safetensors").rename(third / "pytorch_model.bin")
        reason = "safetensors"
    else:
        once = engine._forward_once

        def full(model: Any, packs: Any, as_tries: bool) -> Any:
            if model.name_or_path == str(third):
                raise torch.OutOfMemoryError("CUDA out of memory")
            return once(model, packs, as_tries)

        monkeypatch.setattr(engine, "_forward_once", full)
    out = tmp_path / "scores.json"
    names = [str(tiny_models[0]), str(third), str(tiny_models[1])]
    results = evaluate_suites(names, [get_suite("probes")], out, limit=1, device="cpu")
    (evaluation,) = results.evaluations
    assert [model.label for model in evaluation.models] == ["raw", "l2t"]
    assert [comparison.model for comparison in evaluation.comparisons] == ["l2t"]
    assert list(evaluation.failed) == ["third"]
    assert reason in evaluation.failed["third"]
    assert read_evaluation(out).failed == evaluation.failed
    with pytest.raises(UserError, match="1 model not scored, third"):
        results.check()
    with pytest.raises(UserError, match=reason):
        evaluate([str(third), str(tiny_models[0])], limit=1, device="cpu")


@pytest.mark.parametrize(
    ("added", "note"),
    [
        (0, "adds no BOS token to a text; texts are scored after one <s>"),
        (1, None),
        (2, "adds 2 BOS tokens to a text; texts are scored after one <s>"),
        (None, "has no BOS token; texts are scored after </s>"),
    ],
)
def test_a_tokenizer_that_adds_bos_twice_or_not_at_all_is_reported(
    added: int | None, note: str | None, tmp_path: Path
) -> None:
    from tokenizers import processors

    model = make_tiny_model(tmp_path / "model", bos=added is not None)
    scorer = load_scorer(str(model), device="cpu")
    if added:
        template = " ".join(["<s>"] * added + ["$A"])
        scorer.tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("<s>", scorer.tokenizer.bos_token_id)]
        )
    notes = bos_notes(scorer)
    assert [text.partition("the tokenizer ")[2] for text in notes] == ([note] if note else [])
