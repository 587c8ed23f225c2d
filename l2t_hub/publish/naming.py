"""The names in a release: what its card and records call its repo, its dataset, its models and its source.

A directory says where it was made. What is released says what things are called on the Hub that it goes to: the
dataset and the other models are looked up there, by fingerprint and by weights, and local paths become file names.
So one directory can be released under several names, and nothing in it changes.
"""

import json
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import TypeVar

from l2t_hub.artifacts import CARD, MANIFEST, TRAINING_RECORD, WEIGHTS
from l2t_hub.dataset.card import NO_LICENSE, dataset_card, own_text_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.evaluate.model_facts import weights_digest
from l2t_hub.evaluate.read_results import read_evaluation
from l2t_hub.evaluate.results import Evaluation, ModelScores
from l2t_hub.hub.endpoint import LOCAL_OWNER
from l2t_hub.hub.front_matter import RESULTS_KEY, load_front_matter
from l2t_hub.publish.cards import license_of, model_card
from l2t_hub.publish.repository import RemoteRepo
from l2t_hub.publish.scores import FOLDER, reports_in
from l2t_hub.publish.space import space_card
from l2t_hub.records.bounds import is_repo
from l2t_hub.records.card_text import card_digest, card_state
from l2t_hub.records.dataset_manifest import Manifest, read_manifest
from l2t_hub.records.public_recipe import public_recipe
from l2t_hub.records.reading import read_bounded
from l2t_hub.records.training_record import TrainingRecord, read_training_record
from l2t_hub.scoring import find_model

T = TypeVar("T")
Contents = dict[str, bytes]
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{1,60}")


def check_license(license: str) -> None:
    """Raise UsageError unless `license` can be a licence identifier of the Hub."""
    if not _LICENSE.fullmatch(license) or license == NO_LICENSE:
        raise UsageError(
            f"--license {license}: not an identifier of a licence",
            "Use one of the Hub's, such as cc-by-4.0, cc0-1.0, odc-by, apache-2.0, mit or other.",
        )


def check_card(directory: Path, kind: str, license: str | None) -> None:
    """Raise UserError if the card was edited where it would be overwritten, or if no licence is known.

    `license` is the one given for this release.
    """
    path = directory / CARD
    if not path.is_file():
        return
    state = card_state(read_bounded(path).decode(errors="replace"))
    if state == "foreign" and kind != "space" and license is not None:
        raise UserError(
            f"{path}: this card is your own, so --license does not change it",
            "Write `license:` into its front matter, or let `l2t card` write the card.",
        )
    if state == "edited":
        raise UserError(
            f"{path}: was edited outside your own section of it, and a release writes the rest again",
            f"Run `l2t card {directory}`: it keeps the edited file as {CARD}~. "
            "Then put your text between the two lines that say so.",
        )
    if kind != "space" and license is None and load_front_matter(path).get("license") in (None, NO_LICENSE):
        raise UserError(
            f"{directory}: no licence is known for this {kind}, so nobody may use it",
            "Name the licence of its text: `--license ID`, for example --license cc-by-4.0. "
            "In a recipe it is `source.license`.",
        )


def released_contents(
    directory: Path, remote: RemoteRepo, *, license: str | None, private: bool, siblings: Mapping[str, str]
) -> Contents:
    """Return the files of a directory that read differently in its release, by path.

    `siblings` maps the weights (SHA-256) of models in the same release to their repos. A card that `l2t` did not
    write stays as it is. Raises UserError if a Space shows a model that the Hub does not have.
    """
    card = directory / CARD
    written = card.is_file() and card_state(read_bounded(card).decode(errors="replace")) == "written"
    if not written:
        return {}
    if remote.kind == "dataset":
        return released_dataset(directory, remote.repo_id, license)
    if remote.kind == "model":
        return _model(directory, remote, license, siblings)
    return {CARD: _space(directory, remote, private, set(siblings.values())).encode()}


def released_dataset(directory: Path, repo: str, license: str | None) -> Contents:
    """Return the card and the manifest of a dataset directory as they are released as `repo`."""
    manifest = read_manifest(directory)
    recipe = public_recipe(manifest.recipe)
    if license is not None:
        recipe["source"]["license"] = license
    manifest = Manifest.model_validate({**manifest.as_dict(), "recipe": recipe})
    card = dataset_card(directory, manifest, repo=repo, own=own_text_of(directory)).encode()
    manifest = manifest.with_files({**manifest.files, CARD: card_digest(card)})
    return {CARD: card, MANIFEST: manifest.content()}


def _model(directory: Path, remote: RemoteRepo, license: str | None, siblings: Mapping[str, str]) -> Contents:
    record = read_training_record(directory)
    dataset = find_dataset(remote, record)
    name, revision = dataset or (None, None)
    tree = record.as_dict()
    named = {"name": name or _last_part(record.dataset.name), "repository": name, "revision": revision}
    tree |= {"recipe": public_recipe(record.recipe), "dataset": {**tree["dataset"], **named}}
    public = TrainingRecord.model_validate(tree)
    contents = {TRAINING_RECORD: public.content()}
    weights = weights_digest(find_model(str(directory)))
    known = {**siblings, weights: remote.repo_id} if weights else siblings
    repos: dict[str, str] = {}
    for file in reports_in(directory):
        report = read_evaluation(file)
        found = {scores.label: find_model_repo(remote, scores, known) for scores in report.models}
        repos |= {label: repo for label, repo in found.items() if repo is not None}
        contents[f"{FOLDER}/{file.name}"] = _renamed(report, found)
    card = model_card(
        directory,
        record=public,
        repo=remote.repo_id,
        repos=repos,
        license=license or license_of(directory),
        own=own_text_of(directory),
        hub=remote.endpoint.url,
    )
    return contents | {CARD: card.encode()}


