"""`l2t run` from end to end with a tiny model: it makes and publishes everything, and reuses what is up to date."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from l2t_hub.errors import UsageError
from l2t_hub.hub.local_server import running_local_hub
from l2t_hub.recipe import load_recipe, load_releases
from l2t_hub.run import run_recipe

TINY = {
    "source.limit": 40,
    "tokenizer.vocab_size": 400,
    "packing.sequence_length": 256,
    "blocks.tokens_per_block": 60,
    "model.hidden_size": 32,
    "model.num_hidden_layers": 1,
    "evaluation.suites": "[probes, psychometric, tasks]",
    "train.max_steps": 6,
    "train.warmup_steps": 1,
    "train.logging_steps": 2,
    "train.eval_steps": 3,
    "train.save_steps": 3,
}
NAMES = ("nano-raw", "nano-l2t")
Done = subprocess.CompletedProcess[str]


def run(folder: Path, *arguments: str, **changes: object) -> Done:
    sets = [f"--set={key}={value}" for key, value in {**TINY, **changes}.items()]
    command = [sys.executable, "-m", "l2t_hub.cli", "run", "nano", "--out", str(folder), *sets, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("pipeline") / "run"
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_run_makes_datasets_models_scores_and_report(first_run: tuple[Path, Done]) -> None:
    folder, done = first_run
    for name in NAMES:
        assert (folder / "datasets" / name / "l2t_manifest.json").is_file()
        assert (folder / "models" / name / "model.safetensors").is_file()
    assert [m["label"] for m in read(folder / "scores" / "probes.json")["models"]] == list(NAMES)
    tasks, figures = (read(folder / "scores" / f"{suite}.json") for suite in ("tasks", "psychometric"))
    assert [m["label"] for m in tasks["models"]] == [m["label"] for m in figures["models"]] == list(NAMES)
    passages = (folder / "held-out").glob("*-raw.jsonl")
    assert len(list(passages)) == 1
    assert f"-m l2t_hub.cli demo {folder / 'models' / 'nano-raw'}" in done.stdout
    assert str(folder / "report.html") in done.stdout


def test_both_models_see_the_same_documents_tokenizer_and_number_of_tokens(
    first_run: tuple[Path, Done],
) -> None:
    raw, l2t = (read(first_run[0] / "models" / name / "training.json") for name in NAMES)
    assert raw["tokens"] == l2t["tokens"] > 0
    assert raw["parameters"] == l2t["parameters"]
    raw, l2t = (read(first_run[0] / "datasets" / name / "l2t_manifest.json") for name in NAMES)
    assert raw["tokenizer"]["sha256"] == l2t["tokenizer"]["sha256"]
    assert raw["source"] == l2t["source"]


def test_everything_is_published_and_each_thing_names_the_one_before_it(first_run: tuple[Path, Done]) -> None:
    folder, done = first_run
    serve = re.search(r"hub serve --dir (\S+) --port (\d+)` shows it at:", done.stdout)
    assert serve
    assert serve[1] == str(folder / "hub")
    for what in ("datasets/rehearsal/nano-l2t", "rehearsal/nano-l2t", "spaces/rehearsal/nano-compare"):
        assert f"http://127.0.0.1:{serve[2]}/rehearsal/{what}\n" in done.stdout
    assert "collections/rehearsal/nano-" in done.stdout
    assert f"{sys.executable} -m l2t_hub.cli run nano --out" in done.stdout, "as it was typed"
    assert "https://huggingface.co --namespace ORG" in done.stdout
    assert " l2t run" not in done.stdout
    with running_local_hub(folder / "hub") as hub:
        card = page(hub, "rehearsal/nano-l2t/resolve/main/README.md")
        data = json.loads(page(hub, "rehearsal/nano-l2t/resolve/main/training.json"))["dataset"]
        scores = json.loads(page(hub, "rehearsal/nano-l2t/resolve/main/eval/probes.json"))["models"]
        space = page(hub, "spaces/rehearsal/nano-compare/resolve/main/README.md")
    assert data["repository"] == "rehearsal/nano-l2t"
    assert f"datasets/rehearsal/nano-l2t), revision `{data['revision']}`" in card
    assert f"the baseline [nano-raw]({hub[0]}/rehearsal/nano-raw)" in card
    assert [model["model"] for model in scores] == [f"rehearsal/{name}" for name in NAMES]
    assert "- rehearsal/nano-raw\n- rehearsal/nano-l2t\n" in space
    assert "Datasets: [rehearsal/nano-raw]" in space


def page(hub: tuple[str, str], path: str) -> str:
    url, token = hub
    request = urllib.request.Request(f"{url}/{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return str(reply.read().decode())


def test_publishing_without_a_licence_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("A river. It rose.\n" * 50, encoding="utf-8")
    done = run(tmp_path / "run", **{"source.path": tmp_path / "mine.txt", "source.id_column": "null"})
    assert done.returncode == 2
    assert "without a licence of the text, nothing can be published" in done.stderr
    assert "--set source.license=ID" in done.stderr
    assert not (tmp_path / "run" / "datasets").exists()


def test_the_report_shows_every_phenomenon_and_needs_no_other_file(first_run: tuple[Path, Done]) -> None:
    folder, _ = first_run
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    page = (folder / "report.html").read_text(encoding="utf-8")
    for row in read(folder / "scores" / "probes.json")["models"][0]["phenomena"]:
        assert f"| {row['phenomenon']} | {row['total']} | {100 * row['accuracy']['value']:.1f} [" in markdown
    # Scores and differences on each of two suites, and two plots of the training.
    assert page.count("<svg") == 6
    figures = read(folder / "scores" / "psychometric.json")["models"][0]["summary"][0]
    assert f"| digits: distance effect, R2 | {figures['mean']:.3f}, best " in markdown
    assert "edit similarity" in markdown
    records = [read(folder / "models" / name / "training.json") for name in NAMES]
    assert {"raw", "typo"} <= records[0]["held_out"].keys() == records[1]["held_out"].keys()
    for part in records[0]["held_out"]:
        losses = [record["held_out"][part] for record in records]
        assert losses[0]["sha256"] == losses[1]["sha256"]
        shown = "**raw text**" if part == "raw" else part
        cells = " | ".join(f"{loss['loss']:.4f}" for loss in losses)
        assert f"| {shown} | {losses[0]['texts']} | {cells} |" in markdown
    assert not re.findall(r"<(?:img|script|link)\b|src=|@import|url\((?!#)", page)
    for picture in re.findall(r"\]\((pictures/[^)]+)\)", markdown):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_the_report_fits_a_phone(first_run: tuple[Path, Done]) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto((first_run[0] / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        browser.close()


def test_a_second_run_reuses_everything_and_releases_nothing(first_run: tuple[Path, Done]) -> None:
    folder, _ = first_run
    kinds = (".parquet", ".safetensors", ".json", ".md")
    made = [folder / part for part in ("datasets", "models", "scores")]
    files = [p for part in made for p in sorted(part.rglob("*")) if p.suffix in kinds]
    before = {path: path.read_bytes() for path in files}
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in files} == before
    assert done.stderr.count("already finished, nothing has changed") == 2
    assert done.stderr.count("already finished, reused") == 2
    assert done.stderr.count("unchanged: `main`") == 5
    for suite in ("probes", "tasks", "psychometric"):
        assert done.stderr.count(f"{suite}.json: up to date, reused") == 1


def test_a_changed_recipe_keeps_the_old_model_and_names_the_change(first_run: tuple[Path, Done]) -> None:
    folder, _ = first_run
    changes = {"train.learning_rate": 1e-4}
    done = run(folder, "--hub", "none", "--variant", "nano-l2t", **changes)
    assert done.returncode == 0, done.stderr
    assert "train.learning_rate was 0.002, now 0.0001" in done.stderr
    assert len(list((folder / "models").glob("nano-l2t*"))) == 2
    assert [m["model"] for m in read(folder / "scores" / "probes.json")["models"]] == [
        str(folder / "models" / "nano-l2t")
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"seeds": "[1, 2]"}, "hold out different documents"),
        ({"evaluation.held_out_documents": 0}, "nothing is held out"),
        ({"source.language": "de"}, "its examples are English"),
    ],
)
def test_the_suite_tasks_needs_text_that_is_held_out_from_all_models(
    changes: dict[str, object], problem: str, tmp_path: Path
) -> None:
    sets = ["evaluation.suites=[tasks]", *(f"{key}={value}" for key, value in changes.items())]
    with pytest.raises(UsageError, match=problem) as caught:
        run_recipe(load_recipe("nano", sets), load_releases("nano", sets), tmp_path / "run")
    assert "evaluation.text=FILE" in str(caught.value.hint)
    assert not (tmp_path / "run").exists()


def test_a_wrong_name_is_found_before_anything_is_made(tmp_path: Path) -> None:
    done = run(tmp_path / "run", "--set", "variants.nano-l2t.mixture.tasks=[typo, shufle]", "--hub", "none")
    assert done.returncode == 2
    assert "Did you mean 'shuffle'?" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.shared_data
def test_real_text_runs_through_the_same_pipeline(shared_data: Path, tmp_path: Path) -> None:
    sample = shared_data / "gutenberg" / "sample-1m.parquet"
    done = run(tmp_path / "run", "--hub", "none", **{"source.path": sample, "source.limit": 953})
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        ledger = read(tmp_path / "run" / "datasets" / name / "l2t_manifest.json")["ledger"]
        assert next(row for row in ledger if row["stage"] == "read")["out"] == 953


def test_a_report_without_matplotlib_has_no_plots_and_says_so(
    first_run: tuple[Path, Done], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from l2t_hub.records.dataset_manifest import read_manifest
    from l2t_hub.records.training_record import read_training_record
    from l2t_hub.report import ReleaseReport, RunReport, render, write_run_report
    from l2t_hub.train.training_log import read_log

    folder, _ = first_run
    dataset, model = folder / "datasets" / "nano-l2t", folder / "models" / "nano-l2t"
    log = read_log(model / "train_log.jsonl")
    release = ReleaseReport("x", read_manifest(dataset), read_training_record(model), log)
    monkeypatch.setattr(render, "installed", lambda extra: False)
    report = RunReport("<b>title", "A [description](javascript:x)", [release], [])
    page = write_run_report(tmp_path, report, {})
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "pip install 'l2t_hub[plots]'" in markdown
    assert "![" not in markdown
    assert "<svg" not in page.read_text(encoding="utf-8")
    assert "<b>" not in page.read_text(encoding="utf-8")
    assert "javascript:x" not in re.findall(r'href="([^"]*)"', page.read_text(encoding="utf-8"))
