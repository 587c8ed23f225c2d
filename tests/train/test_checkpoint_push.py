"""Checkpoints that are sent while training goes on: complete revisions, once each, whatever the Hub does meanwhile."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import constants
from interrupted_process import start, wait_for
from release_fixtures import hub, shared_hub
from release_hub import WatchedHub
from tiny_run import tiny_recipe

from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.retry import RetryPolicy
from l2t_hub.local_hub.faults import Answer, Cut, Delay
from l2t_hub.publish import checkpoint_push, checkpoint_queue
from l2t_hub.publish.checkpoint_push import pushing
from l2t_hub.publish.checkpoint_queue import PushQueue, staged_checkpoint
from l2t_hub.publish.repository import RemoteRepo
from l2t_hub.publish.validate import REQUIRED
from l2t_hub.train import train
from l2t_hub.train.checkpoints import complete_checkpoints
from l2t_hub.train.locate import locate

__all__ = ["hub", "shared_hub"]

FILES = {
    ".gitattributes", "README.md", "l2t_release.json", "config.json", "generation_config.json",
    "model.safetensors", "tokenizer.json", "tokenizer_config.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose three checkpoints are all kept."""
    out = tmp_path_factory.mktemp("trained") / "model"
    train(tiny_recipe(save_total_limit=None), packed, out)
    return out


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, for a test to change."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real client in this process, which the tests otherwise keep offline. Uploads are plain LFS."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@dataclass
class Pushed:
    """What was said, and the error that a push ended with, if any."""

    lines: list[str]
    error: UserError | None = None

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def push(
    hub: WatchedHub, out: Path, data: Path, repo: str, *, every: int = 1, token: str | None = None
) -> Pushed:
    """Push the kept checkpoints of a run, as training does with each that it saves."""
    done, dataset = Pushed([]), locate(data)
    endpoint = Endpoint(hub.url, token=token or hub.keys.write)
    policy = RetryPolicy(attempts=3, first_wait=0.02, longest_wait=0.1)
    try:
        with pushing(
            repo, tiny_recipe(), out, endpoint, every=every, say=done.lines.append, policy=policy
        ) as saved:
            for checkpoint in reversed(complete_checkpoints(out)):
                saved(checkpoint, dataset)
            done.lines.append("trained")
    except UserError as error:
        done.error = error
    return done


def weights_at(hub: WatchedHub, repo: str, revision: str) -> str:
    return hub.listing("model", repo, revision)["model.safetensors"][2]


def assert_pushed(hub: WatchedHub, repo: str, out: Path, steps: tuple[int, ...] = (4, 8, 12)) -> None:
    """Each revision is complete and has the weights of its step; each was committed once; nothing waits."""
    assert set(hub.tags("model", repo)) == {f"step-{step}" for step in steps}
    for step in steps:
        assert set(hub.listing("model", repo, f"step-{step}")) == FILES
        expected = sha256_of(out / "checkpoints" / f"checkpoint-{step}" / "model.safetensors")
        assert weights_at(hub, repo, f"step-{step}") == expected
    number = hub.number("model", repo)
    log = list(hub.history.log(number, hub.history.resolve(number, "checkpoints")))
    assert hub.empty_commits("model", repo, "checkpoints") == 0
    assert len(log) - 1 == len(steps), [commit.title for commit in log]
    assert set(hub.listing("model", repo)) == {".gitattributes"}, "main is left to `l2t release`"
    assert not PushQueue(out).folder.exists()


def test_each_checkpoint_is_a_revision_and_is_sent_once(
    shared_hub: WatchedHub, run: Path, packed: Path
) -> None:
    done = push(shared_hub, run, packed, "org/once")
    assert done.error is None, done.text
    assert_pushed(shared_hub, "org/once", run)
    assert "step-12: 7 files" in f"{done.text}{done.error}"
    sent = shared_hub.recorder.uploaded()
    again = push(shared_hub, run, packed, "org/once")
    assert again.error is None, again.text
    assert shared_hub.recorder.uploaded() == sent
    assert_pushed(shared_hub, "org/once", run)


