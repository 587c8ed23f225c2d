"""What `l2t run` publishes: datasets, models, scores and the Space, all in one collection.

Each card names what its artifact was made from: a model's card the dataset revision, the Space's card the models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.failures import hub_error
from l2t_hub.hub.names import check_repo
from l2t_hub.publish.cards import collection_description, collection_note, name_dataset, write_model_card
from l2t_hub.publish.release import Release, release
from l2t_hub.publish.space import stage_space


@dataclass(frozen=True)
class Publisher:
    """Publishes to one namespace of one Hub, and adds everything to the collection with the given title.

    `description` is the collection's.
    """

    endpoint: Endpoint
    namespace: str
    collection: str
    description: str
    private: bool
    say: Callable[[str], None]

    def repo(self, name: str) -> str:
        """Return the repo name of a release, `namespace/name`. Raises UsageError if it is not valid."""
        return check_repo(f"{self.namespace}/{name}")

    def dataset(self, directory: Path) -> Release:
        """Publish a dataset directory after writing its repo name into its card."""
        repo = self.repo(directory.name)
        name_dataset(directory, repo)
        return self._release(directory, repo, "dataset")

    def model(
        self, directory: Path, dataset: Release, scores: Sequence[Path], repos: Mapping[str, str]
    ) -> Release:
        """Publish a model directory with a new card, which names the dataset revision and the scores, if any.

        `repos` maps the labels of other models in the scores to their repos.
        """
        repo = self.repo(directory.name)
        write_model_card(
            directory,
            repo=repo,
            dataset=dataset.repo,
            dataset_revision=dataset.revision,
            scores=scores,
            repos=repos,
            hub=self.endpoint.url,
        )
        return self._release(directory, repo, "model")

    def space(self, directory: Path, models: Sequence[str], datasets: Sequence[str]) -> Release:
        """Publish a Space that compares these models, created in `directory`."""
        title = f"{self.collection}: which sentence does the model believe?"
        stage_space(
            directory,
            models=models,
            datasets=datasets,
            title=title,
            preload=not self.private,
            hub=self.endpoint.url,
        )
        return self._release(directory, self.repo(directory.name), "space")

    def _release(self, directory: Path, repo: str, kind: str) -> Release:
        return release(
            directory,
            repo,
            hub=self.endpoint,
            private=self.private,
            collection=self.collection,
            note=collection_note(kind, directory),
            description=collection_description(self.collection, self.description),
            say=self.say,
        )


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
