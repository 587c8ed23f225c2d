"""`l2t hub seed`: data under a benchmark's name on the local Hub, and models and data on two Hubs, with real clients."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_models import make_tiny_model

from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.seed import seed

ROWS = [
    {"sentence_good": f"The {noun} sat.", "sentence_bad": f"The {noun} sit.", "UID": uid, "n": i}
    for uid in ("agreement", "binding")
    for i, noun in enumerate(("cat", "river", "evening"))
]
LOCAL = Endpoint("http://127.0.0.1:1/rehearsal", "local")
LOAD = """
import json, sys
from l2t_hub.hub.connect import connected
with connected(sys.argv[1]):
    from datasets import load_dataset, get_dataset_config_names
    names = get_dataset_config_names("nyu-mll/blimp")
    print(json.dumps({name: {s: list(rows["n"]) for s, rows in load_dataset("nyu-mll/blimp", name).items()} for name in names}))
"""
UPLOAD = """
import sys
from l2t_hub.hub.connect import connected
with connected(sys.argv[1]):
    from huggingface_hub import HfApi
    HfApi().create_repo("some-org/tiny")
    HfApi().upload_folder(repo_id="some-org/tiny", folder_path=sys.argv[2])
"""


def python(*arguments: object, cwd: Path, fails: str = "") -> str:
    """Run Python without the Hub settings of the tests, and return what it prints; or it fails with a message."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    kept |= {"HF_HOME": str(cwd / "home"), "XDG_CACHE_HOME": str(cwd / "cache"), "OMP_NUM_THREADS": "1"}
    kept["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == bool(fails), done.stderr
    assert fails in done.stderr
    return done.stdout


def l2t(*arguments: object, cwd: Path) -> Any:
    return json.loads(python("-m", "l2t_hub.cli", *arguments, "--json", cwd=cwd))


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_seeded_data_load_under_their_name_and_score_models_of_another_hub(tmp_path: Path) -> None:
    file = write(tmp_path / "blimp.jsonl", ROWS)
    hub, models = f"local:{tmp_path / 'data-hub'}", f"local:{tmp_path / 'model-hub'}"
    seeded = l2t("hub", "seed", file, "--as", "nyu-mll/blimp", "--by", "UID", "--hub", hub, cwd=tmp_path)
    assert seeded["rows"] == {"agreement": {"train": 3}, "binding": {"train": 3}}
    more = write(tmp_path / "more.jsonl", ROWS[:1])
    l2t(
        "hub", "seed", f"test={more}", "--as", "nyu-mll/blimp", "--config", "more", "--hub", hub, cwd=tmp_path
    )
    loaded = json.loads(python("-c", LOAD, hub, cwd=tmp_path).splitlines()[-1])
    assert loaded == {
        "agreement": {"train": [0, 1, 2]},
        "binding": {"train": [0, 1, 2]},
        "more": {"test": [0]},
    }

    model = make_tiny_model(tmp_path / "model")
    python("-c", UPLOAD, models, model, cwd=tmp_path)
    columns = ("--good", "sentence_good", "--bad", "sentence_bad", "--by", "UID", "--device", "cpu")
    remote = ("some-org/tiny", "--hub", models, "--pairs", "nyu-mll/blimp:binding", "--data", hub)
    scores = l2t("eval", *remote, *columns, cwd=tmp_path)
    assert scores["models"][0]["model"] == "some-org/tiny"
    assert len(scores["models"][0]["revision"]) == 40
    here = l2t("eval", model, "--pairs", write(tmp_path / "b.jsonl", ROWS[3:]), *columns, cwd=tmp_path)
    assert scores["models"][0]["phenomena"] == here["models"][0]["phenomena"]
    assert scores["protocol"]["suite_sha256"] == here["protocol"]["suite_sha256"]
    assert scores["models"][0]["weights_sha256"] == here["models"][0]["weights_sha256"]

    missing = ("some-org/missing", "--hub", models, "--pairs", "nyu-mll/blimp:binding", "--data", hub)
    python("-m", "l2t_hub.cli", "eval", *missing, cwd=tmp_path, fails="some-org/missing")


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("no.jsonl", None, {}, "no.jsonl: no such file"),
        ("a.pkl", "x", {}, "a.pkl: unknown kind of data"),
        ("a.jsonl", '{"UID": 1}', {"by": "UDI"}, "no column 'UDI'. Did you mean 'UID'"),
        ("a.jsonl", '{"UID": 1}', {"by": "UID", "config": "b"}, "both name the configurations"),
        ("a.parquet", "no parquet", {}, "a.parquet: cannot be read"),
    ],
)
def test_what_cannot_be_seeded_is_named(
    name: str, content: str | None, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        seed(LOCAL, [str(tmp_path / name)], "nyu-mll/blimp", **options)


def test_another_hub_and_a_wrong_name_are_refused(tmp_path: Path) -> None:
    file = str(write(tmp_path / "a.jsonl", ROWS))
    with pytest.raises(UsageError, match="on a local Hub only"):
        seed(Endpoint("https://huggingface.co"), [file], "nyu-mll/blimp")
    with pytest.raises(UsageError, match="blimp"):
        seed(LOCAL, [file], "../blimp")
