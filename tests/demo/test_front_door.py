"""What reaches Gradio: no route that the page does not use, and no request that is too large."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from l2t_hub.demo.front_door import MAX_BODY, FrontDoor, is_closed


@pytest.fixture(scope="module")
def client() -> TestClient:
    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    app = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])])
    return TestClient(FrontDoor(app))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api//upload?upload_id=1",
        "/gradio_api/file=http://example.org/x",
        "/gradio_api/file=https://example.org/x",
        "/gradio_api/file=HTTPS://example.org/x",
        "/gradio_api/file=%68ttp://example.org/x",
        "/gradio_api/proxy=https://x.hf.space/",
        "/gradio_api/deep_link?session_hash=a",
        "/gradio_api/run-history/records",
        "/space/gradio_api/upload",
    ],
)
def test_routes_that_the_page_does_not_use_are_closed(client: TestClient, path: str) -> None:
    for answer in (client.get(path), client.post(path, content=b"x")):
        assert answer.status_code == 404
        assert answer.json() == {"detail": "This page has no such route."}


@pytest.mark.parametrize(
    "path", ["/", "/gradio_api/queue/join", "/gradio_api/file=/tmp/gradio/x.csv", "/upload"]
)
def test_what_the_page_uses_is_open(client: TestClient, path: str) -> None:
    assert not is_closed(path)
    assert client.post(path, content=b"x" * 1000).text == "1000"


def test_a_body_over_the_limit_is_refused_with_or_without_its_length(client: TestClient) -> None:
    answer = client.post("/gradio_api/queue/join", content=b"x" * (MAX_BODY + 1))
    assert answer.status_code == 413
    assert "at most 16 MB" in answer.json()["detail"]
    assert client.post("/", content=b"x" * MAX_BODY).text == str(MAX_BODY)

    def endless() -> Iterator[bytes]:
        for _ in range(MAX_BODY // 2**20 + 2):
            yield b"x" * 2**20

    with pytest.raises(ClientDisconnect):  # nothing reads on
        client.post("/", content=endless())


def test_a_length_that_is_no_number_is_refused(client: TestClient) -> None:
    assert client.post("/", content=b"x", headers={"content-length": "1e3"}).status_code == 413
