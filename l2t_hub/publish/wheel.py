"""A wheel of this very package, made offline from what is installed, so that a Space runs the code that released it.

From a checkout hatchling builds it, as PyPI's would be built; an installed package is put back together from the list
of files that its installer kept. Either way the same files give the same bytes.
"""

import base64
import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from l2t_hub.errors import UserError
from l2t_hub.resources import PACKAGE

NAME = "l2t_hub"
# What an installer adds to a package's metadata: facts of one machine, no part of the wheel.
OF_THE_INSTALLER = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
# The oldest time a zip can hold: a wheel says nothing of when it was made.
EPOCH = (1980, 1, 1, 0, 0, 0)


def build_wheel(folder: Path) -> Path:
    """Write a wheel of the running `l2t_hub` into `folder` and give its path.

    Raises UserError if hatchling is missing (checkout) or the list of installed files is (wheel).
    """
    checkout = PACKAGE.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _from_checkout(checkout, folder) if _is_checkout(checkout) else _from_installation(folder)
    except OSError as error:
        raise UserError(f"{folder}: the wheel cannot be written: {error.strerror or error}") from error


def _is_checkout(folder: Path) -> bool:
    try:
        with (folder / "pyproject.toml").open("rb") as file:
            return bool(tomllib.load(file)["project"]["name"] == NAME)
    except (OSError, ValueError, KeyError):
        return False


def _from_checkout(checkout: Path, folder: Path) -> Path:
    """Build with the project's own backend, without pip: pip would fetch that backend anew."""
    if find_spec("hatchling") is None:
        raise UserError(
            "hatchling is not installed: a Space needs a wheel of this package",
            "Install it: pip install hatchling",
        )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wheel-") as made:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(Path(made).resolve())]
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        wheels = list(Path(made).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise UserError(f"{checkout}: the wheel of this package cannot be built: {''.join(last)}")
        return wheels[0].replace(folder / wheels[0].name)


def _from_installation(folder: Path) -> Path:
    """Zip the installed files again, in order, with a new list of their hashes."""
    installed = metadata.distribution(NAME)
    info = f"{NAME}-{installed.version}.dist-info"
    files: dict[str, bytes] = {}
    for file in installed.files or []:
        top, name = file.parts[0], file.as_posix()
        added = top == info and file.name in OF_THE_INSTALLER
        if top in (NAME, info) and not added and "__pycache__" not in file.parts:
            files[name] = Path(str(file.locate())).read_bytes()
    if f"{NAME}/__init__.py" not in files:
        raise UserError(
            f"{PACKAGE}: neither a checkout nor an installed wheel: the list of this package's files is missing",
            "Install l2t_hub from a wheel, or work in a checkout with `pip install -e .`.",
        )
    wheel = folder / f"{NAME}-{installed.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in sorted(files.items()):
            _add(archive, name, content)
        _add(archive, f"{info}/RECORD", _record(files, info))
    return wheel


def _record(files: dict[str, bytes], info: str) -> bytes:
    """The wheel's RECORD: path, SHA-256 in URL-safe base64 without padding, size (PEP 427)."""
    lines = []
    for name, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    return ("\n".join([*lines, f"{info}/RECORD,,"]) + "\n").encode()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)
