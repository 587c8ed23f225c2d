"""The local executor: the same bytes with any number of workers, and workers that die."""

from pathlib import Path

import pytest
from dataset_helpers import PROSE, RecipeFactory, build_silently, hashes, write_rows

from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UserError


def test_one_two_and_five_workers_give_the_same_bytes(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    seven = make_recipe({"build.partitions": 7, "source.limit": 100})
    build_silently(seven, tmp_path / "1", workers=1)
    expected = hashes(tmp_path / "1")
    assert len(expected) > 40
    for workers in (2, 5):
        build_silently(seven, tmp_path / str(workers), workers=workers)
        assert hashes(tmp_path / str(workers)) == expected


def test_a_worker_killed_by_the_system_is_reported_and_finished_work_kept(
    make_recipe: RecipeFactory, tmp_path: Path
) -> None:
    module, flag = tmp_path / "own_task.py", tmp_path / "killed"
    module.write_text(
        "import os, signal, pathlib\nfrom l2t_hub.tasks import Example, Task\n"
        f"flag = pathlib.Path({str(flag)!r})\n"
        "def lethal(block, other, rng):\n"
        "    if not flag.exists():\n        flag.touch()\n        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return Example(block.text.upper(), block.text)\n"
        "TASKS = [Task('lethal', 'word', 'Once.', lethal)]\n"
    )
    keys = {"mixture.scheme": "single", "mixture.task": "lethal", "mixture.modules": [str(module)]}
    with pytest.raises(UserError, match="worker process was killed by the system"):
        build_silently(make_recipe(keys), tmp_path / "out", workers=2)
    assert not (tmp_path / "out" / "data").exists()
    build_silently(make_recipe(keys), tmp_path / "out", workers=2)
    assert verify(tmp_path / "out").problems == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unreadable_row_is_located_with_any_number_of_workers(
    make_recipe: RecipeFactory, tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "a.jsonl"
    write_rows(path, [{"id": n, "text": PROSE + str(n)} for n in range(30)])
    before, _, after = path.read_bytes().rpartition(b"gate")
    path.write_bytes(before + b"g\xffte" + after)
    keys = {"source.path": str(path), "build.partitions": 2}
    with pytest.raises(UserError, match=r"a\.jsonl, line 30: byte [\d,]+ is not UTF-8"):
        build_silently(make_recipe(keys), tmp_path / "out", workers=workers)
    assert not (tmp_path / "out" / "data").exists()