def _renamed(report: Evaluation, repos: Mapping[str, str | None]) -> bytes:
    """Return a report in which the models have the names of their repos, or else their labels."""
    models = tuple(
        replace(scores, model=repos[scores.label] or scores.label, revision=_revision(scores, repos))
        for scores in report.models
    )
    tree = replace(report, models=models).as_dict()
    return (json.dumps(tree, indent=2, ensure_ascii=False) + "\n").encode()


def _revision(scores: ModelScores, repos: Mapping[str, str | None]) -> str | None:
    return scores.revision if scores.model.partition("@")[0] == repos[scores.label] else None


def _space(directory: Path, remote: RemoteRepo, private: bool, coming: Set[str]) -> str:
    """Return the card of a Space whose models are on the Hub, with its datasets and those that their cards name."""
    front_matter = load_front_matter(directory / CARD)
    models = [_name_on(remote, str(model)) for model in front_matter.get("models") or []]
    found = {
        model: _look_up(remote, f"looking up {model}", partial(remote.api.model_info, model))
        for model in models
    }
    missing = [model for model, info in found.items() if info is None and model not in coming]
    if missing:
        raise UserError(
            f"{directory}: the Space shows {', '.join(missing)}, which {remote.endpoint.name} does not have",
            "Release the models first, or make the Space again with the names that they have: "
            f"`l2t space ORG/NAME ... --out {directory}`.",
        )
    infos = [info for info in found.values() if info is not None]
    datasets = _repos(front_matter.get("datasets"))
    for info in infos:
        datasets += _repos(getattr(info.card_data, "datasets", None))
    preload = not private and not any(info.private for info in infos)
    return space_card(
        directory,
        models,
        list(dict.fromkeys(datasets)),
        results=_repos(front_matter.get(RESULTS_KEY)),
        own=own_text_of(directory),
        title=str(front_matter["title"]),
        preload=preload,
        hub=remote.endpoint.url,
    )


def _repos(names: object) -> list[str]:
    """Return the repos in a list of a card, which may be a single name."""
    listed = names if isinstance(names, list) else [names]
    return [str(name) for name in listed if is_repo(str(name))]


def _name_on(remote: RemoteRepo, model: str) -> str:
    """Return the repo of a model of a Space: a bare name, or one of a local Hub, is in the Space's namespace."""
    namespace, _, name = model.rpartition("/")
    if not namespace or (namespace == LOCAL_OWNER and not remote.endpoint.is_local_hub):
        return f"{remote.repo_id.partition('/')[0]}/{name}"
    return model


def find_dataset(remote: RemoteRepo, record: TrainingRecord) -> tuple[str, str] | None:
    """Return repo and commit of a model's dataset on this Hub, None if it is not there.

    It is the commit that the record names, or one that a release in the model's namespace tagged with the dataset's
    fingerprint.
    """
    used = record.dataset
    if used.repository and used.revision:
        look_up = partial(remote.api.dataset_info, used.repository, revision=used.revision)
        if _look_up(remote, f"looking up {used.repository}", look_up) is not None:
            return used.repository, used.revision
    namespace = remote.repo_id.partition("/")[0]
    tag = f"fp-{record.dataset_fingerprint[:12]}"
    for name in dict.fromkeys((_last_part(used.name), record.name)):
        repo = f"{namespace}/{name}"
        if not is_repo(repo):
            continue
        list_refs = partial(remote.api.list_repo_refs, repo, repo_type="dataset")
        refs = _look_up(remote, f"looking up {repo}", list_refs)
        commits = [ref.target_commit for ref in refs.tags if ref.name == tag] if refs is not None else []
        if commits:
            return repo, commits[0]
    return None


def find_model_repo(remote: RemoteRepo, scores: ModelScores, siblings: Mapping[str, str]) -> str | None:
    """Return the repo on this Hub that has the weights of a scored model, None if none is found."""
    from huggingface_hub import RepoFile

    weights = scores.weights_sha256
    if weights is None:
        return None
    if weights in siblings:
        return siblings[weights]
    named = scores.model.partition("@")[0]
    namespace = remote.repo_id.partition("/")[0]
    for repo in dict.fromkeys(
        (named, f"{namespace}/{_last_part(named)}", f"{namespace}/{_last_part(scores.label)}")
    ):
        if not is_repo(repo):
            continue
        list_files = partial(remote.api.get_paths_info, repo, [WEIGHTS], repo_type="model")
        files = _look_up(remote, f"looking up {repo}", list_files) or []
        if any(getattr(file.lfs, "sha256", None) == weights for file in files if isinstance(file, RepoFile)):
            return repo
    return None


def _look_up(remote: RemoteRepo, what: str, step: Callable[[], T]) -> T | None:
    """Return what the Hub answers, None if it has no such repo or revision, or does not show it to us."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    def answered() -> T | None:
        try:
            return step()
        except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError):
            return None

    return remote.retry(what, answered)


def _last_part(name: str) -> str:
    return PurePath(name.partition("@")[0]).name or "data"
