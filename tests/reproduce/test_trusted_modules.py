"""A dataset with its own task module is published with the module, and reproduced only if its hash is trusted."""

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tiny_release import make_dataset, tiny_recipe

from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UsageError, UserError
from l2t_hub.records.dataset_manifest import read_manifest
from l2t_hub.reproduce import ReproduceReport, reproduce

CODE = """
from l2t_hub.tasks import Example, Task
def shout(block, other, rng):
    return Example(block.text.upper(), block.text)
TASKS = [Task("shout", "word", "Restore the case of a text in capitals.", shout)]
"""
HASH = sha256(CODE.encode()).hexdigest()
NAME = "modules/my_tasks.py"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "my tasks.py").write_text(CODE, encoding="utf-8")
    mixture = {"modules": [str(folder / "my tasks.py")], "tasks": ["shout", "typo"]}
    directory = make_dataset(tiny_recipe("own", source={"limit": 40}, mixture=mixture), folder / "data")
    (folder / "my tasks.py").unlink()  # nothing below may need the file of the builder
    return directory


@pytest.fixture
def dataset(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "dataset"))


def again(dataset: Path | str, *trusted: str) -> ReproduceReport:
    return reproduce(dataset, workers=1, progress=SilentReporter(), trust_modules=trusted)


def test_the_module_is_part_of_the_dataset(good: Path) -> None:
    manifest = read_manifest(good)
    assert (good / NAME).read_text(encoding="utf-8") == CODE
    assert manifest.modules == {NAME: HASH}
    assert manifest.files[NAME] == HASH
    assert manifest.recipe["mixture"]["modules"] == [NAME]
    assert str(good.parent) not in (good / "l2t_manifest.json").read_text(encoding="utf-8")
    card = (good / "README.md").read_text(encoding="utf-8")
    assert f"`{NAME}` (SHA-256 `{HASH}`)" in card
    assert "--trust-modules" in card
    assert verify(good).problems == []


def test_it_is_reproduced_only_if_the_hash_is_trusted(dataset: Path) -> None:
    with pytest.raises(UserError) as caught:
        again(dataset)
    assert caught.value.message == (
        f"this dataset was made with the task module {NAME} (SHA-256 {HASH}), whose code would run here with your "
        "rights"
    )
    assert caught.value.hint == f"Read {NAME} in the dataset. If you trust it, add --trust-modules {HASH}"
    report = again(dataset, HASH)
    assert report.equal, report.summary()
    assert report.environment == ()
    assert any("examples/shout" in check.what for check in report.checks)


def test_the_path_of_the_module_does_not_count_but_its_code_does(good: Path, tmp_path: Path) -> None:
    manifest = read_manifest(good)
    for name, code, same in (("other.py", CODE, True), ("my_tasks.py", CODE + "# changed", False)):
        (tmp_path / name).write_text(code, encoding="utf-8")
        mixture = {"modules": [str(tmp_path / name)], "tasks": ["shout", "typo"]}
        recipe = tiny_recipe("own", source={"limit": 40}, mixture=mixture)
        built = read_manifest(make_dataset(recipe, tmp_path / f"{name}-data"))
        assert (built.fingerprint == manifest.fingerprint) is same
        assert ([s.sha256 for s in built.shards] == [s.sha256 for s in manifest.shards]) is True


