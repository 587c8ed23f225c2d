"""Downloads by name and revision with the real clients: checked against the release, refused if code would run."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from release_hub import WatchedHub, download, put, released, run

from l2t_hub.errors import UsageError
from l2t_hub.hub.download import parse_name, resolve
from l2t_hub.local_hub.faults import Answer

Toy = Callable[..., Path]


def _same(one: Path, other: Path) -> bool:
    return all(
        (other / file.relative_to(one)).read_bytes() == file.read_bytes()
        for file in one.rglob("*")
        if file.is_file()
    )


@pytest.mark.parametrize("xet", [True, False], ids=["xet", "lfs"])
def test_a_released_dataset_is_downloaded_by_tag_and_checked(
    hub: WatchedHub, toy: Toy, tmp_path: Path, xet: bool
) -> None:
    old, new = toy(seed=1), toy(seed=2)
    first = released(run(hub, old, "org/toy", xet=xet))
    released(run(hub, new, "org/toy", xet=xet))
    result = released(download(hub, "org/toy@v1", "dataset", tmp_path / "fresh", xet=xet))
    assert result["name"] == f"org/toy@{first['revision']}"
    assert result["verified"] == first["files"] - 1  # the release record does not list itself
    assert _same(old, Path(result["directory"]))
    assert _same(
        new, Path(released(download(hub, "org/toy", "dataset", tmp_path / "fresh", xet=xet))["directory"])
    )


def test_the_hugging_face_libraries_read_what_was_released(hub: WatchedHub, toy: Toy, tmp_path: Path) -> None:
    """`load_dataset` by config and streaming, and pandas over hf://, read the published repo."""
    released(run(hub, toy(tasks=("typo", "space")), "org/toy"))
    code = """
import datasets, pandas, json
datasets.config.USE_PARQUET_EXPORT = False
packed = datasets.load_dataset("org/toy")
typo = datasets.load_dataset("org/toy", "typo", split="train")
streamed = next(iter(datasets.load_dataset("org/toy", "packed", split="validation", streaming=True)))
frame = pandas.read_parquet("hf://datasets/org/toy/data/examples/space/train-00000-of-00001.parquet")
print(json.dumps([sorted(packed), len(packed["train"]), len(typo), len(streamed["input_ids"]), len(frame)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=hub.environment(tmp_path / "fresh"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == [["train", "validation"], 3 * 234, 20, 128, 20]


def test_a_busy_hub_is_retried(hub: WatchedHub, toy: Toy, tmp_path: Path) -> None:
    released(run(hub, toy("model"), "org/toy", xet=False))
    hub.faults.add("*", r"/resolve/.*/model.safetensors", Answer(503))
    hub.faults.add("GET", r"/api/models/org/toy$", Answer(500))
    result = released(download(hub, "org/toy", "model", tmp_path / "fresh", xet=False))
    assert result["verified"] == 8
    assert [row.struck for row in hub.faults.rows] == [1, 1]


def test_a_changed_file_is_found(hub: WatchedHub, toy: Toy, tmp_path: Path) -> None:
    directory = toy()
    released(run(hub, directory, "org/toy", xet=False))
    shard = "data/packed/train-00001-of-00003.parquet"
    content = (directory / shard).read_bytes()
    put(hub, "dataset", "org/toy", {shard: content[:-9] + bytes(9)})
    refused = download(hub, "org/toy", "dataset", tmp_path / "fresh", xet=False)
    assert refused.returncode == 1
    assert f"{shard}: its SHA-256 is" in refused.stderr
    put(hub, "dataset", "org/toy", {shard: content, "data/packed/train-extra.parquet": content})
    refused = download(hub, "org/toy", "dataset", tmp_path / "fresh", xet=False)
    assert "data/packed/train-extra.parquet is not in the release" in refused.stderr


def test_whatever_is_missing_gives_one_sentence(hub: WatchedHub, toy: Toy, tmp_path: Path) -> None:
    released(run(hub, toy("model"), "org/toy", "--private", xet=False))
    put(hub, "dataset", "org/plain", {"README.md": b"# no manifest"})
    cases = {
        ("org/nope", "model", None): (1, "has no model org/nope"),
        ("org/toy@v9", "model", None): (1, "has no revision v9"),
        ("org/toy", "model", hub.keys.outsider): (1, "or it is private"),
        ("org/plain", "dataset", None): (1, "not a dataset of l2t"),
        ("no such directory", "dataset", None): (2, "no such directory, and not a name on the Hub"),
    }
    for (name, kind, token), (code, message) in cases.items():
        refused = download(hub, name, kind, tmp_path / f"fresh{token}", token=token)
        assert (refused.returncode, "Traceback" in refused.stderr) == (code, False)
        assert message in refused.stderr


def test_a_model_that_would_run_code_is_refused(hub: WatchedHub, toy: Toy, tmp_path: Path) -> None:
    model = {file.name: file.read_bytes() for file in toy("model").iterdir()}
    evil = b"\x80\x04cposix\nsystem\n"
    mapped = {**json.loads(model["config.json"]), "auto_map": {"AutoModelForCausalLM": "modeling_evil.Evil"}}
    repos = {
        "org/mapped": {
            **model,
            "config.json": json.dumps(mapped).encode(),
            "modeling_evil.py": b"raise SystemExit",
        },
        "org/mapped-tokenizer": {
            **model,
            "tokenizer_config.json": json.dumps({"auto_map": {"AutoTokenizer": ["a.B", None]}}).encode(),
        },
        "org/pickled": {name: content for name, content in model.items() if not name.endswith(".safetensors")}
        | {"pytorch_model.bin": evil},
    }
    for repo, files in repos.items():
        put(hub, "model", repo, files)
        refused = download(hub, repo, "model", tmp_path / "fresh", xet=False)
        assert refused.returncode == 1
        assert "refused" in refused.stderr
    put(hub, "model", "org/both", {**model, "pytorch_model.bin": evil, "evil.py": b"raise SystemExit"})
    result = released(download(hub, "org/both", "model", tmp_path / "fresh", xet=False))
    assert sorted(result["skipped"]) == ["evil.py", "pytorch_model.bin"]
    fetched = {path.name for path in (tmp_path / "fresh").rglob("*") if path.is_file()}
    assert not fetched & {"pytorch_model.bin", "evil.py", "modeling_evil.py"}
    assert not [p for p in (tmp_path / "fresh").rglob("*") if p.is_file() and p.read_bytes() == evil]


@pytest.mark.parametrize(
    "path", ["../outside.json", "/etc/outside.json", "data/../../outside.json", "a\\b.json"]
)
def test_a_path_that_leaves_the_repo_is_refused(hub: WatchedHub, tmp_path: Path, path: str) -> None:
    put(hub, "dataset", "org/evil", {"l2t_manifest.json": b'{"shards": []}', path: b"{}"})
    refused = download(hub, "org/evil", "dataset", tmp_path / "fresh", xet=False)
    assert refused.returncode == 1
    assert "refused: the Hub lists a file" in refused.stderr
    assert not list(tmp_path.rglob("outside.json"))


def test_names_and_revisions(tmp_path: Path) -> None:
    assert parse_name("org/toy@v1") == ("org/toy", "v1")
    assert parse_name("org/toy", "abc") == ("org/toy", "abc")
    assert resolve(tmp_path, "dataset") == (tmp_path, None)
    for wrong in ("toy", "../../etc", "org/toy@v1 x", "/tmp/none", "a/b/c", "a/..", "org/toy@"):
        with pytest.raises(
            UsageError, match=r"not a name on the Hub|no such file or directory|is no revision"
        ):
            parse_name(wrong)
    with pytest.raises(UsageError, match="conflicts with the revision v2"):
        parse_name("org/toy@v1", "v2")
    with pytest.raises(UsageError, match="this is a file"):
        resolve(__file__, "model")
