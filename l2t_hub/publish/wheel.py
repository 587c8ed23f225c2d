"""A wheel of the running package, built offline, so that a Space runs the code that released it.

In a checkout hatchling builds the wheel. An installed package is reassembled from the file list that its installer
recorded. In both cases the same files give the same bytes.
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
# Metadata that an installer adds. It describes one machine and is not part of the wheel.
INSTALLER_FILES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
# The earliest timestamp a zip can hold, so that the wheel does not depend on the time.
EPOCH = (1980, 1, 1, 0, 0, 0)


def build_wheel(folder: Path) -> Path:
    """Write a wheel of the running `l2t_hub` into `folder` and return its path.

    Raises UserError if the folder is not writable, or if hatchling (in a checkout) or the list of installed files
    (otherwise) is missing.
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
    """Build with the project's backend directly; pip would download the backend first."""
    if find_spec("hatchling") is None:
        raise UserError(
            "hatchling is not installed, so the wheel that a Space needs cannot be built",
            "Install it: pip install hatchling",
        )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wheel-") as target:
        command = [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "-t",
            "wheel",
            "-d",
            str(Path(target).resolve()),
        ]
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        wheels = list(Path(target).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise UserError(f"{checkout}: the wheel of this package cannot be built: {''.join(last)}")
        return wheels[0].replace(folder / wheels[0].name)


def _from_installation(folder: Path) -> Path:
    """Zip the installed files in sorted order, with a new list of their hashes."""
    installed = metadata.distribution(NAME)
    info = f"{NAME}-{installed.version}.dist-info"
    files: dict[str, bytes] = {}
    for file in installed.files or []:
        top, name = file.parts[0], file.as_posix()
        from_installer = top == info and file.name in INSTALLER_FILES
        if top in (NAME, info) and not from_installer and "__pycache__" not in file.parts:
            files[name] = Path(str(file.locate())).read_bytes()
    if f"{NAME}/__init__.py" not in files:
        raise UserError(
            f"{PACKAGE}: neither a checkout nor an installed wheel; the list of the package's files is missing",
            "Install l2t_hub from a wheel, or run `pip install -e .` in a checkout.",
        )
    wheel = folder / f"{NAME}-{installed.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in sorted(files.items()):
            _add(archive, name, content)
        _add(archive, f"{info}/RECORD", _record(files, info))
    return wheel


def _record(files: dict[str, bytes], info: str) -> bytes:
    """Return the wheel's RECORD (PEP 427): path, SHA-256 in URL-safe base64 without padding, and size per file."""
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
