"""Several directories released in one go, each as ORG/ and its name: `l2t run`, and `l2t release DIR DIR ...`.

Datasets come first, then models, then Spaces, so that each card can name what it was made from on the Hub.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate.model_facts import weights_digest
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.failures import hub_error
from l2t_hub.hub.names import check_repo
from l2t_hub.publish.release import Release, release
from l2t_hub.publish.stage import release_kind
from l2t_hub.scoring import find_model

ORDER = ("dataset", "model", "space")


@dataclass(frozen=True)
class Publisher:
    """Publishes directories in one namespace of one Hub. `options` are those of `release` that all of them share."""

    endpoint: Endpoint
    namespace: str
    say: Callable[[str], None] = print
    options: dict[str, Any] = field(default_factory=dict)

    def release(self, directories: Sequence[Path]) -> list[Release]:
        """Release each directory as ORG/ and its name: datasets, then models, then Spaces.

        Raises UsageError, before anything is sent, for a directory that is none of these or two of one name, and
        UserError as `release`; those before it stay released.
        """
        kinds = {directory: release_kind(directory) for directory in directories}
        repos = {directory: self._repo(directory) for directory in directories}
        for directory, repo in repos.items():
            same = [
                d for d in directories if d != directory and (kinds[d], repos[d]) == (kinds[directory], repo)
            ]
            if same:
                raise UsageError(f"{directory} and {same[0]} would both be {repo}", "Rename one of them.")
        siblings = {
            digest: repos[directory]
            for directory, kind in kinds.items()
            if kind == "model" and (digest := weights_digest(find_model(str(directory))))
        }
        ordered = sorted(directories, key=lambda directory: ORDER.index(kinds[directory]))
        return [self._release(directory, repos[directory], siblings) for directory in ordered]

    def _repo(self, directory: Path) -> str:
        return check_repo(f"{self.namespace}/{directory.resolve().name}")

    def _release(self, directory: Path, repo: str, siblings: dict[str, str]) -> Release:
        return release(directory, repo, hub=self.endpoint, siblings=siblings, say=self.say, **self.options)


def find_namespace(endpoint: Endpoint, wanted: str | None) -> str:
    """Return the namespace to publish to: the one given, or the account of the token.

    Raises UserError if there is no token, or the Hub rejects it or does not respond.
    """
    if wanted is not None:
        return wanted
    from huggingface_hub import HfApi

    if not endpoint.token:
        raise UserError(
            f"no token for {endpoint.name}",
            "Log in with `hf auth login`, or set HF_TOKEN to a token with write access.",
        )
    try:
        return str(HfApi(endpoint=endpoint.url, token=endpoint.token).whoami()["name"])
    except Exception as error:
        raise hub_error(error, "the account of the token cannot be looked up", endpoint.name) from None
