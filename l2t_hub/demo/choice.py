"""Which models the page offers, under which names, and how a visitor names one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from l2t_hub.errors import UsageError, UserError, nearest
from l2t_hub.hub.front_matter import RESULTS_KEY, load_front_matter
from l2t_hub.records.bounds import is_repo, is_revision

MODELS_VARIABLE = "L2T_DEMO_MODELS"
"""Environment variable of a Space: names separated by commas or spaces. So are the two after it."""
DATASETS_VARIABLE = "L2T_DEMO_DATASETS"
RESULTS_VARIABLE = "L2T_DEMO_RESULTS"
GUESTS_VARIABLE = "L2T_DEMO_GUEST_MODELS"
"""Environment variable: 0 if visitors may not name models of their own."""
MAX_NAME = 300
"""Characters of a model's name and revision that a visitor may type."""


@dataclass(frozen=True)
class ModelChoice:
    """A model as a visitor chose it: a name that the page shows, or one on the Hub, and a revision."""

    name: str
    revision: str | None = None

    @property
    def label(self) -> str:
        """The name and the revision, as `PageContext.resolve` reads them."""
        return f"{self.name}@{self.revision}" if self.revision else self.name


def parse_choice(text: str, models: Mapping[str, str], *, guests: bool) -> ModelChoice:
    """Return the model that a visitor typed as NAME or NAME@REVISION. `models` are those of the page, by name.

    With `guests`, NAME may be any ORG/NAME; it always means the Hub, never a path. Raises UserError for anything
    else.
    """
    typed = text.strip()[: MAX_NAME + 1]
    if typed in models:
        return ModelChoice(typed)
    name, at, revision = typed.partition("@")
    if at and not is_revision(revision):
        raise UserError(
            f"{typed[:MAX_NAME]}: not a revision after the @.", "Name a branch, a tag or a commit: NAME@v1."
        )
    if name not in models and not (guests and is_repo(name)):
        hint = "Write the name of a model on the Hub as ORG/NAME or ORG/NAME@REVISION." if guests else ""
        raise UserError(
            f"{typed[:MAX_NAME] or 'No name'}: this page does not offer that model.",
            f"{nearest(name, models)} {hint}".strip(),
        )
    return ModelChoice(name, revision or None)


@dataclass(frozen=True)
class Offer:
    """What the owner of a page offers, by Hub name or path: models, datasets and results."""

    models: tuple[str, ...]
    datasets: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


def chosen_offer(given: Offer, environment: Mapping[str, str], readme: Path | None = None) -> Offer:
    """Return what to offer: what is given, else what the environment lists, else what the README lists.

    The README of a Space lists them under `models`, `datasets` and `l2t_results`. Raises UsageError if none of the
    three names a model.
    """
    front = load_front_matter(readme) if readme is not None and readme.is_file() else {}
    models, datasets, results = (
        tuple(dict.fromkeys(own or _listed(environment, variable) or _of_readme(readme, front, key)))
        for own, variable, key in (
            (given.models, MODELS_VARIABLE, "models"),
            (given.datasets, DATASETS_VARIABLE, "datasets"),
            (given.results, RESULTS_VARIABLE, RESULTS_KEY),
        )
    )
    if not models:
        raise UsageError(
            "no models to compare",
            f"Name one or two: l2t demo MODEL MODEL. On a Space, set {MODELS_VARIABLE}, or list `models:` in its "
            "README. `l2t run nano` trains two models in a few minutes.",
        )
    return Offer(models, datasets, results)


def guests_allowed(given: bool | None, environment: Mapping[str, str]) -> bool:
    """Return whether visitors may name models of their own: as given, else unless the environment says 0."""
    return (
        environment.get(GUESTS_VARIABLE, "1").lower() not in ("0", "no", "false") if given is None else given
    )


def _listed(environment: Mapping[str, str], variable: str) -> list[str]:
    return environment.get(variable, "").replace(",", " ").split()


def _of_readme(readme: Path | None, front: Mapping[str, object], key: str) -> list[str]:
    names = front.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{readme}: `{key}` is not a list of names")
    return names


def display_names(models: Sequence[str]) -> dict[str, str]:
    """Return a short, unique name for each model: name -> model.

    The name is the shortest end of the path that is unique: `runs/a/models/nano-raw` becomes `nano-raw`, unless
    another model ends in `nano-raw` too.
    """
    parts = {model: _parts(model) for model in models}
    names: dict[str, str] = {}
    for model, own in parts.items():
        others = [other for name, other in parts.items() if name != model]
        length = 1
        while length < len(own) and any(own[-length:] == other[-length:] for other in others):
            length += 1
        names["/".join(own[-length:]) or model] = model
    # Two spellings of the same path have all their parts in common; only the full names differ.
    return names if len(names) == len(models) else {model: model for model in models}


def _parts(model: str) -> tuple[str, ...]:
    return PurePosixPath(model.replace("\\", "/")).parts
