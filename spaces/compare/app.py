"""The comparison page as a Space: find l2t_hub, then open the page `l2t demo` opens, with the models of this Space.

A Space installs requirements.txt before its files are there, so a wheel beside this file cannot stand in that list:
it is unpacked here instead. Without a wheel the installed package is used, as in a checkout:
`python spaces/compare/app.py MODEL MODEL`.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def use_wheel(folder: Path) -> None:
    """Put the newest l2t_hub wheel of `folder`, if there is one, in front of everything else Python can import."""
    wheels = sorted(folder.glob("l2t_hub-*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    if wheels:
        unpacked = tempfile.mkdtemp(prefix="l2t_hub-")
        with zipfile.ZipFile(wheels[-1]) as archive:
            archive.extractall(unpacked)
        sys.path.insert(0, unpacked)


def main() -> None:
    """Open the page; on a Space the host sets address and port in the environment."""
    use_wheel(HERE)
    from l2t_hub.demo import demo
    from l2t_hub.errors import UserError

    try:
        demo(sys.argv[1:], readme=HERE / "README.md", open_browser=False)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
