"""Builds on Slurm: the submitted script, and tasks run by a stand-in that give the bytes of a local build."""

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_helpers import RecipeFactory, RecordingReporter, build_silently, hashes
from fake_slurm import FakeSlurm, install

from l2t_hub.dataset.build import build
from l2t_hub.dataset.executors import slurm_queue
from l2t_hub.dataset.verify import verify
from l2t_hub.dataset.workspace import WORK
from l2t_hub.errors import UsageError, UserError
from l2t_hub.recipe import Recipe

SMALL = {"source.limit": 45, "validation.near_duplicates": "keep"}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A machine with a stand-in for Slurm."""
    stand_in = install(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{stand_in.bin}:/usr/bin:/bin")
    monkeypatch.setattr(slurm_queue, "POLL_SECONDS", 0.01)
    return stand_in


def submit(recipe: Recipe, out: Path, workers: int | None = None) -> RecordingReporter:
    reporter = RecordingReporter()
    build(recipe, out, executor="slurm", workers=workers, progress=reporter)
    return reporter


def test_the_script_asks_for_what_the_recipe_says(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    keys: dict[str, Any] = {
        **SMALL,
        "cluster.partition": "long",
        "cluster.account": "lab",
        "cluster.qos": "high",
        "cluster.hours": 1.5,
        "cluster.memory_gb": 3,
        "cluster.setup": "export MODULE=loaded",
        "cluster.sbatch": {"constraint": "icelake"},
    }
    submit(make_recipe(keys), tmp_path / "out", workers=2)
    (job,) = slurm.jobs()
    options: Any = job["options"]
    for name, value in {
        "partition": "long",
        "account": "lab",
        "qos": "high",
        "time": "01:30:00",
        "mem-per-cpu": "3G",
        "cpus-per-task": "1",
        "nodes": "1",
        "array": "0-2%2",
        "constraint": "icelake",
        "job-name": "l2t-t",
        "requeue": "",
    }.items():
        assert options[name] == value, name
    script = str(job["script"])
    assert script.index("export MODULE=loaded") < script.index("srun")
    log = tmp_path / "out" / WORK / "log"
    assert f"launch_pickled_pipeline {log / 'executor.pik'}" in script
    assert job["codes"] == {"0": 0, "1": 0, "2": 0}


def test_a_build_on_slurm_gives_the_bytes_of_a_local_one(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    """The passes before the build are jobs too: near-duplicates, and a raw share in tokens."""
    keys = {"source.limit": 45, "mixture.unit": "tokens", "source.duplicates": "near"}
    reporter = submit(make_recipe({**keys, "cluster.memory_gb": 9}), tmp_path / "cluster")
    build_silently(make_recipe(keys), tmp_path / "here", workers=2)
    expected = hashes(tmp_path / "here")
    assert len(expected) > 20
    assert hashes(tmp_path / "cluster") == expected
    assert verify(tmp_path / "cluster").problems == []
    for job in slurm.jobs():
        options: Any = job["options"]
        assert "partition" not in options, "the cluster has a default"
        assert options["array"] == "0-2"
    assert "3 partitions as Slurm job 3" in reporter.text
    reporter = submit(make_recipe(keys), tmp_path / "cluster")
    assert "nothing has changed" in reporter.text
    assert len(slurm.jobs()) == 3


def test_lost_tasks_are_named_and_the_same_command_submits_only_them(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    five = make_recipe({**SMALL, "build.partitions": 5})
    slurm.lose(1, 3)
    with pytest.raises(UserError, match=r"2 of 5 partitions failed \(1, 3\)") as caught:
        submit(five, tmp_path / "out")
    assert "cluster.memory_gb" in str(caught.value)
    assert not (tmp_path / "out" / "l2t_manifest.json").exists()
    slurm.lose()
    reporter = submit(five, tmp_path / "out")
    assert "3 of 5 partitions are already finished" in reporter.text
    options: Any = slurm.jobs()[1]["options"]
    assert options["array"] == "0-1"
    build_silently(five, tmp_path / "here")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "here")


def test_the_rest_may_be_built_locally_and_a_changed_recipe_is_stale(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    slurm.lose(2)
    with pytest.raises(UserError, match="1 of 3"):
        submit(make_recipe(SMALL), tmp_path / "out")
    reporter = RecordingReporter()
    build(make_recipe(SMALL), tmp_path / "out", workers=1, progress=reporter)
    assert "2 of 3 partitions are already finished" in reporter.text
    slurm.lose()
    reporter = submit(make_recipe({**SMALL, "seed": 7}), tmp_path / "out")
    assert "seed changed from 42 to 7" in reporter.text
    options: Any = slurm.jobs()[-1]["options"]
    assert options["array"] == "0-2"
    build_silently(make_recipe({**SMALL, "seed": 7}), tmp_path / "fresh")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")


@pytest.mark.slow
def test_a_failure_on_a_node_is_raised_like_a_local_one(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    lines = [json.dumps({"id": str(n), "text": "She came home late. He had gone. " * 20}) for n in range(9)]
    lines[7] = lines[7][:-5]
    broken = tmp_path / "broken.jsonl"
    broken.write_text("\n".join(lines) + "\n")
    keys = {"source.path": str(broken), "validation.near_duplicates": "keep"}
    with pytest.raises(UserError) as here:
        build_silently(make_recipe(keys), tmp_path / "here")
    with pytest.raises(UserError) as there:
        submit(make_recipe(keys), tmp_path / "there")
    assert there.value.message.startswith(here.value.message)
    assert "(1 of 3 partitions failed, this is partition 2)" in there.value.message
    assert slurm.jobs()[0]["codes"] == {"0": 0, "1": 0, "2": 1}
    submit(make_recipe({**keys, "build.on_error": "drop"}), tmp_path / "there")
    assert verify(tmp_path / "there").problems == []


def test_a_task_that_fails_on_a_node_is_named_with_document_and_line(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    module = tmp_path / "own_task.py"
    module.write_text(
        "from l2t_hub.tasks import Task\n"
        "def broken(block, other, rng):\n    return 1 / 0\n"
        "TASKS = [Task('shout', 'word', 'Fail.', broken)]\n"
    )
    keys = {"mixture.scheme": "single", "mixture.task": "shout", "mixture.modules": [str(module)]}
    with pytest.raises(UserError) as caught:
        submit(make_recipe({**SMALL, **keys, "build.partitions": 1}), tmp_path / "out")
    assert "task 'shout' failed on document '" in caught.value.message
    assert f"ZeroDivisionError: division by zero ({module}:3)" in caught.value.message
    assert "this is partition 0" in caught.value.message


def test_a_build_waits_for_jobs_that_are_still_in_the_queue(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    slurm.show(3)
    with monkeypatch.context() as stopped:
        stopped.setattr(slurm_queue.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            submit(make_recipe(SMALL), tmp_path / "out")
    reporter = RecordingReporter()
    build(make_recipe(SMALL), tmp_path / "out", workers=1, progress=reporter)
    assert reporter.lines[0] == "  Slurm job 1: 3 of 3 partitions finished"
    assert "building" not in reporter.text
    assert len(slurm.jobs()) == 1
    build_silently(make_recipe(SMALL), tmp_path / "here")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "here")


def test_a_stop_in_the_first_stage_keeps_the_folder_that_queued_jobs_write_to(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer to be trained and no result yet: only the recorded job shows that the folder is in use."""
    keys = {"source.limit": 45, "tokenizer.name": None, "tokenizer.vocab_size": 400}

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    slurm.lose(0, 1, 2)  # they are still waiting in the queue
    slurm.show(9)
    with monkeypatch.context() as stopped:
        stopped.setattr(slurm_queue.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            submit(make_recipe(keys), tmp_path / "out")
    assert json.loads((tmp_path / "out" / WORK / "slurm.json").read_text())["jobs"] == ["1"]
    slurm.lose()
    slurm.show(1)
    reporter = submit(make_recipe(keys), tmp_path / "out")
    assert reporter.lines[0] == "  Slurm job 1: 0 of 3 partitions finished"
    build_silently(make_recipe(keys), tmp_path / "here")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "here")


