"""What is not released: links, special files, bad names, pickles, remote code, cards that do not parse, false manifests."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from release_toys import TOYS

from l2t_hub.artifacts import RELEASE_RECORD
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.names import check_repo, path_problem
from l2t_hub.hub.retry import without_secrets
from l2t_hub.publish.release import release
from l2t_hub.publish.stage import StagedRelease, stage
from l2t_hub.publish.validate import validate

Toy = Callable[..., Path]
PICKLE = b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94."


def _refused(directory: Path) -> str:
    with pytest.raises(UserError) as caught:
        validate(stage(directory))
    return caught.value.message


@pytest.mark.parametrize("kind", list(TOYS))
def test_a_toy_is_fit_for_release_and_its_stage_depends_on_content_alone(toy: Toy, kind: str) -> None:
    one, two, other = stage(toy(kind, name="one")), stage(toy(kind, name="two")), stage(toy(kind, seed=9))
    validate(one)
    assert (one.kind, one.digest, one.fingerprint) == (kind, two.digest, two.fingerprint)
    assert other.digest != one.digest
    record = one.file(RELEASE_RECORD)
    assert record
    assert record.read().count(b"\n") == 1
    assert set(json.loads(record.read())["files"]) == set(one.paths()) - {RELEASE_RECORD}


@pytest.mark.parametrize("target", ["file", "folder", "dangling", "secret"])
def test_a_symlink_is_refused_wherever_it_points(toy: Toy, tmp_path: Path, target: str) -> None:
    directory = toy()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_text("secret")
    targets = {
        "file": directory / "README.md",
        "folder": tmp_path / "outside",
        "dangling": tmp_path / "none",
        "secret": tmp_path / "outside" / "key",
    }
    (directory / "data" / "link").symlink_to(targets[target])
    with pytest.raises(UserError, match="data/link: a symlink is not released"):
        stage(directory)


def test_a_link_put_there_at_the_last_moment_is_not_followed(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2t_hub.publish import stage as staging

    directory = toy("model")
    walked = staging._walk

    def walk_then_link(*arguments: object) -> list[str]:
        paths = list(walked(*arguments))  # type: ignore[arg-type]
        (directory / "config.json").unlink()
        (directory / "config.json").symlink_to("/etc/passwd")
        return paths

    monkeypatch.setattr(staging, "_walk", walk_then_link)
    with pytest.raises(UserError, match=r"config.json: cannot be read"):
        stage(directory)


def test_a_pipe_and_a_socket_are_refused(toy: Toy) -> None:
    directory = toy("space")
    os.mkfifo(directory / "pipe")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        stage(directory)


def test_paths_that_leave_the_repo_or_break_git() -> None:
    for good in ("README.md", "data/a b/ü.parquet", "a/.eval_results/x"):
        assert path_problem(good) is None
    for bad in (
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "./a",
        "a\\b",
        "a\nb",
        "x/.git/config",
        ".GIT/x",
        "a/" + "n" * 256,
        "/".join(["abc"] * 300),
        "\udcff",
    ):
        assert path_problem(bad), bad


@pytest.mark.parametrize(
    "name",
    [
        "toy",
        "a/b/c",
        "../etc",
        "a/..",
        "a/b..c",
        "a/b--c",
        "-a/b",
        "a/b.git",
        "a/" + "n" * 97,
        "a/b c",
        "",
        "/",
    ],
)
def test_repo_names_the_hub_cannot_take(name: str) -> None:
    with pytest.raises(UsageError, match="not the name of a repo"):
        check_repo(name)
    check_repo("org-1/a_b.c-2")


def test_a_collection_the_hub_would_refuse_is_found_before_anything_is_sent(toy: Toy) -> None:
    for wrong in ({"collection": "t" * 61}, {"collection": " "}, {"collection": "t", "note": "n" * 501}):
        with pytest.raises(UsageError):
            release(
                toy("space", name=f"space-{len(str(wrong))}"),
                "org/toy",
                hub="http://127.0.0.1:9/rehearsal",
                **wrong,
            )


def test_names_the_hub_cannot_take_are_refused(toy: Toy) -> None:
    for name in ("new\nline.txt", "back\\slash.txt", os.fsdecode(b"latin\xff.txt")):
        directory = toy("space", name=f"space-{ord(name[3])}")
        (directory / name).write_text("x")
        with pytest.raises(UserError, match="cannot be released"):
            stage(directory)
    directory = toy("space", name="cases")
    (directory / "App.py").write_text("x")
    with pytest.raises(UserError, match="differ only in letter case"):
        stage(directory)


def test_a_directory_that_is_none_of_the_three(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong, said in (
        (tmp_path / "empty", "neither a dataset, a model nor a Space"),
        (tmp_path / "none", "no such directory"),
    ):
        with pytest.raises(UsageError, match=said):
            stage(wrong)
    both = toy("dataset")
    (both / "training.json").write_text("{}")
    with pytest.raises(UsageError, match="both a dataset and a model"):
        stage(both)


def test_a_file_with_the_token_in_it_is_refused(toy: Toy) -> None:
    directory = toy("model")
    token = "hf_rehearsal_write_0123456789abcdef"
    (directory / "train_log.jsonl").write_bytes(b"x" * (2**20 - 10) + token.encode() + b"y" * 100)
    with pytest.raises(UserError, match=r"train_log.jsonl: it holds your Hub token") as caught:
        stage(directory, token)
    assert token not in str(caught.value)
    assert isinstance(stage(directory, "hf_another_token"), StagedRelease)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("optimizer.pt", b"x"),
        ("pytorch_model.bin", b"x"),
        ("scores.png", PICKLE),
        ("weights.json5", b"PK\x03\x04 archive/data.pkl ..."),
    ],
)
@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_a_pickle_is_refused_by_name_and_by_content(toy: Toy, kind: str, name: str, content: bytes) -> None:
    directory = toy(kind)
    (directory / name).write_bytes(content)
    assert re.search(rf"{name}: .*pickle", _refused(directory))


def test_a_model_that_asks_for_remote_code_is_refused(toy: Toy) -> None:
    for name, tree in (
        ("config.json", {"model_type": "x", "architectures": ["X"], "auto_map": {}}),
        ("tokenizer_config.json", {"a": [{"auto_map": 1}]}),
    ):
        directory = toy("model", name=name)
        (directory / name).write_text(json.dumps(tree))
        assert f"{name}: it has `auto_map`" in _refused(directory)
    directory = toy("model", name="code")
    (directory / "modeling.py").write_text("")
    assert "modeling.py: Python code in a model's repository" in _refused(directory)


def test_weights_must_be_whole_safetensors(toy: Toy) -> None:
    for name, change in {
        "cut": lambda b: b[:-1],
        "padded": lambda b: b + b"\0",
        "nonsense": lambda b: b"not safetensors",
        "header": lambda b: b[:8] + b"[" + b[9:],
    }.items():
        directory = toy("model", name=name)
        weights = directory / "model.safetensors"
        weights.write_bytes(change(weights.read_bytes()))
        assert "model.safetensors: " in _refused(directory)
    directory = toy("model", name="gone")
    (directory / "model.safetensors").unlink()
    (directory / "config.json").write_text("{broken")
    said = _refused(directory)
    assert "model.safetensors: missing" in said
    assert "config.json: not JSON" in said


def test_cards_that_do_not_say_what_they_must(toy: Toy) -> None:
    cases = {
        "# no front matter": "no front matter",
        "---\nlicense: [mit\n---\n": r"README.md:2?3?: the front matter is not YAML",
        "---\n- a list\n---\n": "must be a mapping",
        "---\nlicense: mit\nlicence: mit\n---\n": "`licence` is not a key the Hub knows",
        "---\nlanguage: en\n---\n": "`license` is missing",
    }
    for number, (card, said) in enumerate(cases.items()):
        directory = toy("model", name=f"model-{number}")
        (directory / "README.md").write_text(card)
        assert re.search(said, _refused(directory)), said
    directory = toy("model", name="without")
    (directory / "README.md").unlink()
    assert "README.md: missing" in _refused(directory)


def test_configs_must_find_their_files(toy: Toy) -> None:
    changes = {
        ("train-*.parquet", "training-*.parquet"): "no file matches data/packed/training-",
        ("config_name: typo", "config_name: packed"): "two configs are called packed",
        (
            "- config_name: typo",
            "- config_name: typo\n  default: true",
        ): "more than one config is the default",
        ("path: 'data/packed/train-*.parquet'", "path: '**'"): "l2t_manifest.json, no parquet file",
        ("split: validation, ", ""): "needs `split` and `path`",
    }
    for number, ((old, new), said) in enumerate(changes.items()):
        directory = toy("dataset", name=f"dataset-{number}")
        card = directory / "README.md"
        assert old in card.read_text()
        card.write_text(card.read_text().replace(old, new))
        assert said in _refused(directory), said


def _rewrite(directory: Path, path: str, table: pa.Table) -> None:
    """Replace a shard, and put the manifest right: only the schema is then wrong."""
    from hashlib import sha256

    pq.write_table(table, directory / path)
    content = (directory / path).read_bytes()
    manifest = json.loads((directory / "l2t_manifest.json").read_text())
    row = next(row for row in manifest["shards"] if row["path"] == path)
    row.update(bytes=len(content), sha256=sha256(content).hexdigest())
    (directory / "l2t_manifest.json").write_text(json.dumps(manifest))


def test_shards_of_a_config_must_have_one_schema(toy: Toy) -> None:
    directory = toy()
    path = "data/packed/train-00002-of-00003.parquet"
    table = pq.read_table(directory / path)
    _rewrite(directory, path, table.set_column(1, "lengths", table["lengths"].cast(pa.list_(pa.int64()))))
    said = _refused(directory)
    assert f"config packed: {path} has another schema" in said
    assert "column lengths is" in said
    # What the shard's own writer noted about itself is no part of the schema.
    _rewrite(directory, path, table.replace_schema_metadata({"writer": "another"}))
    validate(stage(directory))


def test_dataset_info_must_count_right(toy: Toy) -> None:
    directory = toy()
    card = directory / "README.md"
    info = "dataset_info:\n- config_name: typo\n  splits: [{name: train, num_examples: %d, num_bytes: 1}]\n---\n# "
    text = card.read_text()
    card.write_text(text.replace("---\n# ", info % 21))
    assert "dataset_info says 21 examples in train, and the files have 20" in _refused(directory)
    card.write_text(text.replace("---\n# ", info % 20))
    validate(stage(directory))


def test_the_manifest_must_tell_the_truth(toy: Toy) -> None:
    shard = "data/examples/typo/train-00000-of-00001.parquet"
    directory = toy(name="changed")
    content = (directory / shard).read_bytes()
    (directory / shard).write_bytes(content[:-1] + b"?")
    assert f"{shard}: its sha256 is" in _refused(directory)
    (directory / shard).write_bytes(content + b"?")
    assert f"{shard}: {len(content) + 1} bytes, and l2t_manifest.json says {len(content)}" in _refused(
        directory
    )
    (directory / shard).unlink()
    assert f"{shard}: l2t_manifest.json lists it, and it is not there" in _refused(directory)
    directory = toy(name="more")
    (directory / "data" / "packed" / "train-stray.parquet").write_bytes((directory / shard).read_bytes())
    assert "train-stray.parquet: not in l2t_manifest.json" in _refused(directory)
    (directory / "l2t_manifest.json").write_text('{"shards": [{}]}')
    assert "l2t_manifest.json: cannot be read as a manifest" in _refused(directory)
    directory = toy(name="cut")
    (directory / "tokenizer" / "tokenizer.json").write_text("{}")
    assert "tokenizer/tokenizer.json: its sha256" in _refused(directory)


def test_a_space_must_be_able_to_build(toy: Toy) -> None:
    directory = toy("space")
    (directory / "l2t_hub-1.0-py3-none-any.whl").unlink()
    (directory / "app.py").rename(directory / "main.py")
    card = directory / "README.md"
    card.write_text(card.read_text().replace("colorFrom: blue", "colorFrom: mauve"))
    said = _refused(directory)
    assert "app_file is app.py, and there is no such file" in said
    assert "requirements.txt: l2t_hub-1.0-py3-none-any.whl is not in the directory" in said
    assert "colorFrom must be one of" in said


def test_secrets_are_blotted_out() -> None:
    text = "PUT http://x/lfs/object/1?expires=5&signature=abcdef Authorization: Bearer secret-token hf_ABCDEFGHIJ mine"
    clean = without_secrets(text, "mine")
    assert not [secret for secret in ("abcdef", "secret-token", "hf_ABC", "mine") if secret in clean]
    assert "PUT http://x/lfs/object/1?expires=5" in clean
