"""Finished tasks are kept: a stopped evaluation continues, another model reuses, and whatever changed is run again."""

from pathlib import Path
from typing import Any

import pytest
from tiny_models import make_tiny_model

from l2t_hub.evaluate import evaluate, harness
from l2t_hub.evaluate.task_store import FOLDER


@pytest.fixture
def tasks_run(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The (model, task) pairs that lm-eval really runs, and a stop after the number of tasks in `stop`."""
    done: list[tuple[str, str]] = []
    run_task = harness._run_task

    def recording(lm: Any, label: str, suite: Any, name: str, *rest: Any) -> Any:
        if len(done) == recording.stop:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        result = run_task(lm, label, suite, name, *rest)
        done.append((label, name))
        return result

    recording.stop = -1  # type: ignore[attr-defined]
    monkeypatch.setattr(harness, "_run_task", recording)
    done_with: Any = done
    return done_with


def test_a_stopped_evaluation_continues_with_the_next_task(
    tiny_models: tuple[Path, Path], tasks_run: list[tuple[str, str]], tmp_path: Path
) -> None:
    names, out = [str(model) for model in tiny_models], tmp_path / "scores.json"
    whole = evaluate(names, limit=2, device="cpu")
    tasks_run.clear()
    harness._run_task.stop = 15  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        evaluate(names, out=out, limit=2, device="cpu")
    assert not out.exists()
    harness._run_task.stop = -1  # type: ignore[attr-defined]
    lines: list[str] = []
    continued = evaluate(names, out=out, limit=2, device="cpu", progress=lines.append)
    assert len(tasks_run) == len(set(tasks_run)) == 24
    assert "raw: 12 of 12 tasks were finished before and are reused" in lines
    assert "l2t: 3 of 12 tasks were finished before and are reused" in lines
    assert [model.phenomena for model in continued.models] == [model.phenomena for model in whole.models]
    assert [model.readings for model in continued.models] == [model.readings for model in whole.models]
    assert continued.comparisons == whole.comparisons
    assert continued.protocol.tasks == whole.protocol.tasks


def test_what_decides_the_scores_decides_what_is_reused(
    tiny_models: tuple[Path, Path], tasks_run: list[tuple[str, str]], tmp_path: Path
) -> None:
    model = make_tiny_model(tmp_path / "model", seed=1)

    def runs(**options: Any) -> int:
        tasks_run.clear()
        evaluate([str(model)], out=tmp_path / "scores.json", device="cpu", **{"limit": 1} | options)
        return len(tasks_run)

    assert runs() == 12
    assert runs() == 0
    assert runs(labels=["another name"]) == 0
    assert runs(batch_tokens=7) == 0
    assert runs(limit=2) == 12
    assert runs(dtype="bfloat16") == 12
    make_tiny_model(tmp_path / "model", seed=3)
    assert runs() == 12
    for file in (tmp_path / FOLDER).iterdir():
        file.write_text("{}")
    assert runs() == 12, "damaged files are made again"
