"""What `l2t run` publishes, each thing naming the one before it: datasets, models, their scores, the Space, and the
collection that holds them all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.hub.endpoint import Endpoint
from l2t_hub.hub.names import check_repo
from l2t_hub.publish.cards import collection_description, collection_note, name_dataset, write_model_card
from l2t_hub.publish.release import Release, release
from l2t_hub.publish.space import stage_space


@dataclass(frozen=True)
class Publisher:
    """Publishes under one namespace of one Hub; everything goes into the collection of that title.

    `about` describes the collection.
    """

    endpoint: Endpoint
    namespace: str
    collection: str
    about: str
    private: bool
    say: Callable[[str], None]

    def repo(self, name: str) -> str:
        """The repository of a release, `namespace/name`."""
        return check_repo(f"{self.namespace}/{name}")

    def dataset(self, directory: Path) -> Release:
        """Publish a dataset directory, its card naming its repository."""
        repo = self.repo(directory.name)
        name_dataset(directory, repo)
        return self._release(directory, repo, "dataset")

    def model(
        self, directory: Path, dataset: Release, scores: Sequence[Path], repos: Mapping[str, str]
    ) -> Release:
        """Publish a model directory, its card naming the dataset's revision and, once there are any, its scores."""
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
        """Publish the comparison Space of these models, staged in `directory`."""
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
            about=collection_description(self.collection, self.about),
            say=self.say,
        )


def find_namespace(endpoint: Endpoint, wanted: str | None) -> str:
    """The namespace to publish under: the one asked for, else the token's own user.

    Raises UserError if there is no token, or the Hub does not know it.
    """
    if wanted is not None:
        return wanted
    from huggingface_hub import HfApi

    hint = "Set HF_TOKEN (or run `hf auth login`) to a token that may write, or name one: --namespace ORG."
    if not endpoint.token:
        raise UserError(f"{endpoint.name}: no token, so nobody to publish as", hint)
    try:
        return str(HfApi(endpoint=endpoint.url, token=endpoint.token).whoami()["name"])
    except OSError as error:
        raise UserError(
            f"{endpoint.name}: does not say whose token this is ({type(error).__name__})", hint
        ) from None
