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
from l2t_hub.errors import UsageError
from l2t_hub.hub.endpoint import PUBLIC
from l2t_hub.hub.front_matter import load_front_matter
from l2t_hub.hub.names import check_repo
from l2t_hub.publish.wheel import NAME, build_wheel
from l2t_hub.resources import resource_folder
from l2t_hub.templates import render

COPIED = ("app.py", "requirements.txt")


def stage_space(
    out: Path | str,
    *,
    models: Sequence[str],
    datasets: Sequence[str] = (),
    title: str | None = None,
    preload: bool = True,
    hub: str = PUBLIC,
) -> Path:
    """Create or update the directory of the comparison Space in `out`, and return it.

    `models` and `datasets` are repo names; the app offers the models. With `preload` the Space downloads the models
    when it is built, which works only for public ones. `title` replaces the default title, and `hub` is the URL that
    links begin with. The same arguments and package always give the same bytes.

    Raises UsageError for invalid names or a directory with other contents, UserError if the wheel cannot be built or
    a file cannot be written.
    """
    out = Path(out)
    if not models:
        raise UsageError("a Space needs at least one model", "Name the repos of the models to compare.")
    for name in models:
        check_repo(name, "model")
    for name in datasets:
        check_repo(name, "dataset")
    _check_directory(out)
    source = resource_folder("spaces") / "compare"
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob(f"{NAME}-*.whl"):
            old.unlink()
        for name in COPIED:
            shutil.copyfile(source / name, out / name)
    wheel = build_wheel(out)
    card = _card(source / CARD, models, datasets, title, preload)
    values = {"models": models, "datasets": datasets, "hub": hub.rstrip("/"), "toolkit": __version__}
    section = render("space.md.j2", {**values, "wheel": wheel.name, "sha256": sha256_of(wheel)})
    write_text(out / CARD, f"---\n{card.data.to_yaml()}\n---\n{card.text.rstrip()}\n\n{section}")
    return out


def _card(
    template: Path, models: Sequence[str], datasets: Sequence[str], title: str | None, preload: bool
) -> SpaceCard:
    """Return the card of `spaces/compare` with the front matter completed for these models."""
    known: dict[str, object] = {"models": list(models), "datasets": list(datasets) or None}
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
    others = sorted(p.name for p in out.iterdir() if p.name not in (CARD, *COPIED) and p.suffix != ".whl")
    if others:
        raise UsageError(
            f"{out}: the directory has other contents: {', '.join(others[:3])}",
            "Choose a new or empty directory. Nothing was changed.",
        )
