"""Make the README's pictures of the page from the page itself: `python tests/demo/make_pictures.py runs/nano`.

Serves the models, data sets and scores of a finished run, opens a link for each picture in Chromium, and writes
docs/images. `make pictures` does it for `make run`'s result.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from browser_kit import chromium, serving
from PIL import Image
from playwright.sync_api import Browser

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
COLOURS = 128


@dataclass(frozen=True)
class Picture:
    """A file of docs/images: the link it shows, what must be on the page before it is taken, and on which screen.

    Without a height, it shows the whole page.
    """

    file: str
    link: dict[str, str | list[str]]
    wait_for: str
    width: int = 1280
    height: int | None = None
    scheme: str = "light"


PAIR = {"good": "The man praised himself that morning.", "bad": "The man praised herself that morning."}
PICTURES = (
    Picture("compare.png", {"tab": "compare", "kind": "pair", **PAIR}, "#answer article", height=1212),
    Picture(
        "compare-phone.png", {"tab": "compare", "kind": "pair", **PAIR}, "#answer article", 390, 1400, "dark"
    ),
    Picture("scoreboard.png", {"tab": "scoreboard"}, "#scores .l2t-summary", height=1072),
    Picture(
        "playground.png",
        {"tab": "playground", "task": "shuffle", "seed": "3"},
        "#play-answers article[data-state=finished] >> nth=1",
    ),
    Picture(
        "dataset.png",
        {"tab": "dataset", "dataset": "nano-l2t", "task": "typo", "rows": "5"},
        "#dataset-rows article",
        height=1000,
    ),
)


def main() -> None:
    """Parse the arguments and make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="directory of a finished `l2t run`")
    parser.add_argument("--out", type=Path, default=IMAGES, help="where the pictures go")
    arguments = parser.parse_args()
    with serving(page_of_run(arguments.run)) as address, chromium() as browser:
        for picture in PICTURES:
            take(picture, browser, address, arguments.out)


def page_of_run(run: Path) -> Any:
    """Return the page for the models and data sets of a run, the baseline first."""
    from l2t_hub.demo.choice import display_names
    from l2t_hub.demo.model_pool import ModelPool
    from l2t_hub.demo.page import build_page
    from l2t_hub.demo.page_context import PageContext

    models = display_names(
        [str(path.parent) for path in sorted(run.glob("models/*/config.json"), reverse=True)]
    )
    datasets = display_names(
        [str(path.parent) for path in sorted(run.glob("datasets/*/l2t_manifest.json"), reverse=True)]
    )
    if not models:
        sys.exit(f"{run} has no models/*/config.json. Make a run first: make run")
    results = tuple(str(path) for path in sorted(run.glob("scores/*.json")))
    return build_page(PageContext(models, ModelPool(models, memory=1 << 30), datasets, results))


def take(picture: Picture, browser: Browser, address: str, folder: Path) -> None:
    """Open the picture's link and write its file, in few colours: a README is downloaded often."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height or 700},
        color_scheme=picture.scheme,  # type: ignore[arg-type]
        device_scale_factor=1.25,
        reduced_motion="reduce",
    )
    page.goto(f"{address}?{urlencode(picture.link, doseq=True)}")
    page.locator(picture.wait_for).first.wait_for(timeout=60_000)
    path = folder / picture.file
    page.screenshot(path=path, full_page=picture.height is None)
    page.close()
    with Image.open(path) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
