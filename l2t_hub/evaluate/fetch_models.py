"""Downloads the models of an evaluation in a process of its own, so that they may be on another Hub than the data.

The Hugging Face libraries choose their Hub when they are imported: one process can use one Hub only.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from l2t_hub.errors import UserError
from l2t_hub.hub.connect import connected
from l2t_hub.scoring.loading import ModelSource, find_model


def fetch_models(names: Sequence[str], hub: str | None) -> list[ModelSource]:
    """Return the origins of models, those on `hub` downloaded and checked. Raises UserError if one cannot be had."""
    sources = [find_model(name) for name in names]
    if all(source.is_local for source in sources):
        return sources
    with connected(hub):
        command = [sys.executable, "-m", "l2t_hub.evaluate.fetch_models", *names]
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


def main(names: Sequence[str]) -> None:
    """Download the models and print their origins, or what went wrong, as one line of JSON."""
    from l2t_hub.evaluate.evaluation import download_model

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        print(json.dumps([asdict(download_model(find_model(name), say)) for name in names]))
    except UserError as error:
        print(json.dumps({"message": error.message, "hint": error.hint}))
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