def test_every_second_checkpoint_and_the_last(shared_hub: WatchedHub, run: Path, packed: Path) -> None:
    (run / "checkpoints" / "checkpoint-4").rename(run / "checkpoints" / "checkpoint-5")  # as after a signal
    done = push(shared_hub, run, packed, "org/second", every=2)
    assert done.error is None, done.text
    assert_pushed(shared_hub, "org/second", run, (8, 12))


def test_faults_are_retried_and_training_does_not_wait(hub: WatchedHub, run: Path, packed: Path) -> None:
    hub.faults.add("POST", "/commit/", Delay(1), times=1)
    hub.faults.add("POST", "/commit/", Answer(503, after=True), nth=2)
    hub.faults.add("POST", "/commit/", Cut("after"), nth=3)
    hub.faults.add("POST", "/tag/", Answer(503, after=True), nth=2)
    hub.faults.add("GET", "/tree/", Answer(500), nth=3)
    done = push(hub, run, packed, "org/faults")
    assert done.error is None, done.text
    assert done.text.index("trained") < done.text.index("step-4: 7 files"), done.text
    assert "retrying" in f"{done.text}{done.error}"
    assert_pushed(hub, "org/faults", run)


def test_what_could_not_be_sent_waits_for_the_next_run(hub: WatchedHub, run: Path, packed: Path) -> None:
    refused = hub.faults.add("POST", "/commit/", Answer(403), nth=2, times=None)
    done = push(hub, run, packed, "org/waits")
    assert done.error is not None
    assert "the model is finished, but 2 checkpoints could not be sent" in f"{done.text}{done.error}"
    assert "denied access" in f"{done.text}{done.error}"
    assert refused.struck >= 1
    assert [path.name for path in PushQueue(run).waiting()] == ["step-8", "step-12"]
    hub.faults.clear()
    for name in (
        "checkpoint-4",
        "checkpoint-8",
    ):  # a run deletes old checkpoints; the queue has its own links
        shutil.copytree(run / "checkpoints" / name, run.parent / name)
        shutil.rmtree(run / "checkpoints" / name)
    assert push(hub, run, packed, "org/waits").error is None
    for name in ("checkpoint-4", "checkpoint-8"):
        (run.parent / name).rename(run / "checkpoints" / name)
    assert_pushed(hub, "org/waits", run)


def test_a_refused_token_is_said_before_training(hub: WatchedHub, run: Path, packed: Path) -> None:
    done = push(hub, run, packed, "org/refused", token=hub.keys.read)
    assert done.error is not None
    assert not PushQueue(run).folder.exists()
    assert "only read access" in f"{done.text}{done.error}"
    assert "trained" not in f"{done.text}{done.error}"


def test_a_hub_that_is_down_stops_no_training(hub: WatchedHub, run: Path, packed: Path) -> None:
    hub.faults.add("*", ".", Cut("before"), times=None)
    done = push(hub, run, packed, "org/down")
    assert done.error is not None
    assert "Training goes on, and checkpoints wait" in f"{done.text}{done.error}"
    assert "trained" in f"{done.text}{done.error}"
    assert len(PushQueue(run).waiting()) == 3


def test_checkpoints_of_another_run_are_not_mixed(shared_hub: WatchedHub, run: Path, packed: Path) -> None:
    assert push(shared_hub, run, packed, "org/mixed", every=2).error is None
    before = shared_hub.tags("model", "org/mixed")
    record = run / "checkpoints" / "run.json"
    text = record.read_text()
    record.write_text(text.replace(json.loads(text)["fingerprint"], "f" * 64))
    done = push(shared_hub, run, packed, "org/mixed")
    assert done.error is not None
    assert "checkpoints of another run" in f"{done.text}{done.error}"
    assert shared_hub.tags("model", "org/mixed") == before


