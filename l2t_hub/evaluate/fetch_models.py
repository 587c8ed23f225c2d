"""Downloads the models of an evaluation in a process of its own, so that they may be on another Hub than the data.

The Hugging Face libraries choose their Hub when they are imported: one process can use one Hub only.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.evaluate.run_checkpoints import expanded
from l2t_hub.hub.connect import connected
from l2t_hub.scoring.loading import ModelSource, find_model

CHECKPOINTS = "--checkpoints"


def fetch_models(names: Sequence[str], hub: str | None, *, checkpoints: bool = False) -> list[ModelSource]:
    """Return the origins of models, those on `hub` downloaded and checked. Raises UserError if one cannot be had.

    With `checkpoints`, the names are runs and repos, and the origins are those of all their checkpoints.
    """
    if all(Path(name).is_dir() for name in names):
        return expanded(names) if checkpoints else [find_model(name) for name in names]
    with connected(hub):
        options = [CHECKPOINTS] if checkpoints else []
        command = [sys.executable, "-m", "l2t_hub.evaluate.fetch_models", *options, *names]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise UserError(
            f"the models could not be downloaded: the process ended with {done.returncode}"
        ) from None
    if isinstance(answer, dict):
        raise UserError(answer["message"], answer["hint"])
    return [ModelSource(**source) for source in answer]


def main(arguments: Sequence[str]) -> None:
    """Download the models and print their origins, or what went wrong, as one line of JSON."""
    from l2t_hub.evaluate.evaluation import download_model

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        wanted = expanded(arguments[1:]) if arguments[0] == CHECKPOINTS else map(find_model, arguments)
        print(json.dumps([asdict(download_model(source, say)) for source in wanted]))
    except UserError as error:
        print(json.dumps({"message": error.message, "hint": error.hint}))
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