@pytest.mark.slow
def test_more_partitions_than_an_array_holds_are_several_jobs(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    submit(make_recipe({**SMALL, "build.partitions": 5, "cluster.max_array_size": 2}), tmp_path / "out")
    jobs = slurm.jobs()
    assert [job["codes"] for job in jobs] == [{"0": 0, "1": 0}] * 3, (
        "the last job has a task without a partition"
    )
    assert [job["arguments"] for job in jobs][1:] == [
        ["--export=ALL,RUN_OFFSET=1", "--dependency=afterany:1"],
        ["--export=ALL,RUN_OFFSET=2", "--dependency=afterany:2"],
    ]
    assert verify(tmp_path / "out").problems == []


def test_unusable_paths_and_a_missing_or_refusing_slurm_are_reported(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="cannot contain this path"):
        submit(make_recipe(SMALL), tmp_path / "with space")
    with pytest.raises(UsageError, match="Did you mean 'slurm'"):
        build(make_recipe(SMALL), tmp_path / "out", executor="slum")
    slurm.refuse()
    with pytest.raises(UserError, match="sbatch refused the job"):
        submit(make_recipe(SMALL), tmp_path / "out")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(UserError, match="this machine has no sbatch"):
        submit(make_recipe(SMALL), tmp_path / "out")


def test_nothing_is_submitted_for_a_directory_with_other_files(
    slurm: FakeSlurm, make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        submit(make_recipe(SMALL), tmp_path / "other")
    build_silently(make_recipe(SMALL), tmp_path / "dataset")
    (tmp_path / "dataset" / "data" / "raw" / "mine.parquet").touch()
    with pytest.raises(UsageError, match=r"mine\.parquet"):
        submit(make_recipe({**SMALL, "seed": 2}), tmp_path / "dataset")
    assert slurm.jobs() == []
