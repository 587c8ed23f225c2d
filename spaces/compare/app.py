"""The comparison page as a Space: the page of `l2t demo`, with the models of this Space.

A Space installs requirements.txt before its other files exist, so requirements.txt cannot name the wheel beside this
file. The wheel is unpacked here instead. Without a wheel, the installed package is used, as in a checkout:
`python spaces/compare/app.py MODEL MODEL`.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def use_wheel(folder: Path) -> None:
    """Put the newest l2t_hub wheel in `folder`, if there is one, first on the import path."""
    wheels = sorted(folder.glob("l2t_hub-*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    if wheels:
        unpacked = tempfile.mkdtemp(prefix="l2t_hub-")
        with zipfile.ZipFile(wheels[-1]) as archive:
            archive.extractall(unpacked)
        sys.path.insert(0, unpacked)


def main() -> None:
    """Serve the page. On a Space, the host sets address and port in the environment."""
    use_wheel(HERE)
    from l2t_hub.demo import demo
    from l2t_hub.demo.choice import Offer
    from l2t_hub.errors import UserError

    try:
        demo(Offer(tuple(sys.argv[1:])), readme=HERE / "README.md", open_browser=False)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("Stopped.")


if __name__ == "__main__":
    main()
