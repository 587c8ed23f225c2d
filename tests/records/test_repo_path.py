"""Paths that a record may name, and those it may not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from l2t_hub.errors import UserError
from l2t_hub.records.repo_path import AsidePath, RepoPath, ShardPath, inside, path_problem, same_name

SHARD = "data/raw/train-00000-of-00001.parquet"

GOOD = [
    "README.md",
    "a",
    "data/raw/train-00000-of-00001.parquet",
    ".eval_results/blimp.yaml",
    ".gitattributes",
    "tokenizer/tokenizer.json",
    "eval/probes ü.json",
    "...",
    "a..b/c",
    "~notes",
    "ab:c",
    "é/ß/漢字.txt",
    "a" * 255,
    "/".join(["a" * 31] * 31),
]

HOSTILE = [
    "",
    ".",
    "..",
    "/",
    "//",
    "/etc/passwd",
    "//etc/passwd",
    "///etc/passwd",
    "../x",
    "../../x",
    "../" * 40 + "etc/passwd",
    "data/..",
    "data/../x",
    "data/../../x",
    "data/raw/../../../x",
    "./x",
    "data/./x",
    "data/.",
    "data//x",
    "data/",
    "data/raw/",
    "/data/x",
    "x/..",
    "..\\x",
    "data\\x",
    "data\\..\\..\\x",
    "\\\\server\\share",
    "\\x",
    "C:/x",
    "c:/x",
    "C:x",
    "C:",
    "Z:\\x",
    "C:../x",
    ".git/config",
    ".git",
    ".GIT/hooks/post-checkout",
    "data/.git/config",
    "data/.Git",
    "a\x00b",
    "\x00",
    "data/raw/a\x00.parquet",
    "a\nb",
    "a\r",
    "a\tb",
    "a\x1b[31m",
    "a\x07",
    "a\x7fb",
    "a\x80",
    "a\x9bb",
    "a\u2028b",
    "a\u2029b",
    "a\u202egnp.exe",
    "a\u202ab",
    "a\u2066b",
    "a\u2069b",
    "a\u200fb",
    "\ufeffdata/x",
    "\ud800",
    "data/\udcff",
    "a" * 256,
    "é" * 128,
    "data/" + "a" * 256,
    "/".join(["a"] * 33),
    "a/" * 600 + "a",
    "/".join(["a" * 200] * 6),
]

# Good paths of a repository, and no paths of a dataset's shards or of what is beside them.
ELSEWHERE = [
    "README.md.parquet",
    "evil.parquet",
    "spaces/evil.parquet",
    "~/.ssh/authorized_keys",
    "data/evil.parquet",
    "data/train-00000-of-00001.parquet",
    "data/raw/evil.parquet",
    "data/raw/train-0-of-1.parquet",
    "data/raw/train-00000-of-00001.parquet.txt",
    "data/raw/train-00000-of-00001.csv",
    "data/raw/test-00000-of-00001.parquet",
    "data/raw/deeper/train-00000-of-00001.parquet",
    "data/examples/train-00000-of-00001.parquet",
    "data/examples/a/b/train-00000-of-00001.parquet",
    "Data/raw/train-00000-of-00001.parquet",
    "data/raw/train-00000-of-00001.parquet\u00a0",
    "data/raw/train-\u0660\u0660\u0660\u0660\u0660-of-00001.parquet",
    "tasks.py",
    "l2t_manifest.json",
    "readme.md",
    "tokenizer",
    "tokenizer/deeper/tokenizer.json",
    "tokenizers/tokenizer.json",
]


@pytest.mark.parametrize("path", GOOD)
def test_good_paths_pass_as_they_are(path: str, tmp_path: Path) -> None:
    assert path_problem(path) is None
    assert TypeAdapter(RepoPath).validate_python(path) == path
    assert inside(tmp_path, path) == tmp_path / path


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths_are_refused(path: str, tmp_path: Path) -> None:
    assert path_problem(path)
    for kind in (RepoPath, ShardPath, AsidePath):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(path)
    with pytest.raises(UserError, match="not a path inside a repository") as refused:
        inside(tmp_path, path)
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_dataset_lists_nothing_outside_its_folders(path: str) -> None:
    assert path_problem(path) is None
    for kind in (ShardPath, AsidePath):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(path)


def test_the_tables_are_long_enough() -> None:
    assert len(set(HOSTILE)) >= 60


@given(st.text(max_size=60) | st.text(alphabet="./\\a:~", max_size=12))
def test_no_accepted_path_leaves_its_directory(path: str) -> None:
    if path_problem(path) is None:
        joined = (Path("/top/dir") / path).as_posix()
        assert joined == f"/top/dir/{path}"
        assert ".." not in joined.split("/")


def test_names_that_a_mac_takes_for_one() -> None:
    assert same_name(["a", "b", "A"]) == ("a", "A")
    assert same_name(["e\u0301", "\u00e9"]) == ("e\u0301", "\u00e9")
    assert same_name(["stra\u00dfe", "STRASSE"]) == ("stra\u00dfe", "STRASSE")
    assert same_name(["a", "a"]) == ("a", "a")
    assert same_name(["a", "b/a"]) is None


def _link(path: Path, target: Path | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def test_links_inside_a_directory_are_good_and_links_out_are_not(tmp_path: Path) -> None:
    directory, secret = tmp_path / "dataset", tmp_path / "secret"
    directory.mkdir()
    secret.write_text("private")
    (directory / "real").write_text("x")
    _link(directory / "good", "real")
    _link(directory / "data" / "up", "../real")
    assert inside(directory, "good").read_text() == inside(directory, "data/up").read_text() == "x"
    _link(directory / "absolute", secret)
    _link(directory / "relative", "../secret")
    _link(directory / "folder", tmp_path)
    _link(directory / "twice", "relative")
    _link(directory / "dangling", "/nowhere/at/all")
    _link(directory / "beside", tmp_path / "dataset-2")
    for path in ("absolute", "relative", "folder/secret", "twice", "dangling", "beside"):
        with pytest.raises(UserError, match="a symlink that leads out of the directory"):
            inside(directory, path)


def test_a_directory_may_itself_be_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    _link(tmp_path / "link", "real")
    assert inside(tmp_path / "link", SHARD) == tmp_path / "link" / SHARD


def test_a_snapshot_of_the_hub_cache_links_to_its_own_blobs_only(tmp_path: Path) -> None:
    repo = tmp_path / "datasets--org--toy"
    snapshot = repo / "snapshots" / "0123"
    (repo / "blobs").mkdir(parents=True)
    (repo / "blobs" / "abc").write_text("x")
    _link(snapshot / "data" / "raw" / "a", "../../../../blobs/abc")
    assert inside(snapshot, "data/raw/a").read_text() == "x"
    other = tmp_path / "models--org--private" / "blobs"
    other.mkdir(parents=True)
    (other / "abc").write_text("private")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0123")
    _link(snapshot / "b", other / "abc")
    _link(snapshot / "c", repo / "refs" / "main")
    _link(snapshot / "d", "../../blobs")
    shared = tmp_path / "blobs" / "87"
    shared.mkdir(parents=True)
    (shared / "8751").write_text("x")
    _link(repo / "blobs" / "shared", shared / "8751")
    _link(snapshot / "e", "../../blobs/shared")
    for path in ("b", "c", "d", "e"):
        with pytest.raises(UserError, match="leads out"):
            inside(snapshot, path)
    (tmp_path / "blobs" / ".huggingface-shared-blobs").write_text("1")
    assert inside(snapshot, "e").read_text() == "x"
    with pytest.raises(UserError, match="leads out"):
        inside(snapshot, "b")


def test_a_link_to_itself_is_no_way_out(tmp_path: Path) -> None:
    _link(tmp_path / "loop", "loop")
    assert not inside(tmp_path, "loop").is_file()
