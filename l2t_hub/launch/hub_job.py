"""A training as a Hugging Face Job: what the Job gets, and its submission.

A Job starts with an empty disk. It takes the recipe and a wheel of this package from a commit of the model repo,
trains on a dataset of the Hub, sends its checkpoints to that repo and releases the finished model there. Its token
and other secrets are named, never written: the client hands their values to the Jobs API, which keeps them encrypted.
"""

import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from l2t_hub import __version__
from l2t_hub.artifacts import MANIFEST
from l2t_hub.console import MODULE
from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.hub.download import download, parse_name
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.failures import explain
from l2t_hub.hub.retry import RetryPolicy, Say, without_secrets
from l2t_hub.launch.train_command import TrainCommand
from l2t_hub.publish.repository import RemoteRepo
from l2t_hub.publish.wheel import build_wheel
from l2t_hub.recipe import Recipe
from l2t_hub.records.dataset_manifest import read_manifest
from l2t_hub.records.public_recipe import public_recipe
from l2t_hub.train.agreement import agreed
from l2t_hub.train.architecture import architecture
from l2t_hub.train.batch_layout import divide_batch
from l2t_hub.train.locate import DatasetLocation

TOKEN = "HF_TOKEN"
BRANCH = "job"
RECIPE_FILE = "recipe.yaml"
WHEEL = f"l2t_hub-{__version__}-py3-none-any.whl"
IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"
MAX_HOURS = 24.0 * 90
# The libraries that decide what a step computes run in the versions that are installed here.
_PINNED = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers")
_SECRET = re.compile(r"[A-Z][A-Z0-9_]{0,99}")


