"""Trainings as Hugging Face Jobs: what the real client submits to a Hub, and the submitted command run to its end."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants
from interrupted_process import start
from release_fixtures import hub, shared_hub
from release_hub import WatchedHub, put
from tiny_run import tiny_recipe
from training_cluster import write_program

from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.launch.hub_job import IMAGE, RECIPE_FILE, WHEEL, HubJob, submit
from l2t_hub.launch.train_command import TrainCommand
from l2t_hub.local_hub.faults import Answer, Cut
from l2t_hub.recipe import Recipe, recipe_from_tree

__all__ = ["hub", "shared_hub"]


def recipe() -> Recipe:
    tree = tiny_recipe(per_device_train_batch_size=1).resolved()
    return recipe_from_tree(tree | {"source": tree["source"] | {"license": "cc-by-4.0"}})


def job(repo: str = "org/model", flavor: str = "a10g-small", **typed: Any) -> HubJob:
    command = TrainCommand("tiny.yaml", "org/data@main", Path("out"), push=repo, push_every=2)
    return HubJob(recipe(), replace(command, **typed), flavor, 1.5, ("OTHER",))


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real client in this process, which the tests otherwise keep offline."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("OTHER", "other-secret")


def test_the_hub_gets_exactly_what_the_job_needs(shared_hub: WatchedHub) -> None:
    said: list[str] = []
    endpoint = Endpoint(shared_hub.url, token=shared_hub.keys.write)
    started = submit(job("org/exact"), endpoint, said.append)
    api = HfApi(endpoint=shared_hub.url, token=shared_hub.keys.write)
    kept = api.inspect_job(job_id=started["id"], namespace="rehearsal")
    assert (kept.docker_image, kept.flavor, kept.status.stage) == (IMAGE, "a10g-small", "SCHEDULING")
    assert set(kept.secrets or {}) == {"HF_TOKEN", "OTHER"}
    assert kept.command == job("org/exact").command(started["revision"])
    assert kept.labels == {"name": "l2t-tiny"}
    for secret in (shared_hub.keys.write, "other-secret"):
        assert secret not in str(kept) + "".join(said) + str(job().request("x"))
    files = shared_hub.listing("model", "org/exact", started["revision"])
    assert set(files) == {".gitattributes", RECIPE_FILE, WHEEL}
    assert set(shared_hub.listing("model", "org/exact")) == {".gitattributes"}


@pytest.mark.parametrize(
    ("flavor", "count"), [("cpu-basic", 1), ("l4x1", 1), ("a100x8", 8), ("a10g-largex2", 2)]
)
def test_one_process_for_each_gpu(flavor: str, count: int) -> None:
    wanted = job(flavor=flavor)
    assert wanted.processes == count
    assert (f"--nproc-per-node={count}" in wanted.command("x")[2]) == (count > 1)


def test_words_of_the_command_arrive_as_they_are(tmp_path: Path) -> None:
    for name in ("uv", "uvx"):
        write_program(
            tmp_path / name, f'#!/bin/bash\nmkdir -p job; printf "%s\\0" {name} "$@" >> "{tmp_path}/words"\n'
        )
    out = "a $(touch hacked)\n`touch hacked`; touch hacked '\""
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    command = job(out=Path(out), private=True).command("0123")
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    words = (tmp_path / "words").read_text().split("\0")
    assert words[:2] == ["uvx", "--from"]
    assert words.count(f"--out={out}") == 1
    assert ["release", out, "--repo=org/model", "--private"] == words[-5:-1]
    assert words.count(f"--with=./{WHEEL}") == 2
    assert words.count("--revision=0123") == 1
    assert not list(tmp_path.rglob("hacked"))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Answer(402), "asks for payment"),
        (Answer(403), "denied access"),
        (Answer(503), "failed with status 503"),
        (Cut("after"), "connection"),
    ],
)
def test_a_refusal_is_a_sentence_and_starts_no_second_job(hub: WatchedHub, fault: Any, message: str) -> None:
    struck = hub.faults.add("POST", "/api/jobs/", fault, times=None)
    with pytest.raises(UserError, match=message) as caught:
        submit(job(), Endpoint(hub.url, token=hub.keys.write), lambda line: None)
    assert struck.struck == 1
    assert "hf jobs ps" in str(caught.value)
    assert hub.keys.write not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flavor": "a100-lrge"}, "Did you mean 'a100-large'"),
        ({"hours": 0.0}, "not a time limit"),
        ({"secrets": ("UNSET_HERE",)}, "no such variable"),
        ({"secrets": ("a b\n",)}, "no such variable"),
        (
            {"typed": TrainCommand("t", ".", Path("o"), push="org/m")},
            "cannot read a directory of this machine",
        ),
        ({"typed": TrainCommand("t", "org/data", Path("o"))}, "--push ORG/NAME"),
        ({"recipe": tiny_recipe()}, "names no licence"),
    ],
)
def test_what_no_job_can_do_is_refused_first(change: dict[str, Any], message: str) -> None:
    job().check()
    with pytest.raises(UsageError) as caught:
        replace(job(), **change).check()
    assert message in str(caught.value)


FAKE_UVX = '#!/bin/bash\nshift 3\nexec {python} -m huggingface_hub.cli.hf "$@"\n'
FAKE_UV = """\
#!/bin/bash
shift 2
while [[ "$1" == --* ]]; do [[ "$1" == *.whl ]] && wheel=${{1#--with=}}; shift; done
[ -d wheel ] || {python} -m pip install --quiet --no-index --no-deps --target wheel "$wheel" || exit 9
shift
PYTHONPATH=$PWD/wheel exec {python} "$@"
"""


@pytest.mark.slow
def test_the_submitted_command_trains_pushes_and_releases(
    hub: WatchedHub, tmp_path: Path, packed: Path
) -> None:
    """Submitted by `l2t`, then run as a Job would, with a stand-in for uv that installs the wheel of the repo."""
    files = {p.relative_to(packed).as_posix(): p.read_bytes() for p in packed.rglob("*") if p.is_file()}
    put(hub, "dataset", "org/data", files)
    (tmp_path / "tiny.yaml").write_text(load_text(recipe()))
    arguments = [
        "train", "tiny.yaml", "--data", "org/data@main", "--out", "out", "--push", "org/model", "--hub", hub.url,
        "--on", "hf-jobs", "--flavor", "cpu-basic", "--hours", "1",
    ]  # fmt: skip
    process = start(arguments, tmp_path, **hub.environment(tmp_path / "home"))
    said, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert "the local Hub runs no Jobs" in said
    assert hub.keys.write not in said + errors
    number = said.split("kept as Job ")[1].partition(":")[0]
    kept = HfApi(endpoint=hub.url, token=hub.keys.write).inspect_job(job_id=number, namespace="rehearsal")
    disk = tmp_path / "disk"
    disk.mkdir()
    for name, text in (("uvx", FAKE_UVX), ("uv", FAKE_UV)):
        write_program(disk / name, text.format(python=sys.executable))
    environment = hub.environment(tmp_path / "job-home") | (kept.environment or {})
    environment["PATH"] = f"{disk}:{os.environ['PATH']}"
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        list(kept.command or []),
        cwd=disk,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"step-4", "step-8", "step-12"} <= set(hub.tags("model", "org/model"))
    last = hub.listing("model", "org/model", "step-12")["model.safetensors"]
    assert hub.listing("model", "org/model")["model.safetensors"] == last, "main has the finished model"


def load_text(of: Recipe) -> str:
    import yaml

    text: str = yaml.safe_dump(of.resolved(), sort_keys=False)
    return text
