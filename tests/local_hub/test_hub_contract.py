"""The contract between the Hugging Face clients and a Hub: every row with the real clients, over LFS and over Xet.

If a new version of a client changes its requests, it fails here first.
"""

import logging
import re
from pathlib import Path

import pytest
from hub_clients import SMALL_PARTS, names_of_rows, rows_of, run_client

from l2t_hub.local_hub.routes import API
from l2t_hub.local_hub.server import running

SCRIPTS = ("hub_api.py", "hub_data.py", "hub_models.py")
ROWS = [(script, name) for script in SCRIPTS for name in names_of_rows(script)]
LINE = re.compile(r"^(\w+) (\S+) -> (\d+) ")


class Requests(logging.Handler):
    """Keeps the log lines of the Hub, one for each request."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture(scope="module", params=["lfs", "xet"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The result of each row and the log of the Hub, for one way of transfer."""
    folder = tmp_path_factory.mktemp(request.param)
    logger = logging.getLogger("l2t_hub.local_hub")
    seen = Requests()
    logger.addHandler(seen)
    logger.setLevel(logging.INFO)
    rows = {}
    with running(folder / "hub", limits=SMALL_PARTS) as hub:
        for script in SCRIPTS:
            done = run_client(hub, script, folder / script, xet=request.param == "xet")
            rows |= {(script, name): result for name, result in rows_of(done).items()}
    logger.removeHandler(seen)
    return {"rows": rows, "lines": seen.lines, "way": request.param}


@pytest.mark.parametrize(("script", "name"), ROWS, ids=[f"{s.removesuffix('.py')}: {n}" for s, n in ROWS])
def test_row(results: dict[str, dict[tuple[str, str], str]], script: str, name: str) -> None:
    assert results["rows"][script, name] == ""


def test_all_rows_are_listed(results: dict[str, dict[tuple[str, str], str]]) -> None:
    assert set(results["rows"]) == set(ROWS)


def served(lines: list[str]) -> set[str]:
    """Return the routes that answered a request with success."""
    templates = set()
    for line in lines:
        match = LINE.match(line)
        if match and match[3].startswith(("2", "3")):
            path = match[2].removeprefix("/rehearsal")
            templates |= {route.template for route in API if route.match(match[1], path) is not None}
    return templates


# What only Xet uses, and what answers 404 or 403 by design.
ONLY_XET = ("/xet/", "xet-read-token", "xet-write-token")
NOT_BY_CLIENTS = (
    "/api/jobs/",  # the client's jobs are in tests/launch/test_hub_training.py
    "/xet/v1/chunks",
    "/xet/v1/xorb-grants",
    "/xet/v2",
    "/xet/shards",
    "auth-check/write",
    "git-",
    "info/refs",
)


def test_every_route_is_used_by_a_real_client(results: dict[str, list[str]]) -> None:
    spared = NOT_BY_CLIENTS + (ONLY_XET if results["way"] == "lfs" else ("/lfs/object",))
    expected = {
        route.template
        for route in API
        if not route.page and not any(part in route.template for part in spared)
    }
    assert expected - served(results["lines"]) == set()


def test_no_client_requests_an_unknown_endpoint(results: dict[str, list[str]]) -> None:
    assert [line for line in results["lines"] if " -> 501 " in line or " -> 500 " in line] == []


def test_signatures_and_tokens_are_in_no_log_line(results: dict[str, list[str]]) -> None:
    assert [
        line
        for line in results["lines"]
        if "hf_rehearsal" in line or "signature" in line or "xet_rehearsal" in line
    ] == []
    assert len(results["lines"]) > 100


def test_conventions_hold_for_all_urls(tmp_path: Path) -> None:
    with running(tmp_path / "hub") as hub:
        assert hub.url.endswith("/rehearsal")
        assert hub.url.startswith("http://127.0.0.1:")