@dataclass(frozen=True)
class HubJob:
    """The training of a recipe as typed, on hardware called `flavor`, for at most `hours`.

    `secrets` names variables of this environment that the Job gets beside the token.
    """

    recipe: Recipe
    typed: TrainCommand
    flavor: str
    hours: float
    secrets: tuple[str, ...] = ()

    @property
    def processes(self) -> int:
        """How many processes train: one for each GPU, whose number ends the names of flavors with several."""
        several = re.search(r"x(\d+)$", self.flavor)
        return int(several[1]) if several else 1

    def check(self) -> None:
        """Raise UsageError for what no Job can do, or for a secret that is not set here."""
        from huggingface_hub import JobHardware

        flavors = [flavor.value for flavor in JobHardware]
        if self.flavor not in flavors:
            raise UsageError(f"--flavor {self.flavor}: no hardware of Jobs. {nearest(self.flavor, flavors)}")
        if not 0 < self.hours <= MAX_HOURS:
            raise UsageError(f"--hours {self.hours:g}: not a time limit", f"Give up to {MAX_HOURS:g} hours.")
        if self.typed.push is None:
            raise UsageError(
                "--on hf-jobs: the disk of a Job is lost at its end",
                "Name the repo of the model: --push ORG/NAME.",
            )
        if Path(self.typed.data).exists():
            raise UsageError(
                f"--data {self.typed.data}: a Job cannot read a directory of this machine",
                f"Publish it with `l2t release {shlex.quote(self.typed.data)} --repo ORG/NAME`, and name that.",
            )
        if self.typed.held_out is not None:
            raise UsageError("--held-out: a Job cannot read a file of this machine", "Leave it out.")
        if self.recipe.source.license is None:
            raise UsageError(
                "the recipe names no licence of its text, so the Job could not release the model",
                "Set it: --set source.license=...",
            )
        for name in self.secrets:
            if not _SECRET.fullmatch(name) or not os.environ.get(name):
                raise UsageError(
                    f"--secret {name}: no such variable is set here", f"Set it first: export {name}=..."
                )

    def files(self, folder: Path) -> dict[str, bytes]:
        """Return what the Job takes from the repo, by path. The wheel is built in `folder`."""
        recipe = yaml.safe_dump(public_recipe(self.recipe.resolved()), sort_keys=False, allow_unicode=True)
        return {RECIPE_FILE: recipe.encode(), WHEEL: build_wheel(folder).read_bytes()}

    def command(self, revision: str) -> list[str]:
        """Return the command of the Job, which takes its files from this commit."""
        repo, out = str(self.typed.push), str(self.typed.out)
        options = [f"--data={self.typed.data}", f"--out={out}", *self.typed.push_options()]
        options += ["--follow-data"] if self.typed.follow_data else []
        several = ["torchrun", "--standalone", f"--nproc-per-node={self.processes}"]
        train = [
            *(several if self.processes > 1 else ["python"]),
            "-m",
            MODULE,
            "train",
            RECIPE_FILE,
            *options,
        ]
        release = ["python", "-m", MODULE, "release", out, f"--repo={repo}"]
        release += ["--private"] if self.typed.private else []
        client = f"huggingface_hub=={_installed('huggingface_hub')}"
        fetch = ["uvx", "--from", client, "hf", "download", repo, f"--revision={revision}", "--local-dir=job"]
        pins = [f"--with={name}=={_installed(name)}" for name in _PINNED]
        run = ["uv", "run", "--no-project", f"--with=./{WHEEL}", *pins]
        lines = (
            "set -eu",
            shlex.join(fetch),
            "cd job",
            shlex.join([*run, *train]),
            shlex.join([*run, *release]),
        )
        return ["bash", "-c", "\n".join(lines)]

    def request(self, revision: str) -> dict[str, Any]:
        """Return the arguments of `run_job` but for the values of the secrets."""
        return {
            "image": IMAGE,
            "command": self.command(revision),
            "flavor": self.flavor,
            "timeout": round(self.hours * 3600),
            "env": {"HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            "name": f"l2t-{self.recipe.name}",
        }

    def secret_values(self, token: str | None) -> dict[str, str]:
        """Return the secrets by their names."""
        return {name: os.environ[name] for name in self.secrets} | {TOKEN: token or ""}


def checked(job: HubJob) -> HubJob:
    """Check a Job against its dataset on the connected Hub, and return it with the commit of that.

    Only the manifest is downloaded. Raises as `train` would.
    """
    job.check()
    repo, revision = parse_name(job.typed.data)
    found = download(repo, "dataset", revision, only=(MANIFEST,), say=lambda line: None)
    dataset = DatasetLocation(found.directory, read_manifest(found.directory), repo, found.revision)
    recipe = agreed(job.recipe, dataset, follow_data=job.typed.follow_data)
    divide_batch(recipe, job.processes)
    architecture(recipe)
    return replace(job, typed=replace(job.typed, data=found.name))


def submit(job: HubJob, endpoint: Endpoint, say: Say, policy: RetryPolicy | None = None) -> Mapping[str, str]:
    """Put the files of a Job into its repo and start it. Returns its `id` and `url`.

    Raises UserError if the Hub refuses or does not answer. Starting is not retried: that could start two.
    """
    remote = RemoteRepo(endpoint, "model", str(job.typed.push), policy or RetryPolicy(), say)
    try:
        remote.sign_in()
        remote.create_if_missing(job.typed.private)
        remote.create_branch(BRANCH)
        revision = _send_files(job, remote)
    except UserError:
        raise
    except Exception as error:
        raise _failure(error, endpoint, "Nothing was started.") from None
    try:
        started = remote.api.run_job(
            **job.request(revision), secrets=job.secret_values(endpoint.token), namespace=remote.user
        )
    except Exception as error:
        raise _failure(error, endpoint, "Whether a Job was started: `hf jobs ps`.") from None
    return {"id": str(started.id), "url": str(started.url), "revision": revision}


def _send_files(job: HubJob, remote: RemoteRepo) -> str:
    from huggingface_hub import CommitOperationAdd

    with tempfile.TemporaryDirectory(prefix="l2t-job-") as folder:
        files = job.files(Path(folder))
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]

    def send() -> str:
        commit = remote.api.create_commit(
            remote.repo_id, operations, commit_message="Files of a training job", revision=BRANCH
        )
        return str(commit.oid)

    return remote.retry("sending the recipe and the package", send)


def _failure(error: Exception, endpoint: Endpoint, also: str) -> UserError:
    message, remedy = explain(error, endpoint.name, "write")
    return UserError(without_secrets(message, endpoint.token), f"{remedy} {also}".strip())


def _installed(name: str) -> str:
    """Return the installed version of a library, without the part that names a local build."""
    return version(name).partition("+")[0]
