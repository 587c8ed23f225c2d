"""What all tests share: an offline environment, the data folder, and the rule that a test runs where it can."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# Set before any Hugging Face import: the tests use no network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_UPDATE_CHECK", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Small models on busy cores: waiting threads would cost more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts pytest in the background makes it ignore Ctrl-C. Programs that a test interrupts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import settings

# The same examples in every run, so that a change is to blame for a failure. To search with others:
# HYPOTHESIS_PROFILE=search pytest ...
settings.register_profile("suite", derandomize=True)
settings.register_profile("search", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_DATA = Path(os.environ.get("L2T_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))


# What the tests with a marker need, and whether it is here. If it is, skipping such a test fails the run.
NEEDS = {
    "shared_data": (SHARED_DATA, SHARED_DATA.is_dir()),
    "browser": ("chromium", shutil.which("chromium") is not None),
}
wrongly_skipped: list[str] = []
# Where the browser tests keep pictures of the page, to be looked at.
SCREENSHOTS = Path(os.environ.setdefault("L2T_SCREENSHOTS", str(REPOSITORY / "runs" / "screenshots")))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the marker `shared_data` to every test that uses the fixture, before `-m` selects tests."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("shared_data")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the tests that were skipped although what they need is here; under xdist this sees all workers."""
    if report.skipped and not hasattr(report, "wasxfail"):
        wrongly_skipped.extend(
            f"{report.nodeid}: {needed} is here"
            for marker, (needed, is_here) in NEEDS.items()
            if is_here and marker in report.keywords
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the run fail for them. The skips that are right are in the summary that `-ra` prints, with their reasons."""
    if wrongly_skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the pictures are, and which tests should not have been skipped."""
    if pictures := len(list(SCREENSHOTS.glob("*.png"))):
        terminalreporter.write(f"{pictures} pictures of the page: {SCREENSHOTS}\n")
    if wrongly_skipped:
        terminalreporter.section("FAILED: skipped, although what they need is here", red=True)
        terminalreporter.write("\n".join([*wrongly_skipped, ""]))


@pytest.fixture(scope="module", autouse=True)
def _nothing_made_before_is_collected_again() -> None:
    """Take what earlier tests imported out of garbage collection.

    Every run of the Trainer asks for several full collections, and the libraries are half a million objects.
    """
    gc.collect(1)
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with `gutenberg/`, `blimp/` and `tokenizer-32k/`. Without it the test is skipped."""
    if not (SHARED_DATA / "gutenberg").is_dir():
        pytest.skip(f"no data folder at {SHARED_DATA} (set L2T_SHARED_DATA)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist, built from this checkout without a network."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True, timeout=120)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="session")
def installed_wheel(distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which nothing but the wheel is installed: `bin/l2t`, and the package for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--target",
        str(folder),
    ]
    subprocess.run([*pip, str(distributions[0])], cwd=folder, check=True, capture_output=True, timeout=120)
    return folder
