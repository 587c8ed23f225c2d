"""A results dataset, written by the real clients: appended to by several at once, under faults and kills, and read back."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_scores import evaluation
from release_hub import WatchedHub, put

from l2t_hub.evaluate.score_rows import COLUMNS, alone
from l2t_hub.local_hub.faults import Answer, Cut
from l2t_hub.publish.results_dataset import identity, published, result_files

REPO = "org/scores"
LOAD = """
import json, sys, datasets
datasets.config.USE_PARQUET_EXPORT = False
rows = datasets.load_dataset(sys.argv[1], split="train")
print(json.dumps([rows.column_names, rows.to_list()]))
"""


def start(hub: WatchedHub, home: Path, *arguments: object) -> "subprocess.Popen[str]":
    env = hub.environment(home) | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home.parent
    )


def finished(child: "subprocess.Popen[str]", code: int = 0) -> tuple[str, str]:
    try:
        out, err = child.communicate(timeout=120)
    finally:
        child.kill()
    assert child.returncode == code, err[-3000:]
    return out, err


def report(hub: WatchedHub, home: Path, *arguments: object) -> "subprocess.Popen[str]":
    return start(hub, home, "-m", "l2t_hub.cli", "report", *arguments)


def push(hub: WatchedHub, home: Path, *results: Path) -> "subprocess.Popen[str]":
    return report(hub, home, *results, "--push", REPO, "--format", "csv")


def names(hub: WatchedHub) -> set[str]:
    return set(hub.listing("dataset", REPO)) - {"README.md", ".gitattributes"}


def expected(*results: Path) -> set[str]:
    from l2t_hub.evaluate import read_evaluation

    return set(result_files([read_evaluation(path) for path in results]))


@pytest.fixture
def one(tmp_path: Path) -> Path:
    evaluation(tmp_path / "one.json", {"raw": 0.6, "l2t": 0.8})
    return tmp_path / "one.json"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    evaluation(tmp_path / "two.json", {"raw": 0.6, "other": 0.7})
    return tmp_path / "two.json"


def test_a_result_has_one_name_whoever_scored_it_where_and_when(one: Path, two: Path) -> None:
    from dataclasses import replace

    from l2t_hub.evaluate import read_evaluation

    first = read_evaluation(one)
    again = replace(
        first,
        protocol=replace(first.protocol, date="2027-01-01", batch_rule="another", versions={}),
        models=tuple(
            replace(m, seconds=9.0, label=f"x/{m.label}", model=f"/mnt/{m.label}") for m in first.models
        ),
    )
    assert set(result_files([again])) == set(result_files([first]))
    assert len(expected(one) & expected(two)) == 2  # raw is in both
    model = published(first.models[0])
    changed = replace(model, weights_sha256="0" * 64)
    assert identity(alone(first, changed)) != identity(alone(first, model))
    limited = replace(first, protocol=replace(first.protocol, limit=5))
    assert identity(alone(limited, model)) != identity(alone(first, model))
    assert not any(b"/home/somebody" in content for content in result_files([first]).values())


def test_scores_are_appended_once_loaded_as_rows_and_shown_again(
    hub: WatchedHub, one: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    _, said = finished(push(hub, home, one))
    assert "org/scores: 2 results added" in said
    assert names(hub) == expected(one)
    before = hub.history.resolve(hub.number("dataset", REPO), "main")
    _, said = finished(push(hub, home, one))
    assert "0 results added, 2 were there already" in said
    assert hub.history.resolve(hub.number("dataset", REPO), "main") == before
    columns, rows = json.loads(finished(start(hub, home, "-c", LOAD, REPO))[0])
    assert columns == list(COLUMNS)
    assert len(rows) == 2 * (1 + 12 + 1 + 4)
    assert {row["model"] for row in rows} == {"raw", "l2t"}
    shown, said = finished(report(hub, home, f"hf://datasets/{REPO}", "--baseline", "raw"))
    assert "l2t − raw" in shown
    assert "independent samples, which is wider" in " ".join(shown.split())
    assert said == ""


@pytest.mark.slow
def test_two_writers_at_once_both_succeed(hub: WatchedHub, one: Path, two: Path, tmp_path: Path) -> None:
    children = [push(hub, tmp_path / f"home-{path.stem}", path) for path in (one, two)]
    for child in children:
        finished(child)
    assert names(hub) == expected(one, two)
    assert "results/" in "".join(names(hub))


@pytest.mark.slow
def test_a_commit_that_comes_second_is_made_again(
    hub: WatchedHub, one: Path, two: Path, tmp_path: Path
) -> None:
    """Another writer commits between the look at the repo and the commit."""
    from l2t_hub.evaluate import read_evaluation

    others, done = result_files([read_evaluation(two)]), []

    def overtake(number: int, when: str) -> None:
        if when == "before" and "/commit/" in hub.recorder.requests[number - 1].path and not done:
            done.append(number)
            put(hub, "dataset", REPO, others)

    hub.recorder.hook = overtake
    finished(push(hub, tmp_path / "home", one))
    assert done
    assert 412 in [seen.status for seen in hub.recorder.requests if "/commit/" in seen.path]
    assert names(hub) == expected(one, two)


FAULTS: dict[str, Callable[[WatchedHub], object]] = {
    "a commit is made and its answer lost": lambda hub: hub.faults.add(
        "POST", "/commit/", Answer(503, after=True)
    ),
    "a conflict": lambda hub: hub.faults.add("POST", "/commit/", Answer(409), times=2),
    "a commit is cut off": lambda hub: hub.faults.add("POST", "/commit/", Cut("during")),
    "the repo is made and the answer lost": lambda hub: hub.faults.add("POST", "/create", Cut("after")),
    "the Hub is busy": lambda hub: hub.faults.add("*", "/tree/", Answer(429, retry_after=1), times=2),
}
UNSAID = ("a conflict", "the Hub is busy")
"""Another writer came first, which is no failure; and what the client itself retries."""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_lose_and_repeat_nothing(hub: WatchedHub, one: Path, tmp_path: Path, fault: str) -> None:
    FAULTS[fault](hub)
    _, said = finished(push(hub, tmp_path / "home", one))
    assert hub.faults.rows[0].struck > 0
    assert ("retrying in" in said) == (fault not in UNSAID)
    assert names(hub) == expected(one)
    assert hub.empty_commits("dataset", REPO, "main") == 0


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_push_is_continued_by_the_same_command(
    hub: WatchedHub, one: Path, tmp_path: Path, when: str
) -> None:
    children: list[subprocess.Popen[str]] = []

    def kill(number: int, moment: str) -> None:
        if moment == when and "/commit/" in hub.recorder.requests[number - 1].path and len(children) == 1:
            children[0].kill()

    hub.recorder.hook = kill
    children.append(push(hub, tmp_path / "home", one))
    finished(children[0], -9)
    children.append(push(hub, tmp_path / "home", one))
    finished(children[1])
    assert names(hub) == expected(one)


@pytest.mark.slow
def test_what_is_no_result_is_refused_or_left_out(
    hub: WatchedHub, one: Path, two: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    put(hub, "dataset", REPO, {"train.csv": b"a,b\n"})
    _, said = finished(push(hub, home, one), 1)
    assert "not a dataset of results: it has train.csv" in said
    files = result_files([evaluation(tmp_path / "three.json", {"a": 0.6, "b": 0.7})])
    honest, forged = (path for path in files if path.startswith("results/"))
    lie = files[forged].replace(b'"label": "', b'"label": "\\u001b[31mforged-', 1)
    put(
        hub, "dataset", "org/forged",
        {honest: files[honest], f"results/{'0' * 64}.json": lie, "results/x.json": b"[" * 1000},
    )  # fmt: skip
    shown, said = finished(report(hub, home, "org/forged"))
    assert "left out 2 files that are not results" in said
    assert "forged" not in shown
    _, said = finished(report(hub, home, REPO), 1)
    assert "not a dataset of results" in said


@pytest.mark.slow
def test_a_model_on_the_hub_stands_for_the_results_in_its_repo(
    hub: WatchedHub, one: Path, tmp_path: Path
) -> None:
    samples = one.with_name("one.samples.jsonl")
    files = {"eval/one.json": one.read_bytes(), f"eval/{samples.name}": samples.read_bytes()}
    put(hub, "model", "org/model", {**files, "config.json": b"{}", "model.safetensors": b"\0" * 100})
    shown, _ = finished(report(hub, tmp_path / "home", "org/model", "--baseline", "l2t"))
    assert "raw − l2t" in shown
    assert "independent samples" not in shown  # the decisions came with the results
    put(hub, "model", "org/bare", {"config.json": b"{}", "model.safetensors": b"\0" * 100})
    _, said = finished(report(hub, tmp_path / "home", "org/bare"), 1)
    assert "org/bare: no results" in said
