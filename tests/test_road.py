"""`l2t run`, end to end with a tiny model: everything is made, a second run reuses it, a changed one keeps the old."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

TINY = {
    "source.limit": 40,
    "tokenizer.vocab_size": 400,
    "packing.sequence_length": 128,
    "model.hidden_size": 32,
    "model.num_hidden_layers": 1,
    "train.max_steps": 6,
    "train.warmup_steps": 1,
    "train.batch_size": 4,
    "train.per_device_train_batch_size": 4,
    "train.logging_steps": 2,
    "train.eval_steps": 3,
    "train.save_steps": 3,
}


def run(folder: Path, *arguments: str, **changes: object) -> subprocess.CompletedProcess[str]:
    sets = [f"--set={key}={value}" for key, value in {**TINY, **changes}.items()]
    command = [sys.executable, "-m", "l2t_hub.cli", "run", "nano", "--out", str(folder), *sets, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("road") / "run"
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_road_makes_datasets_models_scores_and_report(
    road: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = road
    for name in ("nano-raw", "nano-l2t"):
        assert (folder / "datasets" / name / "l2t_manifest.json").is_file()
        assert (folder / "models" / name / "model.safetensors").is_file()
    scores = json.loads((folder / "scores" / "probes.json").read_text(encoding="utf-8"))
    assert [model["label"] for model in scores["models"]] == ["nano-raw", "nano-l2t"]
    assert "l2t demo" in done.stdout
    assert str(folder / "report.html") in done.stdout


def test_both_models_see_the_same_documents_tokenizer_and_number_of_tokens(
    road: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = road
    records = [json.loads((folder / "models" / n / "training.json").read_text()) for n in ("nano-raw", "nano-l2t")]
    manifests = [json.loads((folder / "datasets" / n / "l2t_manifest.json").read_text()) for n in ("nano-raw", "nano-l2t")]
    assert records[0]["tokens"] == records[1]["tokens"] > 0
    assert records[0]["parameters"] == records[1]["parameters"]
    assert manifests[0]["tokenizer"]["sha256"] == manifests[1]["tokenizer"]["sha256"]
    assert manifests[0]["source"] == manifests[1]["source"]


def test_the_report_says_every_phenomenon_and_needs_no_other_file(
    road: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = road
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    page = (folder / "report.html").read_text(encoding="utf-8")
    scores = json.loads((folder / "scores" / "probes.json").read_text(encoding="utf-8"))
    for row in scores["models"][0]["phenomena"]:
        assert f"| {row['phenomenon']} |" in markdown
        value = 100 * row["accuracy"]["value"]
        assert f"{value:.1f} [" in markdown
    assert page.count("<svg") == 2
    assert not re.findall(r"<(?:img|script|link)\b|src=|@import|url\((?!#)", page)
    for picture in re.findall(r"\]\((pictures/[^)]+)\)", markdown):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


def test_a_second_run_reuses_everything(road: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = road
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix in (".parquet", ".safetensors", ".json")]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files} == before
    assert done.stderr.count("already finished, reused") == 2
    assert "evaluated already, reused" in done.stderr


def test_a_changed_recipe_keeps_the_old_model_and_says_what_changed(tmp_path: Path) -> None:
    one = run(tmp_path / "run", **{"train.max_steps": 3})
    assert one.returncode == 0, one.stderr
    two = run(tmp_path / "run", **{"train.max_steps": 3, "train.learning_rate": 1e-4})
    assert two.returncode == 0, two.stderr
    assert "train.learning_rate was 0.002, now 0.0001" in two.stderr
    assert len(list((tmp_path / "run" / "models").iterdir())) == 4


def test_a_wrong_name_is_found_before_anything_is_made(tmp_path: Path) -> None:
    sets = ["--set", "variants.nano-l2t.mixture.tasks=[typo, shufle]"]
    done = run(tmp_path / "run", *sets)
    assert done.returncode == 2
    assert "did you mean 'shuffle'?" in done.stderr
    assert not (tmp_path / "run").exists()