def test_two_files_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    for folder, task in (("a", "shout"), ("b", "cry")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tasks.py").write_text(CODE.replace("shout", task), encoding="utf-8")
    paths = [str(tmp_path / folder / "tasks.py") for folder in "ab"]
    mixture = {"modules": paths, "tasks": ["shout", "cry"]}
    recipe = tiny_recipe("two", source={"limit": 20}, mixture=mixture)
    directory = make_dataset(recipe, tmp_path / "data")
    manifest = read_manifest(directory)
    assert list(manifest.modules) == [
        "modules/tasks.py",
        f"modules/tasks-{manifest.modules[list(manifest.modules)[1]][:8]}.py",
    ]
    report = again(directory, *manifest.modules.values())
    assert report.equal, report.summary()


@pytest.mark.parametrize("wrong", ["0" * 63, HASH.upper(), "my_tasks.py"])
def test_what_is_no_hash_is_refused(dataset: Path, wrong: str) -> None:
    with pytest.raises(UsageError, match="not a SHA-256"):
        again(dataset, wrong)


def test_a_hash_that_no_module_has_is_refused(dataset: Path) -> None:
    with pytest.raises(UsageError, match="no task module with this SHA-256"):
        again(dataset, HASH, "0" * 64)
    with pytest.raises(UsageError, match="--trust-modules does not apply to a recipe"):
        reproduce(tiny_recipe("x"), trust_modules=(HASH,))


def test_a_changed_file_is_not_run(dataset: Path, tmp_path: Path) -> None:
    evil = f"open({str(tmp_path / 'ran')!r}, 'w')\n{CODE}"
    (dataset / NAME).write_text(evil, encoding="utf-8")
    assert any(problem.startswith(f"{NAME}: its SHA-256 is") for problem in verify(dataset).problems)
    with pytest.raises(UserError, match="does not have the SHA-256 that the manifest names"):
        again(dataset, HASH)
    (dataset / NAME).unlink()
    (dataset / NAME).symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(UserError, match="leads out of the directory"):
        again(dataset, HASH)
    assert not (tmp_path / "ran").exists()


def edit(dataset: Path, **changes: Any) -> None:
    path = dataset / "l2t_manifest.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(tree | changes), encoding="utf-8")


def test_a_manifest_that_lists_another_hash_for_the_file_is_malformed(dataset: Path) -> None:
    edit(dataset, modules={NAME: "0" * 64})
    with pytest.raises(UserError, match="no such module with its hash"):
        again(dataset, HASH)


def test_code_that_no_manifest_lists_is_a_problem(dataset: Path) -> None:
    for name in ("modules/more.py", "dataset.py"):
        (dataset / name).write_text(CODE, encoding="utf-8")
        assert f"{name}: not in the manifest" in verify(dataset).problems
        (dataset / name).unlink()


def test_a_module_that_is_no_file_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "importable_tasks.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    mixture = {"modules": ["importable_tasks"], "tasks": ["shout"]}
    recipe = tiny_recipe("own", source={"limit": 20}, mixture=mixture)
    directory = make_dataset(recipe, tmp_path / "data")
    digest = read_manifest(directory).modules["importable_tasks"]
    with pytest.raises(UserError, match="'importable_tasks', which is not a file of the dataset") as caught:
        again(directory, digest)
    assert "install it and build the recipe on the dataset's card" in str(caught.value.hint)


def test_files_of_yours_below_modules_are_not_replaced(good: Path, dataset: Path, tmp_path: Path) -> None:
    (dataset / "modules" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"contains files that no build made: modules/mine\.txt"):
        make_dataset(tiny_recipe("own", source={"limit": 20}), dataset)
    (dataset / "modules" / "mine.txt").unlink()
    make_dataset(tiny_recipe("own", source={"limit": 20}), dataset)
    assert not (dataset / "modules").exists()


BY_NAME = """
import sys
from pathlib import Path
hub, directory, digest = sys.argv[1:]
from l2t_hub.hub.connect import connected
with connected(f"local:{hub}"):
    from l2t_hub.dataset.progress import SilentReporter
    from l2t_hub.errors import UserError
    from l2t_hub.publish.release import release
    from l2t_hub.reproduce import reproduce
    from l2t_hub.train.verify_model import verify_release
    quiet = lambda line: None
    release(directory, "lab/own", hub=f"local:{hub}", say=quiet)
    report = verify_release("lab/own", say=quiet)
    print(report.problems, report.uncompared)
    try:
        reproduce("lab/own", workers=1, progress=SilentReporter())
    except UserError as error:
        print(error.message)
    print(sorted(path.name for path in Path(hub).rglob("snapshots/*/modules/*")))
    print(reproduce("lab/own", workers=1, progress=SilentReporter(), trust_modules=[digest]).equal)
    print(sorted(path.name for path in Path(hub).rglob("snapshots/*/modules/*")))
"""


def test_by_name_the_code_is_fetched_only_if_it_is_trusted(dataset: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment["PYTHONPATH"] = os.pathsep.join(str(path) for path in Path(__file__).parents[1:3])
    command = [sys.executable, "-c", BY_NAME, str(tmp_path / "hub"), str(dataset), HASH]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == f"[] ('{NAME}',)"
    assert f"task module {NAME} (SHA-256 {HASH})" in said[1]
    assert said[2:] == ["[]", "True", "['my_tasks.py']"]
