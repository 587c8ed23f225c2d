"""When scores on disk still count as current."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from l2t_hub.evaluate import Evaluation, freshness
from l2t_hub.evaluate.freshness import figures_are_current, is_current
from l2t_hub.evaluate.results import write_evaluation
from l2t_hub.evaluate.suites import PROBES, SUITES


def test_scores_are_current_until_models_suite_or_versions_change(
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


def test_a_revision_with_the_same_weights_keeps_scores_current(
    evaluated: tuple[Evaluation, Path], tiny_models: tuple[Path, Path], tmp_path: Path
) -> None:
    evaluation, _ = evaluated
    published = [replace(m, model=f"org/{m.label}@{'a' * 40}") for m in evaluation.models]
    write_evaluation(replace(evaluation, models=tuple(published)), [], tmp_path / "scores.json")
    names = [
        (f"org/{m.label}", directory) for m, directory in zip(evaluation.models, tiny_models, strict=True)
    ]
    assert is_current(tmp_path / "scores.json", "probes", names)
    assert not is_current(
        tmp_path / "scores.json", "probes", [("else/" + names[0][0], names[0][1]), names[1]]
    )


def test_figures_are_current_for_the_same_models_measured_alike(
    psychometric_file: Path, tiny_models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [(str(tiny_models[0]), tiny_models[0])]
    assert figures_are_current(psychometric_file, models)
    assert not figures_are_current(tmp_path / "none.json", models)
    assert not figures_are_current(psychometric_file, [(str(tiny_models[0]), tiny_models[1])])
    assert not figures_are_current(psychometric_file, [*models, (str(tiny_models[1]), tiny_models[1])])
    monkeypatch.setitem(freshness.SETTINGS, "similarity", "another")
    assert not figures_are_current(psychometric_file, models)
