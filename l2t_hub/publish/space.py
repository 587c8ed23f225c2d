"""A Space directory, ready for release: the page of `spaces/compare`, its models named, this package in a wheel.

The wheel makes the Space independent of any package index: `app.py` unpacks it, `requirements.txt` lists the rest.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import SpaceCardData
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from l2t_hub import __version__
from l2t_hub.artifacts import CARD, disk_errors, sha256_of, write_text
from l2t_hub.errors import UsageError
from l2t_hub.hub.endpoint import PUBLIC
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
    """Make (or make anew) the directory of the comparison Space in `out`, and give it.

    `models` and `datasets` are Hub names; the page offers the models. With `preload` the Space downloads them when it
    is built, which works for public models only. `title` replaces the page's title on the Hub, `hub` is what links
    begin with. The same arguments and the same package give the same bytes. Raises UsageError for names that are none
    or a directory that holds something else, UserError if the wheel cannot be built or the disk refuses.
    """
    out = Path(out)
    if not models:
        raise UsageError("a Space needs at least one model to show", "Name the models' repositories.")
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
    front, body = _split((source / CARD).read_text(encoding="utf-8"))
    metadata = _metadata(front, models, datasets, title, preload)
    about = {"models": models, "datasets": datasets, "hub": hub.rstrip("/"), "toolkit": __version__}
    section = render("space.md.j2", {**about, "wheel": wheel.name, "sha256": sha256_of(wheel)})
    write_text(out / CARD, f"---\n{metadata.to_yaml()}\n---\n{body.rstrip()}\n\n{section}")
    return out


def _metadata(
    front: dict[str, Any], models: Sequence[str], datasets: Sequence[str], title: str | None, preload: bool
) -> SpaceCardData:
    """The front matter of `spaces/compare` with what a release knows."""
    known: dict[str, Any] = {"models": list(models), "datasets": list(datasets) or None}
    if title:
        known["title"] = " ".join(title.split())
    if preload:
        known["preload_from_hub"] = list(models)
    return SpaceCardData(**{**front, **known})


def _split(card: str) -> tuple[dict[str, Any], str]:
    """A card's front matter and its body."""
    found = REGEX_YAML_BLOCK.search(card)
    if found is None:
        return {}, card
    front: dict[str, Any] = yaml.safe_load(found[2])
    return front, card[found.end() :]


def _check_directory(out: Path) -> None:
    """A Space is staged into a new or empty directory, or over an earlier one of ours."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{out}: this is a file", "Give a directory for the Space.")
    strange = sorted(p.name for p in out.iterdir() if p.name not in (CARD, *COPIED) and p.suffix != ".whl")
    if strange:
        raise UsageError(
            f"{out}: this directory holds something else: {', '.join(strange[:3])}",
            "Nothing in it was touched. Give a new or empty directory.",
        )
