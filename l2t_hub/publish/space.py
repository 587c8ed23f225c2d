"""The directory of a comparison Space: the app of `spaces/compare`, the models to show, and this package as a wheel.

With the wheel beside it the Space needs no package index for `l2t_hub`: `app.py` unpacks the wheel, and
`requirements.txt` lists the other packages.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import SpaceCard, SpaceCardData

from l2t_hub import __version__
from l2t_hub.artifacts import CARD, disk_errors, sha256_of, write_text
from l2t_hub.dataset.card import OWN_TEXT, keep_edited_card, own_text_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.hub.endpoint import PUBLIC
from l2t_hub.hub.front_matter import RESULTS_KEY, load_front_matter
from l2t_hub.hub.names import check_hub_name, check_repo
from l2t_hub.publish.stage import release_kind
from l2t_hub.publish.wheel import NAME, build_wheel
from l2t_hub.records.card_text import finished_card
from l2t_hub.resources import resource_folder
from l2t_hub.templates import render

COPIED = ("app.py", "requirements.txt")


def stage_space(
    out: Path | str,
    *,
    models: Sequence[str],
    datasets: Sequence[str] = (),
    results: Sequence[str] = (),
    title: str | None = None,
    preload: bool = True,
    hub: str = PUBLIC,
) -> Path:
    """Create or update the directory of the comparison Space in `out`, and return it. The owner's text is kept.

    `models`, `datasets` and `results` (results datasets) are repo names; the app offers them all. The release of the
    Space completes a model's name without namespace, which is that of a directory. With `preload` the Space downloads
    the models when it is built, which works only for public ones. `title` replaces the default title, and `hub` is
    the URL that links begin with. The same arguments and package always give the same bytes.

    Raises UsageError for invalid names or a directory with other contents, UserError if the wheel cannot be built or
    a file cannot be written.
    """
    out = Path(out)
    if not models:
        raise UsageError("a Space needs at least one model", "Name the repos of the models to compare.")
    for name in models:
        check_repo(name if "/" in name else f"org/{name}", "model")
    for name in (*datasets, *results):
        check_repo(name, "dataset")
    _check_directory(out)
    source = resource_folder("spaces") / "compare"
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob(f"{NAME}-*.whl"):
            old.unlink()
        for name in COPIED:
            shutil.copyfile(source / name, out / name)
    build_wheel(out)
    own = own_text_of(out)
    keep_edited_card(out)
    card = space_card(out, models, datasets, results=results, own=own, title=title, preload=preload, hub=hub)
    write_text(out / CARD, card)
    return out


def model_names(models: Sequence[str]) -> list[str]:
    """Return how a Space names models: repos as they are, directories by their last part.

    Raises UsageError for a name that is neither a model directory nor ORG/NAME, and for one that is nearly a path on
    this machine: a Space with it could show a stranger's model. ORG/NAME@main says that the Hub is meant.
    """
    names = []
    for model in models:
        if Path(model).is_dir() and release_kind(Path(model)) == "model":
            names.append(Path(model).resolve().name)
        else:
            check_hub_name(model)
            names.append(check_repo(model.removesuffix("@main"), "model"))
    if len(set(names)) < len(names):
        raise UsageError(f"two models have one name: {', '.join(names)}", "Rename one of the directories.")
    return names


def space_card(
    directory: Path,
    models: Sequence[str],
    datasets: Sequence[str],
    *,
    results: Sequence[str] = (),
    own: str = "",
    title: str | None = None,
    preload: bool = True,
    hub: str = PUBLIC,
) -> str:
    """Return the card of the Space in `directory`, whose wheel it names. The arguments are those of `stage_space`."""
    template = resource_folder("spaces") / "compare" / CARD
    card = _card(template, models, datasets, results, title, preload)
    (wheel,) = directory.glob(f"{NAME}-*.whl")
    values = {"models": models, "datasets": datasets, "hub": hub.rstrip("/"), "toolkit": __version__}
    section = render("space.md.j2", {**values, **OWN_TEXT, "wheel": wheel.name, "sha256": sha256_of(wheel)})
    return finished_card(f"---\n{card.data.to_yaml()}\n---\n{card.text.rstrip()}\n\n{section}", own)


def space_card_again(directory: Path, own: str) -> str:
    """Return the card of a Space directory for the models, datasets and title in its front matter.

    Raises UserError if the directory has not exactly one wheel of this package, or no models.
    """
    front = load_front_matter(directory / CARD)
    models, datasets, results = (front.get(key) for key in ("models", "datasets", RESULTS_KEY))
    if not isinstance(models, list) or len(list(directory.glob(f"{NAME}-*.whl"))) != 1:
        raise UserError(
            f"{directory}: not a Space that `l2t space` made", "Make one: `l2t space MODEL... --out DIR`."
        )
    return space_card(
        directory,
        [str(name) for name in models],
        [str(name) for name in datasets or []],
        results=[str(name) for name in results or []],
        own=own,
        title=str(front.get("title") or "") or None,
        preload="preload_from_hub" in front,
    )


def _card(
    template: Path,
    models: Sequence[str],
    datasets: Sequence[str],
    results: Sequence[str],
    title: str | None,
    preload: bool,
) -> SpaceCard:
    """Return the card of `spaces/compare` with the front matter completed for these models."""
    known: dict[str, object] = {"models": list(models), "datasets": list(datasets) or None}
    if results:
        known[RESULTS_KEY] = list(results)
    if title:
        known["title"] = " ".join(title.split())
    if preload:
        known["preload_from_hub"] = list(models)
    card = SpaceCard(template.read_text(encoding="utf-8"))
    card.data = SpaceCardData(**{**load_front_matter(template), **known})
    return card


def _check_directory(out: Path) -> None:
    """Raise UsageError unless `out` is missing, empty, or holds an earlier version of a Space."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{out}: this is a file", "Choose a directory for the Space.")
    others = sorted(
        p.name for p in out.iterdir() if p.name not in (CARD, f"{CARD}~", *COPIED) and p.suffix != ".whl"
    )
    if others:
        raise UsageError(
            f"{out}: the directory has other contents: {', '.join(others[:3])}",
            "Choose a new or empty directory. Nothing was changed.",
        )
