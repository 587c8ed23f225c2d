"""The `l2t` command: every verb has help with an example, and bad input gives a message and an exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from l2t_hub.cli.app import app
from l2t_hub.console import VERBS as NAMED_VERBS
from l2t_hub.console import as_typed, command
from l2t_hub.hub.reachability import CHECK_NETWORK
from l2t_hub.recipe.listing import keys, keys_markdown

VERBS = [
    "run",
    "plan",
    "build",
    "verify",
    "train",
    "eval",
    "generate",
    "report",
    "reproduce",
    "demo",
    "tasks",
    "release",
    "card",
    "space",
]
GROUPS = {"recipes": ["list", "show", "validate", "keys"], "hub": ["serve", "seed"]}


def l2t(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "l2t_hub.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        timeout=120,
    )


@pytest.mark.parametrize(
    "verb", [[v] for v in VERBS] + [[g, v] for g, verbs in GROUPS.items() for v in verbs]
)
def test_every_verb_has_help_with_an_example(verb: list[str]) -> None:
    done = l2t(*verb, "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"l2t {' '.join(verb)}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["recipes", "show", "nanno"], 2, "Did you mean 'nano'?"),
        (["recipes", "show", "nano", "--set", "train.max_step=3"], 2, "Did you mean 'max_steps'?"),
        (["recipes", "keys", "mixtur"], 2, "Did you mean 'mixture'?"),
        (["build", "nano", "--out", "somewhere"], 2, "--variant nano-raw"),
        (["build", "nano"], 2, "--out"),
        (
            ["build", "nano", "--variant", "nano-raw", "--out", "d", "--executor", "slrum"],
            2,
            "Did you mean 'slurm'?",
        ),
        (["frobnicate"], 2, "error: No such command 'frobnicate'"),
        (["plan", "nano", "--sets", "x=1"], 2, "-m l2t_hub.cli plan --help`."),
        (["tasks", "typpo"], 2, "Did you mean 'typo'?"),
        (["verify", "nowhere"], 2, "nowhere: no such directory, and not a name on the Hub"),
        (["reproduce", "nowhere"], 2, "nowhere"),
        (["reproduce", "nowhere", "--variant", "x"], 2, "apply only to a recipe"),
        (
            ["train", "nano", "--variant", "nano-raw", "--data", "./nowhere", "--out", "m"],
            2,
            "./nowhere: no such file or directory",
        ),
        (["eval", "./nowhere"], 2, "./nowhere: no such file or directory"),
        (["demo", "nowhere"], 2, "nowhere: no such directory, and not a name on the Hub"),
        (["reproduce", "a/b/nowhere"], 2, "a/b/nowhere: no such file or directory"),
        (["plan", "nano", "--set", "tokenizer.name=./no.json"], 2, "there is no tokenizer at ./no.json"),
        (["recipes", "show", "/nope/recipes/nano.yaml"], 2, "/nope/recipes/nano.yaml: no such recipe file"),
        (["eval", ".", "--suite", "probs"], 2, "probes"),
        (["release", "nowhere", "--repo", "x"], 2, "ORG/NAME"),
        (
            ["recipes", "validate", "nano", "--set", "variants.nano-l2t.mixture.tasks=[typpo]"],
            2,
            "Did you mean 'typo'?",
        ),
        (["plan", "nano", "--set", "source.path=missing.parquet"], 2, "missing.parquet"),
    ],
)
def test_bad_input_is_a_sentence_and_an_exit_code(
    arguments: list[str], code: int, says: str, tmp_path: Path
) -> None:
    done = l2t(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "begins"),
    [
        ("verify org/name", ""),
        ("demo org/name", ""),
        (
            "plan nano --set tokenizer.name=org/name",
            "--set tokenizer.name: cannot load the tokenizer org/name from the Hub: ",
        ),
        ("build nano --set source.dataset=org/name --variant nano-raw --out d", "--set source.dataset: "),
    ],
)
def test_a_hub_that_cannot_be_reached_is_said_at_once(command: str, begins: str, tmp_path: Path) -> None:
    url = "http://127.0.0.1:9"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = l2t(
        *command.split(), cwd=tmp_path, env={**kept, "HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home")}
    )
    errors = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert (done.returncode, errors) == (
        1,
        [f"error: {begins}{url} cannot be reached from this machine (Connection refused)", CHECK_NETWORK],
    )


def test_messages_name_the_program_as_it_was_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script, other = tmp_path / "bin" / "l2t", tmp_path / "other" / "l2t"
    for path in (script, other):
        path.parent.mkdir()
        path.write_text("#!/bin/sh\n", encoding="utf-8")
        path.chmod(0o755)
    said = "Build it with `l2t build RECIPE`, not model-l2t build or x/l2t run."
    monkeypatch.setattr("sys.orig_argv", ["python", str(script)])
    for typed, path, shown in (
        (script, script.parent, "l2t"),
        (script, other.parent, str(script)),
        (script, tmp_path, str(script)),
        ("pytest", tmp_path, "l2t"),
    ):
        monkeypatch.setattr("sys.argv", [str(typed)])
        monkeypatch.setenv("PATH", str(path))
        assert as_typed(said) == f"Build it with `{shown} build RECIPE`, not model-l2t build or x/l2t run."
    monkeypatch.setattr("sys.orig_argv", ["python", "-X", "dev", "-m", "l2t_hub.cli", "plan", "nano"])
    assert command("demo", "a b") == "python -X dev -m l2t_hub.cli demo 'a b'"


def test_every_verb_is_one_that_messages_may_name() -> None:
    assert {*typer.main.get_command(app).commands} == set(NAMED_VERBS)


def test_the_shell_can_complete_verbs() -> None:
    environment = {**os.environ, "_L2T_COMPLETE": "complete_bash", "COMP_WORDS": "l2t rel", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "l2t_hub.cli"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["release"]


def test_version() -> None:
    assert l2t("--version").stdout.startswith("l2t_hub 0.")


def test_the_resolved_recipe_shown_as_yaml_and_as_json_is_the_same() -> None:
    as_yaml = yaml.safe_load(l2t("recipes", "show", "nano", "--variant", "nano-raw").stdout)
    assert as_yaml == json.loads(l2t("recipes", "show", "nano", "--variant", "nano-raw", "--json").stdout)


def test_every_key_is_documented_and_the_page_is_up_to_date(repository: Path) -> None:
    assert all(row["meaning"] for row in keys())
    assert (repository / "docs" / "recipe.md").read_text(encoding="utf-8") == keys_markdown()
