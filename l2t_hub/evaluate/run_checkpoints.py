"""The checkpoints of a training run as models to score: directories of a run, or `step-N` revisions of a repo."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from l2t_hub.artifacts import CHECKPOINTS, CONFIG
from l2t_hub.errors import UserError
from l2t_hub.scoring.loading import ModelSource, find_model

REVISION = re.compile(r"step-([0-9]{1,12})")
DIRECTORY = re.compile(r"(?:checkpoint|step)-([0-9]{1,12})")


def expanded(names: Sequence[str]) -> list[ModelSource]:
    """Return the checkpoints of each run or repo by increasing step.

    Raises UserError for a run or repo without checkpoints, UsageError for a name that is neither.
    """
    return [source for name in names for source in (_of_run if Path(name).is_dir() else _of_repo)(name)]


def _of_run(name: str) -> list[ModelSource]:
    run = Path(name)
    places = [*run.glob("*"), *(run / CHECKPOINTS).glob("*")]
    found = {
        int(match[1]): path
        for path in places
        if (match := DIRECTORY.fullmatch(path.name)) and (path / CONFIG).is_file()
    }
    if not found:
        raise UserError(
            f"{name}: no checkpoints",
            f"Give the --out directory of `l2t train`: it has {CHECKPOINTS}/checkpoint-N. With "
            "train.save_total_limit: null, all of them are kept.",
        )
    return [replace(find_model(str(path)), run=name, step=step) for step, path in sorted(found.items())]


def _of_repo(name: str) -> list[ModelSource]:
    from huggingface_hub import HfApi

    from l2t_hub.hub.failures import hub_error
    from l2t_hub.hub.retry import RetryPolicy, retrying

    source = find_model(name)
    repo = source.location
    if source.revision is not None:
        raise UserError(f"{name}: one revision has no checkpoints", f"Give the repo: --checkpoints {repo}")
    api = HfApi()
    try:
        refs = retrying(lambda: api.list_repo_refs(repo), f"listing {repo}", RetryPolicy(), lambda line: None)
    except Exception as error:
        raise hub_error(error, f"{repo}: its revisions cannot be listed", api.endpoint) from error
    steps = {
        int(match[1]): ref.name
        for ref in (*refs.branches, *refs.tags)
        if (match := REVISION.fullmatch(ref.name))
    }
    if not steps:
        raise UserError(
            f"{repo}: no checkpoints: none of its branches and tags is named step-N",
            f"To score the model itself, leave out --checkpoints. To score one revision: {repo}@REVISION",
        )
    return [
        ModelSource(f"{repo}@{revision}", repo, revision, is_local=False, run=repo, step=step)
        for step, revision in sorted(steps.items())
    ]
