"""A stranger's manifest is data: it opens no file of this machine, runs no code, and fakes no success."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tiny_release import make_dataset, tiny_recipe

from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.errors import UserError
from l2t_hub.reproduce import reproduce
from l2t_hub.reproduce.checks import ReproduceReport


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = tiny_recipe("good", source={"limit": 30}, validation={"near_duplicates": "keep"})
    return make_dataset(recipe, tmp_path_factory.mktemp("data") / "good")


@pytest.fixture
def dataset(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "dataset"))


def change(dataset: Path, edit: Callable[[Any], object]) -> None:
    path = dataset / "l2t_manifest.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    edit(tree)
    path.write_text(json.dumps(tree), encoding="utf-8")


def again(dataset: Path, **options: Any) -> ReproduceReport:
    return reproduce(dataset, workers=1, progress=SilentReporter(), **options)


@pytest.mark.parametrize(
    "path", ["{secret}", "{folder}/*", "/", "../secret.jsonl", "bundled:sample/../x", "bundled:other"]
)
def test_a_local_source_is_opened_only_on_the_users_word(dataset: Path, tmp_path: Path, path: str) -> None:
    secret = tmp_path / "secret.jsonl"
    secret.write_text('{"id": "1", "text": "a private sentence"}\n', encoding="utf-8")
    named = path.format(secret=secret, folder=tmp_path)
    change(dataset, lambda tree: tree["recipe"]["source"].update(path=named))
    with pytest.raises(UserError, match="opens no file of this machine") as caught:
        again(dataset)
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("name", ["{folder}", "not-a-repo", "../../etc", "org/name"])
def test_a_source_on_the_hub_needs_a_commit_and_is_no_local_folder(
    dataset: Path, tmp_path: Path, name: str
) -> None:
    named = name.format(folder=tmp_path)
    change(dataset, lambda tree: tree["recipe"]["source"].update(path=None, dataset=named))
    with pytest.raises(UserError, match=r"opens no local file|cannot be read"):
        again(dataset)


def test_a_task_module_of_a_stranger_is_named_and_never_run(dataset: Path, tmp_path: Path) -> None:
    module = tmp_path / "evil_tasks.py"
    module.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nTASKS = []\n", encoding="utf-8")

    def edit(tree: Any) -> None:
        tree["recipe"]["mixture"]["modules"] = [str(module)]
        tree["modules"] = {str(module): "0" * 64}

    change(dataset, edit)
    for trusted in ([], ["0" * 64]):
        with pytest.raises(UserError, match=r"task module .*evil_tasks.* not a file of the dataset"):
            again(dataset, trust_modules=trusted)
    assert not (tmp_path / "ran").exists()


def test_a_module_that_the_manifest_does_not_admit_to_is_not_run_either(
    dataset: Path, tmp_path: Path
) -> None:
    module = tmp_path / "evil_tasks.py"
    module.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nTASKS = []\n", encoding="utf-8")
    change(dataset, lambda tree: tree["recipe"]["mixture"].update(modules=[str(module)]))
    with pytest.raises(UserError):
        again(dataset)
    assert not (tmp_path / "ran").exists()


def test_a_tokenizer_is_never_loaded_by_the_name_in_a_record(dataset: Path, tmp_path: Path) -> None:
    def edit(tree: Any) -> None:
        tree["recipe"]["tokenizer"] = {"name": str(tmp_path / "nowhere"), "revision": None, "bos": True}

    change(dataset, edit)
    report = again(dataset)
    assert any(check.note == "the published one was used" for check in report.checks)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_dataset_without_all_its_partitions_is_not_reproduced(dataset: Path, left: int) -> None:
    def edit(tree: Any) -> None:
        tree["partitions"] = tree["partitions"][:left]
        tree["shards"] = [shard for shard in tree["shards"] if shard["partition"] < left]

    change(dataset, edit)
    with suppress(UserError):
        assert not again(dataset).equal


def test_a_file_that_load_dataset_would_load_is_a_difference(dataset: Path) -> None:
    shard = next((dataset / "data" / "raw").glob("train-*.parquet"))
    shutil.copy(shard, shard.with_name("train-00098-of-00099.parquet"))
    report = again(dataset)
    assert not report.equal
    assert any("train-00098-of-00099.parquet" in check.note for check in report.checks)


def test_differing_shards_are_kept_under_names_of_ours(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    victim = out / "data" / "raw" / "train-00000-of-00003.parquet"
    victim.parent.mkdir(parents=True)
    victim.write_text("mine", encoding="utf-8")
    for shard in (dataset / "data" / "raw").glob("*.parquet"):
        shard.write_bytes(b"PAR1")
    report = again(dataset, out=out)
    assert not report.equal, report.summary()
    assert victim.read_text(encoding="utf-8") == "mine"
    assert list((out / "differing").glob("partition-*.parquet"))
