"""An experiment from end to end: seeds side by side, scores along training, the record, and a stranger's rerun."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from l2t_hub.evaluate.read_results import read_evaluation

TINY = {
    "seeds": "[1, 2]",
    "source.limit": 40,
    "tokenizer.vocab_size": 400,
    "packing.sequence_length": 256,
    "blocks.tokens_per_block": 60,
    "model.hidden_size": 32,
    "model.num_hidden_layers": 1,
    "train.max_steps": 50,
    "train.warmup_steps": 1,
    "train.logging_steps": 1,
    "train.eval_steps": 25,
    "train.save_steps": 25,
    "train.save_total_limit": "null",
    "evaluation.along_training": 10,
}
NAMES = [f"nano-{arm}-seed{seed}" for arm in ("raw", "l2t") for seed in (1, 2)]
pytestmark = pytest.mark.slow


def l2t(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "l2t_hub.cli", *arguments]


def experiment(folder: Path, *arguments: str) -> list[str]:
    sets = [f"--set={key}={value}" for key, value in TINY.items()]
    return l2t("run", "nano", "--out", str(folder), "--jobs", "2", *sets, *arguments)


def done(command: list[str]) -> subprocess.CompletedProcess[str]:
    finished = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert finished.returncode == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """An experiment that was stopped in its first runs, and continued by the same command."""
    folder = tmp_path_factory.mktemp("experiment") / "run"
    command = experiment(folder, "--record", str(folder / "record"))
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 300
    while not list(folder.glob("models/*/checkpoints/checkpoint-25")):
        assert time.monotonic() < deadline
        assert first.poll() is None, first.stderr.read() if first.stderr else ""
        time.sleep(0.1)
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 143
    assert "Rerun the command to continue" in said
    return folder, done(command)


def test_a_stopped_experiment_continues_each_of_its_runs(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, again = finished
    assert "4 runs, 204,800 tokens" in again.stderr
    assert "4 of 4 runs done" in again.stderr
    logs = {name: (folder / "logs" / f"{name}.log").read_text(encoding="utf-8") for name in NAMES}
    assert any("continuing from step" in log or "already finished, reused" in log for log in logs.values())
    for name in NAMES:
        record = json.loads((folder / "models" / name / "training.json").read_text(encoding="utf-8"))
        assert record["steps"] == 50
        assert record["hardware"]["threads"] == max(1, len(os.sched_getaffinity(0)) // 2)


def test_the_report_compares_recipes_over_their_seeds_and_along_training(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, again = finished
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "| phenomenon | nano-l2t | SD | nano-raw | SD | difference | over seeds and items | p |" in report
    assert "Over 2 and 2 seeds, nano-l2t scores" in again.stdout
    assert "## Scores: probes: along training" in report
    tokens = [row.split(" | ")[0] for row in re.findall(r"^\| ([\d,]+ \| .*)\|$", report, re.MULTILINE)]
    assert {"25,600", "51,200"} <= set(tokens)
    assert "after equal numbers of different documents" in report
    assert "differences are paired by seed" in report
    along = read_evaluation(folder / "scores" / "along-training" / "probes.json")
    assert len(along.models) == 8
    assert [c.seeds for c in along.recipes] == [2, 2]


def test_the_record_is_whole_and_names_no_place_on_this_machine(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    record = finished[0] / "record"
    facts = json.loads((record / "experiment.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in facts["runs"]] == NAMES
    assert facts["hardware"][0]["cores"] == os.cpu_count()
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", facts["commit"])
    recipes = list(yaml.safe_load_all((record / "recipes.yaml").read_text(encoding="utf-8")))
    assert [recipe["name"] for recipe in recipes] == NAMES
    scores = read_evaluation(record / "scores" / "probes.json")
    assert [model.model for model in scores.models] == [f"models/{name}" for name in NAMES]
    assert scores.recipes
    along = read_evaluation(record / "scores" / "along-training" / "probes.json")
    assert (len(along.models), along.comparisons) == (8, ())
    for path in record.rglob("*"):
        if path.is_file() and path.suffix != ".png":
            text = path.read_text(encoding="utf-8")
            assert str(finished[0]) not in text, path
            assert str(Path.home()) not in text or str(Path.home()) == "/", path
            assert "127.0.0.1" not in text, path
    done(l2t("report", str(record), "--out", str(finished[0] / "again.html")))


def test_a_finished_experiment_trains_and_scores_nothing_again(
    finished: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    again = done(experiment(finished[0]))
    assert "train and score" not in again.stderr
    assert again.stderr.count("up to date, reused") == 2


def test_one_seed_is_published_and_its_record_gives_the_same_losses_bit_for_bit(
    finished: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, again = finished
    assert "rehearsal/nano-l2t-seed1" in again.stdout
    assert "nano-l2t-seed2 " not in again.stdout.partition("Published")[2]

    published = ("rehearsal/nano-l2t-seed1", "--kind", "model", "--hub", f"local:{folder / 'hub'}")
    report = json.loads(done(l2t("reproduce", *published, "--steps", "50", "--json")).stdout)
    losses = [check for check in report["checks"] if re.fullmatch(r"step [\d,]+: loss", check["what"])]
    assert len(losses) == 50
    assert all(check["equal"] for check in report["checks"])
