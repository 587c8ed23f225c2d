"""Models that visitors name, from a Hub on this machine: what is loaded, what is refused, and what is not fetched."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from release_hub import WatchedHub, put

from l2t_hub.artifacts import WEIGHTS
from l2t_hub.demo.choice import ModelChoice
from l2t_hub.demo.model_pool import ModelPool, score_with

# One process for all, since each has to import the clients and torch. The Hub's token may read private repos.
CHILD = """
import json, sys
from huggingface_hub import HfApi
from l2t_hub.demo.choice import ModelChoice, parse_choice
from l2t_hub.demo.model_pool import ModelPool, score_with
from l2t_hub.errors import UserError
from l2t_hub.hub.collection_items import is_collection, with_collections

api = HfApi()
slug = api.create_collection("Two models", namespace="me").slug
for item, kind in (("me/tiny", "model"), ("me/data", "dataset"), ("me/code", "model")):
    api.add_collection_item(slug, item, kind)
said = {"collection": [is_collection(slug), *with_collections(["x/first", slug])]}
pool = ModelPool({}, memory=int(sys.argv[1]), guests=True, hub_only=True)
for typed in sys.argv[2:]:
    try:
        choice = parse_choice(typed, {}, guests=True)
        said[typed] = score_with(pool, choice, ["The cats sleep."])[0].bits
    except UserError as error:
        said[typed] = str(error)
print(json.dumps(said))
"""


@pytest.fixture
def hub(tmp_path: Path, tiny_models: tuple[str, str]) -> "WatchedHub":
    watched = WatchedHub(tmp_path / "hub")
    watched.start()
    files = {file.name: file.read_bytes() for file in Path(tiny_models[0]).iterdir() if file.is_file()}
    config = json.loads(files["config.json"])
    put(watched, "model", "me/tiny", {**files, "weights.gguf": b"\0" * 5_000_000, "run.py": b"boom"})
    put(watched, "model", "me/secret", files)
    put(watched, "model", "me/large", {**files, "more.safetensors": b"\0" * 60_000_000})
    put(
        watched,
        "model",
        "me/pickle",
        {n: c for n, c in files.items() if n != WEIGHTS} | {"pytorch_model.bin": b"\0"},
    )
    asks = json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "theirs.Model"}}).encode()
    put(watched, "model", "me/code", {**files, "config.json": asks, "theirs.py": b"boom"})
    put(watched, "dataset", "me/data", {"x.txt": b"x"})
    with watched._store.transaction() as db:
        db.execute("UPDATE repos SET private=1 WHERE name='secret'")
    return watched


def test_what_visitors_name_is_loaded_or_refused_in_a_sentence(
    hub: WatchedHub, tiny_models: tuple[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "space"
    (folder / "me").mkdir(parents=True)
    (folder / "me" / "tiny").symlink_to(
        tiny_models[1]
    )  # a directory of the same name must not be taken for it
    names = (
        "me/tiny",
        "me/tiny@main",
        "me/tiny@v9",
        "me/nobody",
        "me/secret",
        "me/large",
        "me/pickle",
        "me/code",
    )
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(50_000_000), *names],
        env=hub.environment(home),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    hub.stop()
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    pool = ModelPool({"m": tiny_models[0]}, memory=1 << 30)
    expected = score_with(pool, ModelChoice("m"), ["The cats sleep."])[0].bits
    assert said["collection"] == [True, "x/first", "me/tiny", "me/code"]
    assert said["me/tiny"] == said["me/tiny@main"] == expected
    assert "has no revision v9" in said["me/tiny@v9"]
    for name in ("me/nobody", "me/secret"):
        assert f"no public model {name}" in said[name]
    assert "the model has 6" in said["me/large"]
    assert "this page loads at most 50 MB" in said["me/large"]
    assert "no safetensors weights" in said["me/pickle"]
    assert "auto_map" in said["me/code"]
    fetched = {file.name for file in home.rglob("*") if file.is_file() or file.is_symlink()}
    assert WEIGHTS in fetched
    assert not {"weights.gguf", "run.py", "theirs.py", "pytorch_model.bin", "more.safetensors"} & fetched