def test_the_queue_is_bounded_and_notices_damage(
    run: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, dataset = PushQueue(run), locate(packed)
    for checkpoint in complete_checkpoints(run):
        queue.add(checkpoint, dataset)
    first = queue.waiting()[0]
    staged = staged_checkpoint(first, "org/name", None)
    card = staged.file("README.md")
    assert card is not None
    metadata = yaml.safe_load(card.read().decode().split("---")[1])
    assert all(metadata[key] for key in REQUIRED["model"])
    assert 'revision="step-4"' in card.read().decode()
    weights = first / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match="differs from what training wrote"):
        staged_checkpoint(first, "org/name", None)
    queue.remove(first)
    assert [path.name for path in queue.waiting()] == ["step-8", "step-12"]


def test_saving_goes_on_where_nothing_can_be_queued(
    run: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    remote = RemoteRepo(Endpoint("http://127.0.0.1:9"), "model", "org/name", RetryPolicy(), said.append)
    pusher = checkpoint_push.CheckpointPusher(remote, tiny_recipe(), run)
    newest, dataset = complete_checkpoints(run)[0], locate(packed)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_queue, "_link", full)
        pusher.saved(newest, dataset)
    assert "cannot be queued" in said[-1]
    assert "disk is full" in said[-1]
    monkeypatch.setattr(checkpoint_push, "MAX_WAITING", 1)
    for checkpoint in complete_checkpoints(run):
        pusher.saved(checkpoint, dataset)
    assert [path.name for path in pusher.queue.waiting()] == ["step-12"]
    assert "not queued" in said[-1]


@pytest.mark.slow
def test_a_killed_run_pushes_the_rest_and_every_revision_loads(
    hub: WatchedHub, tmp_path: Path, packed: Path
) -> None:
    """The command itself: killed in the middle of a push, continued, and killed again before its end."""
    recipe = tmp_path / "tiny.yaml"
    tree = tiny_recipe().resolved() | {"train": tiny_recipe().resolved()["train"] | {"save_steps": 2}}
    recipe.write_text(yaml.safe_dump(tree))
    command = ["train", "tiny.yaml", "--data", str(packed), "--out", "model", "--push", "org/killed"]
    env = hub.environment(tmp_path / "home")
    hub.faults.add("POST", "/commit/", Delay(1), times=None)
    for marks in ("step-2", "step-8"):
        process = start([*command, "--hub", hub.url], tmp_path, **env)
        wait_for(lambda mark=marks: mark in (hub.tags("model", "org/killed") if known(hub) else {}), process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    hub.faults.clear()
    process = start([*command, "--hub", hub.url], tmp_path, **env)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    tags = hub.tags("model", "org/killed")
    assert set(tags) == {f"step-{step}" for step in range(2, 13, 2)}
    undisturbed = tmp_path / "undisturbed"
    train(tiny_recipe(save_steps=2, save_total_limit=None), packed, undisturbed)
    for tag in tags:
        expected = (
            undisturbed / "checkpoints" / f"checkpoint-{tag.removeprefix('step-')}" / "model.safetensors"
        )
        assert weights_at(hub, "org/killed", tag) == sha256_of(expected)
    assert loads(hub, tmp_path / "home", "org/killed", "step-8")


def known(hub: WatchedHub) -> bool:
    return bool(hub._store.rows("SELECT 1 FROM repos WHERE namespace='org' AND name='killed'"))


def loads(hub: WatchedHub, home: Path, repo: str, revision: str) -> bool:
    """Whether plain transformers loads a revision and generates with it, and l2t finds its files as released."""
    code = (
        "import sys\nfrom transformers import AutoModelForCausalLM, PreTrainedTokenizerFast\n"
        "where = dict(revision=sys.argv[2])\n"
        "tokenizer = PreTrainedTokenizerFast.from_pretrained(sys.argv[1], **where)\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1], **where)\n"
        "ids = tokenizer('the old ferry', return_tensors='pt').input_ids\n"
        "assert model.generate(ids, max_new_tokens=3, do_sample=False).shape[1] > ids.shape[1]\n"
        "from l2t_hub.hub.download import download\n"
        "assert download(sys.argv[1], 'model', sys.argv[2]).verified == 6\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, repo, revision],
        env=hub.environment(home),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return True
