"""The scoreboard's results on a Hub: read by name and revision, bounded before they are fetched, never from a path."""

import json
import subprocess
import sys
from typing import Any

import pytest
from release_hub import WatchedHub, put
from saved_scores import PHENOMENA, save

from l2t_hub.publish.results_dataset import result_files

READ = """
import json, sys
from l2t_hub.demo import score_sources
from l2t_hub.demo.pairs_behind import cell_reader
from l2t_hub.demo.scoreboard import collect
from l2t_hub.demo.score_sources import ScoreSource, read_source
from l2t_hub.errors import UserError

score_sources.MAX_BYTES, score_sources.SMALL_SAMPLES, score_sources.MAX_SAMPLES = 60_000, 100, 60_000
said = {}
for name, kind in (argument.split("=") for argument in sys.argv[2:]):
    repo, _, revision = name.partition("@")
    read = read_source(ScoreSource(name, repo, revision or None, owners=kind != "guest", dataset=kind == "dataset"))
    scores = collect([read])
    labels, cell = [], None
    if scores.suites:
        labels = scores.suites[0].labels
        try:
            found = cell_reader()(scores.suites[0], scores.later, labels[0], sys.argv[1])
            cell = [len(found.rows), found.rows[0].good if found.rows else found.note]
        except UserError as error:
            cell = [0, error.message]
    said[name] = [labels, list(scores.notes), cell]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a client makes of each repo: the models with scores, the notes, and the pairs behind a score."""
    folder = tmp_path_factory.mktemp("hub")
    out = folder / "org" / "local" / "eval" / "probes.json"
    evaluation = save(out, {"m": 0.5})
    results, samples = out.read_bytes(), out.with_name("probes.samples.jsonl").read_bytes()
    hub = WatchedHub(folder / "store")
    hub.start()
    try:
        both = {"eval/probes.json": results, "eval/probes.samples.jsonl": samples}
        put(hub, "model", "org/good", both)
        put(hub, "model", "org/bare", {"eval/probes.json": results})
        put(hub, "model", "org/empty", {"README.md": b"# Nothing"})
        put(hub, "model", "org/broken", both | {"eval/zero.json": b"{}", "eval/a/b.json": results})
        put(hub, "model", "org/huge", {"eval/probes.json": results + b" " * 60_000})
        put(hub, "model", "org/long", both | {"eval/probes.samples.jsonl": samples + b" " * 60_000})
        put(hub, "model", "org/secret", both)
        put(hub, "model", "org/own", both)
        with hub._store.transaction() as db:
            db.execute("UPDATE repos SET private=1 WHERE name IN ('secret', 'own')")
        put(hub, "dataset", "org/results", result_files([evaluation]))
        repos = ("good", "good@main", "good@v9", "bare", "empty", "broken", "huge", "long", "local", "none")
        names = [
            *(f"org/{repo}=guest" for repo in (*repos, "secret")),
            "org/own=model",
            "org/results=dataset",
        ]
        done = subprocess.run(
            [sys.executable, "-c", READ, PHENOMENA[0], *names],
            env=hub.environment(folder / "home") | {"OMP_NUM_THREADS": "1"},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        hub.stop()
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["org/good", "org/good@main", "org/own"])
def test_a_model_repo_has_its_results_and_the_pairs_behind_them(said: dict[str, Any], name: str) -> None:
    labels, notes, (pairs, sentence) = said[name]
    assert (labels, notes, pairs) == (["m"], [], 8)
    assert sentence.endswith(".")


def test_results_without_decisions_are_shown_and_say_so(said: dict[str, Any]) -> None:
    for name in ("org/bare", "org/results"):
        labels, notes, (pairs, note) = said[name]
        assert (labels, notes, pairs) == (["m"], [], 0)
        assert note == "The decisions on single pairs are not saved with these results."


def test_what_is_wrong_with_a_repo_is_said_and_the_rest_of_it_is_read(said: dict[str, Any]) -> None:
    labels, notes, (pairs, _) = said["org/broken"]
    assert (labels, pairs, len(notes)) == (["m"], 8, 1)
    assert notes[0].startswith("org/broken: zero.json: these are not the scores of an evaluation")
    for name, words in (
        ("org/empty", "org/empty: no results"),
        ("org/huge", "org/huge: eval/probes.json: larger than results are"),
        ("org/none", "has no model org/none"),
        ("org/secret", "has no model org/secret, or it is private"),  # the owner's token could read it
        ("org/local", "has no model org/local"),  # a folder of that name is beside the client
        ("org/good@v9", "org/good has no revision v9"),
    ):
        assert said[name][0] == []
        assert words in said[name][1][0]


def test_a_file_of_decisions_that_is_too_large_is_not_fetched(said: dict[str, Any]) -> None:
    labels, _, (pairs, problem) = said["org/long"]
    assert (labels, pairs) == (["m"], 0)
    assert "more than the page reads" in problem
