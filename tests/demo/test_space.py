"""The Space's folder: front matter, pins, and app.py run as a Space runs it, with the package in a wheel beside it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from huggingface_hub import metadata_load
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from l2t_hub.demo import demo
from l2t_hub.demo.choice import MODELS_VARIABLE, Offer
from l2t_hub.errors import UserError

COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@pytest.fixture
def source(repository: Path) -> Path:
    return repository / "spaces" / "compare"


@pytest.fixture
def space(source: Path, repository: Path, tmp_path: Path) -> Path:
    """A copy of the Space with a wheel of this package beside app.py, whose page has a title of its own."""
    folder = tmp_path / "space"
    shutil.copytree(source, folder)
    with zipfile.ZipFile(folder / "l2t_hub-9.9.9-py3-none-any.whl", "w") as wheel:
        for file in sorted((repository / "l2t_hub").rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                content = file.read_bytes()
                if file.name == "page.py":
                    content = re.sub(
                        rb'^TITLE = ".*"$', b'TITLE = "From the wheel"', content, flags=re.MULTILINE
                    )
                wheel.writestr(str(file.relative_to(repository)), content)
    return folder


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start app.py as a Space does: no arguments, models and port in the environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=folder,
        env={**os.environ, "GRADIO_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def wait_until_served(process: subprocess.Popen[str]) -> str:
    """Give what the process printed up to the line with the address."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "The page is at" in line:
            return printed
    raise AssertionError(f"the Space ended: {printed}")


def test_the_space_runs_from_the_wheel_beside_it_and_stops_on_an_interrupt(
    space: Path, tiny_models: tuple[str, str]
) -> None:
    with running(space, **{MODELS_VARIABLE: ", ".join(tiny_models)}) as (process, address):
        assert f"The page is at {address}" in wait_until_served(process)
        config = httpx.get(f"{address}/config", timeout=30).json()
        assert config["title"] == "From the wheel"
        assert config["analytics_enabled"] is False
        dropdowns = [part for part in config["components"] if part["type"] == "dropdown"]
        assert dropdowns[0]["props"]["choices"] == [["tiny-raw", "tiny-raw"], ["tiny-l2t", "tiny-l2t"]]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert output.splitlines()[-1] == "Stopped."


def test_without_a_model_the_space_says_what_to_set(source: Path, tmp_path: Path) -> None:
    shutil.copy(source / "app.py", tmp_path)
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=tmp_path,
        env={**os.environ, MODELS_VARIABLE: ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no models to compare" in done.stderr
    assert MODELS_VARIABLE in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Gradio leaves its loop and sockets to the collector
def test_a_taken_port_is_an_error_in_words(tiny_models: tuple[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="cannot be served"):
            demo(Offer(tiny_models), port=taken.getsockname()[1], open_browser=False)


def test_the_front_matter_is_what_a_space_needs(source: Path, repository: Path) -> None:
    matter = metadata_load(source / "README.md")
    assert matter is not None
    assert matter["sdk"] == "gradio"
    assert matter["sdk_version"] == pins(repository / "constraints.txt")["gradio"]
    assert (source / matter["app_file"]).is_file()
    assert {matter["colorFrom"], matter["colorTo"]} <= COLOURS
    assert len(matter["short_description"]) <= 60
    assert len(matter["models"]) == 2


def test_the_space_installs_the_versions_this_project_is_tested_with(source: Path, repository: Path) -> None:
    tested, space = pins(repository / "constraints.txt"), pins(source / "requirements.txt")
    assert space.keys() >= {"torch", "transformers", "safetensors"}
    assert {name: version.removesuffix("+cpu") for name, version in space.items()} == {
        n: tested[n] for n in space
    }


IF_INSTALLED = {
    *(
        "accelerate",
        "charset-normalizer",
        "cloudpickle",
        "colorama",
        "defusedxml",
        "dill",
        "protobuf",
        "scipy",
    ),
    "watchfiles",
}
"""Packages that torch, transformers and others import where they are installed, and do without where they are not."""


def test_the_page_needs_no_package_that_the_space_does_not_install(
    source: Path, tiny_models: tuple[str, str]
) -> None:
    code = (
        "import sys; from l2t_hub.demo.page import build_page; from l2t_hub.demo.page_context import PageContext\n"
        "from l2t_hub.demo.model_pool import ModelPool, score_with\n"
        "pool = ModelPool({'m': sys.argv[1]}, memory=1 << 30)\n"
        "context = PageContext({'m': sys.argv[1]}, pool, {'d': 'nowhere'}, ('nowhere',)); build_page(context)\n"
        "score_with(context.pool, context.resolve('m'), ['a b'])\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tiny_models[0]], capture_output=True, text=True, check=True
    )
    there = installed_with([*pins(source / "requirements.txt"), "gradio"])
    packages = metadata.packages_distributions()
    found = [packages[module] for module in done.stdout.split() if module in packages]
    missing = {names[0] for names in found if not {canonicalize_name(name) for name in names} & there}
    assert missing - IF_INSTALLED == set()


def installed_with(names: list[str]) -> set[str]:
    """Return the packages that pip installs for these names."""
    known: set[str] = set()
    while names:
        name = canonicalize_name(names.pop())
        if name in known:
            continue
        known.add(name)
        with suppress(metadata.PackageNotFoundError):
            needed = [Requirement(text) for text in metadata.requires(name) or []]
            names += [each.name for each in needed if not each.marker or each.marker.evaluate({"extra": ""})]
    return known


def pins(file: Path) -> dict[str, str]:
    """Read `name==version` lines."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if re.fullmatch(r"[\w.-]+==\S+", line))
