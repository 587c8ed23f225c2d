"""The directory of a Space: its front matter, and a wheel from which the app runs without this checkout."""

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from huggingface_hub import SpaceCard

import l2t_hub
from l2t_hub import __version__
from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.publish import wheel as wheels
from l2t_hub.publish.space import stage_space
from l2t_hub.publish.stage import stage
from l2t_hub.publish.validate import validate
from l2t_hub.publish.wheel import build_wheel

MODELS = ["lab/tiny-raw", "lab/tiny-l2t"]
CHECKOUT = Path(l2t_hub.__file__).parents[1]
WHEEL = f"l2t_hub-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("space") / "compare"
    return stage_space(
        folder, models=MODELS, datasets=["lab/data"], results=["lab/scores"], title='Which: "this" # or that?'
    )


@pytest.fixture(scope="module")
def installed(space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed without its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, "--target", str(folder), str(space / WHEEL)], check=True)
    return folder


def run(code: str, cwd: Path, path: str = "") -> str:
    """Run code in a fresh Python that cannot see this checkout, and give what it prints."""
    setup = f"import sys; sys.path[:] = [p for p in sys.path if p != {str(CHECKOUT)!r}]\n"
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", setup + code],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_front_matter_names_the_release(space: Path) -> None:
    card = SpaceCard.load(space / "README.md")
    data = card.data.to_dict()
    assert data["title"] == 'Which: "this" # or that?'
    assert data["models"] == data["preload_from_hub"] == MODELS
    assert data["datasets"] == ["lab/data"]
    assert data["l2t_results"] == ["lab/scores"]
    assert (data["sdk"], data["app_file"], data["python_version"]) == ("gradio", "app.py", "3.11")
    assert "[lab/tiny-l2t](https://huggingface.co/lab/tiny-l2t)" in card.text
    assert sha256_of(space / WHEEL) in card.text


def test_it_passes_validation_and_is_reproducible(space: Path, tmp_path: Path) -> None:
    staged = stage(space)
    validate(staged)
    assert staged.kind == "space"
    again = stage_space(
        tmp_path / "again",
        models=MODELS,
        datasets=["lab/data"],
        results=["lab/scores"],
        title='Which: "this" # or that?',
    )
    assert stage(again).digest == staged.digest
    (again / "l2t_hub-0.0.1-py3-none-any.whl").write_bytes(b"old")
    assert stage(
        stage_space(
            again,
            models=MODELS,
            datasets=["lab/data"],
            results=["lab/scores"],
            title='Which: "this" # or that?',
        )
    ).digest == (staged.digest)


def test_a_private_release_is_not_preloaded(tmp_path: Path) -> None:
    folder = stage_space(tmp_path / "space", models=MODELS, preload=False)
    data = SpaceCard.load(folder / "README.md").data.to_dict()
    assert "preload_from_hub" not in data
    assert "datasets" not in data


def test_the_page_comes_from_the_wheel(space: Path, installed: Path) -> None:
    """As `app.py` does: unpack the wheel beside it, then import the page."""
    code = (
        "import app; from pathlib import Path\n"
        "app.use_wheel(Path('.').resolve())\n"
        "from l2t_hub.demo import demo\n"
        "from l2t_hub.demo.page import build_page\n"
        "from l2t_hub.demo.examples import example_pairs\n"
        "import l2t_hub; print(l2t_hub.__file__); print(len(example_pairs()))"
    )
    where, phenomena = run(code, space, str(space)).split()
    assert "l2t_hub-" in Path(where).parents[1].name
    assert int(phenomena) == 12
    installed_code = "import l2t_hub.demo.page; print(l2t_hub.demo.page.__file__)"
    assert Path(run(installed_code, installed, str(installed)).strip()).is_relative_to(installed)


def test_an_installed_package_gives_the_same_wheel_again(
    space: Path, installed: Path, tmp_path: Path
) -> None:
    """Without a checkout, the wheel is reassembled from the installed files."""
    code = (
        "from pathlib import Path; from l2t_hub.publish.wheel import build_wheel\n"
        f"print(build_wheel(Path({str(tmp_path)!r})))"
    )
    again = Path(run(code, tmp_path, str(installed)).strip())
    assert again.name == WHEEL
    with zipfile.ZipFile(space / WHEEL) as first, zipfile.ZipFile(again) as second:
        record = next(name for name in first.namelist() if name.endswith("/RECORD"))
        assert sorted(first.namelist()) == sorted(second.namelist())
        for name in first.namelist():
            if name != record:
                assert first.read(name) == second.read(name), name
        assert sorted(first.read(record).splitlines()) == sorted(second.read(record).splitlines())
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, "--target", str(target), str(again)], check=True)
    assert (target / "l2t_hub" / "_data" / "recipes" / "nano.yaml").is_file()


def test_a_directory_with_other_contents_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"has other contents: thesis\.tex"):
        stage_space(tmp_path, models=MODELS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="this is a file"):
        stage_space(tmp_path / "thesis.tex", models=MODELS)
    with pytest.raises(UsageError, match="at least one model"):
        stage_space(tmp_path / "new", models=[])
    with pytest.raises(UsageError, match="dataset lab"):
        stage_space(tmp_path / "new", models=MODELS, datasets=["lab"])


def test_what_a_wheel_needs_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(wheels, "find_spec", lambda name: None)
        with pytest.raises(UserError, match="hatchling is not installed"):
            build_wheel(tmp_path)

    class NoList:
        version, files = "1", None

    with monkeypatch.context() as patch:
        patch.setattr(wheels, "PACKAGE", tmp_path / "l2t_hub")
        patch.setattr(metadata, "distribution", lambda name: NoList())
        with pytest.raises(UserError, match="neither a checkout nor an installed wheel"):
            build_wheel(tmp_path)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "pyproject.toml").write_text(
        '[build-system]\nrequires=["hatchling"]\nbuild-backend="hatchling.build"\n[project]\nname="l2t_hub"\nversion="x y"\n'
    )
    with monkeypatch.context() as patch:
        patch.setattr(wheels, "PACKAGE", broken / "l2t_hub")
        with pytest.raises(UserError, match="cannot be built"):
            build_wheel(tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
